"""The private DuckDB that Gold is computed in: bounded memory, spilling to the lake's own folder.

What is spilled are columns that Silver has on disk as well: pseudonyms, times, places and codes. (DuckDB can encrypt
such files only with an extension that would have to be downloaded.)
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, cast

import duckdb
import polars as pl

from lake.contracts.tables import Table

_MEMORY: Final = "1GB"
SPILL: Final = ".gold.spill"


@contextmanager
def connect(timezone: str, root: Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection whose days, months and hours are those of ``timezone``.

    With a lake's ``root`` its memory is bounded and what does not fit goes to files under ``root/.gold.spill``, gone
    afterwards; without, nothing is written.
    """
    spill = None if root is None else root / SPILL
    connection = duckdb.connect(":memory:")
    try:
        connection.execute("SET TimeZone = ?", [timezone])
        connection.execute("SET preserve_insertion_order = false")
        if spill is None:
            connection.execute("SET temp_directory = ''")
        else:
            shutil.rmtree(spill, ignore_errors=True)
            spill.mkdir(mode=0o700)
            connection.execute("SET temp_directory = ?", [str(spill)])
            connection.execute(f"SET memory_limit = '{_MEMORY}'")
        yield connection
    finally:
        connection.close()
        if spill is not None:
            shutil.rmtree(spill, ignore_errors=True)


def view(connection: duckdb.DuckDBPyConnection, name: str, rows: pl.DataFrame) -> None:
    """Make ``rows`` a table called ``name``; a frame without a row keeps its types."""
    connection.from_arrow(rows.to_arrow()).create(name)


def files(connection: duckdb.DuckDBPyConnection, name: str, table: Table, paths: list[str]) -> None:
    """Make a view called ``name`` over a table's files, which may be none."""
    connection.execute(f"DROP VIEW IF EXISTS {name}")
    if not paths:  # read_parquet refuses an empty list
        connection.register(name, table.empty().to_arrow())
        return
    columns = ", ".join(f'"{column}"' for column in table.polars_schema)
    listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
    connection.execute(
        f"CREATE TEMP VIEW {name} AS SELECT {columns} FROM read_parquet([{listed}], union_by_name = true, "  # noqa: S608
        f"hive_partitioning = true, hive_types = {{'{table.partition}': DATE}})"
    )


def frame(connection: duckdb.DuckDBPyConnection, query: str, table: Table) -> pl.DataFrame:
    """The rows of a query, as the table's contract has them: its columns, in order, of its types."""
    rows = cast("pl.DataFrame", connection.sql(query).pl())
    return rows.select(table.polars_schema.names()).cast(table.polars_schema)
