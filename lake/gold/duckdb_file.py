"""``wardlake.duckdb``: Gold as a DuckDB file for any client, swapped in whole.

A DuckDB file takes one writer or many readers. So each build writes a file of its own, ``gold-<build>.duckdb``, and
then moves the link ``wardlake.duckdb`` to it; the last three are kept for those who still read them. Open the link's
target (``os.path.realpath``) read-only: a process that holds an old file open goes on with the old figures.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import duckdb

from lake.gold import duckdb_session
from lake.gold.fold import name_of
from lake.gold.published import Published
from lake.gold.tables import GOLD, VIEWS, about, meanings, sql

LINK: Final = "wardlake.duckdb"
_KEPT: Final = 3
_DICTIONARY: Final = """CREATE VIEW gold.dictionary AS
SELECT table_name, column_name, data_type, comment AS meaning
FROM duckdb_columns() WHERE schema_name = 'gold' AND table_name <> 'dictionary' ORDER BY table_name, column_index"""
_BUILD: Final = """CREATE TABLE gold.build AS SELECT ?::BIGINT AS build_id, ?::TIMESTAMPTZ AS built_at,
?::VARCHAR AS timezone, ?::TIMESTAMPTZ AS data_start, ?::TIMESTAMPTZ AS data_end"""

BUILD_MEANINGS: Final = {
    "build_id": "number of the build",
    "built_at": "when it was published, UTC",
    "timezone": "time zone of days, months and hours",
    "data_start": "time of the first event, UTC",
    "data_end": "time of the last event, UTC",
}


class BuildRow(NamedTuple):
    """The one row of ``gold.build``: which build all the tables are from."""

    build_id: int
    built_at: datetime
    timezone: str
    data_start: datetime | None
    data_end: datetime | None

    @classmethod
    def of(cls, build: Published) -> "BuildRow":
        """The row of a published build."""
        return cls(build.build_id, build.built_at, build.timezone, build.data_start, build.data_end)


def path_of(root: Path, build_id: int) -> Path:
    """Where a build's file is."""
    return root / f"gold-{build_id}.duckdb"


def write(root: Path, build: BuildRow, tables: Mapping[str, Sequence[str]]) -> None:
    """Write a build's file: each Gold table from these Parquet files, the views, and what each column means."""
    with new(path_of(root, build.build_id), build) as connection:
        for table in GOLD:
            duckdb_session.files(connection, "stored", table, list(tables[table.name]))
            order = ", ".join(table.schema.primary_key())
            connection.execute(f"CREATE TABLE {table.name.replace('/', '.')} AS FROM stored ORDER BY {order}")
            comment(connection, "TABLE", name_of(table), about(name_of(table)), meanings(name_of(table)))
        for name in VIEWS:
            connection.execute(f"CREATE VIEW gold.{name} AS {sql(name)}")
            comment(connection, "VIEW", name, about(name), meanings(name))


@contextmanager
def new(path: Path, build: BuildRow) -> Iterator[duckdb.DuckDBPyConnection]:
    """A new DuckDB file of mode 0600 with a schema ``gold``; it is at ``path`` once it is whole, with a dictionary."""
    aside = path.with_name(f".{path.name}")
    for left in (aside, aside.with_name(f"{aside.name}.wal")):
        left.unlink(missing_ok=True)
    connection = duckdb.connect(str(aside))
    try:
        aside.chmod(0o600)
        connection.execute("SET TimeZone = 'UTC'; CREATE SCHEMA gold")
        connection.execute(_BUILD, build)
        comment(connection, "TABLE", "build", "The build of Gold that all of this is from.", BUILD_MEANINGS)
        yield connection
        connection.execute(_DICTIONARY)
    finally:
        connection.close()
    aside.replace(path)


def swap_in(root: Path, build_id: int, link: str = LINK, kind: str = "gold") -> None:
    """Point a link at a build's file, and remove files of its kind that are older than the last three."""
    to, aside = Path(f"{kind}-{build_id}.duckdb"), root / f".{link}"
    if (root / link).is_symlink() and (root / link).readlink() == to:
        return
    aside.unlink(missing_ok=True)
    aside.symlink_to(to)
    aside.replace(root / link)
    for old in root.glob(f"{kind}-*.duckdb"):
        if int(old.stem.removeprefix(f"{kind}-")) <= build_id - _KEPT:
            old.unlink()


def comment(
    connection: duckdb.DuckDBPyConnection, kind: str, name: str, about: str, meanings: Mapping[str, str]
) -> None:
    """Say in the file what a row of ``gold.name`` is, and what its columns mean. ``kind``: TABLE or VIEW."""
    connection.execute(f"COMMENT ON {kind} gold.{name} IS {_text(about)}")
    for column, meaning in meanings.items():
        connection.execute(f'COMMENT ON COLUMN gold.{name}."{column}" IS {_text(meaning)}')


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
