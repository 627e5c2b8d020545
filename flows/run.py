"""Running a flow now, from the command line: with the Prefect server that is named, else without any."""

from collections.abc import Callable

from app.settings import Settings
from flows import server
from flows.definitions import FlowResult, Progress, Run, carry_out
from flows.environment import export_environment, prepare
from flows.priority import lower_priority


def run_now(name: str, settings: Settings, progress: Progress, detail: Progress, **options: bool) -> FlowResult:
    """Run the flow called ``name``. Prefect is imported only where its server is named and answers.

    ``progress`` gets a line per step, ``detail`` what it is doing. Raises what a step raises (``definitions.Run``).
    """
    lower_priority()
    api = server.named()
    if api is not None and server.lets_in(api):
        return _seen(name, settings, **options)
    if api is not None:
        trouble = "the Prefect server refuses the sign-in" if server.answers(api) else "no Prefect server answers"
        progress(f"{trouble} at {api}: its UI will not show this run")
    return carry_out(name, Run(settings, progress, detail), **options)


def _seen(name: str, settings: Settings, **options: bool) -> FlowResult:
    """Run it so that it is seen in Prefect's UI. The flow reads its settings from the environment."""
    export_environment(settings)
    prepare()
    from prefect import State

    from flows import prefect_flows

    call: Callable[..., State[FlowResult]] = prefect_flows.FLOWS[name]
    result = call(**options, return_state=True).result(raise_on_failure=False)
    if isinstance(result, BaseException):
        raise result from None
    return result
