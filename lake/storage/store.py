"""The lake on disk: opening it, and the fenced Delta writer.

The Delta log is the truth about what has landed. Every commit of a streamed table carries one Delta ``txn`` per
Kafka partition (app id = topic id and partition, version = last offset landed), in the same atomic commit as
the rows.

Guarantee of ``DeltaStore.append``: rows and positions become visible together or not at all. Rows at or below the
position that a table already holds must be trimmed by the caller (``position``); a second writer that works
from the same snapshot fails with ``CommitFailedError`` instead of writing twice, because the commit goes through
the handle whose positions were read. delta-rs by itself does not refuse a repeated txn (delta-rs #2580, #3821).
"""

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import polars as pl
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction, write_deltalake
from filelock import FileLock, Timeout

from lake.contracts.tables import LANDED, SILVER, TABLES, Table
from lake.errors import LakeError
from lake.security.encryption import LakeKey
from lake.storage import metadata as marking
from lake.storage.metadata import METADATA_FILE, LakeMetadata
from lake.storage.parquet import SEALED_WRITER, SEARCHED, WRITER, append_writer

LOCK: Final = ".landing.lock"
LANDING_APP: Final = "wardlake:landing"
"""The Delta ``txn`` app id that numbers landings which take turns in the whole lake, from 1."""

_TRY_SECONDS: Final = 0.05
_CHECKPOINT_EVERY: Final = 20  # commits
COMPACT_EVERY: Final = 100
"""Commits of a table, or landings, from one look for many small files to the next."""

# Below what a full batch of 15,000 messages writes to Bronze (10 MB): merging files of 14 MB in pairs, to 32 MB, cost
# 3.3 µs an event and 125 MB of memory, for nothing that ``maintain`` does not do better.
_COMPACT_BYTES: Final = 8 * 1024 * 1024
# With full batches a day of Silver gets a handful of files, and merging those was a tenth of all that the stream did.
_COMPACT_FILES: Final = 20
# Each checkpoint names anew what was replaced within this time: 32,000 files, an hour of small batches in a row, cost
# it 40 ms more. ``maintain`` gives readers their hour by the files' own time (``about_to_replace``).
_TOMBSTONES: Final = "interval 10 minutes"
_REWRITE_LOCK: Final = "_rewrite.lock"  # vacuum passes over what begins with an underscore
NO_HOOKS: Final = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
"""For a commit beside other writers: the log files that their handles stand on must not go with it."""


def live_files(table: DeltaTable) -> list[str]:
    """Paths of the files of a table's snapshot; delta-rs gives them percent-encoded."""
    return [unquote(uri.removeprefix("file://")) for uri in table.file_uris()]


def scan(snapshot: DeltaTable, table: Table) -> pl.LazyFrame:
    """The rows of a table's snapshot, lazily; files whose statistics rule a filter out are not opened."""
    files = live_files(snapshot)
    # Polars takes the percent-encoded names for the files' own: under a path with a space it would find none.
    return pl.scan_delta(snapshot) if files == snapshot.file_uris() else _rows_of(files, table)


def _rows_of(files: list[str], table: Table) -> pl.LazyFrame:
    found = pl.scan_parquet(files, hive_partitioning=True, hive_schema={table.partition: pl.Date}, glob=False)
    return found.select(table.polars_schema.names())


def app_id(topic_id: str, partition: int) -> str:
    """The Delta ``txn`` app id of one Kafka partition."""
    return f"{topic_id}:{partition}"


