"""``wardlake produce live``: the simulated hospitals in real time, without end."""

import time
from pathlib import Path
from typing import Annotated

import typer

from app import settings as configuration
from app.cli.options import KafkaOption, SeedOption, TopicOption
from app.cli.output import err, progress_bar
from app.services import heartbeat
from app.services.stop_signal import Stop, asked_to_stop
from app.settings import Settings
from lake.errors import BrokerError
from producer.publisher import Publisher, PublishResult
from producer.simulator.live_feed import FASTEST, LiveFeed, LiveState
from producer.simulator.simulator import EVENTS_PER_DAY

SpeedOption = Annotated[
    float | None, typer.Option("--speed", help=f"Times as fast as real time, 1 to {FASTEST:.0f}.  [default: 1]")
]


def live(
    events: Annotated[int | None, typer.Option("--events", min=1, help="Messages of the history, about.")] = None,
    days: Annotated[int | None, typer.Option("--days", min=1, help="Days of the history.  [default: 30]")] = None,
    speed: SpeedOption = None,
    seed: SeedOption = 7,
    state: Annotated[Path | None, typer.Option("--state", help="File to continue from after a restart.")] = None,
    staffed_beds: Annotated[Path | None, typer.Option(help="File to write the staffed beds to (CSV).")] = None,
    kafka: KafkaOption = None,
    topic: TopicOption = None,
) -> None:
    """Send the simulated hospitals' history up to now, then continue in real time until Ctrl-C.

    With --state a restart continues the same hospitals where the last run ended; the file then decides over --events,
    --days, --speed and --seed.
    """
    settings = configuration.load(kafka=kafka, topic=topic)
    if state is not None and state.exists():
        plan = LiveState.read(state)
    else:
        plan = LiveState.create(seed=seed, events=events, days=days, speed=speed or 1.0, now=time.time())
    with asked_to_stop() as stop:
        feed = LiveFeed(plan, sleep=stop.wait)
        if staffed_beds is not None:
            feed.write_staffed_beds(staffed_beds)
        err.print(described(plan))
        send(feed, plan, state, settings, stop)
    err.print(f"stopped: {feed.sent - plan.sent:,} messages sent in this run")


def described(plan: LiveState) -> str:
    """How a feed continues, for a person to read."""
    pace = "in real time" if plan.clock.speed == 1 else f"{plan.clock.speed:g} times as fast as real time"
    hourly = EVENTS_PER_DAY / 24 * plan.clock.speed
    return f"live: about {hourly:,.0f} events an hour, {pace}, until Ctrl-C"


def send(feed: LiveFeed, plan: LiveState, path: Path | None, settings: Settings, stop: Stop) -> None:
    """Publish what is due until ``stop`` is set, and note in the file at ``path`` how far it got.

    Raises ``BrokerError`` where messages are not taken.
    """
    beat = heartbeat.of(settings.heartbeat)
    publisher = Publisher(settings.connection, settings.topic, on_progress=lambda _: beat(), stop=stop.is_set)
    for block in feed.blocks():
        beat()
        if stop.is_set():
            return
        if not len(block):
            continue
        result = publisher.publish([block])
        # In order: what was delivered of a block that was cut short is its beginning.
        plan = plan.after(feed.sent - (len(block) - result.delivered))
        if path is not None:
            plan.write(path)
        _raise_unless_whole(result)


def send_history(feed: LiveFeed, plan: LiveState, path: Path, settings: Settings) -> None:
    """Publish what comes before the clock begins, with a progress bar, and note it in the file at ``path``.

    Raises ``BrokerError`` where messages are not taken, and ``KeyboardInterrupt`` where Ctrl-C ended it early.
    """
    with progress_bar("publishing", None) as bar, asked_to_stop() as stop:
        publisher = Publisher(
            settings.connection,
            settings.topic,
            on_progress=lambda sent: bar.update(bar.task_ids[0], completed=sent),
            stop=stop.is_set,
        )
        result = publisher.publish(feed.history())
    if result.interrupted:
        raise KeyboardInterrupt
    _raise_unless_whole(result)
    plan.after(feed.sent).write(path)


def _raise_unless_whole(result: PublishResult) -> None:
    if result.failed:
        reasons = ", ".join(f"{name} {count}" for name, count in sorted(result.failed.items()))
        raise BrokerError("the broker refused messages of the live feed", got=reasons, next_move="see the broker's log")
