"""``wardlake demo``: broker, simulated hospital, stream, Gold, dashboards, flows and figures, from one command."""

import os
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from app import gold
from app import settings as configuration
from app.broker import EmbeddedBroker
from app.child import spawn, stop, usual_or_free
from app.cli import dashboard
from app.cli.options import DataOption, KafkaOption, LakeOption
from app.cli.output import err, out, table_of
from app.cli.produce import publish, start_day
from app.cli.stream import stream_into_lake
from app.dashboard import PORT
from app.kpis import kpis
from app.settings import Settings
from lake import query, store
from lake.errors import UsageError
from producer.simulator import Simulator, SimulatorSettings

if TYPE_CHECKING:
    from flows.server import PrefectServer

_EVENTS: Final = 20_000
_LIVE_RATE: Final = 50
_STOP_SECONDS: Final = 20.0
"""The flows take some seconds to cancel what runs and to pause their schedules."""
_FROM_GOLD: Final = ("readmitted within 30 days", "patients at midnight, mean", "bed occupancy", "masking success")


def demo(
    events: Annotated[int | None, typer.Option("--events", min=1, help="Messages to simulate.")] = None,
    days: Annotated[int | None, typer.Option("--days", min=1, help="Days of hospital life.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same hospital.")] = 7,
    once: Annotated[
        bool | None,
        typer.Option("--once/--live", help="Process, print the summary, exit.  [default: live on a terminal]"),
    ] = None,
    data: DataOption = None,
    lake: LakeOption = None,
    kafka: KafkaOption = None,
) -> None:
    """Three simulated hospitals through Kafka into a lake, Gold, and what became of them.

    Starts the embedded broker (unless WARDLAKE_KAFKA names one) and makes the lake afresh: only a lake that a demo
    made is ever replaced. Without --once it goes on with a gentle live feed, the dashboards, the scheduled flows and
    Prefect's UI, until Ctrl-C.
    """
    settings = configuration.load(data=data, lake=lake, kafka=kafka)
    total = _EVENTS if events is None and days is None else events
    simulator = Simulator(SimulatorSettings(seed=seed, events=total, days=days, start=start_day(total, days)))
    live = not once if once is not None else err.is_terminal
    from flows.server import PrefectServer

    _make_room(settings.lake)
    with ExitStack() as stack:
        if settings.kafka is None:
            broker = stack.enter_context(EmbeddedBroker())
            err.print(f"embedded Kafka broker at {broker.bootstrap}")
            settings = settings.model_copy(update={"kafka": broker.bootstrap})
        # Started first, for it takes a while: it is up when the figures are there.
        server = stack.enter_context(PrefectServer(settings.data / "prefect")) if live else None
        _run(settings, simulator, total)
        if server is not None:
            _go_live(settings, server, seed)


def _run(settings: Settings, simulator: Simulator, total: int | None) -> None:
    publish(simulator, settings, total=total, rate=None)
    settings.staffed_beds_path.parent.mkdir(parents=True, exist_ok=True)
    simulator.write_staffed_beds(settings.staffed_beds_path)
    stream_into_lake(settings, until_caught_up=True, demo=True)
    gold.build(settings)
    print_summary(settings.lake)


def _go_live(settings: Settings, server: "PrefectServer", seed: int) -> None:
    """Dashboards, feed, stream and flows at work, each a process of its own so as not to slow down the stream."""
    from flows.environment import DASHBOARD, DEMO, handed_on

    with dashboard.of(settings, port=usual_or_free(PORT), more=server.for_dashboards) as dashboards:
        err.print("waiting for the dashboards and the Prefect server")
        dashboards.wait()
        err.print(f"dashboards at {dashboards.address}")
        server.wait()
        err.print(f"Prefect UI at {server.ui}: the flows, their schedules and runs")
        err.print(f"it asks for a sign-in: the line in {server.auth_file}", markup=False, soft_wrap=True)
        told = handed_on(settings) | server.environment | {DEMO: "1", DASHBOARD: dashboards.address}
        module = [sys.executable, "-m"]
        flows = spawn([*module, "app", "flows", "serve"], os.environ | told, log=server.home / "flows.log")
        feed = spawn([*module, "app.cli.live", settings.bootstrap, settings.topic, str(seed + 1), str(_LIVE_RATE)])
        err.print(f"live: {_LIVE_RATE} events/s until Ctrl-C; 'wardlake sql' and 'wardlake status' work meanwhile")
        try:
            stream_into_lake(settings, until_caught_up=False, demo=True)
        finally:
            stop(feed, _STOP_SECONDS)
            stop(flows, _STOP_SECONDS)
    gold.build(settings)
    print_summary(settings.lake)


def print_summary(lake: Path) -> None:
    """The figures of a lake: KPIs, where every message is, masking per field, rules broken."""
    summary = query.named(lake, "summary").row(0, named=True)
    figures = [(name.replace("_", " "), value) for name, value in summary.items()]
    figures += [(name, figure) for name, figure in kpis(lake) if name in _FROM_GOLD]
    out.print(table_of(["KPI", "figure"], figures))
    accounting = query.named(lake, "accounting").row(0, named=True)
    out.print(
        "{messages:,} messages = {silver:,} silver + {quarantined:,} quarantined + {duplicates:,} duplicates".format(
            **accounting
        )
    )
    fields = query.named(lake, "fields")
    out.print(table_of(["PHI field", "present", "masked", "redacted", "missing"], fields.iter_rows()))
    out.print(table_of(["rule broken", "messages"], query.named(lake, "rules").iter_rows()))


def _make_room(lake: Path) -> None:
    """Clear away the last demo's lake; refuse to touch any other."""
    if not store.exists(lake):
        return
    if not store.is_demo(lake):
        raise UsageError(
            f"the lake at {lake} was not made by a demo",
            got="a lake with data of its own",
            expected="no lake, or a demo's",
            next_move="set WARDLAKE_DATA to another folder for the demo",
        )
    shutil.rmtree(lake)