class DeltaStore:
    """One Delta table of the lake, opened for reading and fenced appending. Not thread-safe.

    Cost per append stays flat with history: a checkpoint every 20 commits bounds what is read of the log, and the
    handle is opened anew behind it; a compaction every 100 commits of the days that have many small files bounds the
    number of those; log files that a checkpoint stands for go after a minute. A handle that is older than the log
    catches up from the checkpoint, and can commit nothing before it did. Files that were replaced stay an hour for
    those who still read them (``maintain`` removes them then); the log names them for ten minutes.
    """

    def __init__(self, root: Path, table: Table) -> None:
        self.table = table
        self.path = root / table.name
        self._schema = table.polars_schema  # making it takes 1.4 ms
        self._searched = SEARCHED.get(table.name, ())
        encrypted = "payload" in self._schema
        self.writer = SEALED_WRITER if encrypted else WRITER
        self.append_writer = SEALED_WRITER if encrypted else append_writer(self._searched)
        self._handle: DeltaTable | None = None
        self._opened_at = 0
        self._positions: tuple[int, dict[str, int]] = (-1, {})

    @property
    def handle(self) -> DeltaTable:
        """The table's handle, as of the last ``refresh`` or append. Raises ``LakeError`` where it is unreadable."""
        if self._handle is None:
            try:
                self._handle = DeltaTable(self.path)
                self._opened_at = self._handle.version()
            except Exception as error:
                raise LakeError(
                    f"the table {self.table.name} cannot be opened",
                    got=type(error).__name__,
                    expected=f"a Delta table at {self.path}",
                    next_move="restore the lake from a backup, or remove it and ingest again",
                ) from None
        return self._handle

    def create(self) -> None:
        """Create the table where it is absent; two processes may try at once."""
        landed = self.table in LANDED
        DeltaTable.create(
            self.path,
            schema=self.table.polars_schema,
            mode="ignore",
            partition_by=[self.table.partition],
            configuration={
                "delta.checkpointInterval": str(_CHECKPOINT_EVERY),
                "delta.deletedFileRetentionDuration": _TOMBSTONES,
                # Derived tables are read at the version that was published, which need not be their last, nor
                # recent: ``maintain`` tidies their logs.
                "delta.logRetentionDuration": "interval 1 minutes" if landed else "interval 1 days",
                "delta.enableExpiredLogCleanup": str(landed).lower(),
            }
            | ({"delta.dataSkippingStatsColumns": ",".join(self._searched)} if self._searched else {}),
        )

    def refresh(self) -> int:
        """Catch up with what is new in the log; returns the version. Raises ``LakeError`` where the log is gone."""
        newest = self._newest()
        # delta-rs commits the more slowly, the more commits its handle took in: 8 ms at first, 42 after 240 of them.
        if newest is None or self.handle.version() // _CHECKPOINT_EVERY > self._opened_at // _CHECKPOINT_EVERY:
            self._handle = None
        elif newest > self.handle.version():  # delta-rs takes 2 ms of CPU to find that nothing is new
            self.handle.update_incremental()
        return self.handle.version()

    def _newest(self) -> int | None:
        """The newest version that a file of the log is named for: a commit or, as old commits go, a checkpoint."""
        with contextlib.suppress(FileNotFoundError), os.scandir(self.path / "_delta_log") as log:
            return max((int(entry.name[:20]) for entry in log if entry.name[0].isdigit()), default=None)
        return None

    def position(self, topic_id: str, partition: int) -> int:
        """Last offset of the partition that this table's snapshot accounts for; -1 for none."""
        return self.position_of(app_id(topic_id, partition))

    def position_of(self, app: str) -> int:
        """``position``, by app id."""
        _, known = self._known_positions()
        if app not in known:
            found = self.handle.transaction_version(app)
            known[app] = -1 if found is None else found
        return known[app]

    def _known_positions(self) -> tuple[int, dict[str, int]]:
        """The snapshot's version, and positions that were read from it.

        delta-rs reads the log each time it is asked for one (0.3 ms), and a landing asks for some fifty.
        """
        if self._positions[0] != self.handle.version():
            self._positions = (self.handle.version(), {})
        return self._positions

    def append(self, frame: pl.DataFrame, positions: Mapping[str, int], *, tidy: bool = True) -> None:
        """Commit ``frame`` and, in the same commit, each app id's new position; every 100th commit, ``tidy`` too.

        ``frame`` may be empty: the positions are committed all the same. Raises ``CommitFailedError`` when
        another writer moved one of these app ids since the handle was last refreshed; nothing is written then.
        """
        before, known = self._known_positions()
        write_deltalake(
            self.handle,
            frame.select(self._schema.names()).cast(self._schema),
            mode="append",
            writer_properties=self.append_writer,
            commit_properties=CommitProperties(
                app_transactions=[Transaction(app, version) for app, version in positions.items()]
            ),
        )
        if self.handle.version() == before + 1:  # otherwise others committed in between
            self._positions = (before + 1, {**known, **positions})
        if tidy and self.handle.version() % COMPACT_EVERY == 0:
            self.tidy()

    def tidy(self) -> None:
        """Compact the days that have many small files, as of the last ``refresh`` or append."""
        if days := self.crowded(_COMPACT_BYTES, _COMPACT_FILES):
            self.compact(days)

    def rewriting(self) -> FileLock:
        """Held by whoever rewrites or removes files of this table; for this machine.

        delta-rs 1.6 lets a compaction through beside another one, and an overwrite that began before a compaction
        ended: either way rows are there twice. Its other conflicts it detects.
        """
        return FileLock(self.path / _REWRITE_LOCK, thread_local=False, mode=0o600)

    def about_to_replace(self, partitions: Sequence[date] | None = None) -> None:
        """Give the live files of these partitions (None: of all) the time of now; call before a commit replaces them.

        What no snapshot holds, ``maintain`` removes an hour after its file's time: so that is when it was replaced,
        or shortly before. Before, and not after: a crash in between takes nothing from a reader. A file that is missing
        is passed over, for to replace it is what mends the table.
        """
        for path in self.files(partitions)["path"]:
            with contextlib.suppress(FileNotFoundError):
                os.utime(self.path / unquote(path))

    def crowded(self, small_bytes: int, files: int) -> list[date]:
        """Partitions of the snapshot that hold this many ``files`` or more below ``small_bytes``, in order of date.

        Compaction pays there: with few files the gain is less than what is written again.
        """
        day, live = f"partition.{self.table.partition}", self.files()
        if live.is_empty():
            return []
        small = live.filter(pl.col("size_bytes") < small_bytes).group_by(day).len()
        return sorted(small.filter(pl.col("len") >= files)[day].to_list())

    def files(self, partitions: Sequence[date] | None = None) -> pl.DataFrame:
        """The live files of these partitions (None: of all) as delta-rs tells of them: ``path``, ``size_bytes``, …."""
        live = pl.DataFrame(self.handle.get_add_actions(flatten=True))
        if partitions is None or live.is_empty():  # that of a table without files names no partition
            return live
        return live.filter(pl.col(f"partition.{self.table.partition}").is_in(partitions))

    def compact(self, partitions: Sequence[date] | None = None, target_bytes: int = _COMPACT_BYTES) -> None:
        """Merge small files of these partitions (None: of all); nothing while another one rewrites the table.

        Files of the target size are left alone, so the work is bounded.
        """
        chosen = None if partitions is None else [(self.table.partition, "in", [str(day) for day in partitions])]
        with contextlib.suppress(Timeout), self.rewriting().acquire(blocking=False):
            self.refresh()
            self.about_to_replace(partitions)
            self.handle.optimize.compact(
                partition_filters=chosen,
                target_size=target_bytes,
                writer_properties=self.writer,
                post_commithook_properties=NO_HOOKS,
            )

    def scan(self, partitions: Sequence[date] | None = None) -> pl.LazyFrame:
        """The rows of the current snapshot, lazily; of these partitions (None: of all).

        Name the partitions rather than filter by them where history is long: of 6,600 files a filter on two of 600 days
        reads 22 in 24 ms, this in 3.
        """
        if partitions is None:
            return scan(self.handle, self.table)
        found = self.files(partitions)
        if found.is_empty():
            return self.table.empty().lazy()
        return _rows_of([str(self.path / unquote(path)) for path in found["path"]], self.table)


