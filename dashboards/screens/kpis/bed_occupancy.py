"""Bed occupancy of a period: what is read for it, and its figures.

The mean over days weighs each day by its staffed beds, as KH03 does: patients at midnight / staffed beds, both summed.
Of public figures it is the mean of the days that are not hidden, where these are more than half.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl

from dashboards.shared.figures import Figure
from dashboards.shared.filters import Period

SAFE: Final = 0.85
FULL: Final = 0.92
LINES: Final = (
    "Above 85 % a hospital runs short of beds ever more often (Bagust, Place and Posnett, BMJ 1999); 92 % is the most "
    "that NHS England plans for in adult general and acute beds."
)

DAYS: Final = """
SELECT day, facility, department, occupied_midnight, staffed_beds, occupancy_rate
FROM gold.occupancy_totals WHERE day BETWEEN $first AND $last ORDER BY facility, department, day"""


def means(rows: pl.DataFrame, period: Period, *, rounded: bool) -> pl.DataFrame:
    """A row per facility and department, ``(all)`` among them: sums over the days, from rows of ``DAYS``."""
    # A public file has no row of a day that is hidden.
    enough = pl.len() > (period.days // 2 if rounded else 0)
    return (
        rows.group_by("facility", "department")
        .agg(
            occupied=pl.col("occupied_midnight").sum(),
            beds=pl.col("staffed_beds").sum(),
            without_beds=pl.col("staffed_beds").null_count(),
            full=(pl.col("occupancy_rate") > FULL).sum(),
            enough=enough,
            rounded=pl.lit(rounded),
        )
        .sort("facility", "department")
    )


def mean(row: Mapping[str, Any] | None) -> Figure:
    """Mean occupancy from a row of ``means``; none without a row, or where staffed beds are not known on each day."""
    if row is None or row["without_beds"] or not row["beds"]:
        return Figure(None)
    return Figure(row["occupied"] / row["beds"] if row["enough"] else None, row["rounded"])


def full_days(row: Mapping[str, Any] | None) -> Figure:
    """Days above 92 %, from a row of ``means``; none where ``mean`` has none."""
    found = mean(row)
    return found if row is None or found.value is None else Figure(row["full"], found.rounded)


def row_of(rows: pl.DataFrame, facility: str, department: str) -> dict[str, Any] | None:
    """The row of one place; None where nothing happened there."""
    found = rows.filter(facility=facility, department=department)
    return found.row(0, named=True) if found.height else None


def gapless(rows: pl.DataFrame, period: Period, by: Sequence[str]) -> pl.DataFrame:
    """A row for every day and each of ``by``, null where there was none: for lines and moving averages."""
    days = pl.DataFrame({"day": pl.date_range(period.first, period.last, eager=True)})
    grid = rows.select(by).unique(maintain_order=True).join(days, how="cross")
    return grid.join(rows, on=[*by, "day"], how="left", maintain_order="left")


def classed(rows: pl.DataFrame) -> pl.DataFrame:
    """Per row of ``means`` its place, ``occupancy``, ``level`` (one of ``LEVELS``) and ``text``."""
    figures = [mean(row) for row in rows.iter_rows(named=True)]
    return rows.select("facility", "department").with_columns(
        pl.Series("occupancy", [one.value for one in figures], pl.Float64),
        pl.Series("level", [_level(one) for one in figures], pl.String),
        pl.Series("text", [one.text("percent") for one in figures], pl.String),
    )


LEVELS: Final = ("up to 85 %", "above 85 %", "above 92 %", "hidden", "beds not known")


def _level(found: Figure) -> str:
    if found.value is None:
        return LEVELS[3] if found.rounded else LEVELS[4]
    return LEVELS[sum(found.value > line for line in (SAFE, FULL))]
