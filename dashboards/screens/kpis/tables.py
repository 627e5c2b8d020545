"""Tables of measured performance: volumes beside rates, and a mark where a rate rests on few cases."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

import polars as pl
import streamlit as st

from dashboards.screens.kpis.monthly import FEW
from dashboards.shared import style
from dashboards.shared.definitions import DEFINITIONS, Definition
from dashboards.shared.figures import Figure
from lake.query.spreadsheets import inert

Measured = Sequence[tuple[Mapping[str, Any], Mapping[str, Figure]]]
"""Per row: its names (column → text), and its figures by KPI."""

CARE: Final = "Read with care"
NONE: Final = Figure(None)
_BASES: Final = {"readmission_rate_30d": "index_discharges_30d", "mortality_rate": "discharges"}
"""Rate → the cases that it rests on."""


def table(title: str, rows: Measured, *, name: str, definition: Definition | str, note: str = "") -> None:
    """Show measured rows in their order. A column sorts by number; its text is the figure's: 12 · ≈ 15 · hidden.

    A KPI that no row has is left out.
    """
    with st.container(border=True):
        style.head(title, values(rows), name=name, definition=definition)
        if not rows:
            st.info("Nobody was discharged here in this period. Choose a longer period or another department.")
            return
        kpis = [kpi for kpi in rows[0][1] if any(one[kpi] != NONE for _, one in rows)]
        # Streamlit keeps the numbers of a styled frame, and sorts by them.
        styled = _numbers(rows, kpis).to_pandas().style
        for kpi in kpis:
            write = partial(_text, kpi, rounded=any(one[kpi].rounded for _, one in rows))
            styled = styled.format(write, na_rep="", subset=[kpi])
        st.dataframe(
            styled,
            hide_index=True,
            column_config={kpi: _column(kpi) for kpi in kpis},
            placeholder=style.missing(),
            key=f"table-{name}",
            alt=title,
        )
        if note:
            st.caption(note)


def _column(kpi: str) -> Any:
    return st.column_config.Column(DEFINITIONS[kpi].label, help=DEFINITIONS[kpi].help)


def _numbers(rows: Measured, kpis: Sequence[str]) -> pl.DataFrame:
    """What is known of each figure; null where nothing is."""
    found = [{**names, **{kpi: figures[kpi].value for kpi in kpis}, CARE: care(figures)} for names, figures in rows]
    return inert(pl.DataFrame(found, schema_overrides=dict.fromkeys(kpis, pl.Float64), infer_schema_length=None))


def _text(kpi: str, value: float, *, rounded: bool) -> str:
    return Figure(value, rounded).text(DEFINITIONS[kpi].kind)


def care(figures: Mapping[str, Figure]) -> str:
    """What a row's rates do not tell: those of fewer than 25 cases say little about whoever had them."""
    few = any(
        figures[rate].value is not None and (figures[base].value or 0) < FEW
        for rate, base in _BASES.items()
        if rate in figures
    )
    return f"fewer than {FEW} cases" if few else ""


def values(rows: Measured) -> pl.DataFrame:
    """For the CSV: each figure's value, null where there is none."""
    found = [{**names, **{kpi: one.value for kpi, one in figures.items()}} for names, figures in rows]
    return pl.DataFrame(found, infer_schema_length=None)
