"""Hospital KPIs: beds, lengths of stay, readmissions, deaths; by department, facility and doctor."""

import polars as pl
import streamlit as st

from dashboards.screens.kpis import bed_occupancy, charts, monthly, tables
from dashboards.screens.kpis.monthly import Months
from dashboards.shared import data, figures, filters, style
from dashboards.shared.definitions import DEFINITIONS
from dashboards.shared.filters import Period, View
from dashboards.shared.markdown import literal
from lake.gold.totals import ALL

BY = {"Total": "", "Facilities": "facility", "Departments": "department"}
# Rows of the performance table → what is named in them. (A bare string here would be drawn on the page.)
ROWS = {
    "Departments": ("department",),
    "Facilities": ("facility",),
    "Departments of each facility": ("facility", "department"),
}


def tiles(view: View, months: Months, span: Period) -> None:
    """The KPIs of the place in view, each with that of the time before."""
    before = view.period.previous()
    here, there = (
        bed_occupancy.row_of(means(period), view.facility, view.department) if period.first >= span.first else None
        for period in (view.period, before)
    )
    earlier = months.previous(span)
    now, then = monthly.of_place(view, months), monthly.of_place(view, earlier) if earlier else {}
    with style.tiles():
        style.kpi("occupancy_rate", bed_occupancy.mean(here), before=bed_occupancy.mean(there))
        style.kpi("full_days", bed_occupancy.full_days(here), before=bed_occupancy.full_days(there))
        for name in ("alos_days", "readmission_rate_30d", "mortality_rate"):
            style.kpi(name, now[name], before=then.get(name))
    compared = (
        f"Arrows compare with the {before.days} days before (occupancy) and the same number of months before."
        if there or then
        else "The data do not reach back far enough to compare with the period before."
    )
    st.caption(
        f"{literal(view.place[0].upper() + view.place[1:])}. Occupancy: {view.period}. Length of stay and mortality: "
        f"by finished month, {monthly.text(months.counted)}. {_followed(months)} {compared}"
    )


def _followed(months: Months) -> str:
    if months.followed is None:
        return "Readmissions: none of these months has 30 days of data after it yet, so choose a longer period."
    return f"Readmissions: months with 30 days of data after, {monthly.text(months.followed)}."


def days(period: Period) -> pl.DataFrame:
    """Beds of all places, day by day."""
    return data.rows(bed_occupancy.DAYS, first=period.first, last=period.last)


def means(period: Period) -> pl.DataFrame:
    """Sums over a period's days, of all places."""
    return bed_occupancy.means(days(period), period, rounded=data.current().rounded)


def occupancy(view: View) -> None:
    """Beds day by day, and by department and facility."""
    asked = st.segmented_control(
        "Occupancy by", list(BY), key="beds", bind="query-params", required=True, default="Total"
    )
    by = BY[asked or "Total"]
    period = view.period
    rows = of(view, days(period), (by,) if by else ())
    if not rows["staffed_beds"].count():
        note = "There is no table of staffed beds, so there are no rates: see Staffed beds in docs/reference/gold.md."
        chart = charts.patients(rows, by)
        meaning = DEFINITIONS["occupied_midnight"]
        style.chart(f"Patients at midnight, {view.place}", chart, rows, name="patients", definition=meaning, note=note)
        return
    key = [by] if by else ["facility", "department"]
    drawn = bed_occupancy.gapless(rows, period, key).with_columns(
        average=figures.moving_average("occupancy_rate", "day").over(key)
    )
    names = dict(zip(("facility", "department"), filters.places(), strict=True))
    lines = charts.beds_by(drawn, by, names[by]) if by else charts.beds(drawn)
    what = "Thin: each day. Thick: 7-day average" if not by and period.days <= charts.DAILY else "7-day average"
    style.chart(
        f"Bed occupancy, {view.place}",
        lines,
        rows,
        name="occupancy",
        definition=DEFINITIONS["occupancy_rate"],
        note=f"{what}. {bed_occupancy.LINES}",
    )
    found = bed_occupancy.classed(of(view, means(period), ("facility", "department"), totals=True))
    if found.height < 2:
        return
    style.chart(
        "Mean occupancy by department and facility",
        charts.heat(found.with_columns(pl.col("facility", "department").replace(ALL, "All")), *names_with_all()),
        found,
        name="occupancy-by-place",
        definition=DEFINITIONS["occupancy_rate"],
        height=110 + 32 * found["department"].n_unique(),
    )


def names_with_all() -> tuple[list[str], list[str]]:
    """Departments and facilities in the order of the table, totals last."""
    facilities, departments = filters.places()
    return [*departments, "All"], [*facilities, "All"]


