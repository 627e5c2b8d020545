"""The flows of ``flows.definitions`` as Prefect flows: their steps are tasks, their settings come from the environment.

No parameter, log line, artifact or state holds a patient value or the key: tasks take no argument and keep no result,
and an error that is not ours arrives without its text (``definitions.Run``).
"""

import functools
import inspect
from typing import Any, Final

from prefect import Flow, flow, get_run_logger, runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from app import settings as configuration
from flows import artifacts, definitions
from flows.definitions import FlowResult, Run, Step, T, carry_out
from flows.priority import lower_priority

RETRIES: Final = 3
RETRY_SECONDS: Final = 20


class TaskRun(Run):
    """Carries out each step as a Prefect task."""

    def __call__(self, step: Step[T]) -> T:
        """Carry out the step.

        Where a second try may help, a scheduled run makes up to three more; a person at a terminal sees the error.
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


def _as_prefect_flow(name: str) -> Flow[..., State[FlowResult]]:
    """The flow called ``name``, with the description and the options of its definition as parameters."""
    definition = definitions.FLOWS[name]

    def run_flow(**options: bool) -> State[FlowResult]:
        lower_priority()
        run = TaskRun(configuration.load(), get_run_logger().info)
        result = carry_out(name, run, **options)
        artifacts.publish(run.settings, result)
        return (Completed if result.ending.passed else Failed)(message=result.ending.message, data=result)

    functools.update_wrapper(run_flow, definition)
    _run, *options = inspect.signature(definition).parameters.values()
    run_flow.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    run_flow.__module__ = __name__  # where a deployment finds it
    return flow(name=name, description=inspect.getdoc(definition), persist_result=False)(run_flow)


def _failed_with(state: State[Any], step: Step[Any]) -> bool:
    error = state.result(raise_on_failure=False)
    return isinstance(error, step.retry_on)


# Named here, because a deployment names its flow by module and name.
daily = _as_prefect_flow("daily")
gold = _as_prefect_flow("gold")
quality = _as_prefect_flow("quality")
maintain = _as_prefect_flow("maintain")
export = _as_prefect_flow("export")

FLOWS: Final = {one.name: one for one in (daily, gold, quality, maintain, export)}
