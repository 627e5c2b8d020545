"""Visits and stays → the KPI tables, by the SQL files of ``lake/gold/sql``, for the months that are asked for.

The same SQL serves a full build (all months) and a refresh (the months touched): a month's rows depend on nothing but
visits, stays, staffed beds and the bounds of the data, so both give the same rows, bit for bit. Sums of time are sums
of whole microseconds, which no order of rows can change.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

import duckdb
import polars as pl

from lake.contracts.tables import STAYS, UTC, VISITS, Table
from lake.gold import duckdb_session
from lake.gold.fold import name_of
from lake.gold.tables import KPIS, sql

_PREPARED: Final = ("local_visits", "local_stays", "index_discharges")

STAFFED_BEDS: Final = pl.Schema(
    {"facility": pl.String, "department": pl.String, "staffed_beds": pl.Int64, "valid_from": pl.Date}
)


def kpis(
    visits: pl.DataFrame,
    stays: pl.DataFrame,
    staffed_beds: pl.DataFrame | None,
    timezone: str,
    data_start: datetime | None,
    data_end: datetime | None,
    stale_days: int,
) -> dict[str, pl.DataFrame]:
    """Every KPI table over all months, by table name; pure.

    ``visits`` and ``stays`` as their contracts say, ``staffed_beds`` as ``STAFFED_BEDS``, the bounds of the data in
    UTC (the earliest admission, the latest event). An open visit leaves the census ``stale_days`` after its last event.
    """
    with duckdb_session.connect(timezone) as connection:
        duckdb_session.view(connection, name_of(VISITS), visits.select(VISITS.polars_schema.names()))
        duckdb_session.view(connection, name_of(STAYS), stays.select(STAYS.polars_schema.names()))
        prepare(connection, staffed_beds, data_start, data_end, stale_days)
        all_months(connection)
        return {table.name: rows for table, rows in tables(connection)}


def prepare(
    connection: duckdb.DuckDBPyConnection,
    staffed_beds: pl.DataFrame | None,
    data_start: datetime | None,
    data_end: datetime | None,
    stale_days: int,
) -> None:
    """Put the reference table, the bounds of the data and the days until a visit is stale into the connection."""
    beds = pl.DataFrame(schema=STAFFED_BEDS) if staffed_beds is None else staffed_beds
    duckdb_session.view(connection, "staffed_beds", beds)
    bounds = {"data_start": [data_start], "data_end": [data_end], "stale_days": [stale_days]}
    schema = pl.Schema({"data_start": UTC, "data_end": UTC, "stale_days": pl.Int64()})
    duckdb_session.view(connection, "bounds", pl.DataFrame(bounds, schema=schema))


def all_months(connection: duckdb.DuckDBPyConnection) -> None:
    """Make ``months`` every local month between the bounds of the data."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE months AS SELECT unnest(range(date_trunc('month', data_start::DATE), "
        "data_end::DATE + 1, INTERVAL 1 MONTH))::DATE AS month FROM bounds WHERE data_start IS NOT NULL"
    )


def tables(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[Table, pl.DataFrame]]:
    """Each KPI table's rows of the months in ``months``, from ``visits``, ``stays`` and what ``prepare`` put there."""
    for name in _PREPARED:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {sql(name)}")
    for table in KPIS:
        yield table, duckdb_session.frame(connection, sql(name_of(table)), table)
