"""Several processes of the stream in one consumer group, run by one command: listened to, started again, stopped.

Guarantee: this process lands nothing, so a worker that dies loses nothing and lands nothing twice, as any stream. No
worker outlives the command (on Linux not even where the command is killed: ``child_process.spawn``).
"""

import logging
import os
import queue
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import IO, Final

from app.services.child_process import spawn, stop
from lake.errors import WardlakeError

logger = logging.getLogger(__name__)

WORKER: Final = "WARDLAKE_WORKER"
"""The number of a worker, in its environment: it tells a worker from a stream that runs alone."""

_ERROR: Final = "wardlake: "
"""What the one line of a command that failed begins with."""
_MISSED: Final = 1
_WRONG: Final = 2
"""Exit codes of a worker that another start does not help."""

_POLL_SECONDS: Final = 0.1
_FIRST_PAUSE: Final = 0.5
"""Before a worker is started again. Doubles with every quick death in a row."""
_QUICK_SECONDS: Final = 30.0
"""A worker that dies within so long of its start died quickly."""
_MOST_QUICK_DEATHS: Final = 5
_STOP_SECONDS: Final = 120.0
"""How long the batch in hand may take when all are to stop. Workers may land one after another."""


class WorkerError(WardlakeError):
    """What ended all workers: the one error line of one of them, or that one died again and again."""

    exit_code = 1


class StreamWorkers:
    """``count`` processes that run one command until each has ended.

    Each gets ``environment``, its number (``WORKER``) and a heartbeat file. ``heartbeat`` is theirs together: its time
    is that of the worker whose last beat is the oldest, so it grows old as soon as one hangs or is dead. ``on_line`` is
    given each line that a worker, by its number from 1, writes to stderr.
    """

    def __init__(
        self,
        count: int,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        until_caught_up: bool,
        heartbeat: Path | None,
        on_line: Callable[[int, str], None],
    ) -> None:
        self._command, self._environment = command, environment
        self._until_caught_up, self._heartbeat, self._on_line = until_caught_up, heartbeat, on_line
        self._lines: queue.SimpleQueue[tuple[_Worker, str]] = queue.SimpleQueue()
        self._workers = [_Worker(number, self._lines) for number in range(1, count + 1)]
        self._failure: WorkerError | None = None
        self._stop_by: float | None = None
        self._beaten = 0

    def run(self, stopped: threading.Event) -> bool:
        """Run until all have ended; returns whether each had caught up. To be called on the main thread.

        Once ``stopped`` is set, each finishes the batch in hand. Raises ``WorkerError`` where a worker missed its goal
        (exit code 1) or failed for a reason that will not pass (2), when all others have ended.
        """
        with TemporaryDirectory(prefix="wardlake-workers-") as folder:
            try:
                while not all(worker.over for worker in self._workers):
                    if stopped.is_set() or self._failure is not None:
                        self._stop()
                    self._listen(_POLL_SECONDS)
                    for worker in self._workers:
                        self._look_after(worker, Path(folder))
                    self._beat()
            finally:
                for worker in self._workers:
                    worker.kill()
        if self._failure is not None:
            raise self._failure
        return self._until_caught_up and all(worker.code == 0 for worker in self._workers)

    def _look_after(self, worker: "_Worker", folder: Path) -> None:
        if (code := worker.reap()) is not None:
            self._listen(0)  # to what it said last
            self._ended(worker, code)
        elif worker.process is None and not worker.over and monotonic() >= worker.starts_at:
            worker.start(self._command, self._environment, folder)

    def _ended(self, worker: "_Worker", code: int) -> None:
        if code == _WRONG or (code == _MISSED and self._until_caught_up):
            error = WorkerError(worker.error or f"worker {worker.number} ended with exit code {code}; see its log")
            error.exit_code = code
            self._give_up(worker, error)
        elif self._stop_by is not None or (code == 0 and self._until_caught_up):
            worker.over = True
        else:
            self._died(worker, f"signal {-code}" if code < 0 else f"exit code {code}")

    def _died(self, worker: "_Worker", how: str) -> None:
        now = monotonic()
        worker.quick_deaths = worker.quick_deaths + 1 if now - worker.started_at < _QUICK_SECONDS else 0
        if worker.quick_deaths < _MOST_QUICK_DEATHS:
            pause = _FIRST_PAUSE * 2**worker.quick_deaths
            worker.starts_at = now + pause
            logger.warning("worker %d died (%s): starting it again in %g s", worker.number, how, pause)
        else:
            error = WorkerError(
                f"worker {worker.number} of the stream died {worker.quick_deaths} times in a row",
                got=f"{how}, each time within {_QUICK_SECONDS:g} s",
                expected="a worker that keeps running",
                next_move="check its log and the memory of the machine, then start again",
            )
            self._give_up(worker, error)

    def _give_up(self, worker: "_Worker", error: WorkerError) -> None:
        worker.over = True
        self._failure = self._failure or error

    def _listen(self, seconds: float) -> None:
        """Take in what the workers said; where that is nothing, wait for so long."""
        with suppress(queue.Empty):
            worker, line = self._lines.get(timeout=seconds)
            while True:
                if line.startswith(_ERROR):
                    worker.error = line.removeprefix(_ERROR)  # the command says it, once, in the end
                else:
                    self._on_line(worker.number, line)
                worker, line = self._lines.get_nowait()

    def _stop(self) -> None:
        """Ask all to end, once; kill those that have not in time."""
        first = self._stop_by is None
        self._stop_by = self._stop_by or monotonic() + _STOP_SECONDS
        for worker in self._workers:
            if worker.process is None:
                worker.over = True
            elif first:
                worker.process.terminate()
            elif monotonic() > self._stop_by:
                worker.kill()

    def _beat(self) -> None:
        beats = [worker.last_beat() for worker in self._workers if not worker.over]
        oldest = min(beats, default=0)
        if self._heartbeat is not None and oldest > self._beaten:
            self._heartbeat.touch()
            os.utime(self._heartbeat, ns=(oldest, oldest))
            self._beaten = oldest


