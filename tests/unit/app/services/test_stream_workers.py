"""Workers: listened to, started again, given up, stopped; their heartbeats are one. What they run here is a script."""

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from app.services import stream_workers
from app.services.stream_workers import StreamWorkers, WorkerError

BEGIN = """
import os, pathlib, signal, sys, time
beat = pathlib.Path(os.environ["WARDLAKE_HEARTBEAT"])
first_worker = beat.name == "1"
"""
FOREVER = "\nwhile True: beat.touch(); time.sleep(0.02)"


@pytest.fixture(autouse=True)
def _quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stream_workers, "_FIRST_PAUSE", 0.01)


class Crew:
    """Two workers that run a script, and what was heard of them."""

    def __init__(self, script: str, *, count: int = 2, until_caught_up: bool = False) -> None:
        self.lines: list[tuple[int, str]] = []
        self.stopped = threading.Event()
        self.heartbeat = Path("heartbeat")
        self._before = set(psutil.Process().children())  # such as the broker of other tests
        self._workers = StreamWorkers(
            count,
            [sys.executable, "-c", BEGIN + script],
            os.environ,
            until_caught_up=until_caught_up,
            heartbeat=self.heartbeat,
            on_line=lambda number, text: self.lines.append((number, text)),
        )

    def run(self, stop_when: Callable[[], bool] = lambda: False) -> bool:
        def watch() -> None:
            while not stop_when() and not self.stopped.wait(0.02):
                pass
            self.stopped.set()

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            return self._workers.run(self.stopped)
        finally:
            self.stopped.set()
            watcher.join()
            assert set(psutil.Process().children()) <= self._before


def test_all_that_they_say_is_heard_and_all_have_caught_up() -> None:
    crew = Crew("print('landed', file=sys.stderr); print('not heard')", until_caught_up=True)
    assert crew.run() is True
    assert sorted(crew.lines) == [(1, "landed"), (2, "landed")]


def test_once_stopped_each_finishes_what_it_has_in_hand() -> None:
    crew = Crew(
        "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.3), print('done', file=sys.stderr), sys.exit(0)))\n"
        f"print('ready', file=sys.stderr){FOREVER}"
    )
    assert crew.run(stop_when=lambda: len(crew.lines) == 2) is False
    assert sorted(crew.lines) == [(1, "done"), (1, "ready"), (2, "done"), (2, "ready")]


def test_one_that_is_killed_is_started_again(caplog: pytest.LogCaptureFixture) -> None:
    crew = Crew("beat.exists() or (beat.touch(), os.kill(os.getpid(), 9))", count=1, until_caught_up=True)
    assert crew.run() is True
    assert [record.getMessage() for record in caplog.records] == [
        "worker 1 died (signal 9): starting it again in 0.02 s"
    ]


def test_one_that_dies_again_and_again_ends_all() -> None:
    crew = Crew("sys.exit(3) if first_worker else time.sleep(60)")
    with pytest.raises(WorkerError) as caught:
        crew.run()
    assert caught.value.exit_code == 1
    assert str(caught.value) == (
        "worker 1 of the stream died 5 times in a row; got exit code 3, each time within 30 s; expected a worker that "
        "keeps running; check its log and the memory of the machine, then start again"
    )


@pytest.mark.parametrize(("code", "until_caught_up"), [(2, False), (2, True), (1, True)])
def test_an_error_that_will_not_pass_is_said_once(code: int, until_caught_up: bool) -> None:
    script = f"print('wardlake: wrong; mend it', file=sys.stderr); sys.exit({code})"
    crew = Crew(script, until_caught_up=until_caught_up)
    with pytest.raises(WorkerError, match=r"^wrong; mend it$") as caught:
        crew.run()
    assert caught.value.exit_code == code
    assert crew.lines == []


def test_their_heartbeat_is_as_old_as_the_oldest_of_theirs() -> None:
    """One of the two beats once, years ago."""
    crew = Crew(f"first_worker and (beat.touch(), os.utime(beat, (1e9, 1e9)), time.sleep(60)){FOREVER}")
    crew.run(stop_when=lambda: crew.heartbeat.exists() and crew.heartbeat.stat().st_mtime == 1e9)
    assert crew.heartbeat.stat().st_mtime == 1e9


def test_their_heartbeat_is_fresh_while_all_beat() -> None:
    crew, began = Crew(FOREVER), time.time()
    crew.run(stop_when=lambda: crew.heartbeat.exists() and crew.heartbeat.stat().st_mtime > began + 0.3)
