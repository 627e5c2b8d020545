"""Building Gold: in full, or only what is new since the last build.

Guarantee: whatever is interrupted, readers see the last published build whole, and the next build gives the same
tables as if nothing had happened. The derived tables are written one after the other, the months of each in one
commit; the row in ``ops/builds``, written last, names their versions and what was read, and publishes them together.
A build begins by taking back what one before it wrote and did not publish.

A refresh reads the Silver rows above the positions of the last build, folds the visits that they belong to again from
all of their events, and rebuilds the months in which those visits, before or now, count. So it grows with what is new
and with the size of a month; the DuckDB files alone are written whole.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import Final

import duckdb
import polars as pl
from deltalake.exceptions import DeltaError
from filelock import FileLock

from lake.contracts.tables import BUILDS
from lake.errors import LakeError, UsageError, WardlakeError, kind_of
from lake.gold import duckdb_file, duckdb_session, replace_months, snapshot, steps
from lake.gold.duckdb_file import BuildRow
from lake.gold.fold import FOLDED
from lake.gold.published import Published, last
from lake.gold.snapshot import Snapshot
from lake.gold.staffed_beds import StaffedBeds
from lake.gold.steps import Measure, Run
from lake.gold.tables import FORMAT, GOLD
from lake.storage.store import DeltaStore, Lake, live_files

LOCK: Final = ".gold.lock"
_WRITTEN: Final = (*FOLDED, *GOLD)


@dataclass(frozen=True)
class Built:
    """What a build came to. ``kind``: ``full``, ``refresh``, or ``unchanged`` where nothing was new."""

    build_id: int
    kind: str
    new_events: int
    months: int
    seconds: float


@dataclass(frozen=True)
class BuildOptions:
    """What is asked of a build: the reference table, the time zone of days, how masking is measured, the time.

    ``stale_visit_days``: an open visit without an event for so many days leaves the census.
    """

    beds: StaffedBeds
    timezone: str
    stale_visit_days: int
    measure: Measure
    now: Callable[[], datetime]
    full: bool = False
    progress: Callable[[str], None] = lambda _: None


def lock(root: Path) -> FileLock:
    """One build, or vacuum of what builds wrote, at a time on this machine. The kernel frees it with its process."""
    return FileLock(root / LOCK, thread_local=False, mode=0o600)


def build(lake: Lake, ask: BuildOptions) -> Built:
    """Bring Gold up to date with Silver and publish it.

    Raises ``UsageError`` where no message has landed yet; ``LakeError`` where the last build is of another version of
    Wardlake or something cannot be read or written. The previous build then stays published.
    """
    with lock(lake.root):
        try:
            return _build(lake, ask)
        except WardlakeError:
            raise
        except (OSError, DeltaError, duckdb.IOException, duckdb.OutOfMemoryException) as error:
            kind = kind_of(error)
    # Outside the handler: the text of a library's error can quote what it stumbled over.
    raise LakeError(
        "Gold was not built",
        got=kind,
        expected="a lake that can be read and written",
        next_move="the old Gold stands; free space or mend the disk, then run 'wardlake flow gold' again",
    )


def _build(lake: Lake, ask: BuildOptions) -> Built:
    started = perf_counter()
    before = last(lake.root)
    _check_format(before)
    seen = snapshot.take(lake)
    if not seen.positions:
        raise UsageError(
            "there is nothing to build Gold from",
            got="a lake in which no message has landed",
            expected="events in Silver",
            next_move="run 'wardlake stream' first",
        )
    stores = {table.name: DeltaStore(lake.root, table) for table in (*_WRITTEN, BUILDS)}
    for store in stores.values():
        store.create()
    start = _start(before, seen, stores, ask)
    if start is not None and start.positions == seen.positions and start.staffed_beds == ask.beds.fingerprint:
        _hand_out(lake.root, start, stores)
        return Built(start.build_id, "unchanged", 0, 0, perf_counter() - started)
    old = {name: live_files(store.handle) for name, store in stores.items()}
    with duckdb_session.connect("UTC", lake.root) as connection:
        run = Run(lake, connection, seen, start, stores, old, ask.beds, ask.timezone, ask.stale_visit_days)
        seconds = _take_steps(run, ask)
    number = (before.build_id if before else 0) + 1
    now = ask.now()
    _write_file(lake.root, BuildRow(number, now, ask.timezone, run.data_start, run.data_end), stores)
    _publish(run, number, now, seconds)
    duckdb_file.swap_in(lake.root, number)
    kind = "refresh" if start else "full"
    return Built(number, kind, run.new_events, run.months, perf_counter() - started)


def _check_format(before: Published | None) -> None:
    if before is None or before.gold_format == FORMAT:
        return
    newer = before.gold_format > FORMAT
    raise LakeError(
        f"Gold was built by {'a newer' if newer else 'an older'} version of Wardlake",
        got=f"Gold format {before.gold_format}",
        expected=f"format {FORMAT}",
        next_move="upgrade Wardlake"
        if newer
        else "set WARDLAKE_LAKE to a new folder and take the messages in again; the old lake is left as it is",
    )


def _start(
    before: Published | None, seen: Snapshot, stores: Mapping[str, DeltaStore], ask: BuildOptions
) -> Published | None:
    """The build to go on from, its tables as it published them; None where all has to be built."""
    if before is None or ask.full or before.rebuild != seen.rebuild:
        return None
    if (before.timezone, before.stale_visit_days) != (ask.timezone, ask.stale_visit_days):
        return None
    try:
        for table in _WRITTEN:
            replace_months.take_back(stores[table.name], before.versions[table.name])
    except (DeltaError, OSError):  # files of the published version are gone: a full build makes them again
        return None
    return before


def _take_steps(run: Run, ask: BuildOptions) -> dict[str, float]:
    """Take the steps, the first two in UTC, the others in the time zone of the days; returns their seconds."""

    def kpis(run: Run) -> None:
        run.connection.execute("SET TimeZone = ?", [ask.timezone])
        steps.kpis(run)

    seconds = {}
    parts: dict[str, Callable[[Run], None]] = {
        "read": steps.read,
        "visits": steps.visits,
        "kpis": kpis,
        "compliance": lambda run: steps.compliance(run, ask.measure),
    }
    for name, step in parts.items():
        ask.progress(f"building {name}")
        began = perf_counter()
        step(run)
        seconds[name] = perf_counter() - began
    return seconds


def _publish(run: Run, number: int, now: datetime, seconds: Mapping[str, float]) -> None:
    """Append the build's row to ``ops/builds``: from here on it is what readers see."""
    row = {
        "build_id": number,
        "kind": "refresh" if run.before else "full",
        "built_at": now,
        "gold_format": FORMAT,
        "timezone": run.timezone,
        "silver_version": run.seen.silver_version,
        "ingest_version": run.seen.ingest_version,
        "rebuild": run.seen.rebuild,
        "positions": snapshot.as_frame(run.seen.positions).to_dicts(),
        "tables": [{"table": t.name, "version": run.stores[t.name].handle.version()} for t in _WRITTEN],
        "staffed_beds": run.beds.fingerprint,
        "stale_visit_days": run.stale_visit_days,
        "data_start": run.data_start,
        "data_end": run.data_end,
        "new_events": run.new_events,
        "months": run.months,
        "seconds": [{"step": step, "seconds": spent} for step, spent in seconds.items()],
        "date": now.date(),
    }
    run.stores[BUILDS.name].append(pl.DataFrame([row], schema=BUILDS.polars_schema), {})


def _write_file(root: Path, build: BuildRow, stores: Mapping[str, DeltaStore]) -> None:
    duckdb_file.write(root, build, {table.name: live_files(stores[table.name].handle) for table in GOLD})


def _hand_out(root: Path, build: Published, stores: Mapping[str, DeltaStore]) -> None:
    """Make sure that the published build's file is there and linked: a crash may have come between."""
    if not duckdb_file.path_of(root, build.build_id).exists():
        _write_file(root, BuildRow.of(build), stores)
    duckdb_file.swap_in(root, build.build_id)
