"""Messages to Kafka: keyed, idempotent, compressed, at a set pace or as fast as it takes them.

Guarantee: a message counts as delivered only once the broker has acknowledged it; none is written twice
by a retry (``enable.idempotence``), and those of one key keep their order. What was not delivered is
counted by the error's name. A run that is repeated publishes everything again: the lake's deduplication
is what makes that harmless.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from lake.errors import BrokerError, UsageError
from lake.kafka import Kafka, reach
from producer.batches import MessageBatch

_SLICE: Final = 1_000
_TICK: Final = 0.02
_REPORT_SECONDS: Final = 0.1
_LOST: Final = frozenset({"_MSG_TIMED_OUT", "_FATAL", "_PURGE_QUEUE", "_PURGE_INFLIGHT"})
_CREATE_SECONDS: Final = 10.0
_OPTIONS: Final[dict[str, Any]] = {
    "enable.idempotence": True,
    # Measured on this feed: lz4 220 k messages/s, none 215 k, zstd 160 k.
    "compression.type": "lz4",
    # The partition that a Java producer would choose.
    "partitioner": "murmur2_random",
    "linger.ms": 20,
    "batch.size": 1_000_000,
    "queue.buffering.max.messages": 200_000,
    "queue.buffering.max.kbytes": 65_536,
    "message.timeout.ms": 30_000,
}


@dataclass(frozen=True)
class PublishResult:
    """What became of the messages: sent = delivered + the sum of failed (error name -> number).

    ``interrupted`` is true when the run was asked to end early.
    """

    sent: int
    delivered: int
    failed: dict[str, int] = field(default_factory=dict)
    interrupted: bool = False
    seconds: float = 0.0


def ensure_topic(kafka: Kafka, topic: str, partitions: int = 4) -> int:
    """Create the topic where it is absent, and return how many partitions it has.

    Somebody else creating it at the same time is no error. Raises ``BrokerError`` when the broker cannot
    be reached or refuses.
    """
    if found := _partitions(kafka, topic):
        return found
    try:
        admin = AdminClient(kafka.client())
        admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(_CREATE_SECONDS)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise BrokerError(f"the topic {topic} cannot be created", got=error.args[0].str()) from error
    deadline = time.monotonic() + _CREATE_SECONDS
    while not (found := _partitions(kafka, topic)):
        if time.monotonic() > deadline:
            raise BrokerError(f"the topic {topic} was created but has not come up", next_move="try again")
        time.sleep(0.05)
    return found


def _partitions(kafka: Kafka, topic: str) -> int:
    found = reach(kafka)
    return len(found[topic].partitions) if topic in found else 0


class Publisher:
    """Publishes blocks to a topic; ``publish`` may be called several times, one after the other.

    ``rate`` is messages per second, evenly spaced; ``on_progress`` is called with the messages sent so
    far in this call, several times a second. ``stop`` is asked after every slice of 1,000 messages or of
    20 ms, and ends a call early. ``options`` are librdkafka's, over ours.
    Raises ``BrokerError`` when no broker answers, ``UsageError`` for a rate that is not above 0.
    """

    def __init__(
        self,
        kafka: Kafka,
        topic: str,
        *,
        rate: float | None = None,
        on_progress: Callable[[int], None] | None = None,
        stop: Callable[[], bool] = lambda: False,
        flush_seconds: float = 30.0,
        options: dict[str, Any] | None = None,
    ) -> None:
        if rate is not None and not (rate > 0 and math.isfinite(rate)):
            raise UsageError("the rate cannot be kept", got=rate, expected="messages per second, above 0")
        ensure_topic(kafka, topic)
        self._kafka = kafka
        self._topic = topic
        self._rate = rate
        self._on_progress = on_progress
        self._stop = stop
        self._flush_seconds = flush_seconds
        self._producer = Producer(kafka.client(_OPTIONS | (options or {})))
        self._sent = self._delivered = 0
        self._failed: Counter[str] = Counter()
        self._turn = self._reported = 0.0

    def publish(self, blocks: Iterable[MessageBatch]) -> PublishResult:
        """Send every block and wait until all is delivered, or has failed.

        Where ``stop`` ends it early, what is queued is still delivered, and the result says so. Raises
        ``BrokerError``, with the counts, when the broker has gone away and does not come back.
        """
        began = time.monotonic()
        self._sent, self._delivered, self._failed = 0, 0, Counter()
        self._turn = self._reported = began
        interrupted = any(not self._send_block(block) for block in blocks)
        self._finish()
        return PublishResult(
            self._delivered + self._failed.total(),
            self._delivered,
            dict(self._failed),
            interrupted,
            time.monotonic() - began,
        )

    def _send_block(self, block: MessageBatch) -> bool:
        """Send a block; whether there may be more."""
        step = _SLICE if self._rate is None else max(1, min(_SLICE, int(self._rate * _TICK)))
        for first in range(0, len(block), step):
            values = block.values[first : first + step]
            self._wait_for_turn(len(values))
            for key, value in zip(block.keys[first : first + step], values, strict=True):
                self._send(key, value)
            self._sent += len(values)
            self._producer.poll(0)
            self._raise_if_lost()
            self._report()
            if self._stop():
                return False
        return not self._stop()

    def _wait_for_turn(self, messages: int) -> None:
        """Wait until the next messages are due; after a pause of the source, do not catch up in a burst."""
        if self._rate is None:
            return
        while (left := self._turn - time.monotonic()) > 0:
            self._producer.poll(left)
        self._turn = max(self._turn, time.monotonic() - 1) + messages / self._rate

    def _send(self, key: bytes | None, value: bytes) -> None:
        while True:
            try:
                self._producer.produce(self._topic, value, key, on_delivery=self._count)
            except BufferError:
                self._producer.poll(0.1)
                self._raise_if_lost()
            except KafkaException as error:
                self._failed[error.args[0].name()] += 1
                return
            else:
                return

    def _count(self, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            self._delivered += 1
        else:
            self._failed[error.name()] += 1

    def _report(self) -> None:
        now = time.monotonic()
        if self._on_progress is not None and now - self._reported >= _REPORT_SECONDS:
            self._reported = now
            self._on_progress(self._sent)

    def _finish(self) -> None:
        """Wait for what is queued, give up on what does not go, and report the last progress."""
        waiting = self._producer.flush(self._flush_seconds)
        if waiting:
            self._give_up()
        self._raise_if_lost()
        if self._on_progress is not None:
            self._on_progress(self._sent)

    def _give_up(self) -> None:
        """Count what is still queued as failed, so that it is not sent after the result is told."""
        self._producer.purge()
        self._producer.flush(1.0)

    def _raise_if_lost(self) -> None:
        if not _LOST & self._failed.keys():
            return
        self._give_up()
        reasons = ", ".join(f"{name} {count}" for name, count in sorted(self._failed.items()))
        raise BrokerError(
            f"the Kafka broker at {self._kafka.servers} has stopped taking messages",
            got=f"{self._delivered} delivered, {self._failed.total()} failed ({reasons})",
            next_move="bring it back and publish again: the lake recognises what it has already",
        )
