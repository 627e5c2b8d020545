"""From rows of Gold to figures for people: sums over a period, rates, comparisons, moving averages.

Of exact rows a sum is exact, and no row at all is 0. Of public rows (``rounded``) a hidden count is null, and a row
that is not there counts 0 to 10. In a sum a hidden part counts as 5; a sum of hidden parts only is hidden.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import polars as pl

from dashboards.shared.definitions import Kind
from dashboards.shared.filters import Period
from lake.disclosure.rounding import LEAST

HIDDEN: Final = "hidden"
NOTHING: Final = "n/a"
TYPICAL: Final = 5
"""What a hidden count of 1 to 10 is taken for in a sum."""

WINDOWS: Final = {"day": 7, "week": 4, "month": 3}
"""How many days, weeks or months a moving average looks back on."""

_ABOUT_A_YEAR: Final = 365
STEP: Final = {"day": "1d", "week": "1w", "month": "1mo"}
"""How Polars calls a day, a week and a month."""


@dataclass(frozen=True)
class Figure:
    """A figure; ``rounded`` where it is made of public ones. Without a value it is hidden then, else does not exist."""

    value: float | None
    rounded: bool = False

    def text(self, kind: Kind = "count") -> str:
        """For people: 1,234 · ≈ 1,235 · hidden · n/a."""
        if self.value is None:
            return HIDDEN if self.rounded else NOTHING
        return f"≈ {number(self.value, kind)}" if self.rounded else number(self.value, kind)


def number(value: float, kind: Kind = "count") -> str:
    """A number for people: 1,234 · 12.3 · 4.2 days · 12.3 %."""
    match kind:
        case "percent":
            return f"{value:.1%}".replace("%", " %")
        case "days":
            return f"{value:,.1f} days"
        case "mean":
            return f"{value:,.1f}"
        case "count":
            return f"{value:,.0f}"


def summed(rows: pl.DataFrame, by: Sequence[str], figures: Sequence[str]) -> pl.DataFrame:
    """Per group in order: each figure's sum; null where all of it is hidden. ``rows``: ``by``, ``figures``.

    Without ``by`` there is one row, also of no rows.
    """
    parts = [
        pl.when(pl.col(name).is_not_null().any()).then(pl.col(name).fill_null(TYPICAL).sum()).alias(name)
        for name in figures
    ]
    return rows.group_by(by).agg(parts).sort(by).select(*by, *figures) if by else rows.select(parts)


def figure(row: Mapping[str, Any], name: str, *, rounded: bool) -> Figure:
    """A sum made with ``summed``, from a row of its result. Of exact rows, nothing to sum is 0."""
    value = row[name]
    return Figure(None if value is None and rounded else float(value or 0), rounded)


def ratio(part: Figure, whole: Figure) -> Figure:
    """``part / whole``; none where one is not known or the whole is 0, or for the public of 1 to 10 people."""
    rounded = part.rounded or whole.rounded
    if part.value is None or not whole.value or (rounded and whole.value < LEAST):
        return Figure(None, rounded)
    return Figure(part.value / whole.value, rounded)


def change(now: Figure, before: Figure) -> float | None:
    """By how much of ``before`` it has changed; None where either is not known or there was nothing before."""
    return None if now.value is None or not before.value else now.value / before.value - 1


def cover(period: Period, data: Period) -> pl.DataFrame:
    """The pieces (grain, start) that make up a period: whole months, whole weeks beside them, single days.

    The coarser a piece is, the less of it is hidden from the public. At the ends of the data, a month or week counts as
    whole: there is nothing in the rest of it.
    """
    low = period.first.replace(day=1) if period.first <= data.first else period.first
    high = max(ends(period.last, "month"), ends(period.last, "week")) if period.last >= data.last else period.last
    month, week = pl.col("month"), pl.col("week")
    by_month = (month >= low) & (month.dt.month_end() <= high)
    by_week = (week >= low) & (week.dt.offset_by("6d") <= high) & ~by_month.any().over("week")
    return (
        pl.DataFrame({"day": pl.date_range(low, high, eager=True)})
        .with_columns(month=pl.col("day").dt.truncate("1mo"), week=pl.col("day").dt.truncate("1w"))
        .select(
            grain=pl.when(by_month).then(pl.lit("month")).when(by_week).then(pl.lit("week")).otherwise(pl.lit("day")),
            start=pl.when(by_month).then(month).when(by_week).then(week).otherwise("day"),
        )
        .unique(maintain_order=True)
    )


def starts(period: Period, grain: str) -> list[date]:
    """First days of the days, weeks or months that a period touches."""
    return (
        pl.date_range(period.first, period.last, eager=True)
        .dt.truncate(STEP[grain])
        .unique(maintain_order=True)
        .to_list()
    )


def before(start: date, grain: str, count: int) -> list[date]:
    """First days of the ``count`` days, weeks or months before the one that begins at ``start``, in order."""
    offsets = pl.Series([f"-{back}{STEP[grain][1:]}" for back in range(count, 0, -1)], dtype=pl.String)
    return pl.select(pl.lit(start).dt.offset_by(pl.lit(offsets))).to_series().to_list()


def steps(first: date, last: date, grain: str) -> int:
    """How many days, weeks or months ``last`` is after ``first``; about a year is 364 days, so weekdays meet."""
    days = (last - first).days
    match grain:
        case "month":
            return (last.year - first.year) * 12 + last.month - first.month
        case "week":
            return round(days / 7)
        case _:
            return days if days < _ABOUT_A_YEAR else days // 7 * 7


def ends(day: date, grain: str) -> date:
    """Last day of the day, week or month that ``day`` is in."""
    match grain:
        case "month":
            return Period(day, day).whole_months.last
        case "week":
            return day + timedelta(days=6 - day.weekday())
        case _:
            return day


def filled(
    rows: pl.DataFrame, axes: Mapping[str, Sequence[Any]], figures: Sequence[str], *, rounded: bool
) -> pl.DataFrame:
    """A row for every combination of ``axes`` (column → values), in order.

    ``rows``: the axes' columns, ``figures``. Where there was no row, a count is 0, or null where ``rounded``.
    """
    grid = pl.DataFrame({name: [list(values)] for name, values in axes.items()})
    for name in axes:
        grid = grid.explode(name)
    grid = grid.cast({name: rows.schema[name] for name in axes})
    found = grid.join(rows, on=list(axes), how="left", maintain_order="left")
    return found if rounded else found.with_columns(pl.col(*figures).fill_null(0))


def moving_average(figure: str, grain: str) -> pl.Expr:
    """Mean of what is known of the last 7 days, 4 weeks or 3 months; null where half of them or more are not.

    For rows in order, without a missing day (``filled``).
    """
    window = WINDOWS[grain]
    return pl.col(figure).rolling_mean(window, min_samples=window // 2 + 1)