class Lake:
    """An opened lake: its root, its key where one was given, and its tables."""

    def __init__(self, root: Path, key: LakeKey | None, tables: tuple[Table, ...] = TABLES) -> None:
        self.root = root
        self._key = key
        self.stores = {table.name: DeltaStore(root, table) for table in tables}

    @property
    def key(self) -> LakeKey:
        """The lake's key. Raises ``LakeError`` when the lake was opened without one."""
        if self._key is None:
            raise LakeError("this needs the lake's key", next_move="set WARDLAKE_KEY or WARDLAKE_KEY_FILE")
        return self._key

    def require_current_key(self) -> None:
        """Raise ``LakeError`` where the key was rotated since the lake was opened with it. Under the landing lock.

        A table that is being built next to the lake has no metadata file: its lake is asked instead.
        """
        if self._key is not None and exists(self.root) and marking.read(self.root).key_id != self._key.key_id:
            raise LakeError(
                f"the key of the lake at {self.root} was rotated",
                got=f"key {self._key.key_id}, which was its key when this began",
                expected=f"key {marking.read(self.root).key_id}",
                next_move="nothing is lost; start again with the new key",
            )

    def store(self, table: Table) -> DeltaStore:
        """The store of one table."""
        return self.stores[table.name]

    @contextlib.contextmanager
    def landing_lock(self) -> Iterator[None]:
        """Nothing else lands, replays or swaps tables on this machine. The kernel frees it when a process dies.

        It keeps peers from deciding on the same rows at once; the Delta fence, not the lock, is what forbids
        writing them twice.
        """
        with self._lock(LOCK):
            for path in sorted(self.root.glob(f"{LOCK}.*")):
                with self._lock(path.name):  # landings of single partitions end first
                    pass
            yield

    @contextlib.contextmanager
    def partition_lock(self, partition: int) -> Iterator[None]:
        """Nothing else lands that begins with this partition; landings of other partitions go on."""
        own = self._lock(f"{LOCK}.{partition}")
        while not own.is_locked:
            with self._lock(LOCK), contextlib.suppress(Timeout):
                own.acquire(blocking=False)
            if not own.is_locked:  # a landing of this partition goes on: wait without keeping the others out
                time.sleep(_TRY_SECONDS)
        try:
            yield
        finally:
            own.release()

    def _lock(self, name: str) -> FileLock:
        return FileLock(self.root / name, thread_local=False, mode=0o600)

    def refresh(self) -> None:
        """Bring every table's snapshot up to date."""
        for store in self.stores.values():
            store.refresh()

    def landed(self, topic_id: str, partition: int) -> int:
        """Last offset that landed. Silver is committed last, so its position is the lake's; -1 for none."""
        return self.store(SILVER).position(topic_id, partition)

    def landings_begun(self) -> int:
        """Number of the last landing that was begun, with its first commit."""
        return max(self.streamed()[0].position_of(LANDING_APP), self.landings_done())

    def landings_done(self) -> int:
        """Number of the last landing that was finished, with its last commit, which is Silver's."""
        return self.store(SILVER).position_of(LANDING_APP)

    def tidy(self) -> None:
        """Compact the days of streamed tables that have many small files.

        On handles of its own: landings may go on meanwhile, for compaction and append do not conflict in delta-rs.
        """
        for store in self.streamed():
            DeltaStore(self.root, store.table).tidy()

    def streamed(self) -> list[DeltaStore]:
        """The tables that a batch lands in, in the order of their commits."""
        return [self.stores[table.name] for table in LANDED if table.name in self.stores]


