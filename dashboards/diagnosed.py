"""What the page Diagnoses and treatments shows: by whole months; diagnoses are those of all facilities together."""

from datetime import date
from typing import Final

import polars as pl

from dashboards import data, figures
from dashboards.figures import Figure
from dashboards.filters import Period, View
from lake.disclosure import DEATH, SEVERITIES
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

_ENDED: Final = """
SELECT month, discharges, bed_days, suppressed FROM gold.length_of_stay
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
    """Deaths, average length of stay and mortality of all diagnoses together: by month of discharge."""
    view = View(period, ALL, ALL)
    left = figures.summed(data.rows(_ENDED, **_scope(view)), [], ["discharges", "bed_days"]).row(0, named=True)
    died = data.rows(_OUTCOMES, **_scope(view)).filter(pl.col("disposition") == DEATH)
    deaths = figures.figure(figures.summed(died, [], ["discharges"]).row(0, named=True), "discharges")
    discharges, bed_days = (figures.figure(left, name) for name in ("discharges", "bed_days"))
    return {
        "deaths": deaths,
        "alos_days": figures.ratio(bed_days, discharges),
        "mortality_rate": figures.ratio(deaths, discharges),
    }


def finished(period: Period) -> Period:
    """The months of a period that are over in the data; all of them where none is."""
    months = [month for month in figures.starts(period.whole_months, "month") if is_over(month)]
    return Period(months[0], figures.ends(months[-1], "month")) if months else period


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
    """month, deaths, discharges, mortality_rate, suppressed, in the scope that is looked at."""
    months = {"month": figures.starts(view.period.whole_months, "month")}
    ended = figures.filled(data.rows(_ENDED, **_scope(view)), months, ["discharges"])
    died = data.rows(_OUTCOMES, **_scope(view)).filter(pl.col("disposition") == DEATH)
    died = figures.filled(died, months, ["discharges"]).select("month", deaths="discharges", hidden="suppressed")
    joined = ended.join(died, on="month", maintain_order="left")
    named = pl.concat_str(
        pl.when(pl.col("suppressed").is_not_null()).then(pl.lit("discharges")),
        pl.when(pl.col("hidden").is_not_null()).then(pl.lit("deaths")),
        separator=", ",
        ignore_nulls=True,
    )
    rate = pl.when(pl.col("discharges") > 0).then(pl.col("deaths") / pl.col("discharges"))
    return joined.select(
        "month", "deaths", "discharges", mortality_rate=rate, suppressed=pl.when(named != "").then(named)
    )


def _scope(view: View) -> dict[str, object]:
    first, last = view.period.months
    return {"first": first, "last": last, "facility": view.facility, "department": view.department}
