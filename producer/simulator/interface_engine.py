"""What the interface engine makes of the events: some late, some twice, some with a corrupt extra.

Whether an event is late, has a copy or an extra is a pure function of the seed and the event's number,
so that it does not depend on how the feed is cut into blocks.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from producer.simulator.corruption import KINDS
from producer.simulator.hospital import Flags, Ints
from producer.simulator.patient_flow import COLUMNS
from producer.simulator.patients import Words, hashed, uniform

REAL, DUPLICATE, CORRUPT = range(3)
"""What a message is; CORRUPT + n is a corrupt extra of the n-th kind."""

_LATE, _DELAY, _JITTER, _COPY, _COPY_AFTER, _EXTRA, _KIND, _EXTRA_AFTER = range(60, 68)
_SHORTEST_DELAY: Final = 300_000.0
_DAY: Final = 86_400_000


@dataclass
class Messages:
    """Messages yet to be written out: their event rows, what each is, and when it is sent (ms)."""

    rows: Ints
    kind: Ints
    sent: Ints

    def __len__(self) -> int:
        """How many they are."""
        return len(self.sent)

    def where(self, chosen: Ints) -> "Messages":
        """Those of the given places or mask, in that order."""
        return Messages(self.rows[chosen], self.kind[chosen], self.sent[chosen])


class Feed:
    """Turns events into messages in the order they are sent, ``limit`` of them at most.

    Events count towards the limit in the order of their event time, each followed by its copy and its
    extra: so what is sent in all is always the whole history up to a moment, late messages included.
    """

    def __init__(
        self, seed: int, limit: int | None, duplicates: float, corrupt: float, late: float, late_days: float
    ) -> None:
        self._seed = seed
        self._left = limit
        self._rates = {_COPY: duplicates, _EXTRA: corrupt, _LATE: late}
        self._longest = late_days * _DAY
        self._waiting = Messages(np.empty((0, len(COLUMNS)), np.int64), *np.empty((2, 0), np.int64))
        self.late = 0

    @property
    def full(self) -> bool:
        """Whether the limit is reached."""
        return self._left == 0

    @property
    def waiting(self) -> int:
        """Messages that were made and not taken yet."""
        return len(self._waiting)

    def next_at(self) -> float | None:
        """When the first of those waiting is sent, in seconds since 1970; None where there are none."""
        return float(self._waiting.sent.min()) / 1_000 if len(self._waiting) else None

    def add(self, rows: Ints) -> Messages:
        """Take in event rows ordered by event time; returns all the messages they make, unordered."""
        words = hashed(rows[:, 1], self._seed)
        late = self._has(words, _LATE)
        sent = rows[:, 0] * 1_000 + self._spread(words, _JITTER, 4_000)
        delay = _SHORTEST_DELAY * (self._longest / _SHORTEST_DELAY) ** uniform(words, _DELAY)
        sent += np.where(late, delay, 0).astype(np.int64)
        copied, broken = self._has(words, _COPY), self._has(words, _EXTRA)
        index = np.repeat(np.arange(len(rows)), 1 + copied + broken)
        place = np.arange(len(index)) - np.searchsorted(index, index)
        kind = np.where(place == 0, REAL, np.where((place == 1) & copied[index], DUPLICATE, CORRUPT))
        index, kind = index[: self._left], kind[: self._left]
        self.late += int(late[index[kind == REAL]].sum())
        after = np.where(kind == DUPLICATE, self._spread(words, _COPY_AFTER, 1_800_000)[index] + 5_000, 0)
        after = np.where(kind == CORRUPT, self._spread(words, _EXTRA_AFTER, 60_000)[index], after)
        kind = np.where(kind == CORRUPT, CORRUPT + self._spread(words, _KIND, len(KINDS))[index], kind)
        made = Messages(rows[index], kind, sent[index] + after)
        self._waiting = _concatenated(self._waiting, made)
        if self._left is not None:
            self._left -= len(made)
        return made

    def take(self, until: int | None) -> Messages:
        """Release what is sent before ``until`` (seconds since 1970, None for all), in the order sent."""
        waiting = self._waiting
        ready = waiting.sent < until * 1_000 if until is not None else np.ones(len(waiting), dtype=bool)
        self._waiting = waiting.where(np.flatnonzero(~ready))
        due = waiting.where(np.flatnonzero(ready))
        return due.where(np.lexsort((due.kind, due.rows[:, 1], due.sent)))

    def _has(self, words: Words, salt: int) -> Flags:
        result: Flags = uniform(words, salt) < self._rates[salt]
        return result

    def _spread(self, words: Words, salt: int, below: int) -> Ints:
        return (hashed(words, salt) % np.uint64(below)).astype(np.int64)


def _concatenated(first: Messages, second: Messages) -> Messages:
    return Messages(
        np.concatenate([first.rows, second.rows]),
        np.concatenate([first.kind, second.kind]),
        np.concatenate([first.sent, second.sent]),
    )
