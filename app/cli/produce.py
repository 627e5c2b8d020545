"""``wardlake produce``: events into Kafka, simulated or from files."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from app import settings as configuration
from app.cli.live import live
from app.cli.options import KafkaOption, SeedOption, TopicOption
from app.cli.output import err, progress_bar
from app.services import heartbeat
from app.services.stop_signal import Stop, asked_to_stop
from app.settings import Settings
from lake.errors import UsageError
from producer.batches import Source
from producer.publisher import Publisher, PublishResult
from producer.simulator.simulator import Simulator, SimulatorSettings
from producer.sources.files import REASONS, FileSource

app = typer.Typer(help="Send events to Kafka.", no_args_is_help=True)
app.command("live")(live)

_EVENTS_PER_DAY: Final = 667
_LATEST_DAY: Final = datetime(2026, 11, 1, tzinfo=UTC)
_USUAL_START: Final = datetime(2026, 1, 1, tzinfo=UTC)

RateOption = Annotated[float | None, typer.Option("--rate", help="Messages per second; as fast as it goes if absent.")]


def start_day(events: int | None, days: int | None) -> datetime:
    """First simulated day: 2026-01-01, or so much earlier that a long history does not reach into the future."""
    span = days if days is not None else (events or 0) // _EVENTS_PER_DAY + 1
    return min(_USUAL_START, _LATEST_DAY - timedelta(days=span))


@app.command("simulate")
def simulate(
    events: Annotated[int | None, typer.Option("--events", min=1, help="Messages in all, copies included.")] = None,
    days: Annotated[int | None, typer.Option("--days", min=1, help="Days of hospital life.")] = None,
    rate: RateOption = None,
    seed: SeedOption = 7,
    duplicates: Annotated[float, typer.Option(help="Share of exact duplicates.")] = 0.02,
    corrupt: Annotated[float, typer.Option(help="Share of corrupt extras.")] = 0.01,
    late: Annotated[float, typer.Option(help="Share of late events.")] = 0.02,
    truth: Annotated[Path | None, typer.Option(help="Folder to write the ground truth to.")] = None,
    staffed_beds: Annotated[Path | None, typer.Option(help="File to write the staffed beds to (CSV).")] = None,
    kafka: KafkaOption = None,
    topic: TopicOption = None,
) -> None:
    """Simulate three hospitals and send their events.

    Ctrl-C and SIGTERM end it early (exit codes 130 and 143): it says what was sent.
    """
    settings = configuration.load(kafka=kafka, topic=topic)
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
def file(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="CSV, JSON array or NDJSON files.")],
    format: Annotated[  # noqa: A002
        str | None, typer.Option("--format", help="csv, json or ndjson; by the suffix if absent.")
    ] = None,
    rate: RateOption = None,
    kafka: KafkaOption = None,
    topic: TopicOption = None,
) -> None:
    """Send the events of source files. A line that is no event is reported and sent on as it is.

    Ctrl-C and SIGTERM end it early (exit codes 130 and 143): it says what was sent, and what was not.
    """
    settings = configuration.load(kafka=kafka, topic=topic)
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
