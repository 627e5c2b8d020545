"""The command line as a user runs it: real processes, each with a folder and an environment of its own."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from unittest import mock

from tests.support.lakes import Ran, wardlake

ROOT: Final = Path(__file__).resolve().parents[2]
WARDLAKE: Final = Path(sys.executable).parent / "wardlake"
SAMPLE: Final = ROOT / "producer" / "sample_data.csv"
SECONDS: Final = 300
"""For what must end: tells what hangs from what is slow. CI machines are busy."""


@dataclass(frozen=True)
class Place:
    """A working folder and the settings in force there."""

    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of the developer's own settings; ``wardlake`` on the path."""
        plain = {name: value for name, value in os.environ.items() if not name.upper().startswith("WARDLAKE_")}
        path = f"{WARDLAKE.parent}{os.pathsep}{plain.get('PATH', '')}"
        return plain | {"PATH": path, "TMPDIR": str(self.folder)} | dict(self.settings)

    def run(self, *arguments: str | Path) -> Ran:
        """Run a command to its end."""
        ran = subprocess.run(
            [str(WARDLAKE), *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    def works(self, *arguments: str | Path) -> Ran:
        """Run a command that is to succeed."""
        ran = self.run(*arguments)
        assert ran.code == 0, f"wardlake {arguments[0]} exited with {ran.code}: {ran.err.splitlines()[-1:]}"
        return ran

    def look(self, *arguments: str | Path) -> Ran:
        """Run a command that is to succeed in this process: for what is looked at, not for what is proved."""
        with mock.patch.dict(os.environ, {"WARDLAKE_DATA": str(self.folder / "data"), **self.settings}):
            ran = wardlake(*arguments)
        assert ran.code == 0, f"wardlake {arguments[0]} exited with {ran.code}: {ran.err.splitlines()[-1:]}"
        return ran

    @contextmanager
    def running(self, *arguments: str | Path) -> Iterator["Running"]:
        """A command at work; it is gone at the end, whatever happens."""
        process = subprocess.Popen(
            [str(WARDLAKE), *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running = Running(process)
        try:
            yield running
        finally:
            process.kill()
            process.wait()
            running.close()


class Running:
    """A process at work and what it has said on stderr so far."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.lines: list[str] = []
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        for line in self.process.stderr or ():
            self.lines.append(line.rstrip("\n"))

    def wait_for(self, met: Callable[[list[str]], bool], what: str) -> None:
        """Wait until its lines meet a condition."""
        deadline = time.monotonic() + SECONDS
        while not met(self.lines):
            assert self.process.poll() is None or met(self.lines), f"it ended before {what}: {self.lines[-1:]}"
            assert time.monotonic() < deadline, f"it took too long: {what}"
            time.sleep(0.02)

    def stop(self, number: signal.Signals) -> int:
        """Send a signal and wait for the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(SECONDS)
        self._listener.join(SECONDS)
        return code

    def landed(self) -> list[dict[str, Any]]:
        """The landed batches that it has logged."""
        return landed(self.lines)

    def close(self) -> None:
        self._listener.join(SECONDS)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


def landed(lines: list[str]) -> list[dict[str, Any]]:
    """The landed batches among log lines."""
    return [line for line in map(json.loads, filter(None, lines)) if line["event"] == "landed"]
