"""The midnight census, as a way to other figures.

A facility's patients at midnight are those of the day before, plus admissions, less discharges. So occupancy has to
leave that sum open wherever admissions or discharges are hidden, and admissions have to leave it open wherever it comes
to 1 to 10 patients. Moves within a facility do not matter here: transfers are not shown.
"""

from dataclasses import dataclass

import polars as pl

from lake.cells import SMALL, small

_DAY = ["day", "facility"]


@dataclass(frozen=True)
class ToOpen:
    """Admissions to hide, by facility, department and ``day``, ``week`` and ``month``, or ``month``."""

    days: pl.DataFrame
    weeks: pl.DataFrame
    months: pl.DataFrame


def to_open(occupancy: pl.DataFrame, admissions: pl.DataFrame) -> ToOpen:
    """Which admissions to hide so that no facility's census of 1 to 10 patients follows from the others.

    Of one department: the last day with admissions up to that midnight and, in the same week, the first one after it,
    so that a patient may have come on either. Where the week has none, the day's week and month too.
    """
    held = occupancy.group_by(_DAY).agg(patients=pl.col("occupied_midnight").sum())
    tiny = held.filter(small(pl.col("patients"))).select(_DAY)
    came = admissions.filter(pl.col("admissions") > 0).select("day", "facility", "department").sort("day")
    asked = tiny.join(came.select("facility", "department").unique(), on="facility").sort("day")
    units = ["facility", "department"]
    last = asked.join_asof(came.with_columns(last="day"), on="day", by=units, check_sortedness=False)
    both = last.join_asof(
        came.with_columns(following="day"),
        on="day",
        by=units,
        strategy="forward",
        allow_exact_matches=False,
        check_sortedness=False,
    ).filter(pl.col("last").is_not_null())
    same = [pl.col("last").dt.truncate(span) == pl.col("following").dt.truncate(span) for span in ("1w", "1mo")]
    ranked = both.with_columns(straddles=pl.all_horizontal(same).fill_null(value=False))
    order = ranked.sort("straddles", "last", "department", descending=True)
    chosen = order.group_by(_DAY, maintain_order=True).first()
    straddling, alone = chosen.filter("straddles"), chosen.filter(~pl.col("straddles"))
    path = alone.select(*units, week=pl.col("last").dt.truncate("1w"), month=pl.col("last").dt.truncate("1mo"))
    return ToOpen(
        days=pl.concat([chosen.select(*units, day="last"), straddling.select(*units, day="following")]),
        weeks=path,
        months=path.select(*units, "month"),
    )


def hide(occupancy: pl.DataFrame, moving: pl.Series) -> pl.Series:
    """Which cells of ``occupied_midnight`` to hide (Boolean, in the order of the rows).

    ``moving``: facilities of which a day's admissions or discharges are hidden. There, and where a cell is small, at
    least two departments are hidden that hold more than 10 patients together; all of them where that cannot be.
    """
    held = pl.col("occupied_midnight")
    ordered = occupancy.with_row_index("row").sort(*_DAY, held, "department")
    zeros = (held == 0).sum().over(_DAY)
    smaller, people = held.cum_sum().over(_DAY) - held, held.sum().over(_DAY)
    rank = pl.int_range(pl.len()).over(_DAY) - zeros
    enough = (pl.len().over(_DAY) - zeros >= 2) & (people > SMALL)
    some = (held > 0) & ((rank < 2) | (smaller <= SMALL) | small(held))
    asked = small(held).any().over(_DAY) | pl.col("facility").is_in(moving.implode())
    return ordered.with_columns(hidden=asked & (~enough | some)).sort("row")["hidden"]
