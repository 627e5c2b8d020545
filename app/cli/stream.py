"""``wardlake stream``: events of Kafka into the lake."""

import json
import os
import sys
import time
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import structlog
import typer
from rich.status import Status

from app.cli.options import with_settings
from app.cli.output import err
from app.jobs.active_policy import rules
from app.jobs.lake_session import open_or_create
from app.services.stop_signal import asked_to_stop
from app.services.stream_workers import WORKER, StreamWorkers
from app.settings import Settings, env_name
from app.stream.caught_up import PATIENCE_SECONDS
from app.stream.decide import Rules
from lake.contracts.event import OUTCOMES
from lake.errors import TopicRecreatedError, UsageError
from lake.kafka import reach
from lake.storage.store import Lake

if TYPE_CHECKING:
    from app.stream.exactly_once_writer import Landed

_RECENT_SECONDS: Final = 10.0
"""A worker that landed nothing for so long counts neither for the rate nor for the lag."""

log = structlog.get_logger("wardlake.stream")


@with_settings(
    *("data", "lake", "kafka", "topic", "group", "policy", "key_file", "dedup_key", "dedup_scope"),
    *("batch_messages", "batch_seconds", "workers"),
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

    With --workers N it starts N streams of one group, with one log and one end: one that dies is started again.
    """
    if timeout is not None and not until_caught_up:
        raise UsageError(
            "--timeout is for --until-caught-up",
            got="--timeout alone",
            expected="both, or neither",
            next_move="add --until-caught-up, or leave out --timeout",
        )
    patience = timeout or PATIENCE_SECONDS
    if settings.workers > 1:
        stream_by_workers(settings, until_caught_up=until_caught_up, patience=patience)
        return
    try:
        stream_into_lake(settings, until_caught_up=until_caught_up, patience=patience)
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
    from app.stream.run import run_stream  # Quix, which the parent of workers does without

    lake, decided_by = _lake_and_rules(settings, demo=demo)
    tally = Tally()
    with tally.shown():
        caught_up = run_stream(
            settings,
            lake,
            decided_by,
            until_caught_up=until_caught_up,
            patience=patience,
            leave_group=WORKER not in os.environ,
            on_landed=tally.add,
        )
    if until_caught_up and not caught_up:
        raise KeyboardInterrupt


def stream_by_workers(settings: Settings, *, until_caught_up: bool, patience: float = PATIENCE_SECONDS) -> None:
    """Run the stream as ``settings.workers`` processes of the same command.

    Raises ``WorkerError`` where one failed, and ``KeyboardInterrupt`` as ``stream_into_lake`` does.
    """
    from flows.environment import child_environment

    reach(settings.connection)
    _lake_and_rules(settings)  # made here if need be: the workers would race for lake and key
    command = [sys.executable, "-P", "-m", "app", "stream"]  # -P: not a folder `app` of the working directory
    command += ["--until-caught-up", "--timeout", str(patience)] if until_caught_up else []
    tally = Tally()
    workers = StreamWorkers(
        settings.workers,
        command,
        {**os.environ, **child_environment(settings), env_name("workers"): "1"},
        until_caught_up=until_caught_up,
        heartbeat=settings.heartbeat,
        on_line=tally.add_line,
    )
    with asked_to_stop() as stop, tally.shown():
        caught_up = workers.run(stop)
    if until_caught_up and not caught_up:
        raise KeyboardInterrupt


def _lake_and_rules(settings: Settings, *, demo: bool = False) -> tuple[Lake, Rules]:
    decided_by = rules(settings)
    if not settings.lake.exists():
        reach(settings.connection)  # before a lake and a key are made for nothing
    return open_or_create(settings, demo=demo), decided_by


class Tally:
    """Adds up landed batches; shows them live on a terminal, else logs one line of JSON per batch."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(("messages", *OUTCOMES), 0)
        self._started = time.monotonic()
        self._last = self._started
        self._recent: dict[int, tuple[float, int, int | None]] = {}
        self._status: Status | None = None

    def shown(self) -> AbstractContextManager[object]:
        """Within it, batches are shown live where stderr is a terminal."""
        self._status = Status("waiting for events", console=err) if err.is_terminal else None
        return self._status or nullcontext()

    def add(self, landed: "list[Landed]", lag: int | None) -> None:
        """Take in the batches of one landing and the lag after it."""
        now = time.monotonic()
        messages = sum(batch.messages for batch in landed)
        rate = round(messages / max(now - self._last, 1e-6))
        self._last = now
        line = _line(landed, messages, rate, lag) if landed else {}
        self._count(line)
        if self._status is not None:
            self._show(rate, lag)
        elif landed:
            log.info("landed", **line)

    def add_line(self, worker: int, text: str) -> None:
        """Take in a line of a worker's log: a landed batch is shown live; else the line is logged with the worker."""
        try:
            line = json.loads(text)
        except ValueError:
            line = None
        if not isinstance(line, dict):
            _write(text)
            return
        landed = line.get("event") == "landed"
        if landed:
            self._count(line)
        if not landed or self._status is None:
            _write(json.dumps(line | {"worker": worker}))
            return
        now = time.monotonic()
        self._recent[worker] = (now, line["events_per_second"], line["lag"])
        recent = [(rate, lag) for at, rate, lag in self._recent.values() if now - at < _RECENT_SECONDS]
        lags = [lag for _, lag in recent if lag is not None]
        self._show(sum(rate for rate, _ in recent), sum(lags) if len(lags) == len(recent) else None)

    def _count(self, line: dict[str, Any]) -> None:
        for name in self.counts:
            self.counts[name] += line.get(name, 0)

    def _show(self, rate: int, lag: int | None) -> None:
        if self._status is not None:
            parts = ", ".join(f"{self.counts[name]:,} {name}" for name in OUTCOMES)
            lagging = "?" if lag is None else f"{lag:,}"
            self._status.update(f"{rate:,} events/s · lag {lagging} · {self.counts['messages']:,} landed: {parts}")


def _write(text: str) -> None:
    with suppress(BrokenPipeError):  # nobody reads the log: no reason to stop, as for what is logged elsewhere
        sys.stderr.write(f"{text}\n")


def _line(landed: "list[Landed]", messages: int, rate: int, lag: int | None) -> dict[str, object]:
    return {
        "batch_id": landed[0].batch_id,
        "topic_id": landed[0].topic_id,
        "offsets": {str(batch.partition): [batch.first_offset, batch.last_offset] for batch in landed},
        "messages": messages,
        **{name: sum(getattr(batch, name) for batch in landed) for name in OUTCOMES},
        "events": sum(batch.events for batch in landed),
        "events_per_second": rate,
        "lag": lag,
        "seconds": {step: round(seconds, 4) for step, seconds in landed[0].seconds.items()},
    }
