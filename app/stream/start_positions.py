"""Where each partition is to start: what the lake holds, held against what the broker has."""

import logging
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from app.stream.broker_offsets import end_offsets
from app.stream.landing import Landing
from lake.errors import BrokerError, StreamPositionError, TopicRecreatedError
from lake.kafka import Kafka

logger = logging.getLogger(__name__)

_SECONDS: Final = 10


class Positions:
    """The lake's positions in one topic, by the topic's id at the broker.

    A recreated topic has another id, and so positions of its own: it is a new stream, not a silent skip, and one for
    another client. librdkafka knows a topic by its name, and one made again under it can crash it or leave it waiting
    (its issue 4898).
    """

    def __init__(self, landing: Landing, admin: AdminClient, kafka: Kafka, topic: str) -> None:
        self._landing = landing
        self._admin = admin
        self._kafka = kafka
        self._topic = topic
        self.topic_id = ""

    def start(self, consumer: Any, partition: TopicPartition) -> int:
        """The offset to start a partition from that was just assigned.

        Raises ``StreamPositionError`` when the lake is ahead of the broker, ``BrokerError`` when the broker
        does not answer, ``TopicRecreatedError`` as ``still_there`` does. A position below what the broker still has
        is logged: those messages are gone.
        """
        self._hold_to_topic()
        number = partition.partition
        landed = self._landing.expect(self.topic_id, number)
        low, high = self._watermarks(consumer, partition)
        if landed + 1 > high and landed + 1 > (end := self._true_end(number, landed, high)):
            raise ahead_of_broker(self._topic, number, landed, end)
        if landed >= 0 and landed + 1 < low:
            logger.warning(
                "partition %d: %d messages expired at the broker before they were read (offsets %d to %d)",
                number,
                low - landed - 1,
                landed + 1,
                low - 1,
            )
        return max(landed + 1, low)

    def still_there(self) -> bool:
        """Whether the broker answers and has the topic. Raises ``TopicRecreatedError`` where it is another one now."""
        try:
            self._hold_to_topic()
        except BrokerError:
            return False
        return True

    def _hold_to_topic(self) -> None:
        found, _ = describe_topic(self._admin, self._topic)
        if self.topic_id not in ("", found):
            raise TopicRecreatedError(
                f"the topic {self._topic} was deleted and made again",
                got=f"topic id {found}",
                expected=self.topic_id,
                next_move="nothing that landed is lost; start the stream again",
            )
        self.topic_id = found

    def _true_end(self, partition: int, landed: int, said: int) -> int:
        return end_offsets(self._kafka, self._topic, {partition: landed}).get(partition, said)

    def _watermarks(self, consumer: Any, partition: TopicPartition) -> tuple[int, int]:
        asked = TopicPartition(partition.topic, partition.partition)
        try:
            low, high = consumer.get_watermark_offsets(asked, timeout=_SECONDS)
        except KafkaException as error:
            raise BrokerError(
                f"the offsets of partition {partition.partition} cannot be read",
                got=error.args[0].name(),
                next_move="check the broker",
            ) from None
        return int(low), int(high)


def describe_topic(admin: AdminClient, topic: str) -> tuple[str, list[int]]:
    """A topic's id and its partitions. Raises ``BrokerError`` where the broker does not give them."""
    try:
        future = admin.describe_topics(TopicCollection([topic]), request_timeout=_SECONDS)[topic]
        described = future.result(_SECONDS + 1)
    except (KafkaException, TimeoutError) as error:
        raise BrokerError(
            f"the topic {topic} cannot be described",
            got=error.args[0].name() if error.args and isinstance(error.args[0], KafkaError) else "no answer",
            expected="its id from the broker",
            next_move="check the broker and the topic",
        ) from None
    return str(described.topic_id), [partition.id for partition in described.partitions]


def ahead_of_broker(topic: str, partition: int, landed: int, high: int) -> StreamPositionError:
    """What to raise where the lake has landed more of a partition than the broker has."""
    return StreamPositionError(
        f"the lake is ahead of partition {partition} of topic {topic}",
        got=f"last landed offset {landed}, but the broker ends at {high}",
        expected="the same topic id with all its messages",
        next_move="the broker lost data: restore it, or delete and recreate the topic so that it gets a new id",
    )
