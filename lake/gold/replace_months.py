"""Rewriting months of a derived table in one Delta commit."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

import duckdb
import polars as pl
from deltalake import CommitProperties, write_deltalake

from lake.contracts.tables import Table
from lake.storage.parquet import WRITER
from lake.storage.store import DeltaStore

_SQL_TYPES: Final[dict[pl.DataType, str]] = {
    pl.String(): "VARCHAR",
    pl.Int32(): "INTEGER",
    pl.Int64(): "BIGINT",
    pl.Float64(): "DOUBLE",
    pl.Boolean(): "BOOLEAN",
    pl.Date(): "DATE",
    pl.Datetime("us", "UTC"): "TIMESTAMPTZ",
    pl.List(pl.String()): "VARCHAR[]",
}


def columns(table: Table) -> str:
    """The table's columns as a select list, each of the type that the contract gives it."""
    return ", ".join(f'"{name}"::{_SQL_TYPES[dtype]} AS "{name}"' for name, dtype in table.polars_schema.items())


def months(
    store: DeltaStore,
    rows: pl.DataFrame | duckdb.DuckDBPyRelation,
    which: Sequence[date] | None,
    metadata: Mapping[str, str],
) -> None:
    """Make ``rows`` all that the table holds of these months, or, with None, all that it holds.

    One commit: readers see the old rows or the new ones. ``rows`` lie in these months; ``metadata`` goes into the
    commit.
    """
    if which is not None and not which:
        return
    store.about_to_replace(which)
    predicate = None if which is None else f"{store.table.partition} IN ({listed(which)})"
    write_deltalake(
        store.handle,
        rows,
        mode="overwrite",
        predicate=predicate,
        writer_properties=WRITER,
        commit_properties=CommitProperties(custom_metadata=dict(metadata)),
    )


def add(store: DeltaStore, rows: duckdb.DuckDBPyRelation, metadata: Mapping[str, str]) -> None:
    """Append ``rows``, in one commit."""
    write_deltalake(
        store.handle,
        rows,
        mode="append",
        writer_properties=WRITER,
        commit_properties=CommitProperties(custom_metadata=dict(metadata)),
    )


def listed(days: Sequence[date]) -> str:
    """Days as SQL literals with commas between."""
    return ", ".join(f"'{day}'" for day in days)


def take_back(store: DeltaStore, version: int) -> None:
    """Make the table what it was at ``version``, if a build that was cut short left it otherwise.

    Raises what delta-rs raises where files of that version are gone.
    """
    store.refresh()
    if store.handle.version() != version:
        store.handle.restore(version)
        store.refresh()
