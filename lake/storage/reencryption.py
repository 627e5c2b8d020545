"""Re-encrypting stored payloads, so that none of them needs an earlier key.

One partition at a time, built next to the lake and swapped in with one Delta commit: killed in between, the lake is
whole, its rows are encrypted with either key, and the next run does what is left. Positions of the stream and all other
columns stay as they are.

The landing lock is held while a partition is rewritten, so that none of its rows comes in meanwhile; the stream lands
between two partitions. Memory is bounded by a slice of rows.
"""

from collections.abc import Callable
from datetime import date

import polars as pl

from lake.contracts.tables import BRONZE, KAFKA_COORDINATES, QUARANTINE
from lake.security.encryption import associated_data
from lake.storage import metadata, table_swap
from lake.storage.chunked_scan import chunks
from lake.storage.store import DeltaStore, Lake


def reencrypt(lake: Lake, progress: Callable[[str], None] = lambda _: None) -> int:
    """Re-encrypt rows of earlier keys with the lake's current key, then forget those keys; returns the rows changed.

    Raises ``LakeError`` where a payload does not open, or the key was rotated meanwhile; its partition stays.
    """
    reencrypted = 0
    while not _forgotten(lake):
        for store, day in _left(lake):
            progress(f"re-encrypting {store.table.name} of {day}")
            reencrypted += _reencrypt_day(lake, store, day)
    return reencrypted


def _forgotten(lake: Lake) -> bool:
    """Whether no row needs an earlier key, and so the lake no longer holds one."""
    with lake.landing_lock():
        lake.require_current_key()
        table_swap.finish(lake)  # it may bring rows of an earlier key
        if _left(lake):
            return False
        metadata.write(lake.root, metadata.read(lake.root).locked_with(lake.key.without_retired()))
        return True


def _left(lake: Lake) -> list[tuple[DeltaStore, date]]:
    """Tables and days with rows of an earlier key."""
    found = []
    for store in (lake.store(BRONZE), lake.store(QUARANTINE)):
        store.refresh()
        old = store.scan().filter(pl.col("key_id") != lake.key.key_id).select(pl.col(store.table.partition).unique())
        found += [(store, day) for day in old.collect().to_series().sort().to_list()]
    return found


def _reencrypt_day(lake: Lake, store: DeltaStore, day: date) -> int:
    old = 0
    with lake.landing_lock():
        lake.require_current_key()
        table_swap.finish(lake)
        store.refresh()
        beside = table_swap.begin(lake, (store.table,)).store(store.table)
        for rows in chunks(lake, store.table, where=pl.col(store.table.partition) == day):
            old += int((rows["key_id"] != lake.key.key_id).sum())
            beside.append(_renewed(lake, rows), {}, tidy=False)
        table_swap.commit(lake, {store.table.name: "replace"})
    return old


def _renewed(lake: Lake, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of one topic, encrypted with the lake's key."""
    where = list(associated_data(rows["topic_id"][0], rows[KAFKA_COORDINATES[1]], rows[KAFKA_COORDINATES[2]]))
    payloads = lake.key.renew(rows["payload"].to_list(), where, rows["key_id"].to_list())
    return rows.with_columns(pl.Series("payload", payloads, dtype=pl.Binary), key_id=pl.lit(lake.key.key_id))
