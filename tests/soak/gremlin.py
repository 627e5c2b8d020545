"""The gremlin: which fault when, by a seed, and a log of what was done."""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from tests.soak.faults import FAULTS
from tests.soak.scene import Scene

_WEIGHTS: Final = {"kill": 4, "pause": 2}
"""How often in a round of faults; the others once."""


@dataclass(frozen=True)
class Struck:
    """A fault that was done: when it began and how long it took, in seconds of the soak."""

    at: float
    kind: str
    what: str
    seconds: float


@dataclass
class Gremlin:
    """Strikes ``per_minute`` times a minute, as far as the faults' own lengths let it."""

    scene: Scene
    seed: int
    per_minute: float
    struck: list[Struck] = field(default_factory=list)

    def run(self, seconds: float) -> None:
        """Strike for so long."""
        dice, house, until = random.Random(self.seed), self.scene.house, time.monotonic() + seconds
        for kind in self._kinds(dice):
            due = time.monotonic() + dice.uniform(0.5, 1.5) * 60 / self.per_minute
            began = time.monotonic()
            what = FAULTS[kind](self.scene, dice)
            self.struck.append(Struck(began - house.began, kind, what, time.monotonic() - began))
            self.scene.say(f"{kind}: {what}")
            house.live(max(0.0, min(due, until) - time.monotonic()))
            if time.monotonic() >= until:
                return

    def _kinds(self, dice: random.Random) -> Iterator[str]:
        """Round after round of all faults that can be done here, each round in another order."""
        able = [kind for kind in FAULTS if kind not in self.scene.stage.not_run]
        bag = [kind for kind in able for _ in range(_WEIGHTS.get(kind, 1))]
        while True:
            yield from dice.sample(bag, len(bag))