class _Worker:
    """One of the workers: its process, and those that it had before."""

    def __init__(self, number: int, lines: "queue.SimpleQueue[tuple[_Worker, str]]") -> None:
        self.number = number
        self.process: subprocess.Popen[bytes] | None = None
        self.code: int | None = None
        self.error = ""
        self.over = False
        self.started_at = self.starts_at = 0.0
        self.quick_deaths = 0
        self._lines = lines
        self._reader: threading.Thread | None = None
        self._heartbeat: Path | None = None

    def start(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self._heartbeat = folder / str(self.number)
        self.started_at = monotonic()
        own = {WORKER: str(self.number), "WARDLAKE_HEARTBEAT": str(self._heartbeat)}
        self.process = spawn(command, {**environment, **own}, piped=True)
        if self.process.stderr is not None:
            self._reader = threading.Thread(target=self._read, args=(self.process.stderr,), daemon=True)
            self._reader.start()

    def _read(self, said: IO[bytes]) -> None:
        with said:
            for line in said:
                self._lines.put((self, line.decode("utf-8", "replace").rstrip()))

    def last_beat(self) -> int:
        """When it beat last, in nanoseconds since 1970; 0 where it never did."""
        return self._heartbeat.stat().st_mtime_ns if self._heartbeat and self._heartbeat.exists() else 0

    def reap(self) -> int | None:
        """Take leave of the process if it has ended: its exit code, when all that it said is in the queue."""
        code = None if self.process is None else self.process.poll()
        if code is not None:
            self.code, self.process = code, None
            if self._reader is not None:
                self._reader.join(1)
        return code

    def kill(self) -> None:
        """End it at once; harmless when it has ended."""
        if self.process is not None:
            stop(self.process, 0)
            self.reap()
