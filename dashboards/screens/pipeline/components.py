"""What the Pipeline page is put together from: tiles, panels and tables that stay where they are from look to look."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal

import polars as pl
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboards.shared import style
from dashboards.shared.markdown import literal
from lake.query.spreadsheets import inert


def tile(label: str, text: str, meaning: str) -> None:
    """One figure."""
    st.metric(label, text, help=meaning, border=True, width=style.TILES)


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago something was, for people."""
    if moment is None:
        return "never"
    seconds = max((now - moment).total_seconds(), 0)
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def panel(title: str, rows: pl.DataFrame, name: str, meaning: str) -> DeltaGenerator:
    """A frame with a title, what it means, and its rows as CSV; they are written out when somebody asks for them."""
    frame = st.container(border=True, key=f"panel-{name}")
    with frame, st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(f"**{literal(title)}**", help=meaning, width="content")
        st.download_button(
            "CSV",
            csv_of(rows),
            f"wardlake-{name}.csv",
            "text/csv",
            key=f"csv-{name}",
            help="Download these figures",
            on_click="ignore",
            type="tertiary",
        )
    return frame


def csv_of(rows: pl.DataFrame) -> Callable[[], bytes]:
    """What writes these rows as CSV."""
    return lambda: inert(rows).write_csv().encode()


def show(
    rows: pl.DataFrame, name: str, columns: Mapping[str, Any], height: Literal["auto", "content"] = "auto"
) -> None:
    """A table with these columns; ten rows high at most, or as high as its content."""
    st.dataframe(
        inert(rows),
        hide_index=True,
        column_config=columns,
        placeholder="",
        height=height,
        key=f"table-{name}",
        alt=name,
    )


def count(label: str) -> Any:
    """A column of counts."""
    return st.column_config.NumberColumn(label, format="localized")


def moment(label: str) -> Any:
    """A column of moments, UTC."""
    return st.column_config.DatetimeColumn(f"{label} (UTC)", format="D MMM YYYY, HH:mm:ss", timezone="UTC")


def seconds(label: str) -> Any:
    """A column of seconds."""
    return st.column_config.NumberColumn(label, format="%.1f s")