def of(view: View, rows: pl.DataFrame, named: tuple[str, ...], *, totals: bool = False) -> pl.DataFrame:
    """The rows that name just these of facility and department (``totals``: and the totals), within the view."""
    for column, chosen in (("facility", view.facility), ("department", view.department)):
        if column not in named or chosen != ALL:
            rows = rows.filter(pl.col(column) == chosen)
        elif not totals:
            rows = rows.filter(pl.col(column) != ALL)
    return rows


def by_month(view: View, months: Months) -> None:
    """Length of stay, readmissions and deaths, month by month."""
    stays, again, died = (of(view, rows, ()) for rows in monthly.read(view.period))
    again, died = monthly.within(again, months.followed), monthly.mortality(stays, died)
    style.chart(
        f"Length of stay, {view.place}",
        charts.stays(stays),
        stays,
        name="length-of-stay",
        definition=f"{DEFINITIONS['alos_days'].help}\n\nMedian: {DEFINITIONS['median_los_days'].meaning}",
        note="" if stays["median_los_days"].count() else "Choose a facility and a department to see the median too.",
    )
    left, right = st.columns(2)
    with left:
        style.chart(
            "30-day readmissions",
            charts.rate(
                again,
                "readmission_rate_30d",
                ("readmissions_30d", "Readmitted"),
                ("index_discharges_30d", "Index discharges"),
            ),
            again,
            name="readmissions",
            definition=DEFINITIONS["readmission_rate_30d"],
            note="Months with 30 days of data after them.",
        )
    with right:
        style.chart(
            "In-hospital mortality",
            charts.rate(died, "mortality_rate", ("deaths", "Deaths"), ("discharges", "Discharges")),
            died,
            name="mortality",
            definition=DEFINITIONS["mortality_rate"],
        )


def places(view: View, months: Months) -> None:
    """Performance by department, facility or both."""
    asked = st.segmented_control(
        "Performance by", list(ROWS), key="rows", bind="query-params", required=True, default="Departments"
    )
    named = ROWS[asked or "Departments"]
    beds = means(view.period)
    found, left_out = [], []
    for row in of(view, monthly.places(months, *monthly.read(months.counted)), named).iter_rows(named=True):
        measured = monthly.measured(row, months)
        if not measured["discharges"].value:
            left_out.append(", ".join(row[column] for column in named))
            continue
        names = {column.capitalize(): row[column] for column in named}
        if len(named) > 1:
            names["Medians of the months"] = monthly.medians(row)
        occupied = bed_occupancy.mean(bed_occupancy.row_of(beds, row["facility"], row["department"]))
        found.append((names, {"occupancy_rate": occupied, **measured}))
    tables.table(
        f"Performance by {' and '.join(named)}",
        found,
        name="performance",
        definition="Most discharges first. Rates are not adjusted for how ill the patients were.",
        note=_small(months)
        + (f" Left out, as nobody or too few are discharged there: {'; '.join(left_out)}." if left_out else ""),
    )


def _small(months: Months) -> str:
    return (
        f"{monthly.text(months.counted)}. {_followed(months)} *{tables.CARE}*: CMS does not report the measures "
        f"of a hospital with fewer than {monthly.FEW} cases."
    )


def doctors(view: View, months: Months) -> None:
    """Performance by attending physician."""
    first, last = months.counted.months
    rows = monthly.doctors(months, data.rows(monthly.DOCTORS, first=first, last=last))
    if view.department != ALL:
        rows = rows.filter(department=view.department)
    measured = [
        ({"Doctor": row["doctor_id"], "Department": row["department"]}, monthly.measured(row, months))
        for row in rows.iter_rows(named=True)
    ]
    found = [(names, kpis) for names, kpis in measured if kpis["discharges"].value]
    left_out = len(measured) - len(found)
    if view.facility != ALL:
        st.info(
            "Gold has no figures of a doctor by facility: the doctors below are those of all, not of "
            f"{literal(view.facility)}."
        )
    tables.table(
        "Performance by doctor",
        found,
        name="doctors",
        definition="By attending physician, as last stated (HL7 PV1-7), and department at discharge. Most discharges "
        "first. Rates are not adjusted for how ill the patients were.",
        note=_small(months) + (f" Left out: {left_out} with too few discharges." if left_out else ""),
    )


def page() -> None:
    """The whole page."""
    view, build = filters.current(), data.current()
    span = Period(build.first_day, build.last_day)
    months = monthly.months(view.period, span)
    tiles(view, months, span)
    occupancy(view)
    by_month(view, months)
    places(view, months)
    doctors(view, months)


page()
