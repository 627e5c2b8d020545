"""How far a topic's partitions go, and where their next message is, as fetch responses say.

The embedded broker answers a request for the latest offset with the beginning of its last batch; the high watermark
that comes with every fetch is right there, as it is with any Kafka.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from confluent_kafka import Consumer, KafkaError, TopicPartition

from lake.kafka import Kafka

_SECONDS = 5.0


def end_offsets(kafka: Kafka, topic: str, starts: Mapping[int, int]) -> dict[int, int]:
    """Partition → offset after its last message, found by fetching from ``starts`` (partition → an offset in it).

    A partition that does not answer within 5 seconds is left out.
    """
    ends: dict[int, int] = {}
    deadline = time.monotonic() + _SECONDS
    with _fetching(kafka, topic, starts) as consumer:
        while len(ends) < len(starts) and time.monotonic() < deadline:
            consumer.poll(0.05)
            for partition in starts.keys() - ends.keys():
                _, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
                if high >= 0:
                    ends[partition] = high
    return ends


def next_messages(kafka: Kafka, topic: str, starts: Mapping[int, int]) -> dict[int, int]:
    """Partition → offset of its first message from ``starts`` on (partition → offset); where none is left, its end.

    Offsets without a message (transaction markers, what was compacted, aborted or has expired) are passed over. A
    partition that does not answer within 5 seconds is left out.
    """
    found: dict[int, int] = {}
    deadline = time.monotonic() + _SECONDS
    with _fetching(kafka, topic, starts) as consumer:
        while len(found) < len(starts) and time.monotonic() < deadline:
            message = consumer.poll(0.05)
            if message is None or (message.error() and message.error().code() != KafkaError._PARTITION_EOF):
                continue
            found.setdefault(message.partition(), message.offset())
            consumer.pause([TopicPartition(topic, message.partition())])
    return found


@contextmanager
def _fetching(kafka: Kafka, topic: str, starts: Mapping[int, int]) -> Iterator[Consumer]:
    """A consumer that fetches from ``starts``. A group is what the client wants; none is joined, nothing committed."""
    own = {
        "group.id": "wardlake-ends",
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "enable.partition.eof": True,
        "fetch.message.max.bytes": 4096,
        "fetch.wait.max.ms": 10,
    }
    consumer = Consumer(kafka.client(own))
    try:
        consumer.assign([TopicPartition(topic, partition, offset) for partition, offset in starts.items()])
        yield consumer
    finally:
        consumer.close()
