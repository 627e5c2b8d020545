"""A server that a command starts for itself: started, waited for, stopped, and gone with whoever started it."""

import atexit
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from app.services.child_process import spawn, stop
from lake.errors import WardlakeError

_POLL_SECONDS: Final = 0.02
_LAST_LINES: Final = 3
_LAST_BYTES: Final = 2_000


class ManagedProcess(ABC):
    """One server process, alive between ``start`` and ``stop``; a context manager does both.

    It runs in a process group of its own, so a Ctrl-C in the terminal reaches the program and not the server. It dies
    with this process: at exit everywhere; on Linux also when this process is killed, provided that the main thread
    started it (``child_process.spawn``).
    """

    stop_seconds: float = 5.0
    """How long SIGTERM may take before SIGKILL."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._deadline = 0.0
        self._log: Path | None = None

    @abstractmethod
    def start(self) -> Self:
        """Start the server (``_launch``)."""

    @abstractmethod
    def _healthy(self) -> bool:
        """Whether it answers. May raise what says that it never will."""

    @abstractmethod
    def _failed(self, status: int | None) -> WardlakeError:
        """What to raise where it ended by itself with this exit status, or gave no answer in time (None)."""

    @property
    def pid(self) -> int | None:
        """The server's process id, or None when it has not been started or was stopped."""
        return None if self._process is None else self._process.pid

    @property
    def exit_code(self) -> int | None:
        """What the server exited with by itself, or None while it runs or after ``stop``."""
        return None if self._process is None else self._process.poll()

    def wait(self) -> None:
        """Wait until it answers. Raises as ``ready`` does."""
        while not self.ready():
            time.sleep(_POLL_SECONDS)

    def ready(self) -> bool:
        """Whether it answers by now. Raises where it ended by itself, or has not answered in time."""
        self.require_alive()
        if self._healthy():
            return True
        if time.monotonic() > self._deadline:
            raise self._failed(None)
        return False

    def require_alive(self) -> None:
        """Raise where it ended by itself."""
        if self.exit_code is not None:
            raise self._failed(self.exit_code)

    def last_lines(self) -> str:
        """How its log ends, on one line; empty where it said nothing or its log is not kept."""
        if self._log is None or not self._log.is_file():
            return ""
        with self._log.open("rb") as log:
            log.seek(max(self._log.stat().st_size - _LAST_BYTES, 0))
            lines = log.read().decode("utf-8", "replace").split("\n")
        return " | ".join([line.strip() for line in lines if line.strip()][-_LAST_LINES:])

    def stop(self) -> None:
        """End the server; harmless when it is not running."""
        process, self._process = self._process, None
        atexit.unregister(self.stop)
        if process is not None:
            stop(process, self.stop_seconds)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _launch(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        ready_seconds: float,
        log: Path | None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        """Spawn the command; it has ``ready_seconds`` to answer. Without ``log`` its output is dropped."""
        self._log = log
        self._process = spawn(command, environment, log=log, pass_fds=pass_fds)
        self._deadline = time.monotonic() + ready_seconds
        atexit.register(self.stop)

    def _with_last_lines(self, next_move: str) -> str:
        said = self.last_lines()
        return f"{next_move}; its log ends: {said}" if said else next_move
