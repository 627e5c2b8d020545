"""Which ends of processes are explained by what was done to them, and which are findings."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tests.soak.worker import Ended

FULL_DISK: Final = "full disk"
BROKER_AWAY: Final = "broker away"
TOPIC_AGAIN: Final = "topic made again"
_GRACE_SECONDS: Final = 10.0
"""What a trouble did to a process may come out that much later."""


@dataclass
class Trouble:
    """Something that processes may rightly tell of, while it lasts."""

    kind: str
    began: float
    ended: float = math.inf


@dataclass(frozen=True)
class Documented:
    """How a process may end in a trouble: with one of these codes and a last line that holds ``words``."""

    trouble: str
    codes: tuple[int, ...]
    words: str
    workers: tuple[str, ...] = ()


DOCUMENTED: Final = (
    Documented(FULL_DISK, (2,), "a full disk"),
    Documented(FULL_DISK, (2,), "free space or mend the disk", ("maintain",)),
    Documented(BROKER_AWAY, (2,), "broker", ("stream", "producer")),
    # docs/explanation/guarantee.md, "When the topic changes": librdkafka may crash when its topic is made again.
    Documented(TOPIC_AGAIN, (-11, -6), "", ("stream",)),
)


def reason(ended: Ended, troubles: Iterable[Trouble]) -> str | None:
    """What explains this end, in a word or two; None where nothing does."""
    if ended.asked == "killed" and ended.code == -9:
        return "killed"
    if ended.code == 0 and (ended.asked == "stopped" or not ended.service):
        return ended.asked or "done"
    met = {one.kind for one in troubles if one.began <= ended.at and ended.began <= one.ended + _GRACE_SECONDS}
    for one in DOCUMENTED:
        who = not one.workers or ended.worker.partition(" ")[0] in one.workers
        if one.trouble in met and ended.code in one.codes and one.words in ended.said and who:
            return one.trouble
    return None
