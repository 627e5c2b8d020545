"""Assignment: the partitions that a stream is given, each to be read from where the lake says."""

import logging
import math
import time
from typing import Any, Final

from confluent_kafka import TopicPartition

from app.stream.exactly_once_writer import PositionMoved
from app.stream.start_positions import Positions
from lake.errors import BrokerError, WardlakeError

logger = logging.getLogger(__name__)

_WAIT_SECONDS: Final = 30.0


class Assignment:
    """The partitions in hand, whether to start again from the lake, and an error that could not be raised in place."""

    def __init__(self, positions: Positions) -> None:
        self._positions = positions
        self.partitions: frozenset[int] = frozenset()
        """Those that are read from where the lake says."""
        self.restart_needed = False
        self.failure: WardlakeError | None = None
        """What went wrong within a rebalance or while closing, where an error would be lost."""
        self._waiting_since: float | None = time.monotonic()

    def starts(self, consumer: Any, partitions: list[TopicPartition]) -> list[TopicPartition] | None:
        """These partitions at the lake's positions; None, and ``restart_needed``, where those cannot be had.

        What passes by itself (the broker does not answer, another writer was first) is tried again; anything else is
        the ``failure``.
        """
        try:
            starts = [TopicPartition(tp.topic, tp.partition, self._positions.start(consumer, tp)) for tp in partitions]
        except WardlakeError as error:
            passes = isinstance(error, BrokerError | PositionMoved)
            self.restart_needed, self.failure = True, None if passes else error
            return None
        self.restart_needed = False
        self.partitions = frozenset(tp.partition for tp in partitions)
        return starts

    def leave(self) -> None:
        """The partitions are no longer ours."""
        self.partitions = frozenset()

    def warn_of_waiting(self) -> None:
        """Warn once that no partition came, after half a minute without one: silence would look like a quiet ward."""
        if self.partitions:
            self._waiting_since = None
        elif self._waiting_since is None:
            self._waiting_since = time.monotonic()
        elif time.monotonic() - self._waiting_since >= _WAIT_SECONDS:
            self._waiting_since = math.inf
            logger.warning(
                "no partition was assigned for %d s: other streams of the group hold them all; where there are none, "
                "the group hangs at the broker: take another --group",
                _WAIT_SECONDS,
            )
