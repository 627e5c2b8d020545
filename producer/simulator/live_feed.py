"""The simulated hospital, live: a history that ends now, then each message at its time, without end.

    state = LiveState.create(Path("feed.json"), seed=7, days=30, speed=1.0, now=time.time())
    feed = LiveFeed(state)
    for block in feed.blocks(): publish it, then ``state = state.after(feed.sent)``

The hospital is one simulation, so the same patients lie in the same beds before and after. The state file says which
simulation it is, how its clock runs, and how many messages were delivered: a feed that is started again with it goes on
where the last one was. What was delivered and not yet noted is sent twice, and deduplicated like any other repetition.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from lake.errors import UsageError
from producer.batches import MessageBatch
from producer.simulator.patients import DAY
from producer.simulator.simulator import Simulator, SimulatorSettings

FASTEST: Final = 10_000.0
_HEADROOM: Final = 8 * 3_600
"""Seconds that a feed faster than the clock can run before it has caught up with the clock."""
_TICK: Final = 1.0


@dataclass(frozen=True)
class Clock:
    """Simulated time as a function of the machine's; both in seconds since 1970.

    It was ``begin`` at ``started`` and runs ``speed`` times as fast, but never ahead of the machine's: an event of the
    future would be refused, rightly.
    """

    begin: float
    started: float
    speed: float

    def at(self, now: float) -> float:
        """Simulated time at ``now``."""
        return min(now, self.begin + (now - self.started) * self.speed)

    def wait(self, until: float, now: float) -> float:
        """Seconds from ``now`` until the simulated time is ``until``; 0 where that has passed."""
        return max(0.0, until - now, self.started + (until - self.begin) / self.speed - now)


@dataclass(frozen=True)
class LiveState:
    """Which simulation a feed sends, by which clock, and how many of its messages were delivered so far."""

    seed: int
    start: int
    clock: Clock
    sent: int = 0

    @classmethod
    def create(cls, *, seed: int, events: int | None, days: int | None, speed: float, now: float) -> Self:
        """A new simulation with a history of ``days``, or of about ``events`` messages, or else of 30 days.

        At speed 1 the history ends ``now``. At a higher one it ends so much earlier that the feed can run for eight
        hours before it has caught up with real time, which it then keeps to. Raises ``UsageError`` for a
        speed outside 1 to 10,000.
        """
        if not 1 <= speed <= FASTEST:
            raise UsageError(
                "the speed cannot be kept",
                got=speed,
                expected=f"1 (real time) to {FASTEST:,.0f} times as fast",
                next_move="correct --speed",
            )
        begin = now - (speed - 1) * _HEADROOM
        length = days or (30 if events is None else SimulatorSettings().days_for(events))
        return cls(seed, (int(begin) // DAY - length) * DAY, Clock(begin, now, speed))

    @classmethod
    def read(cls, path: Path) -> Self:
        """The state in a file. Raises ``UsageError`` where there is none, or none that can be read."""
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            return cls(int(found["seed"]), int(found["start"]), Clock(**found["clock"]), int(found["sent"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            problem = type(error).__name__
        raise UsageError(
            f"the state of the feed in {path} cannot be read",
            got=problem,
            expected="a file that 'wardlake produce simulate --live --state' wrote",
            next_move="remove it: the feed then begins a new hospital",
        )

    def write(self, path: Path) -> None:
        """Put the state into a file, in one step."""
        path.parent.mkdir(parents=True, exist_ok=True)
        beginning = path.with_name(f"{path.name}.new")
        try:
            with beginning.open("w", encoding="utf-8") as file:
                file.write(json.dumps(asdict(self)) + "\n")
                file.flush()
                os.fsync(file.fileno())
            beginning.replace(path)
        finally:
            beginning.unlink(missing_ok=True)  # a signal may come in between

    def after(self, sent: int) -> Self:
        """The state once ``sent`` messages were delivered."""
        return replace(self, sent=sent)

    @property
    def settings(self) -> SimulatorSettings:
        """The simulation."""
        return SimulatorSettings(seed=self.seed, start=datetime.fromtimestamp(self.start, UTC))


class LiveFeed:
    """The messages of a ``LiveState`` that were not delivered yet, each when its clock says so. Has no end."""

    def __init__(
        self,
        state: LiveState,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._state = state
        self._simulator = Simulator(state.settings, skip=state.sent)
        self._now = now
        self._sleep = sleep

    @property
    def sent(self) -> int:
        """How many messages of the simulation were yielded, by this feed or those before it."""
        return max(self._simulator.sent, self._state.sent)

    def history(self) -> Iterator[MessageBatch]:
        """What was sent before the clock began."""
        return self._simulator.take(int(self._state.clock.begin))

    def blocks(self) -> Iterator[MessageBatch]:
        """Blocks of what is due; an empty one about every second while nothing is."""
        clock = self._state.clock
        while True:
            # In whole seconds: what one second sends goes together.
            yield from self._simulator.take(int(clock.at(self._now())))
            wait = clock.wait(self._simulator.next_at() + 1, self._now())
            self._sleep(min(wait, _TICK))
            if wait:
                yield MessageBatch()

    def write_staffed_beds(self, path: Path) -> None:
        """Write the hospital's staffed beds as CSV: facility, department, staffed_beds, valid_from."""
        self._simulator.write_staffed_beds(path)
