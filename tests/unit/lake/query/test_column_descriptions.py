"""``gold.dictionary``: what every column that SQL shows means."""

from pathlib import Path

import pytest

from lake.contracts.tables import AUDIT, BUILDS, INCOMPLETE, INGEST, QUALITY, SILVER, STAYS, VISITS
from lake.gold.tables import GOLD
from lake.query.column_descriptions import meanings
from tests.support.golds import build
from tests.support.lakes import make_lake, simulated, wardlake

SHOWN = (SILVER, VISITS, STAYS, INCOMPLETE, INGEST, AUDIT, BUILDS, QUALITY, *GOLD)


def test_every_column_has_a_meaning_and_none_is_of_a_column_that_is_not_there() -> None:
    """silver.* and ops.*: lake/query/column_descriptions.toml; gold.*: the headers of their SQL files."""
    known = {(*table.name.split("/"), column) for table in SHOWN for column in table.polars_schema}
    meant = {(schema, table, column): meaning for schema, table, column, meaning in meanings()}
    names = {table.name for table in SHOWN}
    assert sorted(known - set(meant)) == []
    assert sorted(key for key in set(meant) - known if "/".join(key[:2]) in names) == []
    assert [key for key, meaning in meant.items() if not meaning.strip()] == []


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with Gold; the tests of this module only read it."""
    lake = make_lake(tmp_path_factory.mktemp("dictionary") / "lake", simulated(300))
    build(lake)
    return lake.root


def test_the_dictionary_lists_what_can_be_queried(root: Path) -> None:
    rows = wardlake("sql", "FROM gold.dictionary", "--format", "json", "--lake", root).json
    assert list(rows[0]) == ["schema_name", "table_name", "column_name", "data_type", "meaning"]
    assert (rows[0]["schema_name"], rows[0]["table_name"]) == ("gold", "admissions")
    shown = {(row["schema_name"], row["table_name"]) for row in rows}
    listed = wardlake("sql", "SHOW ALL TABLES", "--format", "json", "--lake", root).json
    assert shown == {(row["schema"], row["name"]) for row in listed}
    unexplained = {row["table_name"] for row in rows if row["meaning"] is None}
    assert unexplained == {"dictionary"}


def test_it_can_be_filtered_and_joined(root: Path) -> None:
    text = (
        "SELECT data_type, meaning FROM gold.dictionary WHERE table_name = 'admissions' AND column_name = 'admissions'"
    )
    [row] = wardlake("sql", text, "--format", "json", "--lake", root).json
    assert row["data_type"] == "BIGINT"
    assert row["meaning"]
    text = "SELECT count(*) > 100 AS many, (SELECT count(*) > 0 FROM gold.admissions) AS rows FROM gold.dictionary"
    assert wardlake("sql", text, "--format", "json", "--lake", root).json == [{"many": True, "rows": True}]


def test_it_is_there_before_there_is_gold(tmp_path: Path) -> None:
    make_lake(tmp_path / "lake")
    text = "SELECT DISTINCT schema_name FROM gold.dictionary ORDER BY ALL"
    rows = wardlake("sql", text, "--format", "csv", "--lake", tmp_path / "lake").out.split()
    assert rows == ["schema_name", "gold", "ops", "silver"]
