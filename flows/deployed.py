"""The flows as Prefect runs them: each a sequence whose steps are tasks, its settings from the environment.

No parameter, log line, artifact or state holds a patient value or the key: tasks take no argument and keep no result,
and an error that is not ours arrives here without its text (``sequences.Run``).
"""

import os
from typing import Any, Final

from prefect import Flow, flow, get_run_logger, runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from app import settings as configuration
from flows import artifacts
from flows.environment import DEMO
from flows.priority import lower_priority
from flows.sequences import Outcome, Run, carry_out
from flows.steps import Step, T

RETRIES: Final = 3
RETRY_SECONDS: Final = 20


@flow(persist_result=False)
def daily() -> State[Outcome]:
    """Sync the stream, validate the tables, build Gold, check it, export it."""
    return _run("daily", demo=DEMO in os.environ)


@flow(persist_result=False)
def gold(full: bool = False) -> State[Outcome]:
    """Validate what is new and build Gold; with ``full`` from scratch."""
    return _run("gold", full=full)


@flow(persist_result=False)
def quality() -> State[Outcome]:
    """Run every quality check and keep what it found."""
    return _run("quality")


@flow(persist_result=False)
def maintain() -> State[Outcome]:
    """Compact the tables and clear away what no reader needs."""
    return _run("maintain")


@flow(persist_result=False)
def export() -> State[Outcome]:
    """Write the published Gold as files for BI tools."""
    return _run("export")


FLOWS: Final[dict[str, Flow[..., Any]]] = {one.name: one for one in (daily, gold, quality, maintain, export)}


class TaskRun(Run):
    """Carries out each step as a Prefect task."""

    def __call__(self, step: Step[T]) -> T:
        """Carry out the step.

        Where a second try may help, a scheduled run makes up to three more; a person at a terminal is told at once.
        """

        @task(
            name=step.name,
            task_run_name=step.name,
            retries=RETRIES if step.retry_on and runtime.deployment.id else 0,
            retry_delay_seconds=RETRY_SECONDS,
            retry_condition_fn=lambda _task, _run, state: _failed_with(state, step),
            cache_policy=NO_CACHE,
            persist_result=False,
        )
        def carried_out() -> T:
            logger = get_run_logger()
            return self.carry_out(step, logger.info, logger.debug)

        return carried_out()


def _run(name: str, **options: bool) -> State[Outcome]:
    lower_priority()
    settings = configuration.load()
    run = TaskRun(settings, get_run_logger().info)
    outcome = carry_out(name, run, **options)
    artifacts.publish(settings, outcome)
    return (Completed if outcome.ending.passed else Failed)(message=outcome.ending.said, data=outcome)


def _failed_with(state: State[Any], step: Step[Any]) -> bool:
    error = state.result(raise_on_failure=False)
    return isinstance(error, step.retry_on)
