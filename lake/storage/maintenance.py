"""Keeping tables fit beside a running stream: small files, dead files, old log files, what may be forgotten.

Compaction is all that is done to the order of rows. Z-order of Silver by patient and visit does not pay: a patient's
rows came in 67 ms instead of 120 (2 million events), but making it took 5 times as long, files doubled in size, for
rows in the order of arrival compress better, and reading what is new, as every Gold refresh does, took twice as long.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import polars as pl
from deltalake import DeltaTable

from lake.contracts.tables import QUARANTINE
from lake.storage import audit_log
from lake.storage.store import NO_HOOKS, DeltaStore, Lake

TARGET_BYTES: Final = 64 * 1024 * 1024
"""Compaction takes up to ten times as much memory."""
_SMALL_BYTES: Final = TARGET_BYTES // 4
_MANY: Final = 5
_KEPT_HOURS: Final = 1  # for readers of a snapshot whose files were replaced


@dataclass(frozen=True)
class Size:
    """A number of files and their bytes on disk."""

    files: int
    bytes: int

    def __add__(self, other: "Size") -> "Size":
        return Size(self.files + other.files, self.bytes + other.bytes)


def live(store: DeltaStore) -> Size:
    """The files of the store's snapshot."""
    sizes = store.files()["size_bytes"]
    return Size(sizes.len(), int(sizes.sum()))


def worthwhile(store: DeltaStore) -> list[date]:
    """Partitions that hold many small files: five or more below a quarter of the target size.

    A compacted partition is not worth it a second time.
    """
    return store.crowded(_SMALL_BYTES, _MANY)


def vacuum(store: DeltaStore, keep: Sequence[int] = ()) -> Size:
    """Remove files that no snapshot needs; returns what went. The files of the versions ``keep`` stay.

    A file goes an hour after it was replaced, or was written and never committed: whoever reads or writes meanwhile
    is done by then. The table is not being rewritten meanwhile.

    delta-rs lists them and they are removed here. Its own removal makes two commits, which on a published table
    would look like a build that was cut short. Its ``full`` mode is needed: the other one forgets what had been
    replaced as soon as a checkpoint is made after the time that the log names it. From then on it goes by the file's
    own time, which ``about_to_replace`` sets.
    """
    with store.rewriting():
        store.refresh()
        listed = store.handle.vacuum(_KEPT_HOURS, dry_run=True, full=True, keep_versions=list(keep) or None)
        return _remove([store.path / unquote(name) for name in listed])


def tidy_log(store: DeltaStore, version: int | None = None) -> tuple[Size, Size]:
    """Remove log files that a checkpoint stands for, then make a checkpoint; returns what went and what is left.

    With ``version`` both are as of that version, which stays readable with all that follow it. In this order: a
    handle or reader between the last checkpoint and now still finds what it stands on. Call under the landing lock
    where the stream writes the table.
    """
    handle = DeltaTable(store.path, version=version)
    before = _log_files(store)
    handle.cleanup_metadata()
    gone = before.keys() - _log_files(store).keys()
    if not any(name.startswith(f"{handle.version():020d}.checkpoint") for name in before):
        handle.create_checkpoint()
    left = _log_files(store)
    return Size(len(gone), sum(before[name] for name in gone)), Size(len(left), sum(left.values()))


def forget_resolved(lake: Lake, before: datetime) -> int:
    """Delete quarantine rows that were resolved before a moment; returns how many. Waits for landings.

    They are in Silver, or counted as duplicates; Bronze keeps the message, and the law of conservation does not count
    them. The deletion is in ``ops/audit`` before it is done.
    """
    store = lake.store(QUARANTINE)
    store.refresh()
    if not _resolved(store, before):
        return 0
    with lake.landing_lock(), store.rewriting():
        store.refresh()
        rows = _resolved(store, before)
        store.about_to_replace()
        audit_log.append(lake.root, "forget", f"{QUARANTINE.name}: rows resolved before {before:%F %T} UTC", rows)
        store.handle.delete(
            f"resolved_at < TIMESTAMP '{before:%F %T.%f}Z'",
            writer_properties=store.writer,
            post_commithook_properties=NO_HOOKS,
        )
    return rows


def _resolved(store: DeltaStore, before: datetime) -> int:
    return int(store.scan().filter(pl.col("resolved_at") < before).select(pl.len()).collect().item())


def encrypted_with(store: DeltaStore) -> dict[str, int]:
    """Key id → rows that name it. A key that is not here is needed by no payload of this table."""
    return dict(store.scan().group_by("key_id").len().sort("key_id").collect(engine="streaming").iter_rows())


def _log_files(store: DeltaStore) -> dict[str, int]:
    """Name → bytes of each log file; not of those that a writer is still at."""
    files = (store.path / "_delta_log").glob("*[0-9].*[nt]")
    return {path.name: path.stat().st_size for path in files}


def _remove(paths: Sequence[Path]) -> Size:
    sizes = [path.stat().st_size for path in paths if path.exists()]
    for path in paths:
        path.unlink(missing_ok=True)
    return Size(len(sizes), sum(sizes))
