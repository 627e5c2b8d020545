"""``wardlake stream``: events of Kafka into the lake."""

import os
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated, NoReturn

import structlog
import typer
from rich.status import Status

from app.cli.options import with_settings
from app.cli.output import err
from app.jobs.active_policy import masking_policy
from app.jobs.lake_session import open_or_create
from app.settings import Settings
from app.stream.caught_up import PATIENCE_SECONDS
from app.stream.exactly_once_writer import Landed
from app.stream.run import run_stream
from lake.errors import TopicRecreatedError, UsageError
from lake.kafka import reach

log = structlog.get_logger("wardlake.stream")


@with_settings(
    "data", "lake", "kafka", "topic", "group", "policy", "key_file", "dedup_key", "batch_messages", "batch_seconds"
)
def stream(
    settings: Settings,
    until_caught_up: Annotated[
        bool, typer.Option("--until-caught-up", help="Exit once all that the topic held at the start has landed.")
    ] = False,
    timeout: Annotated[
        float | None,
        typer.Option(
            min=1,
            metavar="SECONDS",
            help="With --until-caught-up: exit 1 when nothing of what is left landed for so long.  [default: 300]",
        ),
    ] = None,
) -> None:
    """Take events from Kafka into the lake: decode, validate, mask, deduplicate, land.

    Runs until Ctrl-C or SIGTERM, which finish the batch in hand and exit 0. Logs a line of JSON per landed batch.
    Starts itself again where the topic was deleted and made again.

    With --until-caught-up it exits 0 once the lake holds all that any partition of the topic held at the start,
    whichever stream landed it; 1 after --timeout; 130 after Ctrl-C or SIGTERM.
    """
    if timeout is not None and not until_caught_up:
        raise UsageError(
            "--timeout is for --until-caught-up",
            got="--timeout alone",
            expected="both, or neither",
            next_move="add --until-caught-up, or leave out --timeout",
        )
    try:
        stream_into_lake(settings, until_caught_up=until_caught_up, patience=timeout or PATIENCE_SECONDS)
    except TopicRecreatedError as error:
        log.warning("starting again", why=error.what)
        start_again()


def start_again() -> NoReturn:
    """Become the same command anew, in this process: no thread of the Kafka client lives on, and no group is left."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606


def stream_into_lake(
    settings: Settings, *, until_caught_up: bool, patience: float = PATIENCE_SECONDS, demo: bool = False
) -> None:
    """Run the stream as the command does.

    Raises ``KeyboardInterrupt`` where Ctrl-C or SIGTERM ended it before it had caught up, as it was asked to.
    """
    policy = masking_policy(settings)
    if not settings.lake.exists():
        reach(settings.connection)  # before a lake and a key are made for nothing
    lake = open_or_create(settings, demo=demo)
    tally = Tally()
    with tally.shown():
        caught_up = run_stream(
            settings, lake, policy, until_caught_up=until_caught_up, patience=patience, on_landed=tally.add
        )
    if until_caught_up and not caught_up:
        raise KeyboardInterrupt


class Tally:
    """Adds up landed batches; shows them live on a terminal, else logs one line of JSON per batch."""

    def __init__(self) -> None:
        self.messages = self.silver = self.quarantined = self.duplicates = 0
        self._started = time.monotonic()
        self._last = self._started
        self._status: Status | None = None

    def shown(self) -> AbstractContextManager[object]:
        """Within it, batches are shown live where stderr is a terminal."""
        self._status = Status("waiting for events", console=err) if err.is_terminal else None
        return self._status or nullcontext()

    def add(self, landed: list[Landed], lag: int | None) -> None:
        """Take in the batches of one landing and the lag after it."""
        now = time.monotonic()
        messages = sum(batch.messages for batch in landed)
        rate = round(messages / max(now - self._last, 1e-6))
        self._last = now
        self.messages += messages
        for name in ("silver", "quarantined", "duplicates"):
            setattr(self, name, getattr(self, name) + sum(getattr(batch, name) for batch in landed))
        if self._status is not None:
            self._status.update(
                f"{rate:,} events/s · lag {'?' if lag is None else f'{lag:,}'} · {self.messages:,} landed: "
                f"{self.silver:,} silver, {self.quarantined:,} quarantined, {self.duplicates:,} duplicates"
            )
        elif landed:
            log.info("landed", **_line(landed, messages, rate, lag))


def _line(landed: list[Landed], messages: int, rate: int, lag: int | None) -> dict[str, object]:
    return {
        "batch_id": landed[0].batch_id,
        "topic_id": landed[0].topic_id,
        "offsets": {str(batch.partition): [batch.first_offset, batch.last_offset] for batch in landed},
        "messages": messages,
        "silver": sum(batch.silver for batch in landed),
        "quarantined": sum(batch.quarantined for batch in landed),
        "duplicates": sum(batch.duplicates for batch in landed),
        "events_per_second": rate,
        "lag": lag,
        "seconds": {step: round(seconds, 4) for step, seconds in landed[0].seconds.items()},
    }
