"""What the page Diagnoses and treatments shows: by whole months; diagnoses are those of all facilities together."""

from datetime import date
from typing import Final

import polars as pl

from dashboards.screens.kpis import monthly
from dashboards.shared import data, figures
from dashboards.shared.figures import Figure
from dashboards.shared.filters import Period, View
from lake.disclosure.suppression import SEVERITIES
from lake.gold.totals import ALL

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

_DIAGNOSES: Final = """
SELECT month, diagnosis_code, diagnosis, admissions, discharges, deaths, minor, moderate, major, extreme,
    alos_days, suppressed
FROM gold.diagnoses WHERE month BETWEEN $first AND $last"""

_TREATMENTS: Final = """
SELECT month, treatment, visits, discharges, deaths, alos_days, suppressed
FROM gold.treatments WHERE month BETWEEN $first AND $last AND $code IN (diagnosis_code, $all)"""

_OUTCOMES: Final = """
SELECT month, disposition, discharges, suppressed FROM gold.outcomes
WHERE month BETWEEN $first AND $last AND facility = $facility AND department = $department"""


def diagnoses(period: Period) -> pl.DataFrame:
    """A row per month and diagnosis of the months that a period touches; diagnosis_code ``ALL`` for all of them."""
    first, last = period.months
    return data.rows(_DIAGNOSES, first=first, last=last)


def by_diagnosis(rows: pl.DataFrame) -> pl.DataFrame:
    """diagnosis_code, diagnosis, and their sums (``figures.summed``), bed days too; most admissions first."""
    named = rows.filter(pl.col("diagnosis_code") != ALL)
    names = named.group_by("diagnosis_code").agg(pl.col("diagnosis").drop_nulls().last())
    sums = figures.summed(with_bed_days(named), ["diagnosis_code"], [*COUNTS, "bed_days"])
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
    row = figures.summed(with_bed_days(rows), [], [*COUNTS, "bed_days"]).row(0, named=True)
    found = {name: figures.figure(row, name) for name in (*COUNTS, "bed_days")}
    return found | {
        "alos_days": figures.ratio(found["bed_days"], found["discharges"]),
        "mortality_rate": figures.ratio(found["deaths"], found["discharges"]),
    }


def ended(period: Period) -> dict[str, Figure]:
    """All diagnoses together: deaths, and by finished months the rates, which are those of the Hospital KPIs."""
    view = View(period, ALL, ALL)
    build = data.current()
    rates = monthly.of_place(view, monthly.months(period, Period(build.first_day, build.last_day)))
    *_, died = monthly.read(period)
    deaths = figures.summed(_of_place(died, view), [], ["deaths"]).row(0, named=True)
    return rates | {"deaths": figures.figure(deaths, "deaths")}


def with_bed_days(rows: pl.DataFrame) -> pl.DataFrame:
    """Days stayed, made of their average again so that months can be summed; hidden where the average is."""
    days = pl.col("alos_days") * pl.col("discharges")
    hidden = figures.hides("alos_days") | figures.hides("discharges")
    named = pl.concat_str("suppressed", pl.lit("bed_days"), separator=", ")
    return rows.with_columns(
        bed_days=days.fill_null(0.0), suppressed=pl.when(hidden).then(named).otherwise("suppressed")
    )


def severities(rows: pl.DataFrame) -> pl.DataFrame:
    """month, severity, visits, share, suppressed. A month in which one severity is hidden has no shares."""
    hidden = pl.any_horizontal(figures.hides(name) for name in SEVERITIES)
    whole = pl.sum_horizontal(SEVERITIES)
    long = rows.with_columns(hidden=hidden, whole=whole).unpivot(
        on=list(SEVERITIES),
        index=["month", "hidden", "whole", "suppressed"],
        variable_name="severity",
        value_name="visits",
    )
    share = pl.when(~pl.col("hidden") & (pl.col("whole") > 0)).then(pl.col("visits") / pl.col("whole"))
    mark = pl.when("hidden").then("suppressed")
    return long.select("month", "severity", "visits", share=share, suppressed=mark)


def treatments(period: Period, code: str) -> pl.DataFrame:
    """treatment, visits, discharges, deaths, bed_days (``figures.summed``) of one diagnosis, or of all (``ALL``)."""
    first, last = period.months
    rows = data.rows(_TREATMENTS, first=first, last=last, code=code, all=code if code == ALL else "")
    sums = figures.summed(with_bed_days(rows), ["treatment"], ["visits", "discharges", "deaths", "bed_days"])
    return sums.sort("visits", "treatment", descending=[True, False], nulls_last=True)


def outcomes(view: View) -> pl.DataFrame:
    """month, disposition, discharges, share, suppressed: how visits ended, in the scope that is looked at.

    Shares are of the shown dispositions' month only where none is hidden.
    """
    rows = data.rows(_OUTCOMES, **_scope(view))
    names = rows["disposition"].unique().sort().to_list()
    months = figures.starts(view.period.whole_months, "month")
    found = figures.filled(rows, {"month": months, "disposition": names}, ["discharges"])
    whole, hidden = pl.col("discharges").sum().over("month"), figures.hides("discharges").any().over("month")
    return found.with_columns(share=pl.when(~hidden & (whole > 0)).then(pl.col("discharges") / whole))


def mortality(view: View) -> pl.DataFrame:
    """month, discharges, deaths, mortality_rate, suppressed, in the scope that is looked at."""
    stays, _, died = (_of_place(rows, view) for rows in monthly.read(view.period))
    return monthly.mortality(stays, died)


def _of_place(rows: pl.DataFrame, view: View) -> pl.DataFrame:
    return rows.filter(facility=view.facility, department=view.department)


def _scope(view: View) -> dict[str, object]:
    first, last = view.period.months
    return {"first": first, "last": last, "facility": view.facility, "department": view.department}
