"""The SQL page: it answers from the file of the pages, and every query is in the audit before its rows are shown."""

import shutil
from pathlib import Path
from typing import Final

import duckdb
import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from dashboards.screens.sql import query_worker, sandbox
from dashboards.screens.sql.examples import EXAMPLES
from dashboards.shared.settings import settings
from lake.contracts.tables import AUDIT
from lake.gold.duckdb_file import LINK
from tests.support.boards import Open, text_of
from tests.support.lakes import rows

pytest_plugins = ("tests.support.board_fixtures",)

AUTH: Final = {"auth": {"client_id": "wardlake"}}
ATTACKS: Final = {
    "silver": "FROM read_parquet('{lake}/silver/events/*/*.parquet')",
    "bronze": "FROM read_parquet('{lake}/bronze/events/*/*.parquet')",
    "audit": "FROM read_parquet('{lake}/ops/audit/*/*.parquet')",
    "another file of Gold": "FROM '{lake}/gold_public.duckdb'",
    "schema ops": "FROM ops.audit",
    "a write": "CREATE TABLE gold.mine AS SELECT 1",
}


def ask(page: AppTest, text: str) -> AppTest:
    page.text_area(key="sql_text").set_value(text)
    return page.button[0].click().run()


def result(page: AppTest) -> pl.DataFrame:
    """The first table of the page; the list of columns comes last."""
    assert len(page.dataframe) == 2
    return pl.from_pandas(page.dataframe[0].value)


def asked(lake: Path) -> list[tuple[str, str, int | None]]:
    """Who asked what on the page, and how many rows they saw."""
    found = rows(lake, AUDIT).filter(pl.col("action") == "dashboard_sql").sort("audited_at")
    return list(found.select("who", "detail", "rows").iter_rows())


def test_an_answer_is_from_the_file_of_the_pages_and_is_written_down(open_page: Open, own_lake: Path) -> None:
    where = "grain = 'month' AND department = '(all)'"
    text = f"SELECT start, admissions FROM gold.admissions_totals WHERE {where} ORDER BY ALL"
    page = ask(open_page(own_lake, "sql"), text)
    with duckdb.connect(str((own_lake / LINK).resolve()), read_only=True) as shown:
        true = shown.sql(text).pl()
    assert result(page)["admissions"].cast(pl.Int64).to_list() == true["admissions"].to_list()
    assert f"{true.height:,} rows" in text_of(page)
    [(who, detail, seen)] = asked(own_lake)
    assert who
    where = "((grain = '…') AND (department = '…'))"
    assert detail == f'SELECT "start", admissions FROM gold.admissions_totals WHERE {where} ORDER BY COLUMNS(*)'
    assert seen == true.height


def test_who_signed_in_is_who_asked(open_page: Open, own_lake: Path) -> None:
    user = {"is_logged_in": True, "email": "ada@example.org"}
    ask(open_page(own_lake, "sql", secrets=AUTH, user=user), "FROM gold.build")
    assert asked(own_lake) == [("ada@example.org", "SELECT * FROM gold.build", 1)]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (
            "FROM gold.build WHERE build_id = 123-45-6789",
            "SELECT * FROM gold.build WHERE (build_id = (('…' - '…') - '…'))",
        ),
        ("FROM gold.build WHERE timezone = 'O'Brien'", "a query that does not parse"),
        ("FROM gold.build WHERE timezone = Jones", "a query that DuckDB cannot bind to the tables"),
        ("SELECT count(*) FROM range(1000000000000)", "SELECT count(*) FROM \"range\"('…')"),
    ],
)
def test_no_value_that_was_typed_is_written_down(
    open_page: Open, own_lake: Path, monkeypatch: pytest.MonkeyPatch, text: str, kept: str
) -> None:
    monkeypatch.setenv("WARDLAKE_DASHBOARD_SQL_SECONDS", "8")
    ask(open_page(own_lake, "sql"), text)
    assert [detail for _, detail, _ in asked(own_lake)] == [kept]


