"""``wardlake.duckdb``: Gold as a DuckDB file for any client, swapped in whole.

A DuckDB file takes one writer or many readers. So each build writes a file of its own, ``gold-<build>.duckdb``, and
then moves the link ``wardlake.duckdb`` to it; the last three are kept for those who still read them. Open the link's
target (``os.path.realpath``) read-only: a process that holds an old file open goes on with the old figures.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import duckdb

from lake.gold import duck
from lake.gold.fold import name_of
from lake.gold.tables import GOLD, VIEWS, about, meanings, sql

LINK: Final = "wardlake.duckdb"
_KEPT: Final = 3
_DICTIONARY: Final = """CREATE VIEW gold.dictionary AS
SELECT table_name, column_name, data_type, comment AS meaning
FROM duckdb_columns() WHERE schema_name = 'gold' AND table_name <> 'dictionary' ORDER BY table_name, column_index"""


def path_of(root: Path, build_id: int) -> Path:
    """Where a build's file is."""
    return root / f"gold-{build_id}.duckdb"


def write(root: Path, build_id: int, tables: Mapping[str, Sequence[str]]) -> None:
    """Write a build's file: each Gold table from these Parquet files, the views, and what each column means."""
    aside = root / f".{path_of(root, build_id).name}"
    aside.unlink(missing_ok=True)
    connection = duckdb.connect(str(aside))
    try:
        aside.chmod(0o600)
        connection.execute("SET TimeZone = 'UTC'; CREATE SCHEMA gold")
        for table in GOLD:
            duck.files(connection, "stored", table, list(tables[table.name]))
            order = ", ".join(table.schema.primary_key())
            connection.execute(f"CREATE TABLE {table.name.replace('/', '.')} AS FROM stored ORDER BY {order}")
            _comment(connection, "TABLE", name_of(table))
        for name in VIEWS:
            connection.execute(f"CREATE VIEW gold.{name} AS {sql(name)}")
            _comment(connection, "VIEW", name)
        connection.execute(_DICTIONARY)
    finally:
        connection.close()
    aside.replace(path_of(root, build_id))


def swap_in(root: Path, build_id: int) -> None:
    """Point the link at a build's file, and remove files older than the last three."""
    link, aside = root / LINK, root / f".{LINK}"
    if link.is_symlink() and link.readlink() == Path(path_of(root, build_id).name):
        return
    aside.unlink(missing_ok=True)
    aside.symlink_to(path_of(root, build_id).name)
    aside.replace(link)
    for old in root.glob("gold-*.duckdb"):
        if int(old.stem.removeprefix("gold-")) <= build_id - _KEPT:
            old.unlink()


def _comment(connection: duckdb.DuckDBPyConnection, kind: str, name: str) -> None:
    connection.execute(f"COMMENT ON {kind} gold.{name} IS {_text(about(name))}")
    for column, meaning in meanings(name).items():
        connection.execute(f'COMMENT ON COLUMN gold.{name}."{column}" IS {_text(meaning)}')


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
