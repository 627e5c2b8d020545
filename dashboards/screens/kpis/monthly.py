"""Monthly KPIs: which months of a period they rest on, what is read for them, and their figures.

Lengths of stay, readmissions and deaths are counted by month of discharge. Tiles and tables rest on *finished* months,
not on one that is cut off by an end of the data.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import polars as pl

from dashboards.screens.kpis.bed_occupancy import row_of
from dashboards.shared import data
from dashboards.shared.figures import HIDDEN, NOTHING, Figure, figure, ratio, summed
from dashboards.shared.filters import Period, View, month_text

FEW: Final = 25
"""Below so many cases CMS does not report a hospital's 30-day measures: the number is too small to tell how it does."""

_FOLLOW_UP: Final = timedelta(days=31)
"""From the day that ends a month to the first day on which all its discharges were followed for 30 days."""

COUNTS: Final = ("index_discharges_30d", "readmissions_30d")
STAYED: Final = ("bed_days", "stayed")
"""What an average length of stay is made of: days, and the discharges of the rows whose days are known."""


@dataclass(frozen=True)
class Months:
    """The months behind the figures. ``followed``: those with 30 days of data after; None where there is none."""

    counted: Period
    followed: Period | None

    def previous(self, data: Period) -> "Months | None":
        """As many months before; None where the data do not hold them whole."""
        before = self.counted.previous()
        if not _inside(before, data):
            return None
        followed = self.followed.previous() if self.followed else None
        return Months(before, followed if followed and _inside(followed, data) else None)


def months(period: Period, data: Period) -> Months:
    """The finished months that a period touches; all that it touches where none is finished."""
    touched = period.whole_months
    first = touched.first if touched.first >= data.first else _month_after(touched.first)
    last = touched.last if touched.last <= data.last else touched.last.replace(day=1) - timedelta(days=1)
    counted = Period(first, last) if first <= last else touched
    end = counted.last
    while end >= counted.first and end + _FOLLOW_UP > data.last:
        end = end.replace(day=1) - timedelta(days=1)
    return Months(counted, Period(counted.first, end) if end >= counted.first else None)


def text(period: Period) -> str:
    """Months for people: Jul 2026 · Aug 2025 to Jul 2026."""
    first, last = map(month_text, period.months)
    return first if first == last else f"{first} to {last}"


def _month_after(day: date) -> date:
    return Period(day, day).whole_months.last + timedelta(days=1)


def _inside(period: Period, data: Period) -> bool:
    return data.first <= period.first and period.last <= data.last


STAYS: Final = """
SELECT month, facility, department, discharges, bed_days, alos_days, median_los_days
FROM gold.length_of_stay_totals WHERE month BETWEEN $first AND $last ORDER BY ALL"""

READMISSIONS: Final = """
SELECT month, facility, department, index_discharges_30d, readmissions_30d, readmission_rate_30d
FROM gold.readmissions_totals WHERE month BETWEEN $first AND $last ORDER BY ALL"""

DEATHS: Final = """
SELECT month, facility, department, discharges AS deaths
FROM gold.outcomes_totals WHERE disposition = 'expired' AND month BETWEEN $first AND $last ORDER BY ALL"""

DOCTORS: Final = """
SELECT month, doctor_id, department, discharges, alos_days, deaths, index_discharges_30d, readmissions_30d
FROM gold.doctors WHERE month BETWEEN $first AND $last ORDER BY ALL"""


def of_place(view: View, months: Months) -> dict[str, Figure]:
    """The monthly KPIs of the place in view."""
    found = places(months, *read(months.counted))
    row = row_of(found, view.facility, view.department) or dict.fromkeys(found.columns)
    return measured(row, months)


