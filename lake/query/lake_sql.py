"""The product's own SQL over the lake: DuckDB in memory, views on Delta snapshots, read-only and sandboxed.

SQL that somebody typed is not run here but by ``lake.query.adhoc``, which checks, bounds and audits it.

Once the views are made, DuckDB may read the files of these snapshots (``lake.query.snapshots``) and no others, its
settings are locked, and only a single SELECT (or what DuckDB treats as one: FROM, VALUES, SUMMARIZE, DESCRIBE, SHOW) is
run: a query can neither write nor read another file.
"""

from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Final

import duckdb
import polars as pl

from lake.errors import UsageError
from lake.gold.published import Published
from lake.gold.tables import VIEWS, sql
from lake.query import views
from lake.query.snapshots import snapshots
from lake.query.to_polars import to_polars
from lake.storage.store import live_files

_ALLOWED: Final = "SELECT"
_CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
}
_BEFORE_ANY_ROW: Final = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException)
"""Errors that DuckDB finds before it reads a row: their text quotes the query, never a value."""


def connect(root: Path, build: Published | None = None) -> duckdb.DuckDBPyConnection:
    """A sandboxed connection with a view per table of ``silver``, ``gold`` and ``ops``, and the Gold views.

    Each shows the snapshot of now, or that of ``build`` (the last published one if None) where a build makes it. Close
    it when done. Raises ``LakeError`` where a published table cannot be read.
    """
    connection = duckdb.connect(":memory:", config=_CONFIG)
    files: list[str] = []
    for schema, tables in snapshots(root, build).items():
        connection.execute(f"CREATE SCHEMA {schema}")
        for name, table in tables.items():
            of_table = live_files(table)
            partitions = table.metadata().partition_columns
            full_name = f"{schema}.{views.identifier(name)}"
            connection.execute(views.view(full_name, views.columns_of(table), partitions, of_table))
            files += of_table
    for name in VIEWS:
        with suppress(duckdb.CatalogException):  # not before there is Gold
            connection.execute(f"CREATE VIEW gold.{name} AS {sql(name)}")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET temp_directory = ''")  # nothing is spilled to disk
    connection.execute("SET allowed_paths = ?", [files])
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def query(connection: duckdb.DuckDBPyConnection, text: str) -> pl.DataFrame:
    """Run one read-only statement. Raises ``UsageError`` for anything else, and for an error in the query."""
    try:
        statements = connection.extract_statements(text)
        kinds = [statement.type.name for statement in statements]
        if len(kinds) != 1 or kinds[0] != _ALLOWED:
            raise UsageError(
                "only a single SELECT is run here",
                got=", ".join(kinds) or "nothing",
                expected="one SELECT (FROM, SUMMARIZE, DESCRIBE and SHOW count as one)",
                next_move="the lake is written by the stream and the flows only",
            )
        return to_polars(connection.sql(text))
    except duckdb.Error as error:
        # Others may quote a value that they stumbled over.
        got = str(error).splitlines()[0] if isinstance(error, _BEFORE_ANY_ROW) else type(error).__name__
    raise UsageError("the query cannot be run", got=got, next_move="SHOW ALL TABLES lists what there is")


def run(root: Path, text: str) -> pl.DataFrame:
    """``query`` on a connection of its own."""
    connection = connect(root)
    try:
        return query(connection, text)
    finally:
        connection.close()


def named(root: Path, name: str) -> pl.DataFrame:
    """Run one of the queries that come with Wardlake (``lake/query/sql/NAME.sql``)."""
    return run(root, (resources.files("lake.query") / "sql" / f"{name}.sql").read_text("utf-8"))
