"""SQL over the lake: DuckDB in memory, views on the current Delta snapshots, read-only and sandboxed.

No extension is loaded and none is needed: the snapshot's own file list goes to ``read_parquet``. Bronze and the
quarantine are not among the views. Once the views stand, DuckDB may read the files of these snapshots and no
others, its settings are locked, and only a single SELECT (or what DuckDB treats as one: FROM, VALUES, SUMMARIZE,
DESCRIBE, SHOW) is run: a query can neither write nor read another file.
"""

from importlib import resources
from pathlib import Path
from typing import Final, cast

import duckdb
import polars as pl
from deltalake import DeltaTable

from lake.errors import UsageError
from lake.store import live_files

SCHEMAS: Final = ("silver", "gold", "ops")
_ALLOWED: Final = "SELECT"


def connect(root: Path) -> duckdb.DuckDBPyConnection:
    """A sandboxed connection with a view per table of ``silver``, ``gold`` and ``ops``.

    Each view shows the table's snapshot of now. Close it when done.
    """
    connection = duckdb.connect(
        ":memory:", config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    )
    files: list[str] = []
    for schema in SCHEMAS:
        connection.execute(f"CREATE SCHEMA {schema}")
        for path in sorted((root / schema).glob("*/_delta_log")):
            files += _create_view(connection, schema, path.parent)
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
        return cast("pl.DataFrame", connection.sql(text).pl())
    except duckdb.Error as error:
        raise UsageError(
            "the query cannot be run", got=_first_line(error), next_move="SHOW ALL TABLES lists what there is"
        ) from None


def run(root: Path, text: str) -> pl.DataFrame:
    """``query`` on a connection of its own."""
    connection = connect(root)
    try:
        return query(connection, text)
    finally:
        connection.close()


def _create_view(connection: duckdb.DuckDBPyConnection, schema: str, path: Path) -> list[str]:
    """Make ``schema.name`` over a table's current files; returns them."""
    table = DeltaTable(path)
    name = f"{schema}.{_identifier(path.name)}"
    partitions = table.metadata().partition_columns
    files = live_files(table)
    if files:
        hive = ", ".join(f"'{column}': DATE" for column in partitions)
        options = f", hive_partitioning=true, hive_types={{{hive}}}" if partitions else ""
        listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
        connection.execute(f"CREATE VIEW {name} AS FROM read_parquet([{listed}], union_by_name=true{options})")
    else:
        # read_parquet refuses an empty list.
        empty = pl.DataFrame(schema=pl.scan_delta(table).collect_schema())
        connection.from_arrow(empty.to_arrow()).create(name)
    return files


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _first_line(error: duckdb.Error) -> str:
    return str(error).splitlines()[0]


def named(root: Path, name: str) -> pl.DataFrame:
    """Run one of the queries that come with Wardlake (``lake/sql/NAME.sql``)."""
    return run(root, (resources.files("lake") / "sql" / f"{name}.sql").read_text("utf-8"))
