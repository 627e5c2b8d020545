"""How far a topic's partitions go, as fetch responses tell it.

The embedded broker answers a request for the latest offset with the beginning of its last batch; the high watermark
that comes with every fetch is right there, as it is with any Kafka.
"""

import time
from collections.abc import Mapping

from confluent_kafka import Consumer, TopicPartition

from lake.kafka import Kafka

_SECONDS = 5.0


def end_offsets(kafka: Kafka, topic: str, starts: Mapping[int, int]) -> dict[int, int]:
    """Partition → offset after its last message, found by fetching from ``starts`` (partition → an offset in it).

    A partition that does not answer within 5 seconds is left out.
    """
    # A group is what the client wants; nothing is committed and none is joined.
    own = {"group.id": "wardlake-ends", "enable.auto.commit": False, "auto.offset.reset": "earliest"}
    consumer = Consumer(kafka.client({**own, "fetch.message.max.bytes": 4096}))
    ends: dict[int, int] = {}
    deadline = time.monotonic() + _SECONDS
    try:
        consumer.assign([TopicPartition(topic, partition, offset) for partition, offset in starts.items()])
        while len(ends) < len(starts) and time.monotonic() < deadline:
            consumer.poll(0.05)
            for partition in starts.keys() - ends.keys():
                _, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
                if high >= 0:
                    ends[partition] = high
    finally:
        consumer.close()
    return ends
