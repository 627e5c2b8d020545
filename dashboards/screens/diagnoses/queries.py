"""What the page Diagnoses and treatments shows: by whole months; diagnoses are those of all facilities together."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

import polars as pl

from dashboards.screens.kpis import monthly
from dashboards.shared import data, figures
from dashboards.shared.figures import Figure
from dashboards.shared.filters import Period, View
from lake.gold.totals import ALL

SEVERITIES: Final = ("minor", "moderate", "major", "extreme")
COUNTS: Final = ("admissions", "discharges", "deaths", *SEVERITIES)

ENDINGS: Final = {
    "home": "Home",
    "home_health": "Home with care",
    "skilled_nursing": "Skilled nursing",
    "rehab": "Rehabilitation",
    "transfer": "Other hospital",
    "ama": "Against advice",
    "hospice": "Hospice",
    "expired": "Died",
    "other": "Elsewhere",
    "unknown": "Not stated",
}
"""Disposition → how people call it."""

_SUMMED: Final = (*COUNTS, *monthly.STAYED)

_DIAGNOSES: Final = """
SELECT month, diagnosis_code, diagnosis, admissions, discharges, deaths, minor, moderate, major, extreme, alos_days
FROM gold.diagnoses_totals WHERE month BETWEEN $first AND $last"""

_TREATMENTS: Final = """
SELECT month, treatment, visits, discharges, deaths, alos_days
FROM gold.treatments WHERE month BETWEEN $first AND $last AND $code IN (diagnosis_code, $all)"""

_OUTCOMES: Final = """
SELECT month, disposition, discharges FROM gold.outcomes_totals
WHERE month BETWEEN $first AND $last AND facility = $facility AND department = $department"""


def diagnoses(period: Period) -> pl.DataFrame:
    """A row per month and diagnosis of the months that a period touches; diagnosis_code ``ALL`` for all of them."""
    first, last = period.months
    return data.rows(_DIAGNOSES, first=first, last=last)


def by_diagnosis(rows: pl.DataFrame) -> pl.DataFrame:
    """diagnosis_code, diagnosis, and their sums (``figures.summed``), bed days too; most admissions first."""
    named = rows.filter(pl.col("diagnosis_code") != ALL)
    names = named.group_by("diagnosis_code").agg(pl.col("diagnosis").drop_nulls().last())
    sums = figures.summed(monthly.with_stayed(named), ["diagnosis_code"], _SUMMED)
    found = sums.join(names, on="diagnosis_code").with_columns(pl.col("diagnosis").fill_null(pl.col("diagnosis_code")))
    return found.sort("admissions", "diagnosis_code", descending=[True, False], nulls_last=True)


def of(rows: pl.DataFrame, code: str) -> pl.DataFrame:
    """The months of one diagnosis, or of all of them (``ALL``)."""
    return rows.filter(pl.col("diagnosis_code") == code).sort("month")


def is_over(month: date) -> bool:
    """Whether a month is over in the data."""
    return figures.ends(month, "month") < data.current().last_day


def over(rows: pl.DataFrame) -> pl.DataFrame:
    """The months that are over."""
    return rows.filter(pl.col("month").dt.month_end() < data.current().last_day)


def total(rows: pl.DataFrame) -> dict[str, Figure]:
    """The KPIs of the months of one diagnosis: counts, average length of stay, mortality."""
    return measured(figures.summed(monthly.with_stayed(rows), [], _SUMMED).row(0, named=True))


def measured(row: Mapping[str, Any]) -> dict[str, Figure]:
    """KPI → figure, from a row of sums."""
    found = {name: figures.figure(row, name, rounded=data.current().rounded) for name in _SUMMED}
    return found | {
        "alos_days": figures.ratio(found["bed_days"], found["stayed"]),
        "mortality_rate": figures.ratio(found["deaths"], found["discharges"]),
    }


def severities(rows: pl.DataFrame) -> pl.DataFrame:
    """month, severity, visits, share."""
    long = rows.unpivot(on=list(SEVERITIES), index="month", variable_name="severity", value_name="visits")
    return long.with_columns(share=_share("visits"))


def _share(count: str) -> pl.Expr:
    """Of the counts of its month that are not hidden."""
    whole = pl.col(count).sum().over("month")
    return pl.when(whole > 0).then(pl.col(count) / whole)


def treatments(period: Period, code: str) -> pl.DataFrame:
    """treatment, visits, discharges, deaths (``figures.summed``) of one diagnosis, or of all (``ALL``)."""
    first, last = period.months
    rows = data.rows(_TREATMENTS, first=first, last=last, code=code, all=code if code == ALL else "")
    sums = figures.summed(rows, ["treatment"], ["visits", "discharges", "deaths"])
    return sums.sort("visits", "treatment", descending=[True, False], nulls_last=True)


def outcomes(view: View) -> pl.DataFrame:
    """month, disposition, discharges, share: how visits ended, in the scope that is looked at."""
    rows = data.rows(_OUTCOMES, **_scope(view))
    names = rows["disposition"].unique().sort().to_list()
    months = figures.starts(view.period.whole_months, "month")
    axes = {"month": months, "disposition": names}
    found = figures.filled(rows, axes, ["discharges"], rounded=data.current().rounded)
    return found.with_columns(share=_share("discharges"))


def mortality(view: View) -> pl.DataFrame:
    """month, discharges, deaths, mortality_rate, in the scope that is looked at."""
    stays, _, died = (_of_place(rows, view) for rows in monthly.read(view.period))
    return monthly.mortality(stays, died)


def _of_place(rows: pl.DataFrame, view: View) -> pl.DataFrame:
    return rows.filter(facility=view.facility, department=view.department)


def _scope(view: View) -> dict[str, object]:
    first, last = view.period.months
    return {"first": first, "last": last, "facility": view.facility, "department": view.department}
