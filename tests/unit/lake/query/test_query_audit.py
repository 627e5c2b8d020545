"""Who reads patients' rows with SQL is written down, in whatever way the query says so, before a row is shown."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from lake.contracts.tables import AUDIT, SILVER
from lake.errors import UsageError
from lake.query import lake_sql
from lake.storage.store import DeltaStore
from tests.support.golds import build
from tests.support.lakes import event, make_lake, rows, simulated, wardlake

CATALOGUE = ("duckdb_views", "duckdb_tables", "duckdb_settings", "duckdb_databases")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with Gold; the tests of this module only read it."""
    lake = make_lake(tmp_path_factory.mktemp("audited") / "lake", simulated(400))
    build(lake)
    return lake.root


def test_the_command_leaves_a_row_for_patients_rows_only(root: Path) -> None:
    before = rows(root, AUDIT).height
    text = "SELECT event_type FROM silver.events WHERE patient_name <> 'Mary Jones' LIMIT 3"
    kept = "SELECT event_type FROM silver.events WHERE (patient_name != '…') LIMIT '…'"
    ran = wardlake("sql", text, "--format", "json", "--lake", root)
    assert (ran.code, len(ran.json)) == (0, 3)
    assert wardlake("sql", "FROM gold.admissions LIMIT 1", "--lake", root).code == 0
    new = rows(root, AUDIT).sort("audited_at")[before:]
    assert new.select("action", "detail", "rows").rows() == [("sql", kept, 3)]


def test_a_file_of_silver_is_refused_by_its_path_and_no_query_tells_it(root: Path) -> None:
    """Before, its rows were printed and left no row in the audit, and the catalogue told the path."""
    before = rows(root, AUDIT).height
    [file, *_] = DeltaStore(root, SILVER).handle.file_uris()
    path = file.removeprefix("file://")
    for text in (f"FROM '{path}'", f"SELECT count(*) FROM read_parquet('{path}')", f"FROM parquet_metadata('{path}')"):
        ran = wardlake("sql", text, "--lake", root)
        assert (ran.code, ran.out) == (2, "")
        assert "expected tables and views of the schemas silver, gold and ops only" in ran.err
    told = [wardlake("sql", f"FROM {name}()", "--format", "csv", "--lake", root) for name in CATALOGUE]
    assert [ran.code for ran in told] == [0] * len(told)
    assert [ran.out for ran in told if str(root) in ran.out] == []
    new = rows(root, AUDIT).sort("audited_at")[before:]
    assert new["rows"].to_list() == [None] * 3
    assert not [detail for detail in new["detail"] if str(root) in detail]


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
    assert lake_sql.run(lake.root, "SELECT event_type FROM silver.events").height == 1
    ran = wardlake("sql", "SELECT event_type FROM silver.events", "--lake", lake.root)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.count("\n") == 1
    assert "cannot be written to ops/audit, so nothing is shown" in ran.err


def test_errors_before_any_row_say_what_is_wrong(root: Path) -> None:
    for text, said in (("SELECT nope FROM silver.events", "nope"), ("SELECT * FRM x", "syntax error")):
        with pytest.raises(UsageError, match=said):
            lake_sql.run(root, text)


def test_no_row_is_left_for_a_query_that_is_refused_unread(root: Path) -> None:
    before = rows(root, AUDIT).height
    assert wardlake("sql", "SELECT nope FROM gold.admissions", "--lake", root).code == 2
    assert rows(root, AUDIT).height == before
    assert pl.DataFrame(lake_sql.run(root, "FROM ops.audit")).height == before
