"""What the Pipeline page reads of the lake: sizes from the logs, and the newest rows of ``ops/*``. No key, no patient.

Tables stay open between two looks, and catch up with what is new; all sessions share one look every few seconds.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import polars as pl
import streamlit as st
from deltalake import DeltaTable

from dashboards.screens.pipeline.figures import WINDOW, last_run
from lake.contracts.tables import BUILDS, DERIVED, INGEST, QUALITY, SILVER, TABLES, Table
from lake.gold.tables import GOLD
from lake.storage.metadata import METADATA_FILE
from lake.storage.store import DeltaStore, open_lake

EVERY: Final = 5.0
"""Seconds between two looks."""

_BUILDS: Final = 10
_ALL: Final = (*TABLES, *DERIVED, *GOLD)
_SIZES: Final = {"table": pl.String, "version": pl.Int64, "rows": pl.Int64, "files": pl.Int64, "bytes": pl.Int64}


@dataclass(frozen=True)
class Look:
    """The lake at ``at`` (UTC).

    ``batches``: rows of ``ops/ingest`` of the last 15 minutes; ``last_landed``: the time of the newest row; ``tables``:
    table, version, rows, files, bytes; ``builds``: the last ten of ``ops/builds``, newest first; ``checks``: the last
    quality run, failed ones first.
    """

    at: datetime
    batches: pl.DataFrame
    last_landed: datetime | None
    tables: pl.DataFrame
    builds: pl.DataFrame
    checks: pl.DataFrame


class Watched:
    """A lake whose tables stay open. One reader at a time: delta-rs' handles are not for several threads."""

    def __init__(self, root: Path) -> None:
        """Open the lake. Raises ``LakeError`` where there is none, or a newer version made it."""
        open_lake(root)
        self._root = root
        self._stores: dict[str, DeltaStore] = {}
        self._sizes: dict[str, tuple[Any, ...]] = {}
        self._look: Look | None = None
        self._lock = threading.Lock()

    def look(self, now: datetime) -> Look:
        """The lake now, or as somebody saw it just before."""
        with self._lock:
            if self._look is None or not 0 <= (now - self._look.at).total_seconds() < EVERY / 2:
                self._look = self._looked(now)
            return self._look

    def landed(self, topic_id: str, partitions: Sequence[int]) -> dict[int, int]:
        """Partition → last offset that landed, -1 for none. Silver is committed last: its log says it."""
        with self._lock:
            store = self._store(SILVER)
            return {} if store is None else {one: store.position(topic_id, one) for one in partitions}

    def _looked(self, now: datetime) -> Look:
        stores = [store for table in _ALL if (store := self._store(table))]
        ingest = self._newest(INGEST, 2).filter(pl.col("kind") == "stream")
        recent = ingest.filter(pl.col("ingested_at") > now - WINDOW).select(
            "batch_id", "ingested_at", "messages", "seconds"
        )
        builds = self._newest(BUILDS, _BUILDS).select("build_id", "kind", "built_at", "new_events", "months", "seconds")
        return Look(
            now,
            recent.collect(),
            ingest.select(pl.col("ingested_at").max()).collect().item(),
            pl.DataFrame([self._size(store) for store in stores], schema=_SIZES, orient="row"),
            builds.sort("build_id", descending=True).head(_BUILDS).collect(),
            last_run(self._newest(QUALITY, 1).collect()),
        )

    def _store(self, table: Table) -> DeltaStore | None:
        """The table, caught up with its log; None where it is not there yet."""
        store = self._stores.get(table.name)
        if store is None:
            if not DeltaTable.is_deltatable(str(self._root / table.name)):
                return None
            store = self._stores[table.name] = DeltaStore(self._root, table)
        try:
            store.refresh()
        except Exception:  # its log was tidied, or the table was made anew
            store = self._stores[table.name] = DeltaStore(self._root, table)
        return store

    def _newest(self, table: Table, days: int) -> pl.LazyFrame:
        """The rows of the table's last days that have any: its log names the days, the other files are not opened."""
        store = self._stores.get(table.name)
        if store is None:
            return table.empty().lazy()
        found = {date.fromisoformat(one[table.partition]) for one in store.handle.partitions()}
        return store.scan(sorted(found)[-days:])

    def _size(self, store: DeltaStore) -> tuple[Any, ...]:
        """The table's row of ``tables``, from the log's statistics; kept until there is a new version."""
        name, version = store.table.name, store.handle.version()
        known = self._sizes.get(name)
        if known is None or known[1] != version:
            files = store.files().select("size_bytes", "num_records")
            rows = None if files["num_records"].null_count() else int(files["num_records"].sum())
            known = self._sizes[name] = (name, version, rows, files.height, int(files["size_bytes"].sum()))
        return known


def watched(root: Path) -> Watched:
    """The lake at ``root``, kept open for all sessions until another one takes its place."""
    try:
        seen = (root / METADATA_FILE).stat()
        stamp = (seen.st_ino, seen.st_mtime_ns)
    except OSError:
        stamp = (0, 0)
    return _watched(root, stamp)


@st.cache_resource(max_entries=2, show_spinner=False)
def _watched(root: Path, stamp: tuple[int, int]) -> Watched:  # noqa: ARG001  (a key of the cache)
    return Watched(root)
