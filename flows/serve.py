"""The flows on their schedules, with the Prefect server that ``PREFECT_API_URL`` names.

Gold is never built by two runs at once because a build takes the lake's own lock (``app.jobs.build_gold.build``). That
holds for every process of the machine, also those that Prefect knows nothing of, and the kernel frees it with a killed
process; a concurrency limit of Prefect's would do neither. Prefect's limit, one run of each flow at a time, keeps runs
from queuing up: a ``gold`` or ``quality`` run that falls due while one goes on is dropped, the next one does its work.
"""

import asyncio
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments import run_deployment
from prefect.deployments.runner import RunnerDeployment
from prefect.runner import Runner
from prefect.schedules import Cron
from prefect.types.entrypoint import EntrypointType

from app.settings import Settings
from flows import prefect_flows
from lake.gold import published

TAG: Final = "wardlake"
"""What every deployment is tagged with."""


@dataclass(frozen=True)
class Plan:
    """When a flow runs (cron, in the settings' time zone), and whether a run waits for one that still goes on."""

    cron: str
    waits: bool
    tags: tuple[str, ...]


PLANS: Final = {
    "daily": Plan("0 2 * * *", waits=True, tags=("gold",)),
    "gold": Plan("*/5 * * * *", waits=False, tags=("gold",)),
    "quality": Plan("0 * * * *", waits=False, tags=("quality",)),
    "maintain": Plan("30 3 * * *", waits=True, tags=("maintenance",)),
    "export": Plan("0 6 * * *", waits=True, tags=("bi",)),
}
"""The daily run exports what it built; the later ``export`` renews the files with what the morning brought."""


def deployments(settings: Settings) -> list[RunnerDeployment]:
    """The five deployments as they are registered."""
    return [_deployment(name, plan, settings.timezone) for name, plan in PLANS.items()]


def serve(settings: Settings) -> None:
    """Register the deployments and run what falls due, each run a process of its own, until SIGTERM or Ctrl-C.

    A lake without Gold gets it at once, not when the schedule says so.
    At the end running flows are cancelled and the schedules paused: a server should not plan what nobody runs.
    The next start resumes them.
    """
    runner = _Runner(pause_on_shutdown=True)
    for deployment in deployments(settings):
        runner.add_deployment(deployment)
    if published.last(settings.lake) is None:
        run_deployment("gold/gold", timeout=0)
    # A shell starts what it puts in the background with Ctrl-C ignored: asyncio would not end in order then.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        asyncio.run(runner.start())


class _Runner(Runner):
    """Ends on SIGTERM as on Ctrl-C: Prefect 3.8's own handler leaves running flows behind."""

    def handle_sigterm(self, *_args: object, **_kwargs: object) -> None:
        """Take SIGTERM for a Ctrl-C, which asyncio ends in order."""
        signal.raise_signal(signal.SIGINT)


def _deployment(name: str, plan: Plan, timezone: str) -> RunnerDeployment:
    strategy = ConcurrencyLimitStrategy.ENQUEUE if plan.waits else ConcurrencyLimitStrategy.CANCEL_NEW
    return RunnerDeployment.from_flow(
        prefect_flows.FLOWS[name],
        name,
        schedule=Cron(plan.cron, timezone=timezone),
        concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=strategy),
        description=prefect_flows.FLOWS[name].description,
        tags=[TAG, *plan.tags],
        paused=False,
        entrypoint_type=EntrypointType.MODULE_PATH,  # found wherever the run starts
    )
