"""``wardlake produce``: events into Kafka, simulated (once or live) or from files."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from app.cli.options import SeedOption, with_settings
from app.cli.output import err, progress_bar
from app.services import heartbeat
from app.services.stop_signal import Stop, asked_to_stop
from app.settings import Settings
from lake.errors import BrokerError, UsageError
from producer.batches import Source
from producer.publisher import Publisher, PublishResult
from producer.simulator.live_feed import FASTEST, LiveFeed, LiveState
from producer.simulator.simulator import EVENTS_PER_DAY, Simulator, SimulatorSettings
from producer.sources.files import REASONS, FileSource

app = typer.Typer(help="Send events to Kafka.", no_args_is_help=True)

_EVENTS_PER_DAY: Final = 667
_LATEST_DAY: Final = datetime(2026, 11, 1, tzinfo=UTC)
_USUAL_START: Final = datetime(2026, 1, 1, tzinfo=UTC)

SpeedOption = Annotated[
    float | None, typer.Option("--speed", help=f"Times as fast as real time, 1 to {FASTEST:.0f}.  [default: 1]")
]
RateOption = Annotated[float | None, typer.Option("--rate", help="Messages per second; as fast as it goes if absent.")]


def start_day(events: int | None, days: int | None) -> datetime:
    """First simulated day: 2026-01-01, or so much earlier that a long history does not reach into the future."""
    span = days if days is not None else (events or 0) // _EVENTS_PER_DAY + 1
    return min(_USUAL_START, _LATEST_DAY - timedelta(days=span))


@app.command("simulate")
@with_settings("kafka", "topic")
def simulate(
    settings: Settings,
    events: Annotated[int | None, typer.Option("--events", min=1, help="Messages in all, copies included.")] = None,
    days: Annotated[int | None, typer.Option("--days", min=1, help="Days of hospital life.")] = None,
    rate: RateOption = None,
    seed: SeedOption = 7,
    duplicates: Annotated[float, typer.Option(help="Share of exact duplicates.")] = 0.02,
    corrupt: Annotated[float, typer.Option(help="Share of corrupt extras.")] = 0.01,
    late: Annotated[float, typer.Option(help="Share of late events.")] = 0.02,
    truth: Annotated[Path | None, typer.Option(help="Folder to write the ground truth to.")] = None,
    staffed_beds: Annotated[Path | None, typer.Option(help="File to write the staffed beds to (CSV).")] = None,
) -> None:
    """Simulate three hospitals and send their events.

    Ctrl-C and SIGTERM end it early (exit codes 130 and 143): it says what was sent.
    """
    simulator = Simulator(
        SimulatorSettings(
            seed=seed,
            events=events,
            days=days,
            start=start_day(events, days),
            duplicates=duplicates,
            corrupt=corrupt,
            late=late,
            truth=truth is not None,
        )
    )
    with asked_to_stop() as stop:
        result = publish(simulator, settings, stop, total=events, rate=rate)
    if truth is not None and not result.interrupted:
        simulator.write_truth(truth)
    if staffed_beds is not None:
        simulator.write_staffed_beds(staffed_beds)
    _report(result)
    if result.interrupted:
        raise typer.Exit(128 + stop.number)


@app.command("file")
@with_settings("kafka", "topic")
def file(
    settings: Settings,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="CSV, JSON array or NDJSON files.")],
    format: Annotated[  # noqa: A002
        str | None, typer.Option("--format", help="csv, json or ndjson; by the suffix if absent.")
    ] = None,
    rate: RateOption = None,
) -> None:
    """Send the events of source files. A line that is no event is reported and sent on as it is.

    Ctrl-C and SIGTERM end it early (exit codes 130 and 143): it says what was sent, and what was not.
    """
    sources = [FileSource(path, format) for path in paths]
    for number, source in enumerate(sources, 1):
        with asked_to_stop() as stop:
            result = publish(source, settings, stop, total=None, rate=rate)
        _report(result)
        for bad in source.first_bad:
            rest = "nothing after it was sent" if bad.reason == "array" else "sent on as it is"
            err.print(f"{source.path.name}:{bad.line}: {REASONS[bad.reason]}; {rest}", markup=False)
        if more := source.bad.total() - len(source.first_bad):
            err.print(f"{source.path.name}: and {more} more such lines")
        if source.blank_lines:
            err.print(f"{source.path.name}: {source.blank_lines} blank lines skipped")
        if result.interrupted:
            unsent = [f"the rest of {source.path.name}", *(later.path.name for later in sources[number:])]
            err.print(f"not sent: {'; '.join(unsent)}", markup=False, soft_wrap=True)
            raise typer.Exit(128 + stop.number)
        if source.bad["array"]:
            raise UsageError(
                f"{source.path.name} was sent up to where its JSON array is broken",
                expected="an array of events",
                next_move="mend that line and send the file again: deduplication makes it harmless",
            )


@app.command("live")
@with_settings("kafka", "topic")
def live(
    settings: Settings,
    events: Annotated[int | None, typer.Option("--events", min=1, help="Messages of the history, about.")] = None,
    days: Annotated[int | None, typer.Option("--days", min=1, help="Days of the history.  [default: 30]")] = None,
    speed: SpeedOption = None,
    seed: SeedOption = 7,
    state: Annotated[Path | None, typer.Option("--state", help="File to continue from after a restart.")] = None,
    staffed_beds: Annotated[Path | None, typer.Option(help="File to write the staffed beds to (CSV).")] = None,
) -> None:
    """Send the simulated hospitals' history up to now, then continue in real time until Ctrl-C.

    With --state a restart continues the same hospitals where the last run ended; the file then decides over --events,
    --days, --speed and --seed.
    """
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


def publish(source: Source, settings: Settings, stop: Stop, *, total: int | None, rate: float | None) -> PublishResult:
    """Publish a source with a progress bar, until it ends or ``stop`` is set."""
    beat = heartbeat.of(settings.heartbeat)
    with progress_bar("publishing", total) as bar:

        def told(sent: int) -> None:
            beat()
            bar.update(bar.task_ids[0], completed=sent)

        publisher = Publisher(settings.connection, settings.topic, rate=rate, on_progress=told, stop=stop.is_set)
        return publisher.publish(source.blocks())


def _report(result: PublishResult) -> None:
    state = "interrupted" if result.interrupted else "published"
    err.print(f"{state}: {result.delivered:,} of {result.sent:,} messages delivered in {result.seconds:.1f} s")
    if result.failed:
        reasons = ", ".join(f"{name} {count}" for name, count in sorted(result.failed.items()))
        raise UsageError(
            "some messages were not delivered",
            got=reasons,
            next_move="publish again: deduplication makes it harmless",
        )
