"""The hospital simulator: believable ADT events, the same bytes for the same seed and version.

    simulator = Simulator(SimulatorSettings(seed=7, events=20_000))
    Publisher(Kafka("127.0.0.1:9092"), TOPIC).publish(simulator.blocks())

``blocks`` is a whole simulation, as long as its settings say. ``take`` goes on without end, up to one moment
after the other: what ``producer.simulator.live_feed`` sends by the clock.

Three facilities of eight departments, at its natural size about 700 messages a day: 20,000 are about a
month. The feed begins as a new interface does, with the next arrival: patients already in hospital are
not told of, so the census needs about two weeks to fill up. Memory holds one block, the patients in
hospital and those of the last month, however many messages are asked for.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Final

import numpy as np

from lake.errors import UsageError
from producer.batches import MessageBatch
from producer.simulator.corruption import KINDS
from producer.simulator.ground_truth import Truth
from producer.simulator.hospital import Hospital, Ints
from producer.simulator.interface_engine import CORRUPT, Feed, Messages
from producer.simulator.json_messages import Renderer
from producer.simulator.patient_flow import Flow
from producer.simulator.patients import DAY, PatientBook, hashed
from producer.simulator.visit_planner import Planner

EVENTS_PER_DAY: Final = 685
"""Real events of the group at its natural size on an average day, once the wards have filled up."""

_MISSING_AT_START: Final = 3_150
"""Events fewer than that while they fill up: measured, as is the week it takes."""

BLOCK_MESSAGES: Final = 16_384
_DEFAULT_DAYS: Final = 30
_SMALLEST: Final = 0.005  # less than a visit a day: any smaller and it waits for years for the next
_SALT_MANGLE: Final = 80
_MANGLERS: Final = tuple(KINDS.values())
_RATES: Final = {
    "duplicates": 0.5,
    "corrupt": 0.5,
    "late": 0.5,
    "missing_phi": 1.0,
    "cancels": 0.3,
    "readmissions": 0.5,
}


@dataclass(frozen=True)
class SimulatorSettings:
    """What to simulate. A wrong value raises ``UsageError``.

    ``events`` is the number of messages in all, copies and corrupt extras included; ``days`` the days
    simulated. With both, exactly ``events`` messages over about ``days`` days, from a hospital scaled
    to suit; with neither, 30 days. ``start`` must have a time zone. Rates are fractions: ``duplicates``,
    ``corrupt`` and ``late`` of the real events; ``missing_phi`` of each PHI field; ``cancels`` of the
    admissions, transfers and discharges; ``readmissions`` of the discharges, within 30 days. A late
    event is sent 5 minutes to ``late_days`` days after it happened. ``truth`` keeps what
    ``Simulator.write_truth`` needs, about 70 bytes an event.
    """

    seed: int = 7
    events: int | None = None
    days: int | None = None
    start: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    duplicates: float = 0.02
    corrupt: float = 0.01
    late: float = 0.02
    missing_phi: float = 0.03
    cancels: float = 0.01
    readmissions: float = 0.138
    late_days: float = 3.0
    truth: bool = False

    def __post_init__(self) -> None:
        _check("seed", self.seed, 0 <= self.seed < 2**63, "an integer from 0 up")
        for name, value in (("events", self.events), ("days", self.days)):
            _check(name, value, value is None or value >= 1, "an integer of 1 or more")
        _check("start", self.start, self.start.tzinfo is not None, "a date and time with a time zone")
        _check("start", self.start, 1970 < self.start.year < 2070, "a year from 1971 to 2069")
        for name, most in _RATES.items():
            value = getattr(self, name)
            _check(name, value, 0.0 <= value <= most, f"a fraction from 0 to {most}")
        _check("late_days", self.late_days, 0.01 <= self.late_days <= 30, "days from 0.01 to 30")

    @property
    def scale(self) -> float:
        """Size of the hospital group, 1.0 being its natural one."""
        if self.events is None or self.days is None:
            return 1.0
        return max(_SMALLEST, self.events / self.messages_in(self.days))

    def messages_in(self, days: int) -> float:
        """Messages that the first ``days`` days at the natural size make, on average."""
        ramp = _MISSING_AT_START * (1 - math.exp(-days / 7))
        return (days * EVENTS_PER_DAY - ramp) * (1 + self.duplicates + self.corrupt)

    def days_for(self, messages: int) -> int:
        """The fewest whole days whose average is ``messages`` or more at the natural size."""
        days = max(1, int(messages / (EVENTS_PER_DAY * (1 + self.duplicates + self.corrupt))))
        return next(day for day in count(days) if self.messages_in(day) >= messages)


class Simulator:
    """A source of blocks of messages: all at once with ``blocks``, or up to one moment after another with ``take``.

    The first ``skip`` messages are simulated and left out: they were sent before. One simulator is for either way,
    once.
    """

    def __init__(self, settings: SimulatorSettings, skip: int = 0) -> None:
        self.settings = settings
        self._skip = skip
        self._day = int(settings.start.timestamp())
        self.hospital = Hospital(settings.scale)
        rng = np.random.default_rng(settings.seed)
        planner = Planner(rng, settings.scale, settings.cancels, settings.readmissions)
        book = PatientBook(settings.seed)
        self._flow = Flow(self.hospital, planner, int(settings.start.timestamp()))
        self._feed = Feed(
            settings.seed,
            settings.events,
            settings.duplicates,
            settings.corrupt,
            settings.late,
            settings.late_days,
        )
        self._renderer = Renderer(self.hospital, book, settings.missing_phi, settings.seed)
        self._truth = Truth(self.hospital, book, self._renderer) if settings.truth else None
        self._sent = 0
        self._state = "new"

    def blocks(self) -> Iterator[MessageBatch]:
        """Yield blocks of about ``BLOCK_MESSAGES`` messages, in the order they are sent.

        Raises ``UsageError`` when taken a second time.
        """
        self._begin("running")
        made = 0
        for start in self._days():
            messages = self._feed.add(self._flow.day(start))
            made += len(messages)
            if self._truth is not None:
                self._truth.add(messages)
            if self._feed.full:
                break
            if made >= BLOCK_MESSAGES:
                yield from self._blocks_of(self._feed.take(start + DAY))
                made = 0
        yield from self._blocks_of(self._feed.take(None))
        self._state = "done"

    def take(self, until: int) -> Iterator[MessageBatch]:
        """Yield what is sent before ``until`` (seconds since 1970) and was not taken yet, in the order it is sent.

        For settings without ``events`` and ``days``: this simulation has no end. However its time is cut, the messages
        are the same. Raises ``UsageError`` after ``blocks``.
        """
        self._begin("taken")
        while self._day < until:
            self._feed.add(self._flow.day(self._day))
            self._day += DAY
            # A long history is let go of on the way.
            if self._day < until and self._feed.waiting >= BLOCK_MESSAGES:
                yield from self._blocks_of(self._feed.take(self._day))
        yield from self._blocks_of(self._feed.take(until))

    @property
    def sent(self) -> int:
        """Running number of the last message that was yielded or skipped."""
        return self._sent

    def next_at(self) -> float:
        """When the next message is sent, after those that were taken: seconds since 1970."""
        while (at := self._feed.next_at()) is None or at >= self._day:
            self._feed.add(self._flow.day(self._day))
            self._day += DAY
        return at

    def _begin(self, state: str) -> None:
        if self._state != "new" and not self._state == state == "taken":
            raise UsageError("the simulator has run already", next_move="make a new Simulator")
        self._state = state

    def write_truth(self, path: Path) -> None:
        """Write the ground truth of what was sent into the folder ``path``; see ``producer.simulator.ground_truth``.

        Raises ``UsageError`` before the last block is taken, or when ``truth`` was not set.
        """
        if self._truth is None:
            raise UsageError("the simulator kept no ground truth", next_move="set truth=True in its settings")
        if self._state != "done":
            raise UsageError("the ground truth is not complete yet", next_move="take every block first")
        self._truth.write(path, self._feed.late)

    def write_staffed_beds(self, path: Path) -> None:
        """Write this simulation's staffed beds as CSV: facility, department, staffed_beds, valid_from."""
        self.hospital.write_staffed_beds(path)

    def _days(self) -> Iterable[int]:
        """When each simulated day begins; without end where the number of messages ends it."""
        start = int(self.settings.start.timestamp())
        if self.settings.events is not None:
            return count(start, DAY)
        days = self.settings.days or _DEFAULT_DAYS
        return range(start, start + days * DAY, DAY)

    def _blocks_of(self, messages: Messages) -> Iterator[MessageBatch]:
        for places in np.array_split(np.arange(len(messages)), max(1, round(len(messages) / BLOCK_MESSAGES))):
            if not len(places):
                continue
            part = messages.where(places)
            numbers = np.arange(self._sent + 1, self._sent + 1 + len(part))
            self._sent += len(part)
            if self._sent <= self._skip:
                continue
            left = numbers > self._skip
            part, numbers = part.where(np.flatnonzero(left)), numbers[left]
            frame = self._renderer.render(part.rows, numbers)
            block = MessageBatch(frame["key"].to_list(), frame["value"].to_list())
            self._mangle(block, part, numbers)
            yield block

    def _mangle(self, block: MessageBatch, part: Messages, numbers: Ints) -> None:
        """Break the corrupt extras in place."""
        dice = hashed(numbers, _SALT_MANGLE) >> np.uint64(2)
        for place in np.flatnonzero(part.kind >= CORRUPT).tolist():
            mangle = _MANGLERS[int(part.kind[place]) - CORRUPT]
            block.values[place] = mangle(block.values[place], int(dice[place]))


def write_staffed_beds(path: Path, settings: SimulatorSettings | None = None) -> None:
    """Write the reference table of staffed beds as CSV: facility, department, staffed_beds, valid_from."""
    Hospital((settings or SimulatorSettings()).scale).write_staffed_beds(path)


def _check(name: str, got: object, fits: bool, expected: str) -> None:
    if not fits:
        raise UsageError(f"simulator setting {name} is out of range", got=got, expected=expected)
