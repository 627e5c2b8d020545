"""``maintain``: what keeps a lake fast and small, beside a running stream, Gold builds and readers.

Only what is worth it is done, so a repeated run is cheap. Nothing that a reader sees changes, but for quarantine rows
that were resolved long ago. ``ops/audit`` and ``ops/quality`` are compacted and kept for good: who touched patient data
has no end of retention that a program could know, and trends are told from history.

Visits, stays, incomplete and Gold are rewritten by the Gold build and published by version: they are never compacted
here, and what the published versions need is kept, whatever a build that was cut short left above them.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Final

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from filelock import FileLock

from app.jobs.lake_session import open_without_key
from app.settings import Settings
from lake.contracts.tables import BRONZE, BUILDS, DERIVED, LANDED, QUALITY, QUARANTINE, TABLES, Table
from lake.errors import LakeError, kind_of
from lake.gold import build as gold
from lake.gold.published import last
from lake.gold.tables import GOLD
from lake.storage import maintenance as care
from lake.storage.maintenance import Size
from lake.storage.store import DeltaStore, Lake

LOCK: Final = ".maintain.lock"
RESOLVED_KEPT: Final = timedelta(days=90)
_COMPACTED: Final = (*TABLES, BUILDS, QUALITY)
_BUILT: Final = {table.name: table for table in (*DERIVED, *GOLD)}

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Maintained:
    """What was done to one table. ``action``: ``forget``, ``compact``, ``vacuum``, ``log`` or ``keys``.

    ``forget`` and ``compact`` count the table's live files and their bytes before and after, ``vacuum`` the live and
    the dead ones, ``log`` the files of the Delta log. ``keys`` changes nothing: ``detail`` says how many record
    batches are encrypted with which key.
    """

    table: str
    action: str
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int
    seconds: float
    detail: str


def maintain(
    settings: Settings,
    progress: Progress = lambda _: None,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    resolved_kept: timedelta = RESOLVED_KEPT,
) -> list[Maintained]:
    """Look after every table once; returns what was done, and which keys are in use.

    Safe beside the stream, builds, readers and another ``maintain``, which waits; after a crash at any point the next
    run goes on. Needs no key. Raises ``LakeError`` where there is no lake, or it cannot be read or written.
    """
    lake = open_without_key(settings)
    try:
        with FileLock(lake.root / LOCK, thread_local=False, mode=0o600):
            return [
                *_forget(lake, now() - resolved_kept, progress),
                *_appended(lake, progress),
                *_built(lake, progress),
                *_keys(lake, progress),
            ]
    except (OSError, DeltaError) as error:
        kind = kind_of(error)
    # Outside the handler: the text of a library's error can quote what it stumbled over.
    raise LakeError(
        "maintenance stopped",
        got=kind,
        expected="a lake that can be read and written",
        next_move="nothing is lost; free space or mend the disk, then run 'wardlake flow maintain' again",
    )


def _forget(lake: Lake, before: datetime, progress: Progress) -> Iterator[Maintained]:
    progress(f"quarantine rows resolved before {before:%Y-%m-%d}")
    store, clock = lake.store(QUARANTINE), _Clock()
    size = care.live(store)
    if rows := care.forget_resolved(lake, before):
        yield clock.note(QUARANTINE, "forget", size, care.live(store), f"{rows:,} rows resolved before {before:%F}")


def _appended(lake: Lake, progress: Progress) -> Iterator[Maintained]:
    """What is only appended to: compacted, then rid of dead files and old log files."""
    for table in _COMPACTED:
        if not _is_there(lake, table):
            continue
        progress(f"looking after {table.name}")
        yield from _again_if_the_log_moved(_compact, lake, table)
        yield from _again_if_the_log_moved(_vacuum, lake, table)
        with lake.landing_lock() if table in LANDED else nullcontext():
            yield from _log(DeltaStore(lake.root, table))


def _built(lake: Lake, progress: Progress) -> Iterator[Maintained]:
    """What builds rewrite: rid of what the published versions do not need, while no build is under way."""
    progress("waiting for a Gold build to end, if one is under way")
    with gold.lock(lake.root):
        published = last(lake.root)
        for name, version in published.versions.items() if published else ():
            progress(f"looking after {name}")
            store = DeltaStore(lake.root, _BUILT[name])
            yield from _vacuum(store, [version])
            yield from _log(store, version)


def _keys(lake: Lake, progress: Progress) -> Iterator[Maintained]:
    progress(f"counting the keys of {BRONZE.name}")
    store, clock = lake.store(BRONZE), _Clock()
    store.refresh()
    size = care.live(store)
    keys = ", ".join(f"key {key_id}: {rows:,} record batches" for key_id, rows in care.encrypted_with(store).items())
    yield clock.note(BRONZE, "keys", size, size, keys or "no record batch")


def _again_if_the_log_moved(
    action: Callable[[DeltaStore], Iterator[Maintained]], lake: Lake, table: Table
) -> list[Maintained]:
    """Act, and once more with a handle of now where the stream cleared log files that the first one stood on."""
    try:
        return list(action(DeltaStore(lake.root, table)))
    except FileNotFoundError:
        return list(action(DeltaStore(lake.root, table)))


def _compact(store: DeltaStore) -> Iterator[Maintained]:
    clock, before, partitions = _Clock(), care.live(store), care.worthwhile(store)
    if not partitions:
        return
    store.compact(partitions, care.TARGET_BYTES)
    if (after := care.live(store)) != before:
        yield clock.note(store.table, "compact", before, after, f"partitions with many small files: {len(partitions)}")


def _vacuum(store: DeltaStore, keep: Sequence[int] = ()) -> Iterator[Maintained]:
    clock = _Clock()
    gone, left = care.vacuum(store, keep), care.live(store)
    if gone.files:
        yield clock.note(store.table, "vacuum", left + gone, left, "files that no snapshot of the last hour needs")


def _log(store: DeltaStore, version: int | None = None) -> Iterator[Maintained]:
    clock = _Clock()
    gone, left = care.tidy_log(store, version)
    if gone.files:
        yield clock.note(store.table, "log", left + gone, left, "log files that a checkpoint stands for")


def _is_there(lake: Lake, table: Table) -> bool:
    return DeltaTable.is_deltatable(str(lake.root / table.name))


class _Clock:
    """Seconds since an action began."""

    def __init__(self) -> None:
        self._began = perf_counter()

    def note(self, table: Table, action: str, before: Size, after: Size, detail: str) -> Maintained:
        seconds = perf_counter() - self._began
        return Maintained(table.name, action, before.files, after.files, before.bytes, after.bytes, seconds, detail)