def read(period: Period) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Stays, readmissions and deaths of all places in the months that a period touches."""
    first, last = period.months
    stays, again, died = (data.rows(sql, first=first, last=last) for sql in (STAYS, READMISSIONS, DEATHS))
    return stays, again, died


def places(months: Months, stays: pl.DataFrame, again: pl.DataFrame, died: pl.DataFrame) -> pl.DataFrame:
    """A row per facility and department, ``(all)`` among them, most discharges first: sums for ``measured``.

    Takes rows of ``STAYS``, ``READMISSIONS`` and ``DEATHS``, of these months or more.
    """
    key = ["facility", "department"]
    counted = within(stays, months.counted)
    medians = counted.group_by(key).agg(
        lowest_median=pl.col("median_los_days").min(), highest_median=pl.col("median_los_days").max()
    )
    return (
        summed(with_stayed(counted), key, ["discharges", *STAYED])
        .join(summed(within(again, months.followed), key, COUNTS), on=key, how="left")
        .join(summed(within(died, months.counted), key, ["deaths"]), on=key, how="left")
        .join(medians, on=key, how="left")
        .sort("discharges", *key, descending=[True, False, False])
    )


def doctors(months: Months, rows: pl.DataFrame) -> pl.DataFrame:
    """A row per doctor and department, most discharges first: sums for ``measured``, from rows of ``DOCTORS``."""
    key = ["doctor_id", "department"]
    return (
        summed(with_stayed(within(rows, months.counted)), key, ["discharges", *STAYED, "deaths"])
        .join(summed(within(rows, months.followed), key, COUNTS), on=key, how="left")
        .sort("discharges", *key, descending=[True, False, False])
    )


def with_stayed(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with ``STAYED``, from ``discharges`` and ``alos_days``: sums over months need days, not averages."""
    known = pl.col("alos_days").is_not_null()
    days = pl.col("bed_days") if "bed_days" in rows.columns else pl.col("alos_days") * pl.col("discharges")
    return rows.with_columns(
        bed_days=pl.when(known).then(days).otherwise(0.0), stayed=pl.when(known).then("discharges").otherwise(0)
    )


def mortality(stays: pl.DataFrame, died: pl.DataFrame) -> pl.DataFrame:
    """month, discharges, deaths, mortality_rate: from rows of ``STAYS`` and ``DEATHS`` of one place.

    No row of deaths in a month with discharges is 0; of public rows it is hidden.
    """
    deaths = pl.col("deaths") if data.current().rounded else pl.col("deaths").fill_null(0)
    both = stays.select("month", "discharges").join(died.select("month", "deaths"), on="month", how="left")
    return (
        both.sort("month")
        .with_columns(deaths)
        .with_columns(mortality_rate=pl.when(pl.col("discharges") > 0).then(pl.col("deaths") / pl.col("discharges")))
    )


def within(rows: pl.DataFrame, period: Period | None) -> pl.DataFrame:
    """The rows of a period's months."""
    return rows.filter(pl.col("month").is_between(period.first, period.last)) if period else rows.clear()


def measured(row: Mapping[str, Any], months: Months) -> dict[str, Figure]:
    """KPI → figure, from a row of ``places`` or ``doctors``. Rates are made of the sums."""
    rounded = data.current().rounded
    names = ("discharges", *STAYED, "deaths", *COUNTS)
    sums = {name: figure(row, name, rounded=rounded) for name in names}
    if months.followed is None:
        sums |= dict.fromkeys(COUNTS, Figure(None))
    index, again = (sums[name] for name in COUNTS)
    return {
        "discharges": sums["discharges"],
        "alos_days": ratio(sums["bed_days"], sums["stayed"]),
        "index_discharges_30d": index,
        "readmissions_30d": again,
        "readmission_rate_30d": ratio(again, index),
        "deaths": sums["deaths"],
        "mortality_rate": ratio(sums["deaths"], sums["discharges"]),
    }


def medians(row: Mapping[str, Any]) -> str:
    """The lowest and the highest median of a month, from a row of ``places`` for one department of one facility.

    Medians of months cannot be put together to one of the period.
    """
    if row["lowest_median"] is None:
        return HIDDEN if data.current().rounded else NOTHING
    return f"{row['lowest_median']:.1f} to {row['highest_median']:.1f} days"
