"""Runs one query in an isolated subprocess of ``dashboards.screens.sql.sandbox``.

A program, not a module: stdin has the request (JSON: ``file``, ``text``, ``rows``, ``seconds``). stdout gets a line of
JSON with what to write down in the audit (``audit``), then one with the outcome (``kind``: ``rows``, or why there are
none), and after it the rows as Arrow IPC.
"""

import json
import os
import sys
from collections.abc import Callable
from typing import Any, Final

import duckdb
import polars as pl

from lake.query.adhoc import guard, limits, schema_copy
from lake.query.statement_redaction import blanked
from lake.query.to_polars import to_polars
from lake.query.views import Table

Note = Callable[[str], object]

DUCKDB_MEMORY: Final = "256MB"
PROCESS_BYTES: Final = 2_000_000_000
"""Of address space; the libraries and two DuckDB instances take half of it before they do anything."""
RESULT_BYTES: Final = 20_000_000

_NICE: Final = 5
_CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "allow_persistent_secrets": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "enable_external_access": "false",
    "memory_limit": DUCKDB_MEMORY,
    "temp_directory": "",  # nothing is spilled to disk
    "threads": 1,  # the pages beside it stay quick
}
_COLUMNS: Final = """
SELECT schema_name, table_name, list(column_name ORDER BY column_index), list(data_type ORDER BY column_index)
FROM duckdb_columns() WHERE NOT internal GROUP BY ALL ORDER BY ALL"""


def opened(file: str) -> duckdb.DuckDBPyConnection:
    """The file, read-only; after this no other file can be opened, nor this one anew."""
    connection = duckdb.connect(file, read_only=True, config=_CONFIG)
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET python_enable_replacements = false")
    connection.execute("SET disabled_filesystems = 'LocalFileSystem'")
    connection.execute("SET lock_configuration = true")
    return connection


def copied(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """An empty copy of the file's tables and views, in which a query is checked: it knows no path. Close it."""
    found = connection.execute(_COLUMNS).fetchall()
    tables = [Table(schema, name, dict(zip(columns, kinds, strict=True))) for schema, name, columns, kinds in found]
    copy = schema_copy.empty_copy(tables, {})
    copy.execute(f"SET memory_limit = '{DUCKDB_MEMORY}'; SET threads = 1")
    schema_copy.lock(copy)
    return copy


def answer(
    connection: duckdb.DuckDBPyConnection, text: str, rows: int, note: Note = lambda _: None
) -> tuple[dict[str, Any], pl.DataFrame | None]:
    """What there is to say about a query, and its first ``rows`` rows.

    What reads no table (``SHOW``, DuckDB's catalogue) is answered from an empty copy of the tables. ``note`` gets the
    query without its constants, before a row is read.
    """
    with copied(connection) as copy:
        try:
            reading = _admitted(copy, text, note)
            found = plain(to_polars((connection if reading.tables else copy).sql(text).limit(rows + 1)))
        except guard.RefusedError as refused:
            return {"kind": "query" if refused.kind == "syntax" else refused.kind, "got": refused.got}, None
        except duckdb.OutOfMemoryException:
            return {"kind": "memory"}, None
        except (duckdb.PermissionException, duckdb.IOException):
            return {"kind": "file"}, None
        except duckdb.Error as error:  # its text may quote a value that it stumbled over
            return {"kind": "query", "got": guard.first_line(error)}, None
        except (pl.exceptions.PolarsError, TypeError):  # a type that ``framed`` does not know yet
            return {"kind": "column"}, None
    if found.estimated_size() > RESULT_BYTES:
        return {"kind": "size"}, None
    return {"kind": "rows", "cut": found.height > rows}, found.head(rows)


def _admitted(copy: duckdb.DuckDBPyConnection, text: str, note: Note) -> guard.Reading:
    """What the query reads; it is noted, also where it may not run."""
    try:
        reading = guard.check(copy, guard.parsed(copy, text), text)
    except guard.RefusedError as refused:
        note(guard.kept_of_refused(copy, text, refused.kind))
        raise
    note(blanked(text, copy))
    return reading


def plain(rows: pl.DataFrame) -> pl.DataFrame:
    """Columns that a table and CSV can show: sums as whole numbers, nested values and bytes as text."""
    return rows.with_columns(_plain(column) for column in rows)


def _plain(column: pl.Series) -> pl.Series:
    if isinstance(column.dtype, pl.Decimal) and column.dtype.scale == 0:  # as DuckDB sums whole numbers
        whole = column.cast(pl.Int64, strict=False)
        return whole if whole.null_count() == column.null_count() else column
    if column.dtype == pl.Binary:
        return column.bin.encode("hex")
    if column.dtype.is_nested():
        texts = [None if value is None else json.dumps(value, default=str) for value in column.to_list()]
        return pl.Series(column.name, texts, pl.String)
    return column


def main() -> None:
    """Answer the one request."""
    request = json.load(sys.stdin)
    limits.confine(request["seconds"] + 1, PROCESS_BYTES, _NICE)
    said: dict[str, Any]
    try:
        said, rows = answer(
            opened(request["file"]), request["text"], request["rows"], lambda kept: _say({"audit": kept})
        )
    except MemoryError:
        said, rows = {"kind": "memory"}, None
    except duckdb.Error:  # the file is gone: three builds have passed since the page was drawn
        said, rows = {"kind": "gone"}, None
    _say(said)
    if rows is not None:
        rows.write_ipc(sys.stdout.buffer)
    sys.stdout.flush()
    os._exit(0)  # what the libraries would still tidy up goes with the process


def _say(said: dict[str, Any]) -> None:
    sys.stdout.buffer.write(json.dumps(said).encode() + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
