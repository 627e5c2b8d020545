"""The charts of the KPI page, from rows to Altair."""

from collections.abc import Sequence
from typing import Any, Final

import altair as alt
import polars as pl

from dashboards.screens.kpis.bed_occupancy import FULL, LEVELS, SAFE
from dashboards.shared import style
from dashboards.shared.style import Drawn

_LEVEL_COLOURS: Final = ("#56B4E9", "#E69F00", "#D55E00", "#B8C0C8", "#B8C0C8")
_LEAST: Final = 0.02
"""Of a scale of rates: where all of them are 0, it still is one."""

_HALF_A_YEAR: Final = 183
DAILY: Final = 400
"""Days up to which each of them is drawn; more of them are a hatching."""

_INK: Final = "#10171E"
_NOT_A_FIGURE: Final = LEVELS[3:]


def beds(rows: pl.DataFrame) -> Drawn:
    """Daily occupancy of one place and its moving average (columns ``day``, ``occupancy_rate``, ``average``)."""
    base = alt.Chart(rows).encode(
        x=style.time_axis("day", _grain(rows)),
        tooltip=[
            style.day_tooltip("day", "Day"),
            alt.Tooltip("occupied_midnight:Q", title="Patients at midnight", format=",.0f"),
            alt.Tooltip("staffed_beds:Q", title="Staffed beds", format=",.0f"),
            alt.Tooltip("occupancy_rate:Q", title="Occupancy", format=".1%"),
            alt.Tooltip("average:Q", title="7-day average", format=".1%"),
        ],
    )
    axis = style.percent_axis("average", scale=alt.Scale(zero=False))
    average = base.mark_line(color=style.ACCENT, strokeWidth=2).encode(y=axis)
    if rows.height > DAILY:
        return alt.layer(*_lines(), average)
    daily = base.mark_line(color=style.QUIET, strokeWidth=1, opacity=0.7).encode(y=style.percent_axis("occupancy_rate"))
    return alt.layer(*_lines(), daily, average)


def beds_by(rows: pl.DataFrame, by: str, names: Sequence[str]) -> Drawn:
    """Moving averages of several places (columns ``day``, ``by``, ``average``)."""
    drawn = (
        alt.Chart(rows)
        .mark_line(strokeWidth=2)
        .encode(
            x=style.time_axis("day", _grain(rows)),
            y=style.percent_axis("average", scale=alt.Scale(zero=False)),
            color=alt.Color(f"{by}:N", scale=style.colours(names), legend=legend()),
            tooltip=[
                style.day_tooltip("day", "Day"),
                alt.Tooltip(f"{by}:N", title=by.capitalize()),
                alt.Tooltip("average:Q", title="7-day average", format=".1%"),
            ],
        )
    )
    return alt.layer(*_lines(), drawn)


def patients(rows: pl.DataFrame, by: str) -> Drawn:
    """Patients at midnight, where there is no table of staffed beds; ``by``: a column, or none."""
    drawn = alt.Chart(rows).encode(
        x=style.time_axis("day", _grain(rows)),
        y=style.count_axis("occupied_midnight"),
        tooltip=[style.day_tooltip("day", "Day"), alt.Tooltip("occupied_midnight:Q", title="Patients")],
    )
    colour = alt.Color(f"{by}:N", legend=legend()) if by else alt.value(style.ACCENT)
    line: Drawn = drawn.mark_line().encode(color=colour)
    return line


