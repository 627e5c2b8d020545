"""The flows, each defined once: which step follows which, and when a flow ends early.

A flow is a function of a ``Run``, which carries out its steps: here and now, or as Prefect tasks
(``flows.prefect_flows``). What a step returns and reports holds counts, table names and file names only.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any, Final, Generic, TypeVar

from polars.exceptions import PanicException

from app.failures import where
from app.jobs import build_gold, check_quality
from app.jobs import export as exporting
from app.jobs import maintain as maintaining
from app.jobs.maintain import Maintained
from app.settings import Settings
from flows.environment import DEMO
from flows.stream_sync import Synced, sync
from lake.contracts.event import OUTCOMES
from lake.contracts.tables import INGEST
from lake.disclosure.export import Exported
from lake.errors import BrokerError, NotCaughtUpError, StepError, TopicRecreatedError, WardlakeError
from lake.gold.build import Built
from lake.quality.run import Report, Result
from lake.storage.store import open_lake

T = TypeVar("T")
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Step(Generic[T]):
    """One step: what it does, and a line about its result. ``retry_on``: errors that a second try may cure."""

    name: str
    work: Callable[[Settings, Progress], T]
    summary: Callable[[T], str]
    retry_on: tuple[type[WardlakeError], ...] = ()


@dataclass(frozen=True)
class StepResult:
    """A step that was carried out: its name, seconds, a line about its result, and the result."""

    step: str
    seconds: float
    message: str
    result: Any


@dataclass(frozen=True)
class Ending:
    """How a flow ended, in a sentence; ``passed`` is whether every error check of its quality steps passed."""

    message: str
    passed: bool = True


@dataclass(frozen=True)
class FlowResult:
    """What a run of the flow called ``flow`` came to: how it ended, and the steps that were carried out."""

    flow: str
    ending: Ending
    steps: list[StepResult]


@dataclass
class Run:
    """Carries out steps here and now, and keeps their results.

    ``progress`` gets a line as a step begins and ends, ``detail`` what it is doing. Raises what a step raises: a
    ``WardlakeError``, or for any other error a ``StepError`` without its text, which may hold values.
    """

    settings: Settings
    progress: Progress
    detail: Progress = field(default=lambda _: None)
    steps: list[StepResult] = field(default_factory=list)

    def __call__(self, step: Step[T]) -> T:
        """Carry out the step and return its result."""
        return self.carry_out(step, self.progress, self.detail)

    def carry_out(self, step: Step[T], progress: Progress, detail: Progress) -> T:
        """Carry out the step; ``progress`` and ``detail`` are where it reports."""
        progress(step.name)
        started = perf_counter()
        result = without_values_in_errors(step.name, lambda: step.work(self.settings, detail))
        self.steps.append(StepResult(step.name, round(perf_counter() - started, 3), step.summary(result), result))
        progress(f"{step.name}: {self.steps[-1].message}")
        return result


def daily(run: Run) -> Ending:
    """Sync the stream, validate the tables, build Gold, check it, export it.

    A failed error check ends it: before Gold, the last build stays published; after Gold, nothing is exported.
    """
    run(SYNC)
    if nothing_landed(run.settings):
        return NOTHING_LANDED
    if not run(VALIDATE).passed:
        return GOLD_KEPT
    run(building())
    if not run(CHECK_GOLD).passed:
        return Ending("Gold is built, but an error check of it failed: nothing was exported", passed=False)
    run(EXPORT)
    return Ending("Gold is up to date, checked and exported")


def gold(run: Run, *, full: bool = False) -> Ending:
    """Validate what is new and build Gold; with ``full`` from scratch.

    A failed error check ends it: the last build stays published.
    """
    if nothing_landed(run.settings):
        return NOTHING_LANDED
    if not run(VALIDATE).passed:
        return GOLD_KEPT
    run(building(full=full))
    return Ending("Gold is up to date")


def quality(run: Run) -> Ending:
    """Run every quality check over every table and keep what it found."""
    passed = run(CHECK_ALL).passed
    return Ending("every error check passed" if passed else "an error check failed", passed=passed)


def maintain(run: Run) -> Ending:
    """Compact the tables and remove what no reader needs."""
    run(MAINTAIN)
    return Ending("the tables are maintained")


def export(run: Run) -> Ending:
    """Write the published Gold as files for BI tools."""
    run(EXPORT)
    return Ending(f"exported to {run.settings.export}")


FLOWS: Final[Mapping[str, Callable[..., Ending]]] = {
    one.__name__: one for one in (daily, gold, quality, maintain, export)
}

NOTHING_LANDED: Final = Ending("nothing has landed yet: nothing was built")
GOLD_KEPT: Final = Ending("an error check failed before Gold: the last build stays published", passed=False)


def carry_out(name: str, run: Run, **options: bool) -> FlowResult:
    """Carry out the flow called ``name``; ``options`` are its own."""
    return FlowResult(name, FLOWS[name](run, **options), run.steps)


def nothing_landed(settings: Settings) -> bool:
    """Whether the lake holds no message. Raises ``LakeError`` where there is no lake."""
    return open_lake(settings.lake).store(INGEST).scan().head(1).collect().is_empty()


def without_values_in_errors(step: str, work: Callable[[], T]) -> T:
    """The result of ``work``; an error that is not ours becomes a ``StepError`` without its text or chain."""
    try:
        return work()
    except WardlakeError as error:
        raise error from None
    except (Exception, PanicException) as error:  # a panic of Polars is no Exception
        got = where(error)
    # Outside the handlers, or the original would be chained to it.
    raise StepError(f"the step '{step}' failed", got=got, next_move="nothing was changed; please report it")


def failed_checks(report: Report) -> list[Result]:
    """The failed checks of a report, errors first."""
    return sorted((one for one in report.results if one.status == "failed"), key=lambda one: one.severity)


def _sync_summary(synced: Synced) -> str:
    parts = ", ".join(f"{getattr(synced, name):,} {name}" for name in OUTCOMES)
    return f"{synced.messages:,} messages: {parts}"


def _check_summary(report: Report) -> str:
    counts = {status: sum(one.status == status for one in report.results) for status in ("passed", "failed", "skipped")}
    names = [f"{one.check} ({one.severity})" for one in failed_checks(report)]
    return ", ".join(f"{count} {status}" for status, count in counts.items()) + "".join(f"; {name}" for name in names)


def _build_summary(built: Built) -> str:
    if built.kind == "unchanged":
        return f"build {built.build_id} is up to date"
    return f"build {built.build_id} ({built.kind}): {built.new_events:,} new events, {built.months} months"


def _export_summary(tables: list[Exported]) -> str:
    return f"{len(tables)} tables as Parquet and CSV, {sum(one.hidden for one in tables):,} figures hidden"


def _maintain_summary(done: list[Maintained]) -> str:
    # What compaction replaced goes with a later vacuum: it is counted there.
    freed = sum(one.bytes_before - one.bytes_after for one in done if one.action in ("vacuum", "log"))
    return f"{len({one.table for one in done})} tables, {len(done)} actions, {freed / 1e6:,.1f} MB freed"


def building(*, full: bool = False) -> Step[Built]:
    """A build of Gold; with ``full`` from scratch. Waits for one that runs already."""
    return Step("build Gold", lambda settings, say: build_gold.build(settings, full=full, progress=say), _build_summary)


SYNC: Final = Step(
    "sync the stream",
    lambda settings, say: sync(settings, say, demo=DEMO in os.environ),
    _sync_summary,
    # A broker that is away may come back; another stream may land its share.
    retry_on=(BrokerError, NotCaughtUpError, TopicRecreatedError),
)
VALIDATE: Final = Step("validate tables", partial(check_quality.check, stage="inputs"), _check_summary)
CHECK_GOLD: Final = Step("check Gold", partial(check_quality.check, stage="gold"), _check_summary)
CHECK_ALL: Final = Step("check all tables", partial(check_quality.check, stage="all"), _check_summary)
EXPORT: Final = Step[list[Exported]]("export Gold", exporting.export, _export_summary)
MAINTAIN: Final = Step[list[Maintained]]("maintain tables", maintaining.maintain, _maintain_summary)
