"""Sealing stored payloads anew, so that an earlier key is needed for none of them.

One partition at a time, each in one Delta commit: killed in between, the lake is whole, its rows are sealed with
either key, and the next run does what is left. Positions of the stream and all other columns stay as they are.

The landing lock is held while a partition is rewritten, because in delta-rs an overwrite and an append beside it fail
both; the stream lands between two partitions. Memory is bounded by a slice of rows and what the Parquet writer holds.
"""

from collections.abc import Callable, Iterator
from datetime import date
from typing import Final

import polars as pl
import pyarrow as pa
from deltalake import write_deltalake

from lake import marker, takeover
from lake.maintain import TARGET_BYTES
from lake.sealing import places
from lake.store import NO_HOOKS, DeltaStore, Lake
from lake.tables import BRONZE, PLACE, QUARANTINE

_SLICE_ROWS: Final = 20_000


def reseal(lake: Lake, progress: Callable[[str], None] = lambda _: None) -> int:
    """Seal with the lake's key what is sealed with an earlier one, then forget those keys; returns rows resealed.

    Raises ``LakeError`` where a payload does not open, or the key was rotated meanwhile; its partition stays.
    """
    resealed = 0
    while not _forgotten(lake):
        for store, day in _left(lake):
            progress(f"sealing {store.table.name} of {day} anew")
            resealed += _reseal_day(lake, store, day)
    return resealed


def _forgotten(lake: Lake) -> bool:
    """Whether no row needs an earlier key, and so the lake no longer holds one."""
    with lake.landing_lock():
        lake.require_current_key()
        takeover.finish(lake)  # it may bring rows of an earlier key
        if _left(lake):
            return False
        marker.write(lake.root, marker.read(lake.root).locked_with(lake.key.without_retired()))
        return True


def _left(lake: Lake) -> list[tuple[DeltaStore, date]]:
    """Tables and days with rows of an earlier key."""
    found = []
    for store in (lake.store(BRONZE), lake.store(QUARANTINE)):
        store.refresh()
        old = store.scan().filter(pl.col("key_id") != lake.key.key_id).select(pl.col(store.table.partition).unique())
        found += [(store, day) for day in old.collect().to_series().sort().to_list()]
    return found


def _reseal_day(lake: Lake, store: DeltaStore, day: date) -> int:
    with lake.landing_lock(), store.rewriting():
        lake.require_current_key()
        store.refresh()
        rows = store.scan([day])
        old = rows.filter(pl.col("key_id") != lake.key.key_id).select(pl.len()).collect().item()
        store.about_to_replace([day])
        slices = rows.collect_batches(chunk_size=_SLICE_ROWS, maintain_order=True)
        write_deltalake(
            store.handle,
            pa.RecordBatchReader.from_batches(store.table.empty().to_arrow().schema, _renewed(lake, store, slices)),
            mode="overwrite",
            predicate=f"{store.table.partition} = '{day}'",
            target_file_size=TARGET_BYTES,
            writer_properties=store.writer,
            post_commithook_properties=NO_HOOKS,
        )
    return int(old)


def _renewed(lake: Lake, store: DeltaStore, slices: Iterator[pl.DataFrame]) -> Iterator[pa.RecordBatch]:
    names = store.table.polars_schema.names()
    for rows in slices:
        for part in rows.partition_by("topic_id", maintain_order=True):
            sealed, key_ids = part["payload"].to_list(), part["key_id"].to_list()
            where = list(places(part["topic_id"][0], part[PLACE[1]], part[PLACE[2]]))
            renewed = pl.Series("payload", lake.key.renew(sealed, where, key_ids), dtype=pl.Binary)
            yield from (
                part.with_columns(renewed, key_id=pl.lit(lake.key.key_id)).select(names).to_arrow().to_batches()
            )
