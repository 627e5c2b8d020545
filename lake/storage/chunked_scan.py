"""Rows of a table in slices of bounded size, each row once: what looks at all history takes no more memory for it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import polars as pl

from lake.contracts.tables import Table
from lake.storage.store import Lake

PARTITION: Final = ["topic_id", "kafka_partition"]

_ROWS: Final = 100_000

Positions = Mapping[tuple[str, int], int]
"""(Topic id, partition) → an offset."""


def chunks(lake: Lake, table: Table, *, most: int = _ROWS) -> Iterator[pl.DataFrame]:
    """Rows of Silver or the quarantine in frames of at most ``most``; each of one topic, none empty.

    In the order that keeps reads short.
    """
    scan = lake.store(table).scan().select(table.polars_schema.names())
    parts = (scan.filter(within).collect() for within in _windows(scan, most))
    yield from _together((part for part in parts if not part.is_empty()), most)


def _together(parts: Iterable[pl.DataFrame], most: int) -> Iterator[pl.DataFrame]:
    """The parts' rows in fewer frames: in a quarantine few of a window's offsets have a row."""
    held: list[pl.DataFrame] = []
    for part in parts:
        if held and (sum(f.height for f in held) + part.height > most or part["topic_id"][0] != held[0]["topic_id"][0]):
            yield pl.concat(held)
            held = []
        held.append(part)
    if held:
        yield pl.concat(held)


def _windows(rows: pl.LazyFrame, offsets: int) -> Iterator[pl.Expr]:
    """Filters that between them pick each row once: so many offsets of one partition at a time.

    They follow (topic, partition, offset), which file statistics are kept for, so that each reads few files.
    """
    bounds = rows.group_by(PARTITION).agg(low=pl.col("kafka_offset").min(), high=pl.col("kafka_offset").max())
    for topic_id, partition, low, high in bounds.sort(PARTITION).collect(engine="streaming").iter_rows():
        here = (pl.col("topic_id") == topic_id) & (pl.col("kafka_partition") == partition)
        for start in range(low, high + 1, offsets):
            yield here & pl.col("kafka_offset").is_between(start, start + offsets - 1)
