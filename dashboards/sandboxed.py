"""What runs inside ``dashboards.sandbox``: one query in a process of its own, which knows nothing and may nothing.

A program, not a module: stdin has the request (JSON: ``file``, ``text``, ``rows``, ``seconds``), stdout gets a line of
JSON (``kind``: ``rows``, or why there are none) and after it the rows as Arrow IPC.
"""

import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final

import duckdb
import polars as pl

from lake.framed import framed

DUCKDB_MEMORY: Final = "256MB"
PROCESS_BYTES: Final = 1_500_000_000
"""Of address space; the libraries take a third of it before they do anything."""
RESULT_BYTES: Final = 20_000_000

_CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "allow_persistent_secrets": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "enable_external_access": "false",
    "memory_limit": DUCKDB_MEMORY,
    "temp_directory": "",  # nothing is spilled to disk
    "threads": 1,  # the pages beside it stay quick
}
_BEFORE_ANY_ROW: Final = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException)
"""Errors that DuckDB finds before it reads a row: their text quotes the query, never a value."""


def confine(seconds: float) -> None:
    """Bound this process in memory and time, whatever becomes of who started it, and let others go first."""
    if sys.platform == "win32":
        return
    signal.setitimer(signal.ITIMER_REAL, seconds + 1)  # its default action ends the process
    os.nice(5)
    if sys.platform == "linux":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        bytes_ = PROCESS_BYTES if hard == resource.RLIM_INFINITY else min(PROCESS_BYTES, hard)
        resource.setrlimit(resource.RLIMIT_AS, (bytes_, bytes_))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        # Where memory runs out all the same, this process goes, not the pages.
        with contextlib.suppress(OSError):  # not every container lets it
            Path("/proc/self/oom_score_adj").write_text("1000")


def opened(file: str) -> duckdb.DuckDBPyConnection:
    """The file, read-only; after this no other file can be opened, nor this one anew."""
    connection = duckdb.connect(file, read_only=True, config=_CONFIG)
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET python_enable_replacements = false")
    connection.execute("SET disabled_filesystems = 'LocalFileSystem'")
    connection.execute("SET lock_configuration = true")
    return connection


def answer(connection: duckdb.DuckDBPyConnection, text: str, rows: int) -> tuple[dict[str, Any], pl.DataFrame | None]:
    """What there is to say about a query, and its first ``rows`` rows."""
    try:
        kinds = [statement.type.name for statement in connection.extract_statements(text)]
        if kinds != ["SELECT"]:
            return {"kind": "statement", "got": ", ".join(kinds) or "nothing"}, None
        found = plain(framed(connection.sql(text).limit(rows + 1)))
    except _BEFORE_ANY_ROW as error:
        return {"kind": "query", "got": str(error).splitlines()[0]}, None
    except duckdb.OutOfMemoryException:
        return {"kind": "memory"}, None
    except (duckdb.PermissionException, duckdb.IOException):
        return {"kind": "file"}, None
    except duckdb.Error as error:  # its text may quote a value that it stumbled over
        return {"kind": "query", "got": type(error).__name__}, None
    except (pl.exceptions.PolarsError, TypeError):  # a type that ``framed`` does not know yet
        return {"kind": "column"}, None
    if found.estimated_size() > RESULT_BYTES:
        return {"kind": "size"}, None
    return {"kind": "rows", "cut": found.height > rows}, found.head(rows)


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
    confine(request["seconds"])
    said: dict[str, Any]
    try:
        said, rows = answer(opened(request["file"]), request["text"], request["rows"])
    except MemoryError:
        said, rows = {"kind": "memory"}, None
    except duckdb.Error:  # the file is gone: three builds have passed since the page was drawn
        said, rows = {"kind": "gone"}, None
    sys.stdout.buffer.write(json.dumps(said).encode() + b"\n")
    if rows is not None:
        rows.write_ipc(sys.stdout.buffer)
    sys.stdout.flush()
    os._exit(0)  # what the libraries would still tidy up goes with the process


if __name__ == "__main__":
    main()
