"""Who reads patients' rows with SQL is written down, in whatever way the query says so, before a row is shown."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import duckdb
import polars as pl
import pytest

from lake import query
from lake.errors import UsageError
from lake.store import DeltaStore
from lake.tables import AUDIT, SILVER
from tests.golds import build
from tests.lakes import event, make_lake, rows, simulated, wardlake

PERSONAL: Final = [
    "FROM silver.events",
    "SELECT count(*) FROM silver.events AS e",
    'SELECT 1 FROM silver.events "gold.admissions AS"',
    'FROM "SILVER"."Events"',
    "FROM memory.silver.events",
    "WITH gold AS (FROM silver.visits) SELECT * FROM gold",
    "SELECT (SELECT count(*) FROM silver.stays)",
    "SELECT 1 WHERE EXISTS (FROM silver.incomplete)",
    "FROM gold.admissions SEMI JOIN silver.events USING (facility)",
    "SUMMARIZE silver.events",
    "DESCRIBE silver.events",
    "SHOW silver.events",
    "TABLE silver.events",
    "FROM query('FROM silver.events')",
    "FROM query_table('silver.events')",
    "FROM query_table(['silver.events'])",
    "FROM query('FROM silver' || '.events')",
    "SELECT unnest((SELECT list(patient_key) FROM silver.events))",
]
IMPERSONAL: Final = [
    "FROM gold.admissions",
    "FROM gold.admissions_weekly",
    "SELECT day, 'silver.events' AS silver FROM gold.admissions AS events -- FROM silver.events",
    "WITH events AS (SELECT 1 AS silver) FROM events",
    "FROM ops.ingest",
    "FROM ops.builds",
    "FROM ops.audit",
    "SHOW ALL TABLES",
    "SELECT 1",
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with Gold; the tests of this module only read it."""
    lake = make_lake(tmp_path_factory.mktemp("audited") / "lake", simulated(400))
    build(lake)
    return lake.root


@pytest.fixture
def connection(root: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    made = query.connect(root)
    yield made
    made.close()


@pytest.mark.parametrize("text", PERSONAL)
def test_a_query_of_patients_rows_is_seen(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    assert query.reads_patients(connection, text)


@pytest.mark.parametrize("text", IMPERSONAL)
def test_a_query_of_figures_is_not_taken_for_one(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    assert not query.reads_patients(connection, text)
    assert query.query(connection, text).width > 0


def test_a_file_by_its_path_is_seen(root: Path, connection: duckdb.DuckDBPyConnection) -> None:
    [file, *_] = DeltaStore(root, SILVER).handle.file_uris()
    text = f"FROM read_parquet('{file.removeprefix('file://')}')"
    assert query.query(connection, text).height > 0
    assert query.reads_patients(connection, text)


def test_the_command_leaves_a_row_for_patients_rows_only(root: Path) -> None:
    before = rows(root, AUDIT).height
    text = "SELECT event_type FROM silver.events WHERE patient_name <> 'Mary Jones' LIMIT 3"
    ran = wardlake("sql", text, "--format", "json", "--lake", root)
    assert (ran.code, len(ran.json)) == (0, 3)
    assert wardlake("sql", "FROM gold.admissions LIMIT 1", "--lake", root).code == 0
    new = rows(root, AUDIT).sort("audited_at")[before:]
    assert new.select("action", "detail", "rows").rows() == [("sql", text.replace("Mary Jones", "…"), 3)]


def test_a_query_that_fails_over_the_rows_is_written_down_and_tells_no_value(root: Path) -> None:
    before = rows(root, AUDIT).height
    ran = wardlake("sql", "SELECT patient_name::INTEGER FROM silver.events", "--lake", root)
    assert (ran.code, ran.out) == (2, "")
    assert "*****" not in ran.err
    assert "got ConversionException" in ran.err
    new = rows(root, AUDIT).sort("audited_at")[before:]
    assert new.select("action", "rows").rows() == [("sql", None)]


def test_what_cannot_be_written_down_is_not_shown(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", [(0, event())])
    shutil.rmtree(lake.root / AUDIT.name)
    assert query.run(lake.root, "SELECT event_type FROM silver.events").height == 1
    ran = wardlake("sql", "SELECT event_type FROM silver.events", "--lake", lake.root)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.count("\n") == 1
    assert "cannot be written to ops/audit, so nothing is shown" in ran.err


def test_errors_before_any_row_say_what_is_wrong(root: Path) -> None:
    for text, said in (("SELECT nope FROM silver.events", "nope"), ("SELECT * FRM x", "syntax error")):
        with pytest.raises(UsageError, match=said):
            query.run(root, text)


def test_no_row_is_left_for_a_query_that_is_refused_unread(root: Path) -> None:
    before = rows(root, AUDIT).height
    assert wardlake("sql", "SELECT nope FROM gold.admissions", "--lake", root).code == 2
    assert rows(root, AUDIT).height == before
    assert pl.DataFrame(query.run(root, "FROM ops.audit")).height == before
