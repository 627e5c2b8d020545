"""The oracle's answers as frames of the contracts, and a comparison that tells no value."""

from collections.abc import Iterable

import polars as pl

from lake.contracts.tables import INCOMPLETE, STAYS, VISITS, Table
from lake.gold.tables import KPIS
from tests.support.oracle import kpis as naive
from tests.support.oracle.visits import Folded, Row, fold

FOLDED = (VISITS, STAYS, INCOMPLETE)


def expected_lake(silver: pl.DataFrame, stale_days: int) -> dict[str, pl.DataFrame]:
    """``silver/visits``, ``silver/stays`` and ``silver/incomplete`` of these Silver rows, typed and sorted."""
    folded = fold(silver.iter_rows(named=True), stale_days)
    return {table.name: to_polars(table, rows) for table, rows in zip(FOLDED, rows_of(folded), strict=True)}


def rows_of(folded: Folded) -> tuple[list[Row], list[Row], list[Row]]:
    return folded.visits, folded.stays, folded.incomplete


def expected_gold(
    silver: pl.DataFrame, timezone: str, staffed: pl.DataFrame | None, stale_days: int
) -> dict[str, pl.DataFrame]:
    """The KPI tables of these Silver rows, typed and sorted by their keys; ``gold/compliance`` is not among them.

    ``silver`` has the columns of ``silver/events`` that visits are folded from, in any order; ``staffed`` is facility,
    department, staffed_beds, valid_from (a date), or None.
    """
    folded = fold(silver.iter_rows(named=True), stale_days)
    if silver.is_empty():
        return {table.name: table.empty() for table in KPIS}
    beds = [] if staffed is None else staffed.to_dicts()
    data_end = max(silver["event_time"].to_list())
    hospital = naive.Hospital(folded.visits, folded.stays, timezone, data_end, stale_days, beds)
    rows = naive.kpis(hospital)
    return {table.name: to_polars(table, rows[table.name]) for table in KPIS}


def to_polars(table: Table, rows: Iterable[Row]) -> pl.DataFrame:
    """Rows as a frame of the table's contract, which it keeps to."""
    return ordered(table.schema.validate(pl.DataFrame(list(rows), schema=table.polars_schema)))


def ordered(frame: pl.DataFrame) -> pl.DataFrame:
    """Sorted by all columns that have an order, from the left."""
    return frame.sort([name for name, dtype in frame.schema.items() if not dtype.is_nested()], nulls_last=True)


def differences(table: str, ours: pl.DataFrame, expected: pl.DataFrame) -> list[str]:
    """What is different, in names and counts only; rows may come in any order, floats are equal to the bit."""
    if dict(ours.schema) != dict(expected.schema):
        names = {name for name, _ in set(ours.schema.items()) ^ set(expected.schema.items())}
        return [f"{table}: other columns or types: {sorted(names)}"]
    if ours.height != expected.height:
        return [f"{table}: {ours.height} rows, expected {expected.height}"]
    ours, expected = ordered(ours.select(expected.columns)), ordered(expected)
    pairs = {name: zip(ours[name].to_list(), expected[name].to_list(), strict=True) for name in expected.columns}
    unequal = {name: sum(one != other for one, other in values) for name, values in pairs.items()}
    return [f"{table}.{name}: {n} of {expected.height} rows differ" for name, n in unequal.items() if n]