def test_the_public_asks_the_public_file(
    open_page: Open, small_lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Path(shutil.copytree(small_lake, tmp_path / "lake", symlinks=True))
    monkeypatch.setenv("WARDLAKE_AUDIENCE", "public")
    text = "SELECT admissions, discharges, hidden FROM gold.admissions_totals WHERE grain = 'day'"
    found = result(ask(open_page(lake, "sql"), text))
    assert found["hidden"].null_count() < found.height
    counts = found.unpivot(["admissions", "discharges"])["value"].drop_nulls().cast(pl.Int64)
    assert (counts % 5 == 0).all()
    assert not counts.is_between(1, 10).any()


def test_what_is_refused_is_one_line_and_written_down(open_page: Open, own_lake: Path) -> None:
    page = open_page(own_lake, "sql")
    for attack, text in ATTACKS.items():
        page = ask(page, text.format(lake=own_lake))
        assert len(page.error) == 1, attack
        assert "\n" not in page.error[0].value, attack
        assert len(page.dataframe) == 1, attack
    assert [seen for _, _, seen in asked(own_lake)] == [None] * len(ATTACKS)
    assert result(ask(page, "SELECT 1 AS one")).rows() == [(1,)]


def test_a_slow_query_ends_and_the_page_goes_on(
    open_page: Open, own_lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARDLAKE_DASHBOARD_SQL_SECONDS", "1.5")
    page = open_page(own_lake, "sql")
    page = ask(page, "SELECT count(*) FROM range(1000000) a, range(1000000) b, range(1000000) c")
    assert "took longer than 1.5 s" in page.error[0].value
    assert len(asked(own_lake)) == 1
    monkeypatch.setenv("WARDLAKE_DASHBOARD_SQL_SECONDS", "25")
    settings.cache_clear()
    assert len(result(ask(page, "FROM gold.build"))) == 1


def test_more_rows_than_the_limit_are_said_to_be_more(open_page: Open, own_lake: Path) -> None:
    page = ask(open_page(own_lake, "sql"), "SELECT a.day FROM gold.occupancy a, gold.occupancy b")
    assert len(result(page)) == sandbox.ROWS
    assert f"The first {sandbox.ROWS:,} rows; there are more" in text_of(page)


def test_an_answer_that_cannot_be_written_down_is_not_shown(open_page: Open, own_lake: Path) -> None:
    page = open_page(own_lake, "sql")
    shutil.rmtree(own_lake / AUDIT.name)
    (own_lake / AUDIT.name).write_text("not a table")
    page = ask(page, "FROM gold.build")
    assert "the access cannot be written to ops/audit" in page.error[0].value
    assert not page.dataframe


def test_an_example_is_put_into_the_editor_and_the_text_survives_other_pages(open_page: Open, own_lake: Path) -> None:
    page = open_page(own_lake, "sql")
    assert page.text_area(key="sql_text").value == EXAMPLES["What there is"]
    page.selectbox(key="sql_example").set_value("Busiest hours").run()
    assert page.text_area(key="sql_text").value == EXAMPLES["Busiest hours"]
    page = ask(page, "FROM gold.build")
    page.switch_page("screens/pipeline/page.py").run()
    page.switch_page("screens/sql/page.py").run()
    assert page.text_area(key="sql_text").value == "FROM gold.build"
    assert result(page).height == 1


def test_every_example_works(simulated_lake: Path) -> None:
    with query_worker.opened(str((simulated_lake / LINK).resolve())) as connection:
        for title, text in EXAMPLES.items():
            said, found = query_worker.answer(connection, text, sandbox.ROWS)
            assert said == {"kind": "rows", "cut": False}, title
            assert found is not None, title
            assert found.height > 0, title


def test_without_gold_it_says_how_to_get_some(open_page: Open, tmp_path: Path) -> None:
    page = open_page(tmp_path / "none", "sql")
    assert "There is no lake" in text_of(page)
