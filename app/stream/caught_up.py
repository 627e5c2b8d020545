"""What ``--until-caught-up`` waits for: the lake at the ends that all partitions had when the run began."""

import logging
import threading
from collections.abc import Collection, Iterable
from time import monotonic, sleep
from typing import Final

from confluent_kafka.admin import AdminClient

from app.settings import Settings
from app.stream.broker_offsets import end_offsets, next_messages
from app.stream.exactly_once_writer import Landed
from app.stream.start_positions import ahead_of_broker, describe_topic
from lake.contracts.tables import SILVER
from lake.errors import BrokerError, NotCaughtUpError
from lake.storage.store import open_lake

logger = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 300.0
"""How long a run may see nothing land of what is left. A killed member's session ends after 6 s, elsewhere after 45."""

_TRIES: Final = 3
_LOOK_SECONDS: Final = 1.0  # 3 ms of CPU where another stream lands
_PROBE_SECONDS: Final = 5.0
_TELL_SECONDS: Final = 30.0


class Goal:
    """The ends that all partitions of the topic had when the goal was set. Reached once the lake has landed up to them.

    It is asked of the lake, which all streams of the topic land in: what this run is assigned says nothing of the
    partitions that other members of its group hold.
    """

    def __init__(self, settings: Settings, patience: float = PATIENCE_SECONDS) -> None:
        """Read the ends. ``patience``: seconds without progress after which the goal is missed.

        Raises ``BrokerError`` where an end cannot be read, ``StreamPositionError`` where the lake is ahead of one.
        """
        self._settings = settings
        self._patience = patience
        self._lake = open_lake(settings.lake)  # separate handles: the stream's are used by its threads
        self.topic_id, partitions = self._described()
        landed = {partition: self._landed(partition) for partition in partitions}
        self._ends = self._read_ends({partition: last + 1 for partition, last in landed.items()})
        for partition, end in self._ends.items():
            if landed[partition] + 1 > end:
                raise ahead_of_broker(settings.topic, partition, landed[partition], end)
        # Partition → the first offset that has not landed, of those that have not reached their end.
        self._left = {p: landed[p] + 1 for p, end in self._ends.items() if landed[p] + 1 < end}
        self._lock = threading.Lock()
        self._mine: frozenset[int] = frozenset()
        self._missed = False
        self._moved = self._probed = self._looked = monotonic()
        self._told = monotonic() - _TELL_SECONDS
        if self._left:
            self._probe()

    def note(self, landed: Iterable[Landed]) -> None:
        """Take in what this run landed. Called on the thread that lands."""
        for batch in landed:
            if batch.topic_id == self.topic_id:
                self._advance(batch.partition, batch.last_offset + 1)

    def reached(self, mine: Collection[int] = (), under_way: Collection[int] = ()) -> bool:
        """Whether nothing is left.

        ``mine``: the partitions that this run is assigned; ``under_way``: those that it lands now. While it lands what
        is left, nothing is looked up; else the lake is, at most once a second. Logs now and then what it waits for.
        """
        self._mine = frozenset(mine)
        if any(partition in self._left for partition in under_way):
            self._moved = monotonic()
            return False
        if self._left and monotonic() - self._looked >= _LOOK_SECONDS:
            self._look()
            self._looked = monotonic()
        return not self._left

    def missed(self) -> bool:
        """Whether nothing of what is left has landed for as long as the goal has patience. Once missed, it stays so."""
        self._missed |= bool(self._left) and monotonic() - self._moved >= self._patience
        return self._missed

    def error(self) -> NotCaughtUpError:
        """What to raise when it was missed."""
        return NotCaughtUpError(
            f"the lake has not caught up with topic {self._settings.topic}",
            got=f"{self._what_is_left()}, and none of it landed within {self._patience:g} s",
            expected="all that the topic held when the run began",
            next_move="check the broker, then run it again"
            if self._holds_what_is_left()
            else f"another member of group {self._settings.group} holds it: let it land, or stop it and run this again",
        )

    def _described(self) -> tuple[str, list[int]]:
        """The topic's id and partitions. A topic that was just created may be unknown for a moment."""
        admin = AdminClient(self._settings.connection.client())
        for _ in range(_TRIES - 1):
            try:
                return describe_topic(admin, self._settings.topic)
            except BrokerError:
                sleep(1)
        return describe_topic(admin, self._settings.topic)

    def _read_ends(self, starts: dict[int, int]) -> dict[int, int]:
        """Partition → its end. One that does not answer is asked again: what is not known is not reached."""
        ends: dict[int, int] = {}
        for _ in range(_TRIES):
            silent = {partition: start for partition, start in starts.items() if partition not in ends}
            ends |= end_offsets(self._settings.connection, self._settings.topic, silent) if silent else {}
        if ends.keys() != starts.keys():
            raise BrokerError(
                f"the ends of topic {self._settings.topic} cannot be read",
                got=f"no answer for {_named(starts.keys() - ends.keys())}",
                expected="the end of every partition",
                next_move="check the broker, then start again",
            )
        return ends

    def _landed(self, partition: int) -> int:
        return self._lake.landed(self.topic_id, partition)

    def _advance(self, partition: int, to: int) -> None:
        """All that lies before the offset ``to`` has landed, or is no message."""
        with self._lock:
            if to <= self._left.get(partition, to):
                return
            self._moved = monotonic()
            self._left[partition] = to
            if to >= self._ends[partition]:
                del self._left[partition]

    def _look(self) -> None:
        self._lake.store(SILVER).refresh()
        for partition in list(self._left):
            self._advance(partition, self._landed(partition) + 1)
        quiet = monotonic() - self._moved
        if self._left and quiet >= _LOOK_SECONDS and monotonic() - self._probed >= _PROBE_SECONDS:
            self._probe()
            self._probed = monotonic()
        if self._left and quiet >= _PROBE_SECONDS and monotonic() - self._told >= _TELL_SECONDS:
            self._told = monotonic()
            logger.warning(
                "waiting for %s: nothing of it landed for %.0f s; %s",
                self._what_is_left(),
                quiet,
                "the broker hands on nothing"
                if self._holds_what_is_left()
                else "other members of the group hold it, a killed one until its session ends",
            )

    def _probe(self) -> None:
        """Pass over offsets that are no messages: a partition may end with them, and then nothing of it ever lands."""
        found = next_messages(self._settings.connection, self._settings.topic, dict(self._left))
        for partition, offset in found.items():
            self._advance(partition, offset)

    def _what_is_left(self) -> str:
        left = dict(self._left)
        messages = sum(self._ends[partition] - at for partition, at in left.items())
        return f"{messages:,} {'message' if messages == 1 else 'messages'} in {_named(left)}"

    def _holds_what_is_left(self) -> bool:
        """Whether all that is left is in partitions that this run is assigned."""
        return self._mine.issuperset(list(self._left))  # a copy: a landing may take one out meanwhile


def _named(partitions: Collection[int]) -> str:
    return f"{'partition' if len(partitions) == 1 else 'partitions'} {', '.join(map(str, sorted(partitions)))}"
