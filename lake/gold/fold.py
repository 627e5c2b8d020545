"""Events → visits and stays: a visit as its events tell it now, whatever order they came in.

The rules are in ``sql/standing.sql`` (what a cancel takes back), ``histories.sql``, ``stays.sql``, ``visits.sql`` and
``incomplete.sql``. A visit id of which no admission stands, or whose history cannot be, is flagged and kept apart:
nothing is guessed.
"""

from typing import Final, NamedTuple

import duckdb
import polars as pl

from lake.gold import duck
from lake.gold.tables import sql
from lake.tables import INCOMPLETE, STAYS, VISITS, Table

FOLDED: Final[tuple[Table, ...]] = (VISITS, STAYS, INCOMPLETE)
_STEPS: Final = ("standing", "histories", "stays", "visits", "incomplete")


class Folded(NamedTuple):
    """``visits``, ``stays`` and ``incomplete``, as their contracts in ``lake.tables`` say."""

    visits: pl.DataFrame
    stays: pl.DataFrame
    incomplete: pl.DataFrame


def fold(events: pl.DataFrame) -> Folded:
    """Fold Silver events into visits, stays and incomplete visits; pure, and blind to the order of the rows."""
    with duck.connect("UTC") as connection:
        duck.view(connection, "events", events)
        run(connection)
        return Folded(*(duck.frame(connection, f"FROM {name_of(table)}", table) for table in FOLDED))


def run(connection: duckdb.DuckDBPyConnection) -> None:
    """From ``events`` make the tables ``visits``, ``stays`` and ``incomplete`` in the connection."""
    for step in _STEPS:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {step} AS {sql(step)}")
    connection.execute("DROP TABLE standing; DROP TABLE histories")


def name_of(table: Table) -> str:
    """The table's own name, without its folder."""
    return table.name.rpartition("/")[2]
