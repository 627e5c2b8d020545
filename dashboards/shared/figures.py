"""From rows of the shown file to figures for people: sums over a period, rates, comparisons, moving averages.

A figure of people may be hidden (null, and named in the row's ``suppressed``). It is never counted as 0 here: a sum
with a hidden part is *at least* what is shown, a rate with one is hidden. No row at all is a true 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import polars as pl

from dashboards.shared.definitions import Kind
from dashboards.shared.filters import Period
from lake.disclosure.suppression import MARK

HIDDEN: Final = "hidden"
NOTHING: Final = "n/a"
WINDOWS: Final = {"day": 7, "week": 4, "month": 3}
"""How many days, weeks or months a moving average looks back on."""

_ABOUT_A_YEAR: Final = 365
STEP: Final = {"day": "1d", "week": "1w", "month": "1mo"}
"""How Polars calls a day, a week and a month."""


@dataclass(frozen=True)
class Figure:
    """A figure, and how many of its parts are hidden. Without a value and without hidden parts it does not exist."""

    value: float | None
    hidden: int = 0

    @property
    def exact(self) -> bool:
        """Whether it is known and whole."""
        return self.value is not None and not self.hidden

    def text(self, kind: Kind = "count") -> str:
        """For people: 1,234 · ≥ 1,234 · hidden · n/a."""
        if self.value is None:
            return HIDDEN if self.hidden else NOTHING
        return f"≥ {number(self.value, kind)}" if self.hidden else number(self.value, kind)


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
    """Per group in order: each figure's sum over shown rows, and as ``NAME_hidden`` how many rows hide it (Int64).

    ``rows``: ``by``, ``figures``, ``suppressed``. A sum of 0 with a hidden part is null: it is not 0.
    Without ``by`` there is one row, also of no rows.
    """
    hidden = {name: f"{name}_hidden" for name in figures}
    parts = [pl.col(name).sum() for name in figures]
    parts += [hides(name).sum().cast(pl.Int64).alias(named) for name, named in hidden.items()]
    sums = rows.group_by(by).agg(parts).sort(by) if by else rows.select(parts)
    kept = [pl.when((pl.col(name) != 0) | (pl.col(named) == 0)).then(name) for name, named in hidden.items()]
    return sums.with_columns(kept).select(*by, *(column for pair in hidden.items() for column in pair))


def figure(row: Mapping[str, Any], name: str) -> Figure:
    """A sum made with ``summed``, from a row of its result. Nothing to sum is 0: no row means that nothing happened."""
    value, hidden = row[name], int(row[f"{name}_hidden"] or 0)
    return Figure(None if value is None and hidden else float(value or 0), hidden)


def ratio(part: Figure, whole: Figure) -> Figure:
    """``part / whole``; hidden where either is not exact; none where the whole is 0."""
    if not (part.exact and whole.exact):
        return Figure(None, part.hidden + whole.hidden)
    return Figure(part.value / whole.value if whole.value and part.value is not None else None)


def change(now: Figure, before: Figure) -> float | None:
    """By how much of ``before`` it has changed; None where either is not exact or there was nothing before."""
    if now.value is None or not before.value or not (now.exact and before.exact):
        return None
    return now.value / before.value - 1


def cover(period: Period, data: Period) -> pl.DataFrame:
    """The pieces (grain, start) that make up a period: whole months, whole weeks beside them, single days.

    The coarser a piece is, the less of it is hidden. At the ends of the data, a month or week counts as whole: there is
    nothing in the rest of it.
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


def filled(rows: pl.DataFrame, axes: Mapping[str, Sequence[Any]], figures: Sequence[str]) -> pl.DataFrame:
    """A row for every combination of ``axes`` (column → values), in order; 0 where there was none.

    ``rows``: the axes' columns, ``figures``, ``suppressed``. A hidden figure stays null: a gap in a chart.
    """
    grid = pl.DataFrame({name: [list(values)] for name, values in axes.items()})
    for name in axes:
        grid = grid.explode(name)
    grid = grid.cast({name: rows.schema[name] for name in axes})
    return grid.join(rows, on=list(axes), how="left", maintain_order="left").with_columns(
        pl.when(hides(name)).then(None).otherwise(pl.col(name).fill_null(0)).alias(name) for name in figures
    )


def hides(figure: str) -> pl.Expr:
    """Whether a row hides a figure."""
    return pl.col(MARK).fill_null("").str.split(", ").list.contains(figure)


def moving_average(figure: str, grain: str) -> pl.Expr:
    """Mean of the shown values among the last 7 days, 4 weeks or 3 months; null where half of them or more are not.

    For rows in order, without a missing day (``filled``).
    """
    window = WINDOWS[grain]
    return pl.col(figure).rolling_mean(window, min_samples=window // 2 + 1)
