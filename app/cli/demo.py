"""``wardlake demo``: broker, simulated hospital, stream and figures, from one command."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from app import settings as configuration
from app.broker import EmbeddedBroker
from app.cli.options import DataOption, KafkaOption, LakeOption
from app.cli.output import err, out, table_of
from app.cli.produce import publish, start_day
from app.cli.stream import stream_into_lake
from app.settings import Settings
from lake import query, store
from lake.errors import UsageError
from producer.simulator import Simulator, SimulatorSettings

_EVENTS: Final = 20_000
_LIVE_RATE: Final = 50


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
    """Three simulated hospitals through Kafka into a lake, and what became of them.

    Starts the embedded broker (unless WARDLAKE_KAFKA names one) and makes the lake afresh: only a lake that a demo
    made is ever replaced. Without --once it goes on with a gentle live feed until Ctrl-C.
    """
    settings = configuration.load(data=data, lake=lake, kafka=kafka)
    total = _EVENTS if events is None and days is None else events
    simulated = SimulatorSettings(seed=seed, events=total, days=days, start=start_day(total, days))
    live = not once if once is not None else err.is_terminal
    _make_room(settings.lake)
    if settings.kafka is not None:
        _run(settings, simulated, live=live)
        return
    with EmbeddedBroker() as broker:
        err.print(f"embedded Kafka broker at {broker.bootstrap}")
        _run(settings.model_copy(update={"kafka": broker.bootstrap}), simulated, live=live)


def _run(settings: Settings, simulated: SimulatorSettings, *, live: bool) -> None:
    simulator = Simulator(simulated)
    publish(simulator, settings.bootstrap, settings.topic, total=simulated.events, rate=None)
    settings.staffed_beds_path.parent.mkdir(parents=True, exist_ok=True)
    simulator.write_staffed_beds(settings.staffed_beds_path)
    stream_into_lake(settings, until_caught_up=True, demo=True)
    print_summary(settings.lake)
    if live:
        _go_live(settings, simulated)


def _go_live(settings: Settings, simulated: SimulatorSettings) -> None:
    """A feed of its own process, so that a slow laptop's stream and simulator do not share an interpreter."""
    err.print(f"live: {_LIVE_RATE} events/s until Ctrl-C; 'wardlake sql' and 'wardlake status' work meanwhile")
    feed = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "app.cli.live",
            settings.bootstrap,
            settings.topic,
            str(simulated.seed + 1),
            str(_LIVE_RATE),
        ],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        stream_into_lake(settings, until_caught_up=False, demo=True)
    finally:
        feed.terminate()
        feed.wait()
    print_summary(settings.lake)


def print_summary(lake: Path) -> None:
    """The figures of a lake: KPIs, where every message is, masking per field, rules broken."""
    kpis = query.named(lake, "summary").row(0, named=True)
    out.print(table_of(["KPI", "figure"], [(name.replace("_", " "), value) for name, value in kpis.items()]))
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
