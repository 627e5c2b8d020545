"""SQL over the lake: DuckDB in memory, views on Delta snapshots, read-only and sandboxed.

What a build of Gold makes (``silver.visits``, ``stays`` and ``incomplete``, and ``gold.*``) is shown as of the last
published build, so nobody sees a build half done; the other tables as they are now. Bronze and the quarantine are not
among the views.

No extension is loaded and none is needed: the snapshot's own file list goes to ``read_parquet``. Once the views stand,
DuckDB may read the files of these snapshots and no others, its settings are locked, and only a single SELECT (or what
DuckDB treats as one: FROM, VALUES, SUMMARIZE, DESCRIBE, SHOW) is run: a query can neither write nor read another file.
"""

from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Final

import duckdb
import polars as pl
from deltalake import DeltaTable

from lake import audit
from lake.errors import LakeError, UsageError
from lake.framed import framed
from lake.gold import published
from lake.gold.fold import FOLDED
from lake.gold.published import Published
from lake.gold.tables import GOLD, VIEWS, sql
from lake.store import live_files

SCHEMAS: Final = ("silver", "gold", "ops")
PATIENT_LEVEL: Final = "silver"
"""The schema whose rows are patients' rows: reading it leaves a row in ``ops/audit``."""

_BUILT: Final = frozenset(table.name for table in (*FOLDED, *GOLD))
_ALLOWED: Final = "SELECT"
_NO_EXTENSIONS: Final[dict[str, str | bool | int | float | list[str]]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
_TRIES: Final = 5
_BEFORE_ANY_ROW: Final = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException)
"""Errors that DuckDB finds before it reads a row: their text quotes the query, never a value."""


def connect(root: Path, build: Published | None = None) -> duckdb.DuckDBPyConnection:
    """A sandboxed connection with a view per table of ``silver``, ``gold`` and ``ops``, and the Gold views.

    Each shows the snapshot of now, or that of ``build`` (the last published one if None) where a build makes it. Close
    it when done. Raises ``LakeError`` where a published table cannot be read.
    """
    connection = duckdb.connect(":memory:", config=_NO_EXTENSIONS)
    files: list[str] = []
    for schema, snapshots in _snapshots(root, build).items():
        connection.execute(f"CREATE SCHEMA {schema}")
        for name, table in snapshots.items():
            files += _create_view(connection, f"{schema}.{_identifier(name)}", table)
    for name in VIEWS:
        with suppress(duckdb.CatalogException):  # not before there is Gold
            connection.execute(f"CREATE VIEW gold.{name} AS {sql(name)}")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET temp_directory = ''")  # nothing is spilled to disk
    connection.execute("SET allowed_paths = ?", [files])
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _snapshots(root: Path, asked: Published | None) -> dict[str, dict[str, DeltaTable]]:
    """Schema → name → table, at the version to be read."""
    build = asked or published.last(root)
    for left in reversed(range(_TRIES)):
        try:
            return {schema: _tables(root, schema, build) for schema in SCHEMAS}
        except Exception as error:
            # A build was published in between, or a log was tidied, between our listing and our reading of it.
            before, build, reason = build, published.last(root), type(error).__name__
            if build == before and left < _TRIES - 1:
                break
    raise LakeError(
        "the tables of the lake cannot be read",
        got=f"{reason} in build {build.build_id}" if build else reason,
        expected="every table at its published version",
        next_move="run 'wardlake flow gold', or restore the lake from a backup",
    )


def _tables(root: Path, schema: str, build: Published | None) -> dict[str, DeltaTable]:
    paths = (log.parent for log in sorted((root / schema).glob("*/_delta_log")))
    names = {path: f"{schema}/{path.name}" for path in paths}
    # The first build may be under way: until it is published, what it writes is not there yet.
    there = {path: name for path, name in names.items() if build or name not in _BUILT}
    return {path.name: DeltaTable(path, version=published.version(build, name)) for path, name in there.items()}


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
        return framed(connection.sql(text))
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


def run_audited(root: Path, text: str) -> pl.DataFrame:
    """``run``, for a person: what reads a patient-level table is in ``ops/audit`` before its rows are given out.

    Raises as ``query`` does, and ``LakeError`` where the access cannot be written down.
    """
    connection = connect(root)
    try:
        personal = reads_patients(connection, text)
        try:
            rows = query(connection, text)
        except UsageError:
            if personal:
                audit.append(root, "sql", audit.blanked(text))
            raise
        if personal:
            audit.append(root, "sql", audit.blanked(text), rows.height)
        return rows
    finally:
        connection.close()


def reads_patients(connection: duckdb.DuckDBPyConnection, text: str) -> bool:
    """Whether a query names a patient-level table, in whatever way; True also where that cannot be told.

    DuckDB looks through views to the files beneath. So it is asked on a catalogue of empty tables, which can open no
    file: what it cannot make out there (a file by its path, a query put together while it runs) counts as personal.
    """
    columns = connection.sql("SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns()").pl()
    with duckdb.connect(":memory:", config=_NO_EXTENSIONS | {"enable_external_access": "false"}) as names:
        for schema in SCHEMAS:
            names.execute(f"CREATE SCHEMA {schema}")
        for (schema, table), of in columns.filter(pl.col("schema_name").is_in(SCHEMAS)).group_by(
            "schema_name", "table_name"
        ):
            listed = ", ".join(f"{_identifier(c)} {t}" for c, t in of.select("column_name", "data_type").iter_rows())
            names.execute(f"CREATE TABLE {schema}.{_identifier(str(table))} ({listed})")
        try:
            found = names.get_table_names(text, qualified=True)
        except duckdb.Error:
            return True
    return any(PATIENT_LEVEL in _parts(name) for name in found)


def _parts(name: str) -> list[str]:
    """A name as DuckDB tells it (``memory.silver.events AS e``), in its parts."""
    return name.split(" AS ")[0].lower().replace('"', "").split(".")


def _create_view(connection: duckdb.DuckDBPyConnection, name: str, table: DeltaTable) -> list[str]:
    """Make a view over a snapshot's files; returns them."""
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


def named(root: Path, name: str) -> pl.DataFrame:
    """Run one of the queries that come with Wardlake (``lake/sql/NAME.sql``)."""
    return run(root, (resources.files("lake") / "sql" / f"{name}.sql").read_text("utf-8"))
