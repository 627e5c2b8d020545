"""What a build reads: Silver and ``ops/ingest`` as they stand together, and which rows are new since the last build.

New rows are known by their place: a partition's offsets only grow, and Silver's log says how far each has landed. So
compaction, which moves rows to other files, is no change; a rebuild (``replay``) is known by its own mark in the log
and asks for a full build.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from urllib.parse import unquote

import polars as pl

from lake.contracts.tables import INGEST, SILVER, Table
from lake.storage.store import Lake
from lake.storage.table_swap import REBUILD_APP

Positions = dict[tuple[str, int], int]
"""(Topic id, partition) → last offset."""


@dataclass(frozen=True)
class Snapshot:
    """Versions of Silver and ``ops/ingest`` that belong together, and how far each partition has landed."""

    silver_version: int
    ingest_version: int
    rebuild: int
    positions: Positions


def take(lake: Lake) -> Snapshot:
    """Catch up with the stream and note where it stands. Waits for a landing under way, not longer."""
    with lake.landing_lock():
        lake.require_current_key()
        lake.refresh()
        silver, ingest = lake.store(SILVER), lake.store(INGEST)
        partitions = ingest.scan().select("topic_id", "kafka_partition").unique().collect().sort(pl.all())
        return Snapshot(
            silver_version=silver.handle.version(),
            ingest_version=ingest.handle.version(),
            rebuild=max(silver.position_of(REBUILD_APP), 0),
            positions={
                (topic_id, partition): lake.landed(topic_id, partition)
                for topic_id, partition in partitions.iter_rows()
            },
        )


def files(lake: Lake, table: Table) -> pl.DataFrame:
    """The live files of a table's snapshot: ``path`` (String), and the log's statistics of each."""
    store = lake.store(table)
    live = store.files()
    paths = [str(store.path / unquote(path)) for path in live["path"]]
    return live.with_columns(path=pl.Series(paths, dtype=pl.String))


def new_files(lake: Lake, now: Positions, seen: Mapping[tuple[str, int], int]) -> list[str]:
    """Silver files that may hold rows above ``seen``, by the offsets that the log gives of each file."""
    moved = [seen.get(place, -1) for place, offset in now.items() if offset > seen.get(place, -1)]
    if not moved:
        return []
    live = files(lake, SILVER)
    if "max.kafka_offset" not in live.columns:
        return live["path"].to_list()
    highest = pl.col("max.kafka_offset")
    return live.filter(highest.is_null() | (highest > min(moved)))["path"].to_list()


def files_of_dates(lake: Lake, dates: list[date]) -> list[str]:
    """Silver files of these event dates."""
    live = files(lake, SILVER)
    return live.filter(pl.col("partition.event_date").is_in(dates))["path"].to_list() if live.height else []


def as_frame(positions: Mapping[tuple[str, int], int]) -> pl.DataFrame:
    """Positions as a frame: topic_id, kafka_partition, kafka_offset."""
    rows = [(topic_id, partition, offset) for (topic_id, partition), offset in positions.items()]
    schema = {"topic_id": pl.String, "kafka_partition": pl.Int32, "kafka_offset": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")
