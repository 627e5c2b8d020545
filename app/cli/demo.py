"""``wardlake demo``: broker, simulated hospital, stream, Gold, dashboards, flows and figures, from one command."""

import os
import shutil
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from app.cli import dashboard
from app.cli.options import SeedOption, with_settings
from app.cli.output import conservation, err, out, table_of
from app.cli.produce import SpeedOption, described, publish, send_history, start_day
from app.cli.stream import stream_into_lake
from app.jobs import build_gold
from app.jobs.kpi_summary import kpis
from app.services import demo_address
from app.services.broker import EmbeddedBroker
from app.services.child_process import spawn, stop, usual_or_free
from app.services.dashboard import PORT
from app.services.stop_signal import asked_to_stop
from app.settings import Settings
from lake.disclosure.audience import Audience
from lake.errors import UsageError
from lake.query import lake_sql
from lake.storage import store
from producer.simulator.live_feed import LiveFeed, LiveState
from producer.simulator.simulator import Simulator, SimulatorSettings

if TYPE_CHECKING:
    from flows.server import PrefectServer

_EVENTS: Final = 20_000
_STOP_SECONDS: Final = 20.0
"""The flows take some seconds to cancel what runs and to pause their schedules."""
_FROM_GOLD: Final = ("readmitted within 30 days", "patients at midnight, mean", "bed occupancy", "masking success")


@with_settings("data", "lake", "kafka")
def demo(
    settings: Settings,
    events: Annotated[int | None, typer.Option("--events", min=1, help="Messages to simulate.")] = None,
    days: Annotated[int | None, typer.Option("--days", min=1, help="Days of hospital life.")] = None,
    seed: SeedOption = 7,
    once: Annotated[
        bool | None,
        typer.Option("--once/--live", help="Process, print the summary, exit.  [default: live on a terminal]"),
    ] = None,
    speed: SpeedOption = None,
) -> None:
    """Three simulated hospitals through Kafka into a lake, Gold, and what became of them.

    Starts the embedded broker (unless WARDLAKE_KAFKA names one) and makes the lake afresh: only a lake that a demo
    made is ever replaced. With --once the history begins on 2026-01-01 and has the same figures each time. Without it
    the history ends now and the hospitals continue in real time (--speed N: N times as fast), with the dashboards, the
    scheduled flows and Prefect's UI, until Ctrl-C.
    """
    live = _is_live(once, speed)
    total = _EVENTS if events is None and days is None else events
    if live:
        plan = LiveState.create(seed=seed, events=total, days=days, speed=speed or 1.0, now=time.time())
    else:
        simulator = Simulator(SimulatorSettings(seed=seed, events=total, days=days, start=start_day(total, days)))
    _make_room(settings)
    with ExitStack() as stack:
        if settings.kafka is None:
            broker = stack.enter_context(EmbeddedBroker())
            err.print(f"embedded Kafka broker at {broker.bootstrap}")
            settings = settings.model_copy(update={"kafka": broker.bootstrap})
            stack.enter_context(demo_address.announced(settings.data, broker.bootstrap))
        if live:
            _live(settings, plan, stack)
        else:
            with asked_to_stop() as stop:
                if publish(simulator, settings, stop, total=total, rate=None).interrupted:
                    raise KeyboardInterrupt
            simulator.write_staffed_beds(_beds_file(settings))
            _process(settings)


def _is_live(once: bool | None, speed: float | None) -> bool:
    if once and speed is not None:
        raise UsageError("--speed has nothing to speed up", got="--once", next_move="leave one of them out")
    return not once if once is not None else speed is not None or err.is_terminal


def _beds_file(settings: Settings) -> Path:
    settings.staffed_beds_path.parent.mkdir(parents=True, exist_ok=True)
    return settings.staffed_beds_path


def _process(settings: Settings) -> None:
    stream_into_lake(settings, until_caught_up=True, demo=True)
    build_gold.build(settings)
    print_summary(settings.lake)


def _live(settings: Settings, plan: LiveState, stack: ExitStack) -> None:
    """The history, its figures, and then everything at work until Ctrl-C."""
    from flows.server import PrefectServer

    # Started first, for it takes a while: it is up when the figures are there.
    server = stack.enter_context(PrefectServer(settings.data / "prefect"))
    feed, state = LiveFeed(plan), settings.data / "feed.json"
    stack.callback(state.unlink, missing_ok=True)
    send_history(feed, plan, state, settings)
    feed.write_staffed_beds(_beds_file(settings))
    _process(settings)
    _go_on(settings, server, plan, state)


def _go_on(settings: Settings, server: "PrefectServer", plan: LiveState, state: Path) -> None:
    """Dashboards, feed, stream and flows at work, each a process of its own so as not to slow down the stream."""
    from flows.environment import DASHBOARD, DEMO, child_environment

    with dashboard.of(settings, port=usual_or_free(PORT), more=server.for_dashboards) as dashboards:
        err.print("waiting for the dashboards and the Prefect server")
        dashboards.wait()
        err.print(f"dashboards at {dashboards.address}")
        server.wait()
        err.print(f"Prefect UI at {server.ui}: the flows, their schedules and runs")
        err.print(f"it asks for a sign-in: the line in {server.auth_file}", markup=False, soft_wrap=True)
        ours = child_environment(settings)
        told = ours | server.environment | {DEMO: "1", DASHBOARD: dashboards.address}
        command = [sys.executable, "-m", "app"]
        flows = spawn([*command, "flows", "serve"], os.environ | told, log=server.home / "flows.log")
        feed = spawn([*command, "produce", "live", "--state", str(state)], os.environ | ours)
        err.print(f"{described(plan)}; 'wardlake sql', 'status' and 'flow' work in a second terminal")
        try:
            stream_into_lake(settings, until_caught_up=False, demo=True)
        finally:
            stop(feed, _STOP_SECONDS)
            stop(flows, _STOP_SECONDS)
    build_gold.build(settings)
    print_summary(settings.lake)


def print_summary(lake: Path) -> None:
    """The figures of a lake: KPIs, where every message is, masking per field, rules broken."""
    summary = lake_sql.named(lake, "summary").row(0, named=True)
    figures = [(name.replace("_", " "), value) for name, value in summary.items()]
    figures += [(name, figure) for name, figure in kpis(lake, Audience.INTERNAL) if name in _FROM_GOLD]
    out.print(table_of(["KPI", "figure"], figures))
    accounting = lake_sql.named(lake, "accounting").row(0, named=True)
    out.print(conservation(accounting))
    fields = lake_sql.named(lake, "fields")
    out.print(table_of(["PHI field", "present", "masked", "redacted", "missing"], fields.iter_rows()))
    out.print(table_of(["rule broken", "messages"], lake_sql.named(lake, "rules").iter_rows()))


def _make_room(settings: Settings) -> None:
    """Clear away the last demo's lake; refuse to touch any other, and one that a demo is at work on."""
    if broker := demo_address.broker_of(settings.data):
        raise UsageError(
            f"a demo is running in {settings.data}",
            got=f"its broker at {broker}",
            expected="no other demo with this folder",
            next_move="end it with Ctrl-C, or set WARDLAKE_DATA to another folder for this one",
        )
    if not store.exists(settings.lake):
        return
    if not store.is_demo(settings.lake):
        raise UsageError(
            f"the lake at {settings.lake} was not made by a demo",
            got="a lake with data of its own",
            expected="no lake, or a demo's",
            next_move="set WARDLAKE_DATA to another folder for the demo",
        )
    shutil.rmtree(settings.lake)
