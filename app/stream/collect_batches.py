"""Batching: messages are collected until a micro-batch is full, and become a ``RawBatch`` while they are encrypted."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Final

from confluent_kafka import KafkaError, Message

from app.stream.batches import RawBatch
from lake.errors import BrokerError
from lake.security.encryption import LakeKey
from lake.storage import record_batch
from lake.storage.record_batch import Messages

HeldMessages = dict[int, list[Message]]
"""Messages by partition, in the order of their offsets."""

_CHUNK: Final = 10_000
# The stream takes 20 to 30 times it: 650 MB over messages of 6 kB, and 1.2 GB with 64 MiB, for 5 % less time.
_MAX_BATCH_BYTES: Final = 16 * 1024 * 1024
PASSING: Final = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.UNKNOWN_TOPIC_ID,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TIMED_OUT,
    KafkaError._AUTO_OFFSET_RESET,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.OFFSET_OUT_OF_RANGE,
    KafkaError._MAX_POLL_EXCEEDED,
}
"""Error events that need no answer: the topic is being created, deleted or recreated, or the broker is away. All of it
passes, or is found out when the topic's id is read."""


@dataclass(frozen=True)
class BatchLimits:
    """When a micro-batch is full: this many messages, or this many seconds after it was begun."""

    messages: int
    seconds: float


class MessageCollector:
    """Collects the messages of a micro-batch, until the limits are reached or it is 16 MiB."""

    def __init__(self, consume: Callable[[int, float], list[Message]], limits: BatchLimits) -> None:
        """``consume(most, timeout)`` gives messages and error events. Rebalances happen in it, and may ``clear``."""
        self._consume = consume
        self._limits = limits
        self._messages: HeldMessages = defaultdict(list)
        self._mean_bytes = 1024

    def clear(self) -> None:
        """Drop what is held."""
        self._messages.clear()

    def take(self) -> HeldMessages:
        """What is held, in the order of partitions; nothing is held after it."""
        held = dict(sorted(self._messages.items()))
        self._messages.clear()
        return held

    def collect(self) -> bool:
        """Add to what is held until the batch is full or its time is over; returns whether anything is held."""
        deadline = time.monotonic() + self._limits.seconds
        held = sum(map(len, self._messages.values()))
        held_bytes = held * self._mean_bytes
        while held < self._limits.messages and held_bytes < _MAX_BATCH_BYTES:
            most = min(_CHUNK, self._limits.messages - held, 1 + (_MAX_BATCH_BYTES - held_bytes) // self._mean_bytes)
            taken = without_error_events(self._next(most, deadline))
            if taken:
                # Fetches come partition by partition: grouping runs of them is cheaper than message by message.
                for partition, run in groupby(taken, key=Message.partition):
                    self._messages[partition].extend(run)
                size = sum(map(len, taken))
                held, held_bytes = held + len(taken), held_bytes + size
                self._mean_bytes = max(1, size // len(taken))
            if time.monotonic() >= deadline:
                break
        return bool(self._messages)

    def _next(self, most: int, deadline: float) -> list[Message]:
        """Messages that were fetched already; where there are none, the next one, if it comes in time.

        To wait for many would have the client fetch on as they are taken, were they of a megabyte each.
        """
        return self._consume(most, 0) or self._consume(1, max(deadline - time.monotonic(), 0))


def without_error_events(messages: Iterable[Message]) -> list[Message]:
    """The messages proper. Raises ``BrokerError`` for an error event that will not pass by itself."""
    good = []
    for message in messages:
        if (error := message.error()) is None:
            good.append(message)
        elif error.code() not in PASSING:
            raise BrokerError(
                "the broker refused to go on", got=error.name(), next_move="check the broker, then start again"
            )
    return good


class BatchBuilder:
    """Makes raw batches of collected messages; what goes to Bronze is encrypted on a second thread meanwhile."""

    def __init__(self, topic: str, key: LakeKey) -> None:
        self._topic = topic
        self._key = key
        self._encrypter = ThreadPoolExecutor(1, thread_name_prefix="encrypt")

    def close(self) -> None:
        """End the thread without waiting for it."""
        self._encrypter.shutdown(wait=False, cancel_futures=True)

    def build(self, held: HeldMessages, topic_id: str, now: datetime, lag: int | None, *, at_once: bool) -> RawBatch:
        """The messages as a raw batch of this topic id, taken in ``now``."""
        columns = {partition: _columns(part) for partition, part in held.items()}
        bronze = self._encrypter.submit(
            record_batch.encrypted, self._topic, topic_id, list(columns.items()), self._key, now.astimezone(UTC)
        )
        return RawBatch.of(self._topic, topic_id, columns, now, bronze, lag, at_once=at_once)


def _columns(messages: Sequence[Message]) -> Messages:
    return Messages(
        offsets=list(map(Message.offset, messages)),
        times=[time if kind else None for kind, time in map(Message.timestamp, messages)],
        keys=list(map(Message.key, messages)),
        headers=list(map(record_batch.headers_in, map(Message.headers, messages))),
        values=list(map(Message.value, messages)),
    )
