"""A file that a working process touches, for health checks: one that hangs leaves it to grow old."""

from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Final

_SECONDS: Final = 1.0


def of(file: Path | None) -> Callable[[], None]:
    """What touches ``file`` when it is called, at most once a second; does nothing where there is none."""
    return (lambda: None) if file is None else _Heartbeat(file)


class _Heartbeat:
    def __init__(self, file: Path) -> None:
        self._file, self._next = file, 0.0

    def __call__(self) -> None:
        if (now := monotonic()) >= self._next:
            self._file.touch()
            self._next = now + _SECONDS
