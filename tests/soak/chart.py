"""The soak as a picture: memory of each process over time, and when which fault was done."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import altair as alt
import polars as pl

from tests.soak.gremlin import Struck

_SERVICES: Final = ("stream", "stream 2", "broker", "dashboard", "reader", "gold", "verify", "maintain")
_STEPS: Final = 150
_WIDTH: Final = 760
_PPI: Final = 144


def draw(path: Path, samples: Iterable[tuple[float, str, float]], struck: Sequence[Struck]) -> None:
    """Write the chart as PNG. ``samples``: seconds, worker and MB, of which there is one at least."""
    parts = [_memory(samples), *([_faults(struck)] if struck else [])]
    alt.vconcat(*parts).resolve_scale(color="independent", x="shared").save(path, ppi=_PPI)


def _memory(samples: Iterable[tuple[float, str, float]]) -> alt.Chart:
    frame = pl.DataFrame(
        list(samples), schema={"seconds": pl.Float64, "process": pl.String, "mb": pl.Float64}, orient="row"
    )
    step = max(float(frame["seconds"].max() or 0) / _STEPS, 1.0)  # type: ignore[arg-type]
    shown = (
        frame.filter(pl.col("process").is_in(_SERVICES))
        .group_by("process", minutes=(pl.col("seconds") // step * step / 60))
        .agg(pl.col("mb").max())
        .sort("process", "minutes")
    )
    chart: alt.Chart = (
        alt.Chart(shown, width=_WIDTH, height=240, title="Memory of each process")
        .mark_line(strokeWidth=1.2)
        .encode(
            alt.X("minutes:Q", title=None),
            alt.Y("mb:Q", title="MB"),
            alt.Color("process:N", title=None),
        )
    )
    return chart


def _faults(struck: Sequence[Struck]) -> alt.Chart:
    rows = [(one.at / 60, (one.at + one.seconds) / 60, one.kind) for one in struck]
    frame = pl.DataFrame(rows, schema={"minutes": pl.Float64, "until": pl.Float64, "kind": pl.String}, orient="row")
    chart: alt.Chart = (
        alt.Chart(frame, width=_WIDTH, height=150, title="Faults")
        .mark_bar(height=9, stroke="black", strokeWidth=0.5)
        .encode(
            alt.X("minutes:Q", title="Minutes"),
            alt.X2("until:Q"),
            alt.Y("kind:N", title=None),
            alt.Color("kind:N", legend=None),
        )
    )
    return chart
