"""Rows of a table in slices of bounded size, each row once: what looks at all history takes no more memory for it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import polars as pl

from lake.contracts.tables import BRONZE, INGEST, KAFKA_COORDINATES, QUARANTINE, Table
from lake.storage.store import Lake

PARTITION: Final = ["topic_id", "kafka_partition"]

_ROWS: Final = 100_000
# Of messages of 6 kB ``replay`` takes 0.8 GB with it and ``verify`` 0.6.
_BYTES: Final = 32 * 1024 * 1024

Positions = Mapping[tuple[str, int], int]
"""(Topic id, partition) → an offset."""


def chunks(
    lake: Lake,
    table: Table,
    *,
    most: int = _ROWS,
    above: Positions | None = None,
    where: pl.Expr | None = None,
) -> Iterator[pl.DataFrame]:
    """The table's rows in frames of at most ``most``, and of some 32 MiB of messages; each of one topic, none empty.

    In the order that keeps reads short. ``ops/ingest`` is small, and comes as one frame, which may be empty. With
    ``above`` only rows with a higher offset than that, with ``where`` only those that it holds for.
    """
    scan = lake.store(table).scan().select(table.polars_schema.names())
    scan = scan if where is None else scan.filter(where)
    if table is INGEST:
        yield scan.collect()
        return
    most = at_once(lake, table, most)
    parts = (scan.filter(within).collect() for within in windows([scan], most, above))
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


def at_once(lake: Lake, table: Table, most: int) -> int:
    """How many rows of a table to hold at a time: ``most``, or as many as make 32 MiB of messages.

    By the average size of the table's messages: where they differ much, a slice may be larger. For Silver by those of
    Bronze, which are opened beside it.
    """
    files = lake.store(QUARANTINE if table is QUARANTINE else BRONZE).files()
    if files.is_empty():
        return most
    held, rows = files.select("size_bytes", "num_records").sum().row(0)
    return max(1, min(most, int(_BYTES * rows // max(held, 1))))


def windows(scans: Iterable[pl.LazyFrame], offsets: int, above: Positions | None = None) -> Iterator[pl.Expr]:
    """Filters that between them pick each row of the scans once: so many offsets of one partition at a time.

    They follow (topic, partition, offset), which file statistics are kept for, so that each reads few files. With
    ``above`` only rows with a higher offset than that.
    """
    held = pl.concat([scan.select(KAFKA_COORDINATES) for scan in scans])
    bounds = held.group_by(PARTITION).agg(low=pl.col("kafka_offset").min(), high=pl.col("kafka_offset").max())
    for topic_id, partition, low, high in bounds.sort(PARTITION).collect(engine="streaming").iter_rows():
        here = (pl.col("topic_id") == topic_id) & (pl.col("kafka_partition") == partition)
        first = max(low, (above or {}).get((topic_id, partition), -1) + 1)
        for start in range(first, high + 1, offsets):
            yield here & pl.col("kafka_offset").is_between(start, start + offsets - 1)
