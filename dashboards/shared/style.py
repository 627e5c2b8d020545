"""The house style: how a chart, a tile and a table look on every page.

Colours and fonts of both themes are in ``.streamlit/config.toml``; Streamlit hands them to Altair, so a chart follows
the theme that its reader chose. Streamlit draws a chart's own toolbar: PNG, the data as a table, full screen.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal

import altair as alt
import polars as pl
import streamlit as st

from dashboards.shared import data
from dashboards.shared.definitions import DEFINITIONS, Definition
from dashboards.shared.figures import HIDDEN, NOTHING, Figure, change
from dashboards.shared.markdown import literal
from lake.query.spreadsheets import inert

Drawn = alt.Chart | alt.LayerChart | alt.FacetChart | alt.HConcatChart | alt.VConcatChart | alt.ConcatChart

HEIGHT: Final = 300

AXIS_FORMAT: Final = {"day": "%-d %b", "week": "%-d %b", "month": "%b %Y"}
_TICKS: Final[dict[str, Any]] = {
    "day": alt.TimeIntervalStep(interval="day", step=1),
    "week": 6,  # Vega's weeks begin on Sundays
    "month": alt.TimeIntervalStep(interval="month", step=1),
}
"""So that no day or month has two ticks; labels that would overlap are left out."""

TILES: Final = "stretch"
"""How wide a tile is: tiles share a line, and go to the next one where they do not fit."""

_EMPTY: Final = "Nothing happened here in this period. Choose a longer period or another department."
_COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#A89400", "#7A8691")
"""As ``chartCategoricalColors`` of the light theme; all of them show on dark too."""

ACCENT: Final = _COLOURS[0]
CONTRAST: Final = _COLOURS[1]
QUIET: Final = _COLOURS[7]
FAINT: Final = _COLOURS[6]
"""Grey that shows on light and on dark."""

PALE: Final = "#6FA8CF"
"""Of the accent, for what stands behind it."""

LEVELS: Final = ("#A9CFE8", "#5BA3D0", "#0072B2", "#D55E00")
"""From little to much, and then too much."""

TOP: Final = alt.Legend(orient="top", columns=4, symbolOpacity=1)
"""A legend above the chart: beside it there is no room on a phone."""


def colours(names: Sequence[str]) -> alt.Scale:
    """A colour for each name. Give all names that there are, in order: so a name has one colour in every chart."""
    return alt.Scale(domain=list(names), range=colours_of(names))


def colours_of(names: Sequence[str]) -> list[str]:
    """The colours of ``colours``, in order."""
    return [_COLOURS[i % len(_COLOURS)] for i in range(len(names))]


def time_axis(column: str, grain: str, title: str | None = None) -> alt.X:
    """An axis of calendar days.

    Vega reads a date as midnight of the reader's own time zone and writes it in that: no zone moves a day.
    """
    return alt.X(
        f"{column}:T",
        title=title,
        axis=alt.Axis(format=AXIS_FORMAT[grain], labelOverlap=True, labelBound=1, tickCount=_TICKS[grain], grid=False),
    )


def count_axis(column: str, title: str | None = None, **options: Any) -> alt.Y:
    """An axis of counts."""
    return alt.Y(f"{column}:Q", title=title, axis=alt.Axis(format=",.0f", tickMinStep=1), **options)


def percent_axis(column: str, title: str | None = None, **options: Any) -> alt.Y:
    """An axis of shares or rates."""
    return alt.Y(f"{column}:Q", title=title, axis=alt.Axis(format=".1~%"), **options)


def chart(
    title: str,
    drawn: Drawn,
    rows: pl.DataFrame,
    *,
    name: str,
    definition: Definition | str,
    note: str = "",
    empty: str = "",
    height: int | Literal["content"] = HEIGHT,
) -> None:
    """Show a chart: its title, what it means (?), its rows as CSV, and a note.

    ``rows``: what is drawn and downloaded. ``name``: unique on the page; in the file's name. ``note``: one line.
    ``empty``: what to say, and to do, where there are no rows.
    """
    with st.container(border=True):
        head(title, rows, name=name, definition=definition)
        if rows.is_empty():
            st.info(empty or _EMPTY)
            return
        st.altair_chart(drawn, key=f"chart-{name}", alt=title, height=height)
        if note:
            st.caption(note)


def table(
    title: str,
    rows: pl.DataFrame,
    *,
    name: str,
    definition: Definition | str,
    columns: dict[str, Any] | None = None,
    note: str = "",
) -> None:
    """Show rows as a table, with what ``chart`` has around it."""
    with st.container(border=True):
        head(title, rows, name=name, definition=definition)
        if rows.is_empty():
            st.info(_EMPTY)
            return
        safe = inert(rows)  # Streamlit offers to save what it shows
        st.dataframe(
            safe, hide_index=True, column_config=columns, placeholder=missing(), key=f"table-{name}", alt=title
        )
        if note:
            st.caption(note)


def missing() -> str:
    """What a table says where it has no figure."""
    return HIDDEN if data.current().rounded else NOTHING


def head(title: str, rows: pl.DataFrame, *, name: str, definition: Definition | str) -> None:
    """The title of a chart or table, its explanation, and its rows as CSV."""
    build = data.current()
    text = definition.help if isinstance(definition, Definition) else definition
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(f"**{literal(title)}**", help=text, width="content")
        st.download_button(
            "CSV",
            inert(rows).write_csv().encode(),
            f"wardlake-{name}-build-{build.build_id}.csv",
            "text/csv",
            key=f"csv-{name}",
            help="Download the figures of this chart",
            on_click="ignore",
            type="tertiary",
        )


def tiles() -> Any:
    """A row for tiles, which wraps on a small screen."""
    return st.container(horizontal=True)


def kpi(
    name: str,
    value: Figure,
    *,
    before: Figure | None = None,
    spark: Sequence[float | None] | None = None,
    note: str = "",
) -> None:
    """A tile for a KPI of ``definitions``: its figure, what became of it, its course, its definition on hover.

    ``before``: the figure of the period before, which it is compared with; ``note``: what that was, as in *on 30 days
    before*.
    """
    definition = DEFINITIONS[name]
    delta = _delta(definition, value, before)
    st.metric(
        definition.label,
        value.text(definition.kind),
        delta,
        delta_color={"up": "normal", "down": "inverse", None: "off"}[definition.better],  # type: ignore[arg-type]
        delta_description=note if delta else None,
        help=definition.help,
        chart_data=None if spark is None else [point for point in spark if point is not None],
        border=True,
        width=TILES,
        height="stretch",
    )


def _delta(definition: Definition, now: Figure, before: Figure | None) -> str | None:
    """What became of it: rates in points, the rest in percent of before."""
    if before is None or (by := change(now, before)) is None or now.value is None or before.value is None:
        return None
    if definition.kind == "percent":
        return f"{(now.value - before.value) * 100:+.1f} points"
    return f"{by:+.1%}".replace("%", " %")


def day_tooltip(column: str, title: str) -> alt.Tooltip:
    """A calendar day in a tooltip, as ``time_axis`` has it."""
    return alt.Tooltip(f"{column}:T", title=title, format="%a %-d %b %Y")


def month_tooltip(column: str) -> alt.Tooltip:
    """A month in a tooltip, as ``time_axis`` has it."""
    return alt.Tooltip(f"{column}:T", title="Month", format="%b %Y")
