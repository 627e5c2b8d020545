"""The process that runs one ad-hoc query over the lake, and ends.

A program. stdin has the request (JSON: ``query``, ``seconds``, ``tables``, ``views``, ``meanings``). stdout gets a line
of JSON as soon as the query is admitted or refused (``audit``: what to write down, or null), then one with the outcome
(``kind``: ``rows``, or why there are none), and after it the rows as Arrow IPC.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import duckdb
import polars as pl

from lake.query import views
from lake.query.adhoc import guard, limits, schema_copy
from lake.query.adhoc.schema_copy import DICTIONARY
from lake.query.statement_redaction import blanked
from lake.query.to_polars import to_polars
from lake.query.views import Table

Say = Callable[[Mapping[str, object]], object]

PATIENT_LEVEL: Final = "silver"
"""The schema whose rows are patients' rows: reading it leaves a row in ``ops/audit``."""
MEMORY: Final = 4_000_000_000
"""Bytes that DuckDB may use, or what it allows itself if that is less (80 % of the machine or container)."""
_DEPTH: Final = 20_000
"""Of Python's stack: a parse tree is deeper than the query."""
_BESIDE: Final = 4_000_000_000
"""Bytes of address space for the libraries, and for the rows on their way out."""
_PER_CORE: Final = 200_000_000


def main() -> None:
    """Answer the one request."""
    request = json.load(sys.stdin)
    limits.confine(request["seconds"], MEMORY + _BESIDE + _PER_CORE * (os.cpu_count() or 1))
    sys.setrecursionlimit(_DEPTH)
    rows = None
    try:
        rows = answer(request, _say)
        outcome = {"kind": "rows"}
    except guard.RefusedError as refused:
        outcome = {"kind": refused.kind, "got": refused.got}
    except MemoryError:
        outcome = {"kind": "memory", "got": "MemoryError"}
    _say(outcome)
    if rows is not None:
        rows.write_ipc(sys.stdout.buffer)
    sys.stdout.flush()
    os._exit(0)  # what the libraries would still tidy up goes with the process


def answer(request: Mapping[str, Any], say: Say) -> pl.DataFrame:
    """The rows of the query. ``say`` gets what is to be written down before a row is read.

    Raises ``guard.RefusedError`` where there are none.
    """
    query, defined = request["query"], request["views"]
    tables = [Table(**table) for table in request["tables"]]
    copy = schema_copy.empty_copy([*tables, DICTIONARY], defined)
    _bound(copy)
    schema_copy.lock(copy)
    reading = _admitted(copy, query, say)
    explained = (DICTIONARY.schema, DICTIONARY.name) in reading.tables
    dictionary = schema_copy.fill_dictionary(copy, _meanings(request["meanings"])) if explained else None
    known = [table for table in tables if (table.schema, table.name) in reading.tables]
    if not known:
        return _run(copy, query)
    return _run(opened(known, defined, dictionary), query)


def _admitted(copy: duckdb.DuckDBPyConnection, query: str, say: Say) -> guard.Reading:
    """What the query reads. It is said what to write down before anything is read, also where it may not run."""
    schemas: frozenset[str] = frozenset()
    try:
        tree = guard.parsed(copy, query)
        schemas = guard.schemas_named(tree)
        reading = guard.check(copy, tree, query)
    except guard.RefusedError as refused:
        # One that names something unknown and no patient's table has read nothing that is to be written down.
        unknown = refused.kind == "query" and PATIENT_LEVEL not in schemas
        say({"audit": None if unknown else guard.kept_of_refused(copy, query, refused.kind)})
        raise
    personal = PATIENT_LEVEL in {*schemas, *(schema for schema, _ in reading.tables)}
    say({"audit": blanked(query, copy) if personal else None})
    return reading


def opened(
    tables: Iterable[Table], defined: Mapping[str, str], dictionary: pl.DataFrame | None
) -> duckdb.DuckDBPyConnection:
    """A connection with a view per table. It can open the files of these tables and no others."""
    tables = list(tables)
    connection = duckdb.connect(":memory:", config=schema_copy.CONFIG)
    _bound(connection)
    # Each file is opened to make the view, and again to run the query.
    connection.execute("SET parquet_metadata_cache = true")
    for schema in {"gold", *(table.schema for table in tables)}:
        connection.execute(f"CREATE SCHEMA {views.identifier(schema)}")
    for table in tables:
        connection.execute(views.view(table.full_name, table.columns, table.partitions, table.files))
    schema_copy.add_views(connection, defined)
    if dictionary is not None:
        connection.from_arrow(dictionary.to_arrow()).create(DICTIONARY.full_name)
    schema_copy.lock(connection, (file for table in tables for file in table.files))
    return connection


def _bound(connection: duckdb.DuckDBPyConnection) -> None:
    [(allowed,)] = connection.execute("SELECT parse_formatted_bytes(current_setting('memory_limit'))").fetchall()
    if allowed > MEMORY:
        connection.execute(f"SET memory_limit = '{MEMORY}B'")


def _run(connection: duckdb.DuckDBPyConnection, query: str) -> pl.DataFrame:
    try:
        return to_polars(connection.sql(query))
    except duckdb.OutOfMemoryException as error:
        refused = guard.RefusedError("memory", type(error).__name__)
    except duckdb.Error as error:
        refused = guard.RefusedError("query", guard.first_line(error))
    except (pl.exceptions.PolarsError, TypeError) as error:
        refused = guard.RefusedError("query", f"a column of a kind that cannot be shown ({type(error).__name__})")
    raise refused


def _meanings(rows: Iterable[Iterable[str]]) -> pl.DataFrame:
    names = ("schema_name", "table_name", "column_name", "meaning")
    return pl.DataFrame(list(map(tuple, rows)), schema=dict.fromkeys(names, pl.String), orient="row")


def _say(said: Mapping[str, object]) -> None:
    sys.stdout.buffer.write(json.dumps(said).encode() + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
