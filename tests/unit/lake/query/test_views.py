"""Tables of the lake as DuckDB sees them: the same columns and types by their contract and by their files."""

from pathlib import Path

import duckdb
import pytest

from lake.query import lake_sql, views
from lake.query.snapshots import snapshots
from tests.support.golds import build
from tests.support.lakes import make_lake, simulated


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with Gold; the tests of this module only read it."""
    lake = make_lake(tmp_path_factory.mktemp("views") / "lake", simulated(300))
    build(lake)
    return lake.root


def test_the_types_of_a_snapshot_are_those_of_its_files(root: Path) -> None:
    connection = lake_sql.connect(root)
    for schema, tables in snapshots(root).items():
        for name, table in tables.items():
            found = connection.sql(f'DESCRIBE {schema}."{name}"').fetchall()
            assert dict(row[:2] for row in found) == _as_described(views.columns_of(table)), name
    connection.close()


def _as_described(columns: dict[str, str]) -> dict[str, str]:
    """The types as DuckDB writes them."""
    with duckdb.connect() as connection:
        connection.execute(views.empty_table("t", columns))
        return {row[0]: row[1] for row in connection.sql("DESCRIBE t").fetchall()}


def test_names_are_quoted() -> None:
    assert views.empty_table('"a"', {'b"; DROP': "INTEGER"}) == 'CREATE TABLE "a" ("b""; DROP" INTEGER)'
    shown = views.view("v", {"day": "DATE"}, ["day"], ["/St Mary's/x"])
    assert "read_parquet(['/St Mary''s/x']" in shown
    assert "hive_types={'day': DATE}" in shown
