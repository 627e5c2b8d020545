"""A managed process: waited for, refused with the end of its log, and nothing left of it."""

import os
import sys
import time
from pathlib import Path
from typing import Self

import psutil
import pytest

from app.services.managed_process import ManagedProcess
from lake.errors import UsageError


class Server(ManagedProcess):
    """Runs a Python script; it is healthy once the file ``healthy`` is there."""

    stop_seconds = 0.2

    def __init__(self, folder: Path, script: str, ready_seconds: float = 20) -> None:
        super().__init__()
        self._folder, self._script, self._ready_seconds = folder, script, ready_seconds

    def start(self) -> Self:
        command = [sys.executable, "-c", f"import pathlib, signal, sys, time\n{self._script}", str(self._folder)]
        self._launch(command, os.environ, ready_seconds=self._ready_seconds, log=self._folder / "log")
        return self

    def _healthy(self) -> bool:
        return (self._folder / "healthy").exists()

    def _failed(self, status: int | None) -> UsageError:
        return UsageError("it failed", got=status, next_move=self._with_last_lines("look"))


HEALTHY = "pathlib.Path(sys.argv[1], 'healthy').touch(); time.sleep(60)"


def test_one_that_answers_runs_until_it_is_stopped(tmp_path: Path) -> None:
    with Server(tmp_path, HEALTHY) as server:
        server.wait()
        pid = server.pid
        assert pid is not None
        assert server.exit_code is None
    assert not psutil.pid_exists(pid)
    assert server.pid is None
    server.stop()


def test_one_that_ignores_the_request_to_end_is_killed(tmp_path: Path) -> None:
    with Server(tmp_path, f"signal.signal(signal.SIGTERM, signal.SIG_IGN); {HEALTHY}") as server:
        server.wait()
        began = time.monotonic()
    assert time.monotonic() - began < 10


def test_one_that_ends_by_itself_is_an_error_with_its_last_lines(tmp_path: Path) -> None:
    with (
        Server(tmp_path, r"print('one\ntwo\n\nthree\nfour'); sys.exit(3)") as server,
        pytest.raises(UsageError) as caught,
    ):
        server.wait()
    assert str(caught.value) == "it failed; got 3; look; its log ends: two | three | four"


def test_one_that_says_nothing_and_never_answers_is_an_error_in_time(tmp_path: Path) -> None:
    with Server(tmp_path, "time.sleep(60)", ready_seconds=0.1) as server, pytest.raises(UsageError) as caught:
        server.wait()
    assert str(caught.value) == "it failed; look"
