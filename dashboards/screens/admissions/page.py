"""Admissions: how many came, compared with before, where they went, and when they came."""

import altair as alt
import polars as pl
import streamlit as st

from dashboards.screens.admissions import queries
from dashboards.screens.admissions.queries import Course, Split
from dashboards.shared import charts, data, filters, style
from dashboards.shared.definitions import DEFINITIONS
from dashboards.shared.figures import Figure
from dashboards.shared.filters import Period, View
from dashboards.shared.markdown import literal
from lake.gold.totals import ALL

GRAINS = {"Auto": "", "Daily": "day", "Weekly": "week", "Monthly": "month"}
AVERAGES = {"day": "7-day average", "week": "4-week average", "month": "3-month average"}
WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


def draw() -> None:
    """The page, from top to bottom."""
    view = filters.current()
    chosen = st.segmented_control("By", list(GRAINS), default="Auto", required=True, key="by", bind="query-params")
    grain = GRAINS[chosen or "Auto"]
    course = queries.course(view, grain) if grain else queries.fitting(view)
    overview(view, course)
    trend(course, view.period)
    both_ways(course, view)
    for split in ("facility", "department"):
        by_place(view, course.grain, split)
    hours(view)


def overview(view: View, course: Course) -> None:
    """The period in figures, compared with the one before."""
    compared = queries.comparison(view.period)
    now = queries.total(view.period, view)
    before = queries.total(compared[1], view) if compared else {}
    st.caption(
        f"{view.period} · {literal(view.place)} · "
        + (f"compared with {compared[1]}" if compared else "no data before it to compare with")
    )
    with style.tiles():
        for name in queries.FLOWS:
            spark = course.rows.filter("over")[name].to_list()
            style.kpi(name, now[name], before=before.get(name), spark=spark, note="on the period before")
        style.kpi("admissions_per_day", _per_day(now["admissions"], view.period))


def _per_day(found: Figure, period: Period) -> Figure:
    return Figure(None if found.value is None else found.value / period.days, found.rounded)


def trend(course: Course, period: Period) -> None:
    """Admissions over time, their moving average, and that of the period before."""
    rows, grain = course.rows, course.grain
    average = AVERAGES[grain]
    names = ["Admissions", "Average", *(["Average before"] if course.compared else [])]
    colour = alt.Color(
        "series:N",
        title=None,
        scale=alt.Scale(domain=names, range=[style.PALE, style.ACCENT, style.CONTRAST]),
        legend=style.TOP,
    )
    tips = [
        style.day_tooltip("start", grain.capitalize()),
        alt.Tooltip("admissions:Q", title="Admissions", format=",.0f"),
        alt.Tooltip("admissions_average:Q", title=average, format=",.1f"),
        style.day_tooltip("before_start", "Before"),
        alt.Tooltip("before:Q", title=names[-1], format=",.1f"),
    ]
    base = alt.Chart(rows).encode(x=style.time_axis("start", grain), tooltip=tips if course.compared else tips[:3])
    drawn = [
        base.transform_calculate(series=f"'{names[0]}'")
        .mark_bar(opacity=0.5)
        .encode(x2="end:T", y="admissions:Q", y2=alt.datum(0), color=colour),
        base.transform_calculate(series=f"'{names[1]}'")
        .mark_line()
        .encode(y=style.count_axis("admissions_average", scale=alt.Scale(domainMin=0)), color=colour),
    ]
    if course.compared:
        line = base.transform_calculate(series=f"'{names[2]}'").mark_line(strokeDash=[5, 4])
        drawn.append(line.encode(y=style.count_axis("before"), color=colour))
    style.chart(
        f"Admissions per {grain}",
        alt.layer(*drawn),
        rows,
        name="admissions-trend",
        definition=DEFINITIONS["admissions"].help + f"\n\n{_AVERAGE}",
        note=_note(rows, grain, period),
    )


_AVERAGE = "The moving average is the mean of the last 7 days, 4 weeks or 3 months."


def _note(rows: pl.DataFrame, grain: str, period: Period) -> str:
    said = []
    if rows["start"].first() != period.first:
        said.append(f"Whole {grain}s: the first one begins before the period.")
    if not rows["over"].last():
        said.append(f"The last {grain} is not over yet, and is not in the average.")
    return " ".join(said)


