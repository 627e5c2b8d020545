"""What the Admissions page shows: totals of a period, their course over time, and arrivals by hour of the week."""

from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

import polars as pl

from dashboards.shared import data, figures
from dashboards.shared.figures import Figure
from dashboards.shared.filters import Period, View, places

FLOWS: Final = ("admissions", "discharges")
_DAYS: Final = 93
_WEEKS: Final = 400
Split = Literal["facility", "department"]

_TOTALS: Final = """
SELECT grain, start, facility, department, admissions, discharges
FROM gold.admissions_totals JOIN (SELECT unnest($grains) AS grain, unnest($starts) AS start) USING (grain, start)
WHERE list_contains($facilities, facility) AND list_contains($departments, department)"""

_COURSE: Final = """
SELECT start, facility, department, admissions, discharges FROM gold.admissions_totals
WHERE grain = $grain AND start BETWEEN $first AND $last
AND list_contains($facilities, facility) AND list_contains($departments, department)"""

_ARRIVALS: Final = """
SELECT weekday, hour, admissions FROM gold.arrivals_totals
WHERE month BETWEEN $first AND $last AND facility = $facility"""


@dataclass(frozen=True)
class Course:
    """Admissions and discharges by day, week or month, and their moving averages.

    ``rows``: start, end (first day after), admissions, discharges, admissions_average, discharges_average, over
    (whether the time is over), then per bucket of the period before, under the same start: before,
    before_start. ``compared``: whether the period before is in the data.
    """

    rows: pl.DataFrame
    grain: str
    compared: bool


def known() -> Period:
    """All days of the data."""
    build = data.current()
    return Period(build.first_day, build.last_day)


def totals(period: Period, view: View, split: Split | None = None) -> pl.DataFrame:
    """Per facility or department, or in all: the sums of a period (``figures.summed``)."""
    cover = figures.cover(period, known())
    pieces = cover.to_dict(as_series=False)
    rows = data.rows(_TOTALS, grains=pieces["grain"], starts=pieces["start"], **_scope(view, split))
    by: list[str] = [split] if split else []
    whole = cover.join(rows.select(by).unique(), how="cross") if by else cover
    parts = whole.join(rows, on=cover.columns + by, how="left")
    if not data.current().rounded:  # of public rows, those that are not there are hidden
        parts = parts.with_columns(pl.col(*FLOWS).fill_null(0))
    return figures.summed(parts, by, FLOWS)


def total(period: Period, view: View) -> dict[str, Figure]:
    """Admissions and discharges of a period."""
    row = totals(period, view).row(0, named=True)
    return {name: figures.figure(row, name, rounded=data.current().rounded) for name in FLOWS}


def comparison(period: Period) -> tuple[Period, Period] | None:
    """The period as far as there is data, and the one before; None where the data does not reach so far back."""
    now = Period(period.first, min(period.last, known().last))
    before = now.previous()
    return (now, before) if before.first >= known().first else None


def _scope(view: View, split: Split | None = None) -> dict[str, list[str]]:
    """Which facilities and departments to read: what is looked at, but all names of what is split by."""
    facilities, departments = places()
    return {
        "facilities": facilities if split == "facility" else [view.facility],
        "departments": departments if split == "department" else [view.department],
    }


def fitting(view: View) -> Course:
    """The course by days of up to three months, weeks of up to a year and a bit, else months."""
    days = view.period.days
    return course(view, "day" if days <= _DAYS else "week" if days <= _WEEKS else "month")


def course(view: View, grain: str) -> Course:
    """The course over the period, beside that of the period before."""
    asked = figures.starts(view.period, grain)
    shift = figures.steps(view.period.previous().first, view.period.first, grain)
    starts = [*figures.before(asked[0], grain, shift + figures.WINDOWS[grain] - 1), *asked]
    read = _read(view, grain, starts)
    rows = figures.filled(read, {"start": starts}, FLOWS, rounded=data.current().rounded).with_columns(
        end=pl.col("start").dt.offset_by(figures.STEP[grain])
    )
    over = (pl.col("start") >= known().first) & (pl.col("end") <= known().last)
    averages = [f"{name}_average" for name in FLOWS]
    rows = rows.with_columns(over=over, **{f"{name}_average": pl.when(over).then(name) for name in FLOWS})
    rows = rows.with_columns(figures.moving_average(name, grain) for name in averages)
    now, then = rows.tail(len(asked)), rows.slice(figures.WINDOWS[grain] - 1, len(asked))
    compared = bool(then["start"][0] >= known().first)
    then = then.select(before="admissions_average", before_start="start")
    return Course(pl.concat([now, then], how="horizontal"), grain, compared)


def split_course(view: View, grain: str, split: Split) -> pl.DataFrame:
    """start, facility or department, admissions: of what is over."""
    starts = [day for day in figures.starts(view.period, grain) if figures.ends(day, grain) < known().last]
    names = _scope(view, split)["facilities" if split == "facility" else "departments"]
    rows = _read(view, grain, starts, split).select("start", split, "admissions")
    return figures.filled(rows, {"start": starts, split: names}, ["admissions"], rounded=data.current().rounded)


def _read(view: View, grain: str, starts: list[date], split: Split | None = None) -> pl.DataFrame:
    first, last = (starts[0], starts[-1]) if starts else (date.max, date.min)
    return data.rows(_COURSE, grain=grain, first=first, last=last, **_scope(view, split))


def arrivals(view: View) -> pl.DataFrame:
    """Weekday (1 is Monday), hour, admissions: over the months that the period touches."""
    first, last = view.period.months
    rows = data.rows(_ARRIVALS, first=first, last=last, facility=view.facility)
    found = figures.summed(rows, ["weekday", "hour"], ["admissions"])
    week = {"weekday": range(1, 8), "hour": range(24)}
    return figures.filled(found, week, ["admissions"], rounded=data.current().rounded)
