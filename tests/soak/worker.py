"""One process at work, started again whenever it ends, as compose's restart policy does."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from app.services.child_process import spawn

_LAST_WORD: Final = "wardlake: "
"""How a command begins the line that says why it ends. What a library's thread says after it is not its own."""

AGAIN_SECONDS: Final = 1.0
"""How long after an end that was not wanted a process is started again."""


@dataclass(frozen=True)
class Ended:
    """A process that ended: how, its own last line, and whether it was ``asked`` to (killed or stopped)."""

    worker: str
    code: int
    said: str
    began: float
    at: float
    asked: str
    service: bool


@dataclass(frozen=True)
class Role:
    """What a worker does. ``command`` is given the number of the run.

    ``rest`` is how long it rests between two runs; None for a service, which is to run on. ``proof`` is asked again
    and again whether a service has been of use since it was last asked; a run is of use when it ends with 0.
    """

    name: str
    command: Callable[[int], Sequence[str]]
    rest: float | None = None
    proof: Callable[["Worker"], bool] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The name without the number of one of several."""
        return self.name.partition(" ")[0]


class Worker:
    """A role that is played by one process after the other."""

    def __init__(self, role: Role, environment: Mapping[str, str], logs: Path) -> None:
        self.role = role
        self.useful_at = 0.0
        self.runs = 0
        self.lines: list[str] = []
        self.held = False
        self.more: dict[str, str] = {}
        self._environment = {**environment, **role.environment}
        self._log = logs / f"{role.name.replace(' ', '-')}.log"
        self._read = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._began = self._next = 0.0
        self._asked = ""
        self._said = ""

    @property
    def name(self) -> str:
        return self.role.name

    @property
    def pid(self) -> int | None:
        """The process at work, if there is one."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the next run now; harmless while one goes on."""
        if self._process is None:
            environment = {**self._environment, **self.more}
            self._process = spawn(self.role.command(self.runs), environment, log=self._log)
            self._began, self._asked, self._said = time.monotonic(), "", ""
            self.runs += 1

    def look(self) -> Ended | None:
        """Start what is due, hear what was said, note proof of use; tells of an end once."""
        if self._process is None:
            if not self.held and time.monotonic() >= self._next:
                self.start()
            return None
        code = self._process.poll()
        self._hear()
        if code is None:
            if self.role.proof is not None and self.role.proof(self):
                self.useful_at = time.monotonic()
            return None
        return self._end(code)

    def signal(self, number: signal.Signals, asked: str) -> None:
        """Send a signal that is to end the process."""
        if self._process is not None:
            self._asked = asked
            self._process.send_signal(number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL, "killed")

    def freeze(self) -> None:
        """Stop the process and what it started in its tracks, having heard what it said before."""
        self._each(psutil.Process.suspend)
        self._hear()

    def thaw(self) -> None:
        """Let a frozen process go on."""
        self._each(psutil.Process.resume)

    def memory(self) -> float | None:
        """Resident memory of the process and those it started, in MB; None where there is none."""
        rss = list[int]()
        self._each(lambda process: rss.append(process.memory_info().rss))
        return sum(rss) / 1e6 if rss else None

    def end(self) -> None:
        """Kill it for good."""
        self.held = True
        if self._process is not None:
            self.thaw()
            self._process.kill()
            self._process.wait()
            self._process = None

    def _each(self, act: Callable[[psutil.Process], object]) -> None:
        with contextlib.suppress(psutil.Error):
            top = psutil.Process(self.pid) if self.pid else None
            for process in [top, *top.children(recursive=True)] if top else []:
                act(process)

    def _hear(self) -> None:
        """Take in the whole lines that were written to the log since the last time."""
        self.lines = []
        if self._log.exists():
            with self._log.open("rb") as log:
                log.seek(self._read)
                whole, end, _ = log.read().rpartition(b"\n")
            self._read += len(whole) + len(end)
            self.lines = whole.decode("utf-8", "replace").splitlines()
            for line in self.lines:
                if line.startswith(_LAST_WORD) or not self._said.startswith(_LAST_WORD):
                    self._said = line

    def _end(self, code: int) -> Ended:
        now, service = time.monotonic(), self.role.rest is None
        if code == 0 and not service and not self._asked:
            self.useful_at, self._next = now, now + (self.role.rest or 0)
        else:
            self._next = now + AGAIN_SECONDS
        self._process = None
        return Ended(self.name, code, self._said, self._began, now, self._asked, service)
