"""Re-encrypting Bronze, so that none of its record batches needs an earlier key.

One day at a time, built next to the lake and swapped in with one Delta commit: killed in between, the lake is
whole, its rows are encrypted with either key, and the next run does what is left. Positions of the stream and all other
columns stay as they are.

The landing lock is held while a day is rewritten, so that none of its rows comes in meanwhile; the stream lands between
two days. Memory is bounded by a slice of rows.
"""

from collections.abc import Callable
from datetime import date

import polars as pl

from lake.contracts.tables import BRONZE
from lake.storage import bronze, metadata, record_batch, table_swap
from lake.storage.store import Lake


def reencrypt(lake: Lake, progress: Callable[[str], None] = lambda _: None) -> int:
    """Re-encrypt record batches of earlier keys with the lake's current key, then forget those keys; returns how many.

    Raises ``LakeError`` where a payload does not open, or the key was rotated meanwhile; its day stays.
    """
    reencrypted = 0
    while not _forgotten(lake):
        for day in _left(lake):
            progress(f"re-encrypting {BRONZE.name} of {day}")
            reencrypted += _reencrypt_day(lake, day)
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


def _left(lake: Lake) -> list[date]:
    """Days of Bronze with rows of an earlier key."""
    store = lake.store(BRONZE)
    store.refresh()
    old = store.scan().filter(pl.col("key_id") != lake.key.key_id).select(pl.col(BRONZE.partition).unique())
    return list(old.collect().to_series().sort())


def _reencrypt_day(lake: Lake, day: date) -> int:
    old = 0
    with lake.landing_lock():
        lake.require_current_key()
        table_swap.finish(lake)
        lake.store(BRONZE).refresh()
        beside = table_swap.begin(lake, (BRONZE,)).store(BRONZE)
        for rows in bronze.slices(lake, where=pl.col(BRONZE.partition) == day):
            old += int((rows["key_id"] != lake.key.key_id).sum())
            beside.append(record_batch.renewed(rows, lake.key), {}, tidy=False)
        table_swap.commit(lake, {BRONZE.name: "replace"})
    return old
