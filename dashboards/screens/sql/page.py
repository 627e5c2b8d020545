"""SQL: a query of one's own over the file that the pages read, confined and written down."""

import polars as pl
import streamlit as st

from dashboards.screens.sql import sandbox
from dashboards.screens.sql.examples import EXAMPLES
from dashboards.screens.sql.sandbox import Answer, QueryRefusedError
from dashboards.shared import data, signin, style
from dashboards.shared.settings import settings
from lake.errors import UsageError
from lake.query.spreadsheets import inert
from lake.storage import audit_log

ACTION = "dashboard_sql"
TEXT, RESULT = "sql_text", "_sql_result"
EDITOR = 240


def ask(text: str) -> Answer:
    """Rows of a query. It is in ``ops/audit`` before they are given out, also where there are none."""
    known, who = settings(), signed_in()
    try:
        found = sandbox.run(data.current().file, text, seconds=known.dashboard_sql_seconds)
    except QueryRefusedError as error:
        audit_log.append(known.lake, ACTION, error.kept, who=who)
        raise
    audit_log.append(known.lake, ACTION, found.kept, found.rows.height, who)
    return found


def signed_in() -> str | None:
    """Who asks, as the sign-in knows them; None where nobody signs in."""
    if not signin.configured():
        return None
    return str(st.user.get("email") or st.user.get("sub") or "a user without a name")


def take_example() -> None:
    """Put the chosen example into the editor."""
    st.session_state[TEXT] = EXAMPLES[st.session_state["sql_example"]]
    st.session_state.pop(RESULT, None)


def editor() -> str | None:
    """The query to run now, if one was sent."""
    st.session_state.setdefault(TEXT, next(iter(EXAMPLES.values())))
    st.selectbox("Example", list(EXAMPLES), key="sql_example", on_change=take_example, width=400)
    with st.form("sql", border=False):
        text = st.text_area(
            "Query",
            key=TEXT,
            height=EDITOR,
            max_chars=sandbox.CHARACTERS,
            persist_state="session",
            help="One SELECT in DuckDB's SQL over the schema gold. Ctrl+Enter runs it.",
        )
        sent = st.form_submit_button("Run", type="primary")
    st.caption(
        f"At most {sandbox.ROWS:,} rows and {settings().dashboard_sql_seconds:g} seconds. Every query is written to "
        "the audit log, with who ran it; constants are blanked there."
    )
    return text if sent else None


def run(text: str) -> None:
    """Run a query and keep what came of it for the reruns after this one."""
    with st.spinner("Running the query"):
        try:
            st.session_state[RESULT] = ask(text)
        except UsageError as error:
            st.session_state[RESULT] = str(error)


def result(found: Answer | str) -> None:
    """The rows, or why there are none."""
    if isinstance(found, str):
        st.error(found)
        return
    shown = f"the first {found.rows.height:,} rows; there are more" if found.cut else counted(found.rows)
    with st.container(border=True):
        style.head(
            "Result",
            found.rows,
            name="sql",
            definition="What the query gave. An empty cell is NULL.",
        )
        st.dataframe(inert(found.rows), hide_index=True, key="sql_result", alt="Result of the query", placeholder="")
        st.caption(f"{shown[0].upper()}{shown[1:]} · {found.seconds:.1f} s")


def counted(rows: pl.DataFrame) -> str:
    """How many rows there are."""
    return "1 row" if rows.height == 1 else f"{rows.height:,} rows"


def tables() -> None:
    """What can be asked for, folded away."""
    with st.expander("Tables and columns"):
        listed = data.rows("FROM gold.dictionary ORDER BY table_name")
        st.dataframe(
            listed,
            hide_index=True,
            key="sql_tables",
            alt="Tables and columns",
            column_config={
                "table_name": "Table",
                "column_name": "Column",
                "data_type": "Type",
                "meaning": st.column_config.TextColumn("Meaning", width="large"),
            },
        )


def page() -> None:
    """The whole page."""
    st.write("One SELECT over the tables that the other pages read.")
    sent = editor()
    if sent is not None:
        run(sent)
    if RESULT in st.session_state:
        result(st.session_state[RESULT])
    tables()


page()
