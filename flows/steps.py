"""The steps of the flows: thin calls of what ``app`` does, each with what it says of its result.

What a step returns and says holds counts, table names and file names only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Generic, TypeVar

from app.jobs import build_gold, check_quality, export, maintain
from app.jobs.maintain import Maintained
from app.settings import Settings
from flows.stream_sync import Synced, sync
from lake.disclosure.export import Exported
from lake.errors import BrokerError, NotCaughtUpError, TopicRecreatedError, WardlakeError
from lake.gold.build import Built
from lake.quality.run import Report, Result, Stages

T = TypeVar("T")
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Step(Generic[T]):
    """One step. ``retry_on``: the errors that a second try may cure."""

    name: str
    run: Callable[[Settings, Progress], T]
    says: Callable[[T], str]
    retry_on: tuple[type[WardlakeError], ...] = ()


def failed(report: Report) -> list[Result]:
    """The failed checks of a report, errors first."""
    return sorted((one for one in report.results if one.status == "failed"), key=lambda one: one.severity)


def _synced(synced: Synced) -> str:
    return (
        f"{synced.messages:,} messages: {synced.silver:,} silver, {synced.quarantined:,} quarantined, "
        f"{synced.duplicates:,} duplicates"
    )


def _checked(report: Report) -> str:
    counts = {status: sum(one.status == status for one in report.results) for status in ("passed", "failed", "skipped")}
    names = [f"{one.check} ({one.severity})" for one in failed(report)]
    return ", ".join(f"{count} {status}" for status, count in counts.items()) + "".join(f"; {name}" for name in names)


def _built(built: Built) -> str:
    if built.kind == "unchanged":
        return f"build {built.build_id} is up to date"
    return f"build {built.build_id} ({built.kind}): {built.new_events:,} new events, {built.months} months"


def _exported(tables: list[Exported]) -> str:
    return f"{len(tables)} tables as Parquet and CSV, {sum(one.hidden for one in tables):,} figures hidden"


def _maintained(done: list[Maintained]) -> str:
    # What compaction replaced goes with a later vacuum: it is counted there.
    freed = sum(one.bytes_before - one.bytes_after for one in done if one.action in ("vacuum", "log"))
    return f"{len({one.table for one in done})} tables, {len(done)} actions, {freed / 1e6:,.1f} MB freed"


def syncing(*, demo: bool = False) -> Step[Synced]:
    """The stream, until it has caught up. A broker that is away may come back, another stream may land its share."""
    return Step(
        "sync the stream",
        partial(sync, demo=demo),
        _synced,
        retry_on=(BrokerError, NotCaughtUpError, TopicRecreatedError),
    )


def building(*, full: bool = False) -> Step[Built]:
    """A build of Gold; with ``full`` from scratch. Waits for one that runs already."""
    return Step("build Gold", lambda settings, say: build_gold.build(settings, full=full, progress=say), _built)


def _checking(name: str, stage: Stages) -> Step[Report]:
    return Step(name, partial(check_quality.check, stage=stage), _checked)


VALIDATE: Final = _checking("validate tables", "inputs")
CHECK_GOLD: Final = _checking("check Gold", "gold")
CHECK_ALL: Final = _checking("check all tables", "all")
EXPORT: Final = Step[list[Exported]]("export Gold", export.export, _exported)
MAINTAIN: Final = Step[list[Maintained]]("maintain tables", maintain.maintain, _maintained)
