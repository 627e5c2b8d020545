"""Gold with totals over facilities and departments: what the shown file has, before small cells are hidden.

The totals are sums of Gold's rows; averages and rates are made anew from such sums. A median has no sum: only units
(one department of one facility) have one.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Final

import polars as pl

ALL: Final = "(all)"
"""Stands for a facility, department or diagnosis where a row counts all of them."""

PLACE: Final = ("facility", "department")
SCOPES: Final[tuple[tuple[str, ...], ...]] = (PLACE, ("department",), ("facility",), ())
"""What is named in a row, from units to all of it; the rest is ``ALL``."""

GRAINS: Final = {"day": "1d", "week": "1w", "month": "1mo"}

KEYS: Final[dict[str, tuple[str, ...]]] = {
    "admissions": ("grain", "start", *PLACE),
    "occupancy": ("day", *PLACE),
    "length_of_stay": ("month", *PLACE),
    "readmissions": ("month", *PLACE),
    "outcomes": ("month", *PLACE, "disposition"),
    "arrivals": ("month", "weekday", "hour", "facility"),
    "diagnoses": ("month", "diagnosis_code"),
    "treatments": ("month", "diagnosis_code", "treatment"),
    "doctors": ("month", "doctor_id", "department"),
}
"""Table → the columns that name a row."""

Tables = dict[str, pl.DataFrame]


def totals(gold: Mapping[str, pl.DataFrame]) -> Tables:
    """Name → rows of each table of people in the shown file, from the Gold tables of one build by name."""
    return {
        "admissions": _admissions(gold["admissions"]),
        "occupancy": _occupancy(gold["occupancy"]),
        "length_of_stay": _length_of_stay(gold["length_of_stay"]),
        "readmissions": _readmissions(gold["admissions"]),
        "outcomes": _by_scope(gold["outcomes"], ("month", *PLACE, "disposition"), _sum("discharges")),
        "arrivals": _arrivals(gold["arrivals"]),
        "diagnoses": _diagnoses(gold["diagnoses"]),
        "treatments": gold["treatments"].sort("month", "diagnosis_code", "treatment"),
        "doctors": gold["doctors"].sort("month", "doctor_id", "department"),
    }


def of(table: pl.DataFrame, scope: Sequence[str], among: Sequence[str] = PLACE) -> pl.DataFrame:
    """The rows of a table in which of ``among`` just ``scope`` is named."""
    return table.filter((pl.col(column) == ALL) != (column in scope) for column in among)


def _sum(*figures: str) -> list[pl.Expr]:
    return [pl.col(figure).sum() for figure in figures]


def _by_scope(
    rows: pl.DataFrame, keys: Sequence[str], figures: Sequence[pl.Expr], among: Sequence[str] = PLACE
) -> pl.DataFrame:
    """``rows`` summed by ``keys``, once for each way to put ``ALL`` for the columns ``among``."""
    ways = product(*((False, True) for _ in among))
    asked = [[pl.lit(ALL).alias(column) for column, all_ in zip(among, way, strict=True) if all_] for way in ways]
    return pl.concat([rows.with_columns(way).group_by(keys).agg(figures) for way in asked]).sort(keys)


def _admissions(days: pl.DataFrame) -> pl.DataFrame:
    keys = ("start", *PLACE)
    grains = [
        _by_scope(days.with_columns(start=pl.col("day").dt.truncate(span)), keys, _sum("admissions", "discharges"))
        .select(pl.lit(grain).alias("grain"), *keys, "admissions", "discharges")
        for grain, span in GRAINS.items()
    ]  # fmt: skip
    return pl.concat(grains)


def _readmissions(days: pl.DataFrame) -> pl.DataFrame:
    counts = ("index_discharges_30d", "readmissions_30d")
    index, again = map(pl.col, counts)
    return _by_scope(days, ("month", *PLACE), _sum(*counts)).with_columns(
        readmission_rate_30d=pl.when(index > 0).then(again / index)
    )


def _occupancy(beds: pl.DataFrame) -> pl.DataFrame:
    # Without the beds of one unit there is no telling how many its facility has.
    staffed = pl.when(pl.col("staffed_beds").is_not_null().all()).then(pl.col("staffed_beds").sum())
    return _by_scope(beds, ("day", *PLACE), [*_sum("occupied_midnight"), staffed]).with_columns(
        occupancy_rate=pl.when(pl.col("staffed_beds") > 0).then(pl.col("occupied_midnight") / pl.col("staffed_beds"))
    )


def _length_of_stay(stays: pl.DataFrame) -> pl.DataFrame:
    keys = ("month", *PLACE)
    mean = pl.when(pl.col("discharges") > 0).then(pl.col("bed_days") / pl.col("discharges"))
    sums = _by_scope(stays, keys, _sum("discharges", "bed_days"))
    units = stays.select(*keys, "alos_days", "median_los_days")  # as Gold has them, to the last bit
    return sums.join(units, on=keys, how="left", maintain_order="left").with_columns(
        pl.col("alos_days").fill_null(mean)
    )


def _arrivals(arrivals: pl.DataFrame) -> pl.DataFrame:
    return _by_scope(arrivals, ("month", "weekday", "hour", "facility"), _sum("admissions"), ("facility",))


def _diagnoses(codes: pl.DataFrame) -> pl.DataFrame:
    # How all of them ended is in length of stay and outcomes, by month of discharge: see lake.disclosure.suppression.
    left_out = ("diagnosis", "discharges", "alos_days", "deaths")
    whole = codes.group_by("month").agg(
        *_sum("admissions", "minor", "moderate", "major", "extreme"),
        diagnosis_code=pl.lit(ALL),
    )
    nothing = [pl.lit(None, codes.schema[name]).alias(name) for name in left_out]
    return pl.concat([codes, whole.with_columns(nothing).select(codes.columns)]).sort("month", "diagnosis_code")