def create(root: Path, key: LakeKey, *, demo: bool = False) -> Lake:
    """Open the lake at ``root``, making it first where the path is absent or empty.

    ``demo`` marks a new lake as one that a later demo may start afresh.

    Raises ``LakeError`` as ``open_lake`` does. Safe to call from several processes at once.
    """
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        root.mkdir(parents=True, exist_ok=True)
        root.chmod(0o700)
    if root.is_dir() and not (root / METADATA_FILE).exists() and _only_lock_inside(root):
        with FileLock(root / LOCK, mode=0o600):
            if not (root / METADATA_FILE).exists():
                for table in TABLES:
                    DeltaStore(root, table).create()
                # Last and whole: a lake is one only when all its tables are there.
                marking.write(root, LakeMetadata.of(key, demo=demo))
    return open_lake(root, key)


def open_lake(root: Path, key: LakeKey | None = None) -> Lake:
    """Open an existing lake, with its key where encrypted or keyed values are needed.

    Raises ``LakeError`` when there is no lake at ``root``, when another version made it, or when ``key`` is not
    the one it was made with.
    """
    metadata = marking.read(root)
    if key is None:
        return Lake(root, None)
    if key.key_id != metadata.key_id:
        raise LakeError(
            f"this is not the key of the lake at {root}",
            got=f"key {key.key_id}",
            expected=f"key {metadata.key_id}",
            next_move="set WARDLAKE_KEY or WARDLAKE_KEY_FILE to the lake's key, the new one if it was rotated",
        )
    return Lake(root, metadata.unlock(key))


def exists(root: Path) -> bool:
    """Whether there is a lake at ``root``."""
    return (root / METADATA_FILE).is_file()


def is_demo(root: Path) -> bool:
    """Whether the lake at ``root``, of any format, was made by a demo. Raises ``LakeError`` where it is no lake."""
    return marking.read(root, any_format=True).demo


def keep(root: Path) -> None:
    """Forget that a demo made the lake at ``root``: it holds other data now, and no demo may replace it."""
    with FileLock(root / LOCK, thread_local=False, mode=0o600):
        marking.write(root, replace(marking.read(root), demo=False))


def _only_lock_inside(root: Path) -> bool:
    """A root that a first start left half-made: table folders and the lock, no metadata yet."""
    ours = {LOCK, f".{METADATA_FILE}"} | {table.name.split("/")[0] for table in TABLES}
    return all(item.name in ours for item in root.iterdir())
