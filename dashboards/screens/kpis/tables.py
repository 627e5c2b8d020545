"""Tables of measured performance: volumes beside rates, and a mark where a rate rests on few cases."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

import polars as pl
import streamlit as st

from dashboards.screens.kpis.monthly import FEW
from dashboards.shared import style
from dashboards.shared.definitions import DEFINITIONS, Definition
from dashboards.shared.figures import HIDDEN, NOTHING, Figure, number
from lake.disclosure.suppression import MARK
from lake.query.spreadsheets import inert

Measured = Sequence[tuple[Mapping[str, Any], Mapping[str, Figure]]]
"""Per row: its names (column → text), and its figures by KPI."""

CARE: Final = "Read with care"
_EITHER: Final = f"{HIDDEN} or {NOTHING}"
_BASES: Final = {"readmission_rate_30d": "index_discharges_30d", "mortality_rate": "discharges"}
"""Rate → the cases that it rests on."""


def table(title: str, rows: Measured, *, name: str, definition: Definition | str, note: str = "") -> None:
    """Show measured rows in their order. A column sorts by number; its text is the figure's: 12 · ≥ 12 · hidden.

    A KPI that no row has is left out.
    """
    with st.container(border=True):
        style.head(title, exact(rows), name=name, definition=definition)
        if not rows:
            st.info("Nobody was discharged here in this period. Choose a longer period or another department.")
            return
        kpis = [kpi for kpi in rows[0][1] if any(one[kpi] != Figure(None) for _, one in rows)]
        # Streamlit keeps the numbers of a styled frame, and sorts by them.
        styled = _floors(rows, kpis).to_pandas().style
        for kpi in kpis:
            styled = _written(styled, kpi, [figures[kpi] for _, figures in rows])
        st.dataframe(
            styled,
            hide_index=True,
            column_config={kpi: _column(kpi) for kpi in kpis},
            placeholder=HIDDEN if all(one[kpi] != Figure(None) for _, one in rows for kpi in kpis) else _EITHER,
            key=f"table-{name}",
            alt=title,
        )
        style.notes(exact(rows), note)


def _column(kpi: str) -> Any:
    return st.column_config.Column(DEFINITIONS[kpi].label, help=DEFINITIONS[kpi].help)


def _floors(rows: Measured, kpis: Sequence[str]) -> pl.DataFrame:
    """What is known of each figure; null where nothing is."""
    found = [{**names, **{kpi: figures[kpi].value for kpi in kpis}, CARE: care(figures)} for names, figures in rows]
    return inert(pl.DataFrame(found, schema_overrides=dict.fromkeys(kpis, pl.Float64), infer_schema_length=None))


def _written(styled: Any, kpi: str, figures: Sequence[Figure]) -> Any:
    """A pandas ``Styler`` with one column's texts: those of ``Figure.text``."""
    write = partial(number, kind=DEFINITIONS[kpi].kind)
    parts = [row for row, one in enumerate(figures) if one.hidden]
    styled = styled.format(write, na_rep="", subset=[kpi])
    return styled.format(lambda value: f"≥ {write(value)}", na_rep="", subset=(parts, [kpi]))


def care(figures: Mapping[str, Figure]) -> str:
    """What a row's rates do not tell: those of fewer than 25 cases say little about whoever had them."""
    few = any(
        figures[rate].exact and (figures[base].value or 0) < FEW for rate, base in _BASES.items() if rate in figures
    )
    return f"fewer than {FEW} cases" if few else ""


def exact(rows: Measured) -> pl.DataFrame:
    """For the CSV: whole figures only; the others are null, and named in ``suppressed``."""
    found = [
        {**names, **{kpi: one.value if one.exact else None for kpi, one in figures.items()}}
        | {MARK: ", ".join(kpi for kpi, one in figures.items() if one.hidden) or None}
        for names, figures in rows
    ]
    return pl.DataFrame(found, infer_schema_length=None)