def both_ways(course: Course, view: View) -> None:
    """Admissions beside discharges."""
    long = course.rows.filter("over").unpivot(
        on=list(queries.FLOWS), index="start", variable_name="what", value_name="patients"
    )
    long = long.with_columns(pl.col("what").str.to_titlecase())
    drawn = (
        alt.Chart(long)
        .mark_line(point=alt.OverlayMarkDef(size=20))
        .encode(
            x=style.time_axis("start", course.grain),
            y=style.count_axis("patients", scale=alt.Scale(zero=False)),
            color=alt.Color("what:N", title=None, scale=style.colours(["Admissions", "Discharges"]), legend=style.TOP),
            tooltip=[style.day_tooltip("start", "From"), "what:N", alt.Tooltip("patients:Q", format=",.0f")],
        )
    )
    style.chart(
        f"Admissions and discharges per {course.grain}",
        drawn,
        course.rows.filter("over").select("start", *queries.FLOWS),
        name="admissions-discharges",
        definition=DEFINITIONS["discharges"],
        note=f"{_BOTH if view.department == ALL else _ONE} The scale does not begin at 0.",
        empty=_NOT_OVER.format(course.grain),
    )


_NOT_OVER = "No {} of this period is over yet. Choose a longer period, or another *By* above."
_BOTH = "While discharges stay below admissions, the hospital fills."
_ONE = "Who moves from one department to another is admitted in the first and discharged from the last."


def by_place(view: View, grain: str, split: Split) -> None:
    """Facilities or departments beside each other: in all, and over time."""
    plural = {"facility": "facilities", "department": "departments"}[split]
    other = view.department if split == "facility" else view.facility
    where = f"In {literal(other)}, all {plural}." if other != ALL else f"All {plural}."
    left, right = st.columns([2, 3])
    with left:
        sums = queries.totals(view.period, view, split)
        style.chart(
            f"Admissions by {split}",
            charts.bars(sums, split, "admissions", title="Admissions"),
            sums,
            name=f"admissions-by-{split}",
            definition=DEFINITIONS["admissions"],
            note=where,
            height="content",
        )
    with right:
        rows = queries.split_course(view, grain, split)
        names = filters.places()[0 if split == "facility" else 1]
        style.chart(
            f"Admissions by {split} per {grain}",
            charts.strips(rows, split, "admissions", grain, names),
            rows,
            name=f"admissions-{split}-course",
            definition=DEFINITIONS["admissions"],
            note=f"{where} Each line against its own highest value.",
            empty=_NOT_OVER.format(grain),
            height="content",
        )


def hours(view: View) -> None:
    """When in the week they came."""
    rows = queries.arrivals(view)
    texts = [Figure(value, data.current().rounded).text() for value in rows["admissions"]]
    drawn = rows.with_columns(
        day=pl.col("weekday").replace_strict(dict(enumerate(WEEKDAYS, 1)), return_dtype=pl.String),
        text=pl.Series(texts, dtype=pl.String),
    )
    base = alt.Chart(drawn).encode(
        x=alt.X("hour:O", title="hour of the day", axis=alt.Axis(labelAngle=0, labelOverlap=True, ticks=False)),
        y=alt.Y("day:O", title=None, sort=WEEKDAYS, axis=alt.Axis(ticks=False)),
        tooltip=[
            alt.Tooltip("day:O", title="Day"),
            alt.Tooltip("hour:O", title="Hour"),
            alt.Tooltip("text:N", title="Admissions"),
        ],
    )
    cells = base.mark_rect(cornerRadius=2, stroke=None, invalid="filter").encode(
        color=alt.Color(
            "admissions:Q", title=None, legend=alt.Legend(orient="right", format=",.0f", gradientLength=160)
        )
    )
    first, last = view.period.months
    where = "all facilities" if view.facility == ALL else literal(view.facility)
    note = f"By whole months, {filters.month_text(first)} to {filters.month_text(last)}, {where}, all departments."
    style.chart(
        "Admissions by hour of the week",
        cells,
        rows,
        name="arrivals",
        definition=DEFINITIONS["admissions"].help + "\n\nHours and weekdays are local ones.",
        note=note,
        height=260,
    )


draw()
