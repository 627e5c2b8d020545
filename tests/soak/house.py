"""The house: all workers, looked after while faults are done to them, and what is to be told of it."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from tests.soak import exits
from tests.soak.exits import Trouble
from tests.soak.worker import Ended, Worker

_TICK_SECONDS: Final = 0.1
_MEMORY_SECONDS: Final = 2.0


class SoakError(Exception):
    """The soak cannot go on."""


@dataclass
class Recovery:
    """A worker that was hit, and how long after ``since`` it was of use again."""

    kind: str
    worker: str
    since: float
    seconds: float | None = None


class House:
    """Looks after the workers. One thread does it all: whoever waits, waits in ``live`` or ``live_until``."""

    def __init__(self, workers: Iterable[Worker]) -> None:
        self.workers = {worker.name: worker for worker in workers}
        self.began = time.monotonic()
        self.exits: dict[str, Counter[str]] = defaultdict(Counter)
        self.ends: list[Ended] = []
        self.findings: list[str] = []
        self.recoveries: list[Recovery] = []
        self.memory: list[tuple[float, str, float]] = []
        self._on_stage: set[str] = set()
        self._troubles: list[Trouble] = []
        self._sample_due = 0.0

    def enter(self, *names: str) -> None:
        """Let these workers begin."""
        self._on_stage.update(names)

    def live(self, seconds: float) -> None:
        """Go on for so long."""
        until = time.monotonic() + seconds
        self.tick()
        while time.monotonic() < until:
            time.sleep(_TICK_SECONDS)
            self.tick()

    def live_until(self, met: Callable[[], bool], seconds: float, what: str) -> None:
        """Go on until a condition is met. Raises ``SoakError`` where it is not in time."""
        until = time.monotonic() + seconds
        while not met():
            if time.monotonic() > until:
                raise SoakError(f"not within {seconds:g} s: {what}")
            self.live(_TICK_SECONDS)

    @contextmanager
    def trouble(self, kind: str) -> Iterator[None]:
        """Within it, processes may rightly tell of this trouble."""
        one = Trouble(kind, time.monotonic())
        self._troubles.append(one)
        try:
            yield
        finally:
            one.ended = time.monotonic()

    def recovering(self, kind: str, workers: Iterable[Worker], since: float | None = None) -> None:
        """Measure from now, or from then, how long these take to be of use again."""
        since = time.monotonic() if since is None else since
        self.recoveries += [Recovery(kind, worker.name, since) for worker in workers]

    @property
    def recovered(self) -> bool:
        """Whether nobody is still to recover."""
        return all(one.seconds is not None for one in self.recoveries)

    def tick(self) -> None:
        """Look after each worker once."""
        for name in list(self._on_stage):
            ended = self.workers[name].look()
            if ended is not None:
                self._judge(ended)
        for one in self.recoveries:
            useful_at = self.workers[one.worker].useful_at
            if one.seconds is None and useful_at > one.since:
                one.seconds = useful_at - one.since
        if time.monotonic() >= self._sample_due:
            self._sample()

    def end(self) -> None:
        """Kill everything."""
        for worker in self.workers.values():
            worker.end()

    def _judge(self, ended: Ended) -> None:
        self.ends.append(ended)
        why = exits.reason(ended, self._troubles)
        self.exits[self.workers[ended.worker].role.kind][why or f"UNEXPECTED {ended.code}"] += 1
        if why is None:
            self.findings.append(f"{ended.worker} ended with {ended.code} for no reason that is known: {ended.said}")

    def _sample(self) -> None:
        now = time.monotonic()
        self._sample_due = now + _MEMORY_SECONDS
        for name in self._on_stage:
            if (held := self.workers[name].memory()) is not None:
                self.memory.append((now - self.began, name, held))
