"""A wall clock that is wrong for one process: a small library, made where there is a ``cc``, is preloaded into it."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

_SOURCE: Final = Path(__file__).with_name("clock.c")


class ClockError(Exception):
    """The library cannot be made here."""


class WrongClock:
    """What makes a process's clock wrong. Raises ``ClockError`` where there is no C compiler, or it fails."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            raise ClockError("there is no C compiler (cc)")
        self._library = folder / "clock.so"
        command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(self._library), str(_SOURCE), "-ldl", "-lpthread"]
        made = subprocess.run(command, capture_output=True, check=False)
        if made.returncode:
            raise ClockError(f"cc ended with {made.returncode}")

    def off_by(self, seconds: int) -> dict[str, str]:
        """Variables that make the clock of a process so much fast, or slow where negative."""
        return {"LD_PRELOAD": str(self._library), "SOAK_CLOCK_SKEW": str(seconds)}
