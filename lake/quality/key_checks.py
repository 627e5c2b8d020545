"""Kinds about keys: each once, and none that points nowhere. Keys are taken in turns: ``lake.quality.key_chunks``."""

from collections.abc import Collection, Sequence
from typing import Annotated

import polars as pl
from pydantic import Field
from pydantic.dataclasses import dataclass

from lake.contracts.tables import BRONZE, KAFKA_COORDINATES, Table
from lake.quality.check_kinds import STRICT, TableKind, Verdict, rows_in, some_rows
from lake.quality.key_chunks import by_day, by_hash, by_offset, total
from lake.quality.source import KNOWN, Source

Columns = Annotated[tuple[str, ...], Field(min_length=1)]


@dataclass(frozen=True, config=STRICT)
class Unique(TableKind):
    """No two rows have the same key: the primary key of the table's contract."""

    expected = "no key twice"

    def observe(self, source: Source, table: Table) -> Verdict:
        """Counts the keys that stand twice."""
        rows, key = source.rows(table), table.schema.primary_key()
        return _each_once(rows, key, by_hash(key, rows_in(rows)))


@dataclass(frozen=True, config=STRICT)
class DedupKey(TableKind):
    """No two events have the same deduplication key.

    The key holds the event time, so that exact duplicates stand in one partition: only partitions that the part in view
    touches are read.
    """

    expected = "no deduplication key twice"

    def observe(self, source: Source, table: Table) -> Verdict:
        """Counts the keys that stand twice."""
        rows = source.whole(table)
        if source.part != "all":
            touched = source.rows(table).select(pl.col(table.partition).unique()).collect(engine="streaming")
            rows = rows.filter(pl.col(table.partition).is_in(touched.to_series().implode()))
        return _each_once(rows, source.dedup_key, by_day(rows, table.partition))


@dataclass(frozen=True, config=STRICT)
class References(TableKind):
    """The key of every row stands in one of the tables that it points to."""

    key: Columns
    to: Columns

    @property
    def expected(self) -> str:
        """Where the keys have to be."""
        return "every key in " + " or ".join(self.to)

    def columns(self) -> Collection[str]:
        """The key."""
        return self.key

    def others(self) -> Collection[str]:
        """The tables pointed to."""
        return self.to

    def observe(self, source: Source, table: Table) -> Verdict:
        """Counts the rows whose key is nowhere."""
        key = list(self.key)
        rows = source.rows(table).select(key)
        known = pl.concat([source.rows(KNOWN[name]).select(key) for name in self.to])

        def orphans(turn: pl.Expr) -> pl.LazyFrame:
            return rows.filter(turn).join(known.filter(turn), on=key, how="anti").select(pl.len())

        count = rows_in(rows)
        some_rows(count)
        found = total(by_hash(key, rows_in(known)) or [pl.lit(value=True)], orphans)
        return Verdict(f"{count:,} rows: {found:,} point nowhere", found == 0)


@dataclass(frozen=True, config=STRICT)
class HasMessage(TableKind):
    """Every row's offset is within one of Bronze's record batches. ``verify`` opens them and looks inside."""

    expected = f"every message in {BRONZE.name}"

    def columns(self) -> Collection[str]:
        """The message's place."""
        return KAFKA_COORDINATES

    def others(self) -> Collection[str]:
        """Bronze."""
        return (BRONZE.name,)

    def observe(self, source: Source, table: Table) -> Verdict:
        """Counts the rows whose offset is in none."""
        partition, (_, _, offset) = list(KAFKA_COORDINATES[:2]), KAFKA_COORDINATES
        rows = source.rows(table).select(KAFKA_COORDINATES)
        batches = source.whole(BRONZE).select(*partition, "first_offset", "last_offset").sort("first_offset")

        def orphans(turn: pl.Expr) -> pl.LazyFrame:
            held = (
                rows.filter(turn)
                .sort(offset)
                .join_asof(
                    batches,
                    left_on=offset,
                    right_on="first_offset",
                    by=partition,
                    strategy="backward",
                    check_sortedness=False,
                )
            )
            return held.filter((pl.col(offset) <= pl.col("last_offset")).fill_null(value=False).not_()).select(pl.len())

        count = rows_in(rows)
        some_rows(count)
        found = total(by_offset(rows, offset, count), orphans)
        return Verdict(f"{count:,} rows: {found:,} point nowhere", found == 0)


def _each_once(rows: pl.LazyFrame, key: Sequence[str], turns: Sequence[pl.Expr]) -> Verdict:
    def repeated(turn: pl.Expr) -> pl.LazyFrame:
        return rows.filter(turn).group_by(key).len().select((pl.col("len") > 1).sum())

    count = rows_in(rows)
    some_rows(count)
    found = total(turns, repeated)
    return Verdict(f"{count:,} rows: {found:,} keys more than once", found == 0)
