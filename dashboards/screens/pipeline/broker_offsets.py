"""How far the topic goes at its broker: what the lake is behind of."""

import time
from dataclasses import dataclass
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

SECONDS: Final = 2.0
"""For each answer of the broker: a page shows that it does not answer, and asks again."""


@dataclass(frozen=True)
class Ends:
    """Of the topic with this id: partition → its first offset, and the offset after its last message."""

    topic_id: str
    starts: dict[int, int]
    ends: dict[int, int]


def ends(bootstrap: str, topic: str) -> Ends | None:
    """How far the topic goes; None where no broker answers, or it has no such topic."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    try:
        described = admin.describe_topics(TopicCollection([topic]), request_timeout=SECONDS)[topic].result(SECONDS)
        asked = {TopicPartition(topic, one.id): OffsetSpec.earliest() for one in described.partitions}
        found = admin.list_offsets(asked, request_timeout=SECONDS)
        starts = {place.partition: future.result(SECONDS).offset for place, future in found.items()}
        return Ends(str(described.topic_id), starts, _ends(bootstrap, topic, starts))
    except (KafkaException, TimeoutError):
        return None


def _ends(bootstrap: str, topic: str, starts: dict[int, int]) -> dict[int, int]:
    """Partition → the high watermark that comes with a fetch. A partition that is late is left out.

    Not what the broker says is the latest offset: the embedded one names the beginning of its last batch.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "wardlake-dashboard",  # the client wants one; no group is joined, nothing is committed
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.message.max.bytes": 4096,
            "queued.min.messages": 1,
            "log_level": 0,
        }
    )
    found: dict[int, int] = {}
    deadline = time.monotonic() + SECONDS
    try:
        consumer.assign([TopicPartition(topic, partition, offset) for partition, offset in starts.items()])
        while len(found) < len(starts) and time.monotonic() < deadline:
            consumer.poll(0.02)
            for partition in starts.keys() - found.keys():
                _, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
                if high >= 0:
                    found[partition] = high
    finally:
        consumer.close()
    return found