def heat(rows: pl.DataFrame, departments: Sequence[str], facilities: Sequence[str]) -> Drawn:
    """Mean occupancy by department and facility, from ``kpi_beds.classed``: a colour for what the two lines divide."""
    base = alt.Chart(rows).encode(
        x=alt.X(
            "facility:N",
            sort=list(facilities),
            title=None,
            axis=alt.Axis(
                orient="top",
                labelAngle=0,
                labelExpr="split(datum.label, ' ')",
                labelFontSize=10,
                labelOverlap=False,
                domain=False,
                ticks=False,
            ),
        ),
        y=alt.Y(
            "department:N", sort=list(departments), title=None, axis=alt.Axis(labelLimit=110, domain=False, ticks=False)
        ),
        tooltip=[
            alt.Tooltip("facility:N", title="Facility"),
            alt.Tooltip("department:N", title="Department"),
            alt.Tooltip("text:N", title="Mean occupancy"),
        ],
    )
    unknown = alt.FieldOneOfPredicate("level", list(_NOT_A_FIGURE))
    levels = alt.Scale(domain=list(LEVELS), range=list(_LEVEL_COLOURS))
    shown = [level for level in LEVELS if level in set(rows["level"])]
    cells = base.mark_rect(cornerRadius=3).encode(
        color=alt.Color("level:N", scale=levels, legend=legend(values=shown)),
        opacity=alt.condition(unknown, alt.value(0.2), alt.value(0.9)),
    )
    ink = alt.condition(unknown, alt.value(style.QUIET), alt.value(_INK))
    return alt.layer(cells, base.mark_text(fontSize=12).encode(text="text:N", color=ink))


def stays(rows: pl.DataFrame) -> Drawn:
    """Average length of stay by month, and the median where there is one."""
    names = {"alos_days": "average", "median_los_days": "median"}
    drawn = [name for name in names if rows[name].count()]
    long = rows.unpivot(drawn, index=["month", "discharges"]).with_columns(pl.col("variable").replace(names))
    lines: Drawn = (
        alt.Chart(long)
        .mark_line(point=alt.OverlayMarkDef(size=30))
        .encode(
            x=style.time_axis("month", "month"),
            y=alt.Y("value:Q", title="days"),
            color=alt.Color(
                "variable:N",
                scale=alt.Scale(domain=list(names.values()), range=[style.ACCENT, style.CONTRAST]),
                legend=legend() if len(drawn) > 1 else None,
            ),
            tooltip=[
                style.month_tooltip("month"),
                alt.Tooltip("variable:N", title="Length of stay"),
                alt.Tooltip("value:Q", title="Days", format=".1f"),
                alt.Tooltip("discharges:Q", title="Discharges", format=",.0f"),
            ],
        )
    )
    return lines


def rate(rows: pl.DataFrame, rate: str, part: tuple[str, str], whole: tuple[str, str]) -> Drawn:
    """A rate by month; a point is as large as the cases that it rests on. ``part``, ``whole``: column and its name."""
    highest = max(rows[rate].drop_nulls(), default=0.0)
    base = alt.Chart(rows).encode(
        x=style.time_axis("month", "month"),
        y=style.percent_axis(rate, scale=alt.Scale(domain=[0, max(highest * 1.1, _LEAST)])),
        tooltip=[
            style.month_tooltip("month"),
            alt.Tooltip(f"{rate}:Q", title="Rate", format=".1%"),
            alt.Tooltip(f"{part[0]}:Q", title=part[1], format=",.0f"),
            alt.Tooltip(f"{whole[0]}:Q", title=whole[1], format=",.0f"),
        ],
    )
    points = base.mark_circle(color=style.ACCENT, opacity=1).encode(
        size=alt.Size(
            f"{whole[0]}:Q",
            scale=alt.Scale(domainMin=0, range=[10, 160]),
            legend=legend(title=whole[1], format=",.0f", tickCount=3, symbolFillColor=style.ACCENT),
        )
    )
    return alt.layer(base.mark_line(color=style.ACCENT, strokeWidth=1.5), points)


def legend(title: str | None = None, **options: Any) -> alt.Legend:
    """A legend above the chart, as wide as a phone."""
    return alt.Legend(title=title, orient="top", columns=2, labelLimit=120, **options)


def _grain(rows: pl.DataFrame) -> str:
    """How the days of an axis are written: beyond half a year their year is needed."""
    return "month" if rows["day"].n_unique() > _HALF_A_YEAR else "day"


def _lines() -> tuple[alt.Chart, alt.Chart]:
    """The two lines, and what they are."""
    lines = pl.DataFrame({"line": [SAFE, FULL], "text": ["85 %", "92 %"]})
    base = alt.Chart(lines).encode(y="line:Q")
    written = base.mark_text(align="right", dx=-2, dy=-6, fontSize=11, color=style.CONTRAST)
    return (
        base.mark_rule(strokeDash=[5, 4], color=style.CONTRAST),
        written.encode(x=alt.value("width"), text="text:N"),
    )
