"""Events → visits and stays: a visit as its events tell it now, whatever order they came in.

The rules are in ``sql/standing.sql`` (what a cancel takes back), ``histories.sql``, ``stays.sql``, ``visits.sql`` and
``incomplete.sql``. A visit id of which no admission stands, or whose history cannot be, is flagged and kept apart:
nothing is guessed.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import duckdb
import polars as pl

from lake.contracts.tables import INCOMPLETE, STAYS, VISITS, Table
from lake.gold import duckdb_session
from lake.gold.tables import sql

FOLDED: Final[tuple[Table, ...]] = (VISITS, STAYS, INCOMPLETE)
_STEPS: Final = ("standing", "histories", "stays", "visits", "incomplete")
_PART_EVENTS: Final = 1_500_000
_COLUMNS: Final = (
    *("visit_key", "patient_key", "message_id", "event_type", "event_time", "facility", "department", "ward", "bed"),
    *("doctor_id", "diagnosis_code", "diagnosis", "severity", "treatment", "disposition", "sex", "birth_year"),
)


class Folded(NamedTuple):
    """``visits``, ``stays`` and ``incomplete``, as their contracts in ``lake.contracts.tables`` say."""

    visits: pl.DataFrame
    stays: pl.DataFrame
    incomplete: pl.DataFrame


def fold(events: pl.DataFrame, stale_days: int) -> Folded:
    """Fold Silver events into visits, stays and incomplete visits; pure, and blind to the order of the rows."""
    latest = max(events["event_time"].to_list(), default=None)
    with duckdb_session.connect("UTC") as connection:
        duckdb_session.view(connection, "events", events)
        set_clock(connection, latest, stale_days)
        run(connection)
        return Folded(*(duckdb_session.frame(connection, f"FROM {name_of(table)}", table) for table in FOLDED))


def set_clock(connection: duckdb.DuckDBPyConnection, data_end: datetime | None, stale_days: int) -> None:
    """Make the macro ``is_stale``: whether a visit is open and had no event in the ``stale_days`` before ``data_end``.

    The clock is that of the data, the latest event: so a visit's flag depends on what is in Silver, not on when Gold is
    built. A visit turns stale without an event of its own; ``sql/refresh/stale.sql`` finds those.
    """
    since = "NULL" if data_end is None else f"'{(data_end - timedelta(days=stale_days)).isoformat()}'"
    connection.execute(
        "CREATE OR REPLACE TEMP MACRO is_stale(discharged_at, last_event_at) AS "
        f"discharged_at IS NULL AND last_event_at <= {since}::TIMESTAMPTZ"
    )


def run(connection: duckdb.DuckDBPyConnection) -> None:
    """From ``events`` make the tables ``visits``, ``stays`` and ``incomplete``; the connection has its clock set."""
    for step in _STEPS:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {step} AS {sql(step)}")
    connection.execute("DROP TABLE standing; DROP TABLE histories")


def in_parts(connection: duckdb.DuckDBPyConnection, silver: pl.LazyFrame, events: int, folder: Path) -> Iterator[None]:
    """``run`` in parts of whole visits: each time this yields, the tables hold another part's.

    ``silver``: the rows of the view ``events``, of which there are ``events`` at most. Memory is that of one part, and
    cost grows with the events: what is folded is written to ``folder`` by parts first (by Polars: 1.1 µs of CPU an
    event, where DuckDB's partitioned COPY takes 4.4).
    """
    parts = -(-events // _PART_EVENTS)
    if parts <= 1:
        run(connection)
        yield
        return
    parted = silver.select(*_COLUMNS, part=pl.col("visit_key").hash() % parts)
    parted.sink_parquet(pl.PartitionBy(folder, key="part", include_key=False), mkdir=True, compression="lz4")
    for part in sorted(folder.iterdir()):
        files = ", ".join("'" + str(file).replace("'", "''") + "'" for file in part.iterdir())
        connection.execute(f"CREATE OR REPLACE TEMP VIEW events AS FROM read_parquet([{files}])")
        run(connection)
        yield


def name_of(table: Table) -> str:
    """The table's own name, without its folder."""
    return table.name.rpartition("/")[2]
