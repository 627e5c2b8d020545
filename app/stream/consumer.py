"""A Quix consumer that hands on micro-batches: one ``Row`` that holds many messages of all assigned partitions.

Stock Quix polls one message at a time. This consumer fills a batch with ``consume()`` and gives it to Quix as one
row; checkpoints, rebalancing and backpressure stay Quix's. It starts each partition where the lake says, whatever
the group's offsets are (they serve lag monitors), and what it holds and has not handed on is dropped when
partitions are revoked or lost and when the stream starts again from the lake.

The overridden methods are held to Quix's own by ``tests/unit/app/stream/test_quix_contract.py``.
"""

import logging
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final

import polars as pl
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition
from quixstreams.internal_consumer import InternalConsumer
from quixstreams.models import MessageContext, Row, Topic

from app.stream.batch_writer import PositionMoved
from app.stream.batches import RawBatch
from app.stream.start_positions import Positions
from lake.errors import BrokerError, TopicRecreatedError, WardlakeError
from lake.security.encryption import LakeKey, places

logger = logging.getLogger(__name__)

_CHUNK: Final = 10_000
# The stream takes 20 to 30 times it: 650 MB over messages of 6 kB, and 1.2 GB with 64 MiB, for 5 % less time.
_MAX_BATCH_BYTES: Final = 16 * 1024 * 1024
_RETRY_SECONDS: Final = 0.2
_WAIT_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 5.0
_PASSING: Final = {
    # The topic is being created, deleted or recreated, or the broker is away: all of it passes, or is found
    # out when the topic's id is read.
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


@dataclass(frozen=True)
class BatchLimits:
    """When a micro-batch is full: this many messages, or this many seconds after it was begun."""

    messages: int
    seconds: float


class MicroBatchConsumer(InternalConsumer):
    """Consumes micro-batches of one topic.

    Guarantee: messages of a partition come in offset order without a gap, from the position that the lake holds.
    """

    def __init__(
        self,
        *args: Any,
        topic: str,
        positions: Positions,
        key: LakeKey,
        limits: BatchLimits,
        now: Callable[[], datetime],
        settle: Callable[[], None],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.topic = topic
        self._positions = positions
        self._key = key
        self._limits = limits
        self._now = now
        self._settle = settle
        self._sealer = ThreadPoolExecutor(1, thread_name_prefix="encrypt")
        self._messages: dict[int, list[Message]] = defaultdict(list)
        self._forwarded: dict[int, int] = {}
        self._landed: dict[int, int] = {}
        self._assigned: set[int] = set()
        self._mean_bytes = 1024
        self._restart_needed = False
        self._failure: WardlakeError | None = None
        self._looked_at = time.monotonic()
        self._waiting_since: float | None = time.monotonic()

    # What Quix calls

    def poll_row(self, timeout: float | None = None, buffered: bool = False) -> Row | None:  # noqa: ARG002
        """The next micro-batch, as one row; None when nothing came in time."""
        self.raise_failure()
        if self._restart_needed:
            self._try_restart()
            return None
        self._gather()
        if not self._messages:
            self._tell_of_waiting()
            self._look_for_topic()
            return None
        # The messages were fetched before this look: if the id is still the one that the positions belong to,
        # they are that topic's.
        if not self._still_there():
            logger.warning("the topic is out of reach: starting again from the lake")
            self._drop()
            self._restart_needed = True
            return None
        held = dict(sorted(self._messages.items()))
        self._messages.clear()
        return self._row(held, self._now())

    def subscribe(
        self,
        topics: list[Topic],
        on_assign: Callable[..., None] | None = None,
        on_revoke: Callable[..., None] | None = None,
        on_lost: Callable[..., None] | None = None,
    ) -> None:
        """Subscribe as Quix does, dropping what is held when partitions leave."""

        def dropping(callback: Callable[..., None] | None) -> Callable[..., None]:
            def drop_then_call(consumer: Any, partitions: list[TopicPartition]) -> None:
                self._let_go()
                if callback is not None:
                    callback(consumer, partitions)

            return drop_then_call

        super().subscribe(topics, on_assign=on_assign, on_revoke=dropping(on_revoke), on_lost=dropping(on_lost))

    def assign(self, partitions: list[TopicPartition]) -> None:
        """Assign at the lake's positions.

        Called within a rebalance, where an error would be lost: what goes wrong is raised by the next poll, or
        tried again where it passes (the broker does not answer, another writer was first).
        """
        self._let_go()
        try:
            starts = {tp.partition: self._positions.start(self, tp) for tp in partitions}
        except WardlakeError as error:
            super().assign(partitions)
            self.pause(partitions)
            passes = isinstance(error, BrokerError | PositionMoved)
            self._restart_needed, self._failure = True, None if passes else error
            return
        self._restart_needed = False
        super().assign([TopicPartition(tp.topic, tp.partition, starts[tp.partition]) for tp in partitions])
        self.resume(partitions)  # a pause outlives an assignment
        self._assigned = set(starts)

    def trigger_backpressure(self, offsets_to_seek: dict[tuple[str, int], int], resume_after: float) -> None:  # noqa: ARG002
        """Start again from the lake: it, not Quix's checkpoint, knows where the first message not landed is."""
        self._drop()
        self._restart_needed = True

    def commit(
        self,
        message: Message | None = None,
        offsets: list[TopicPartition] | None = None,
        asynchronous: bool = True,
    ) -> list[TopicPartition] | None:
        """Tell Kafka how far the lake is. That it did not take it is logged and no more: the lake knows."""
        try:
            told = super().commit(message, offsets, asynchronous) or []
            refused = [tp.error for tp in told if tp.error]
        except KafkaException as error:
            refused = [error.args[0]]
        if refused:
            logger.warning("offsets were not committed: %s; the lake knows them", refused[0].name())
        return None

    def close(self) -> None:
        """Close the consumer and the encryption thread.

        Without partitions, or where the topic was recreated, the group is left without a word, as a killed process
        leaves it: such a client may be about to join, and the built-in broker keeps a member for ever that leaves while
        it joins, and lets nobody in beside it.
        """
        self._drop()
        if self.assignment() and not isinstance(self._failure, TopicRecreatedError):
            super().close()  # type: ignore[no-untyped-call]
        self._sealer.shutdown(wait=False, cancel_futures=True)

    # What the application asks

    def take_landed(self) -> dict[int, int]:
        """Partition → last offset of what has landed by the time the row in hand is flushed; empty if asked again."""
        taken, self._landed = self._landed, {}
        return taken

    def settle(self) -> None:
        """Wait for the landing under way, and tell Kafka how far it got. Raises what the landing raised."""
        child_environment, self._forwarded = self._forwarded, {}
        self._settle()
        if child_environment:
            self.commit(
                offsets=[TopicPartition(self.topic, p, offset + 1) for p, offset in child_environment.items()],
                asynchronous=True,
            )

    def raise_failure(self) -> None:
        """Raise what went wrong where it could not be raised: within a rebalance, or while closing."""
        if self._failure is not None:
            raise self._failure

    def lag(self) -> int | None:
        """Messages of the assigned partitions not yet handed on, by the broker's last fetch responses.

        Costs no request. None before the assignment and before a partition's first response.
        """
        behind = 0
        for tp in self.position([] if self._restart_needed else self.assignment()):
            low, high = self.get_watermark_offsets(TopicPartition(tp.topic, tp.partition), cached=True)
            if high < 0:
                return None
            behind += max(high - (tp.offset if tp.offset >= 0 else low), 0)
        return behind if self._assigned else None

    def under_way(self) -> frozenset[int]:
        """The partitions of what it has handed on last and that need not have landed."""
        return frozenset(self._forwarded)

    def assigned(self) -> frozenset[int]:
        """The partitions that it is assigned and reads from where the lake says."""
        return frozenset(self._assigned)

    # Inside

    def _error_cb(self, error: KafkaError) -> None:
        """Take what the client says of its brokers, as Quix does; called while it consumes.

        Nothing is fetched from a broker that was lost before it is known to have the same topic: librdkafka 2.8 to
        2.12 may crash when it fetches a topic by an id that the broker knows no more.
        """
        super()._error_cb(error)
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self.pause(self.assignment())
            self._restart_needed = True

    def _let_go(self) -> None:
        """Finish what is being landed and drop the rest; what goes wrong is raised by the next poll."""
        try:
            self.settle()
        except PositionMoved:
            self._restart_needed = True
        except WardlakeError as error:
            self._failure = error
        self._drop()
        self._assigned.clear()

    def _drop(self) -> None:
        self._forwarded.clear()
        self._landed.clear()
        self._messages.clear()

    def _tell_of_waiting(self) -> None:
        """Say once that no partition came, after half a minute without one: silence would look like a quiet ward."""
        if self._assigned:
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

    def _look_for_topic(self) -> None:
        """Ask now and then, while nothing comes, whether the topic is the same: the client may never ask itself."""
        if time.monotonic() - self._looked_at >= _LOOK_SECONDS and self._positions.topic_id:
            self._still_there()

    def _still_there(self) -> bool:
        try:
            return self._positions.still_there()
        except TopicRecreatedError as error:
            self._failure = error
            raise
        finally:
            self._looked_at = time.monotonic()

    def _try_restart(self) -> None:
        self.assign(self.assignment())
        if self._restart_needed and self._failure is None:
            logger.warning("cannot start again yet: the broker does not answer")
            time.sleep(_RETRY_SECONDS)

    def _gather(self) -> None:
        """Add to what is held until the batch is full or its time is over. Rebalances happen in here."""
        deadline = time.monotonic() + self._limits.seconds
        held = sum(map(len, self._messages.values()))
        held_bytes = held * self._mean_bytes
        while held < self._limits.messages and held_bytes < _MAX_BATCH_BYTES:
            most = min(_CHUNK, self._limits.messages - held, 1 + (_MAX_BATCH_BYTES - held_bytes) // self._mean_bytes)
            taken = self._without_events(self._take(most, deadline))
            if taken:
                # Fetches come partition by partition: grouping runs of them is cheaper than message by message.
                for partition, run in groupby(taken, key=Message.partition):
                    self._messages[partition].extend(run)
                size = sum(map(len, taken))
                held, held_bytes = held + len(taken), held_bytes + size
                self._mean_bytes = max(1, size // len(taken))
            if time.monotonic() >= deadline:
                break

    def _take(self, most: int, deadline: float) -> list[Message]:
        """Messages that were fetched already; where there are none, the next one, if it comes in time.

        To wait for many would have the client fetch on as they are taken, were they of a megabyte each.
        """
        return self.consume(most, timeout=0) or self.consume(1, timeout=max(deadline - time.monotonic(), 0))

    def _without_events(self, messages: list[Message]) -> list[Message]:
        """The messages proper. Raises ``BrokerError`` for an error event that will not pass by itself."""
        good = []
        for message in messages:
            if (error := message.error()) is None:
                good.append(message)
            elif error.code() not in _PASSING:
                raise BrokerError(
                    "the broker refused to go on", got=error.name(), next_move="check the broker, then start again"
                )
        return good

    def _row(self, held: dict[int, list[Message]], now: datetime) -> Row:
        messages = [message for part in held.values() for message in part]
        partitions = [partition for partition, part in held.items() for _ in part]
        offsets = list(map(Message.offset, messages))
        payloads = list(map(Message.value, messages))
        times = [time if kind else None for kind, time in map(Message.timestamp, messages)]
        frame = pl.DataFrame(
            {"kafka_partition": partitions, "kafka_offset": offsets, "kafka_time": times},
            schema={"kafka_partition": pl.Int32, "kafka_offset": pl.Int64, "kafka_time": pl.Int64},
        ).select(
            pl.int_range(pl.len(), dtype=pl.UInt32).alias("row"),
            "kafka_partition",
            "kafka_offset",
            pl.from_epoch("kafka_time", "ms").dt.cast_time_unit("us").dt.replace_time_zone("UTC"),
            ingested_at=pl.lit(now.astimezone(UTC)).cast(pl.Datetime("us", "UTC")),
        )
        # Quix commits the offset that a row bears once the row is flushed, and a flush only waits for the landing
        # before its own: so a row bears that one's offsets. With none under way it lands at once and bears its own.
        mine = {partition: part[-1].offset() for partition, part in held.items()}
        at_once = not self._forwarded
        self._landed, self._forwarded = dict(self._forwarded or mine), mine
        partition, offset = self._landed.popitem()
        topic_id = self._positions.topic_id
        encrypted = self._sealer.submit(self._sealed, payloads, places(topic_id, partitions, offsets))
        batch = RawBatch(
            topic=self.topic,
            topic_id=topic_id,
            lag=self.lag(),
            at_once=at_once,
            messages=frame,
            payloads=payloads,
            encrypted=encrypted,
        )
        context = MessageContext(topic=self.topic, partition=partition, offset=offset, size=len(messages))
        return Row(value=batch, key=None, timestamp=int(now.timestamp() * 1000), context=context, headers=None)

    def _sealed(self, payloads: list[bytes | None], where: Iterable[bytes]) -> pl.Series:
        return pl.Series(self._key.encrypt(payloads, where), dtype=pl.Binary)
