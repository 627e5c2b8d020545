"""The charts of the compliance page, from rows to Altair."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import altair as alt
import polars as pl

from dashboards.screens.compliance.queries import OTHERS, STATES, words
from dashboards.screens.kpis.charts import legend
from dashboards.shared import figures, style
from dashboards.shared.filters import Period
from dashboards.shared.style import Drawn

_FEWEST: Final = timedelta(days=13)
"""What the axis spans at least: a single day is a bar, not a wall."""

STATE_COLOURS: Final = alt.Scale(domain=list(STATES), range=[style.ACCENT, style.CONTRAST, style.QUIET])
OUTCOMES: Final = {
    "silver": ("became Silver rows", style.ACCENT),
    "quarantined": ("quarantined", style.CONTRAST),
    "duplicates": ("duplicates", style.QUIET),
    "ignored": ("ignored", style.FAINT),
}


def outcomes(wide: pl.DataFrame, grain: str, days: Period) -> Drawn:
    """What became of messages: columns ``start`` and those of ``OUTCOMES``."""
    names, shades = zip(*OUTCOMES.values(), strict=True)
    rows = wide.unpivot(list(OUTCOMES), index=["start"], variable_name="name", value_name="count")
    called = rows.with_columns(pl.col("name").replace({key: name for key, (name, _) in OUTCOMES.items()}))
    return stacked(called, grain, days, alt.Scale(domain=list(names), range=list(shades)))


def stacked(rows: pl.DataFrame, grain: str, days: Period, colour: alt.Scale) -> Drawn:
    """Bars over time: columns ``start``, ``name`` and ``count``, one colour per name."""
    axis = style.time_axis("start", grain)
    bars = (
        alt.Chart(rows.with_columns(end=pl.col("start").dt.offset_by(figures.STEP[grain])))
        .mark_bar(orient="vertical")
        .encode(
            x=axis,
            x2="end:T",
            y=style.count_axis("count", stack="zero"),
            color=alt.Color("name:N", scale=colour, legend=legend()),
            order=alt.Order("count:Q", sort="descending"),
            tooltip=[
                _when(grain),
                alt.Tooltip("name:N", title="What"),
                alt.Tooltip("count:Q", title="Count", format=",.0f"),
            ],
        )
    )
    # A domain of the axis would do, but for a bar with two ends Vega finds two domains and says so.
    ends = pl.DataFrame({"start": [min(days.first, days.last - _FEWEST), days.last + timedelta(days=1)]})
    return alt.layer(alt.Chart(ends).mark_point(opacity=0).encode(x=axis), bars)


def _when(grain: str) -> alt.Tooltip:
    return style.day_tooltip("start", "Day" if grain == "day" else f"{grain.capitalize()} from")


def states(fields: pl.DataFrame) -> Drawn:
    """What became of the values of each PHI field, in shares of its rows; from ``per_field``."""
    long = fields.unpivot(list(STATES), index=["field"], variable_name="state", value_name="rows").with_columns(
        pl.col("field").str.replace_all("_", " ")
    )
    bars: Drawn = (
        alt.Chart(long)
        .mark_bar()
        .encode(
            y=alt.Y("field:N", title=None, axis=alt.Axis(labelLimit=120, ticks=False, domain=False)),
            x=alt.X("rows:Q", stack="normalize", title=None, axis=alt.Axis(format=".0%", tickCount=5)),
            color=alt.Color("state:N", scale=STATE_COLOURS, legend=legend()),
            order=alt.Order("place:Q"),
            tooltip=[
                alt.Tooltip("field:N", title="Field"),
                alt.Tooltip("state:N", title="State"),
                alt.Tooltip("rows:Q", title="Rows", format=",.0f"),
            ],
        )
        .transform_calculate(place=f"indexof({list(STATES)}, datum.state)")
    )
    return bars


def missing(rows: pl.DataFrame, grain: str, names: Sequence[str]) -> Drawn:
    """The share of rows without each PHI field, over time: columns ``start``, ``field``, ``missing_share``."""
    called = [words(name) for name in names]
    lines: Drawn = (
        alt.Chart(rows.with_columns(pl.col("field").replace(dict(zip(names, called, strict=True)))))
        .mark_line(point=alt.OverlayMarkDef(size=20))
        .encode(
            x=style.time_axis("start", grain),
            y=style.percent_axis("missing_share").axis(format=".1%", tickCount=5),
            color=alt.Color("field:N", scale=style.colours(called), legend=legend()),
            tooltip=[
                _when(grain),
                alt.Tooltip("field:N", title="Field"),
                alt.Tooltip("missing_share:Q", title="Missing", format=".1%"),
                alt.Tooltip("missing:Q", title="Rows without it", format=",.0f"),
            ],
        )
    )
    return lines


def rule_colours(names: Sequence[str]) -> alt.Scale:
    """A colour per rule; the rest is grey."""
    ranked = [name for name in names if name != OTHERS]
    return alt.Scale(domain=[*ranked, OTHERS], range=[*style.colours_of(ranked), style.QUIET])
