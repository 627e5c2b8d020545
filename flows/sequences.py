"""Which step follows which, and when a flow ends early. The one description of each flow.

A sequence is a plain function of the settings and of ``run``, which carries out a step: ``Run`` does it here and now,
``flows.deployed`` as a Prefect task. A step that fails raises; a sequence that ends says how.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final, Protocol

from polars.exceptions import PanicException

from app.failures import where
from app.settings import Settings
from flows import steps
from flows.steps import Progress, Step, T
from lake.contracts.tables import INGEST
from lake.errors import StepError, WardlakeError
from lake.storage.store import open_lake


@dataclass(frozen=True)
class Ending:
    """How a flow ended, in a sentence; ``passed`` is whether every error check of its quality steps passed."""

    said: str
    passed: bool = True


@dataclass(frozen=True)
class Done:
    """A step that was done: its name, seconds, what it says of its result, and the result."""

    step: str
    seconds: float
    said: str
    result: Any


@dataclass(frozen=True)
class Outcome:
    """What a run of the flow called ``flow`` came to: how it ended, and the steps that were done."""

    flow: str
    ending: Ending
    done: list[Done]


class Runner(Protocol):
    """What carries out a step and returns its result."""

    def __call__(self, step: Step[T]) -> T:
        """Carry out the step."""
        ...


@dataclass
class Run:
    """Carries out steps here and now, and keeps what was done.

    ``progress`` is told of each step, ``detail`` of what it is at. Raises what a step raises: a ``WardlakeError``, or
    for any other error a ``StepError`` without its text, which may hold values.
    """

    settings: Settings
    progress: Progress
    detail: Progress = field(default=lambda _: None)
    done: list[Done] = field(default_factory=list)

    def __call__(self, step: Step[T]) -> T:
        """Carry out the step."""
        return self.carry_out(step, self.progress, self.detail)

    def carry_out(self, step: Step[T], progress: Progress, detail: Progress) -> T:
        """Carry out the step and tell of it there."""
        progress(step.name)
        started = perf_counter()
        result = without_values_in_errors(step.name, lambda: step.run(self.settings, detail))
        self.done.append(Done(step.name, round(perf_counter() - started, 3), step.says(result), result))
        progress(f"{step.name}: {self.done[-1].said}")
        return result


def daily(settings: Settings, run: Runner, *, demo: bool = False) -> Ending:
    """Sync the stream → validate the tables → build Gold → check Gold → export.

    A failed error check ends it: before Gold, the last build stays published; after Gold, nothing is exported.
    """
    run(steps.syncing(demo=demo))
    if nothing_landed(settings):
        return NOTHING
    if not run(steps.VALIDATE).passed:
        return KEPT
    run(steps.building())
    if not run(steps.CHECK_GOLD).passed:
        return Ending("Gold is built, but an error check of it failed: nothing was exported", passed=False)
    run(steps.EXPORT)
    return Ending("Gold is up to date, checked and exported")


def gold(settings: Settings, run: Runner, *, full: bool = False) -> Ending:
    """Validate what is new → build Gold. A failed error check ends it: the last build stays published."""
    if nothing_landed(settings):
        return NOTHING
    if not run(steps.VALIDATE).passed:
        return KEPT
    run(steps.building(full=full))
    return Ending("Gold is up to date")


def quality(settings: Settings, run: Runner) -> Ending:  # noqa: ARG001
    """Run every check over every table and keep what it found."""
    passed = run(steps.CHECK_ALL).passed
    return Ending("every error check passed" if passed else "an error check failed", passed=passed)


def maintain(settings: Settings, run: Runner) -> Ending:  # noqa: ARG001
    """Compact the tables and clear away what no reader needs."""
    run(steps.MAINTAIN)
    return Ending("the tables are maintained")


def export(settings: Settings, run: Runner) -> Ending:
    """Write the published Gold as files for BI tools."""
    run(steps.EXPORT)
    return Ending(f"exported to {settings.export}")


SEQUENCES: Final[Mapping[str, Callable[..., Ending]]] = {
    one.__name__: one for one in (daily, gold, quality, maintain, export)
}

NOTHING: Final = Ending("nothing has landed yet: nothing was built")
KEPT: Final = Ending("an error check failed before Gold: the last build stays published", passed=False)


def carry_out(name: str, run: Run, **options: bool) -> Outcome:
    """Carry out the sequence called ``name``; ``options`` are its own."""
    return Outcome(name, SEQUENCES[name](run.settings, run, **options), run.done)


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
    raise StepError(f"the step '{step}' failed", got=got, next_move="what was there before stands; please report it")
