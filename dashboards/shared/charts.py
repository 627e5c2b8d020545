"""Shapes that more than one page draws: bars, strips and shares."""

from collections.abc import Sequence
from typing import Final

import altair as alt
import polars as pl

from dashboards.shared import data
from dashboards.shared.definitions import Kind
from dashboards.shared.figures import Figure
from dashboards.shared.style import ACCENT, QUIET, Drawn, colours, day_tooltip, month_tooltip, percent_axis, time_axis

_ROOM: Final = 1.3
"""A bar chart is so many times as wide as its longest bar: its figure stands behind it."""

_WIDE: Final = 4
"""So many names fit beside each other on a phone."""


def bars(rows: pl.DataFrame, name: str, figure: str, *, title: str, kind: Kind = "count") -> Drawn:
    """Horizontal bars, the longest on top, each with its figure.

    ``rows``: as ``figures.summed`` gives them, a row per ``name``.
    """
    rounded = data.current().rounded
    texts = [Figure(value, rounded).text(kind) for value in rows[figure]]
    drawn = rows.with_columns(pl.col(figure).fill_null(0), text=pl.Series(texts, dtype=pl.String))
    order = drawn.sort(figure, descending=True)[name].to_list()
    most = max(1.0, *drawn[figure].cast(pl.Float64), 0.0)
    base = alt.Chart(drawn, height=26 * drawn.height + 20).encode(
        y=alt.Y(
            f"{name}:N",
            title=None,
            sort=order,
            axis=alt.Axis(labelLimit=180, labelOverlap=False, ticks=False, domain=False),
        ),
        x=alt.X(f"{figure}:Q", title=None, axis=None, scale=alt.Scale(domain=[0, most * _ROOM])),
        tooltip=[
            alt.Tooltip(f"{name}:N", title=name.replace("_", " ").capitalize()),
            alt.Tooltip("text:N", title=title),
        ],
    )
    text = base.mark_text(align="left", dx=5, color=QUIET).encode(text="text:N")
    return alt.layer(base.mark_bar(color=ACCENT, cornerRadiusEnd=3), text)


def strips(rows: pl.DataFrame, name: str, figure: str, grain: str, names: Sequence[str]) -> Drawn:
    """A line per name, one below the other, each drawn against its own highest value.

    ``rows``: start, ``name``, ``figure``. One view, not facets: those do not fit themselves to a screen's width.
    """
    drawn = rows.with_columns(height=pl.col(figure) / pl.max_horizontal(pl.col(figure).max().over(name), 1))
    lines = alt.Chart(drawn, height=46 * len(names)).mark_line(point=alt.OverlayMarkDef(size=14), strokeWidth=1.6)
    found: alt.Chart = lines.encode(
        x=time_axis("start", grain),
        y=alt.Y(
            f"{name}:N",
            title=None,
            scale=alt.Scale(paddingInner=0.3, paddingOuter=0.15),
            axis=alt.Axis(labelLimit=140, ticks=False, domain=False, labelOverlap=False),
        ),
        yOffset=alt.YOffset("height:Q", scale=alt.Scale(domain=[0, 1])),
        color=alt.Color(f"{name}:N", scale=colours(names), legend=None),
        tooltip=[
            day_tooltip("start", "From"),
            alt.Tooltip(f"{name}:N", title=name.capitalize()),
            alt.Tooltip(f"{figure}:Q", title=figure.capitalize(), format=",.0f"),
        ],
    )
    return found


def shares(rows: pl.DataFrame, name: str, names: Sequence[str], shades: Sequence[str], counted: str) -> Drawn:
    """Stacked bars of shares that add up to 100 % in every month, each name in its own colour and order.

    ``rows``: month, ``name``, share (null: no bar), ``counted``.
    """
    places = dict(zip(names, range(len(names)), strict=True))
    drawn = rows.sort("month", pl.col(name).replace_strict(places, default=len(names))).with_columns(
        end=pl.col("month").dt.offset_by("1mo"), top=pl.col("share").cum_sum().over("month")
    )
    # A month without shares is a bar without height: so it keeps its place on the axis.
    drawn = drawn.with_columns(pl.col("top").fill_null(0), base=(pl.col("top") - pl.col("share")).fill_null(0))
    found: alt.Chart = (
        alt.Chart(drawn)
        .mark_rect()
        .encode(
            x=time_axis("month", "month"),
            x2="end:T",
            y=percent_axis("base", scale=alt.Scale(domain=[0, 1])),
            y2="top:Q",
            color=alt.Color(
                f"{name}:N",
                title=None,
                scale=alt.Scale(domain=list(names), range=list(shades)),
                legend=alt.Legend(orient="top", columns=4 if len(names) <= _WIDE else 2),
            ),
            tooltip=[
                month_tooltip("month"),
                alt.Tooltip(f"{name}:N", title=name.capitalize()),
                alt.Tooltip("share:Q", title="Share", format=".1%"),
                alt.Tooltip(f"{counted}:Q", title=counted.capitalize(), format=",.0f"),
            ],
        )
    )
    return found
