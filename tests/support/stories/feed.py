"""A small hospital feed with everything in it that could be decided wrongly, and the topic read back."""

import json
import random
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from confluent_kafka import Consumer, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from lake.kafka import Kafka
from producer.batches import MessageBatch
from producer.publisher import Publisher
from producer.simulator.simulator import Simulator, SimulatorSettings
from tests.support import topics
from tests.support.stories.oracle import Produced, event_key

PARTITIONS = 4
_FEED = SimulatorSettings(duplicates=0.06, corrupt=0.05, start=datetime(2025, 3, 1, tzinfo=UTC))


@dataclass(frozen=True)
class Fed:
    """A topic that a feed was published to, and every message of it."""

    broker: str
    topic: str
    produced: list[Produced] = field(repr=False)


@contextmanager
def fed_topic(broker: str, admin: AdminClient, events: int, seed: int) -> Iterator[Fed]:
    name = f"story.{uuid.uuid4().hex}"
    create_topic(admin, name)
    publish(broker, name, events, seed)
    yield Fed(broker, name, read_back(broker, name))
    topics.give_up(admin, name)


def create_topic(admin: AdminClient, name: str) -> str:
    """Create the topic, which may be on its way out still, and return its id."""
    deadline = time.monotonic() + 10
    while True:
        try:
            admin.create_topics([NewTopic(name, PARTITIONS, 1)])[name].result(10)
            described = admin.describe_topics(TopicCollection([name]))[name].result(10)
            return str(described.topic_id)
        except KafkaException:
            assert time.monotonic() < deadline, "the topic cannot be created"
            time.sleep(0.2)


def publish(broker: str, topic: str, events: int, seed: int, *, keyed: bool = False) -> None:
    """Publish about ``events`` messages; all exact duplicates share their partition where ``keyed``."""
    block = hospital(events, seed, keyed=keyed)
    assert Publisher(Kafka(broker), topic).publish([block]).delivered == len(block)


def hospital(events: int, seed: int, *, keyed: bool = False) -> MessageBatch:
    """Simulated events with exact duplicates and corrupt extras, plus conflicts and stray duplicates."""
    pairs = [pair for block in Simulator(replace(_FEED, seed=seed, events=events)).blocks() for pair in block.pairs()]
    dice = random.Random(seed)
    for extra in list(_extras(pairs, dice, keyed)):
        pairs.insert(dice.randrange(len(pairs) + 1), extra)
    return MessageBatch([key for key, _ in pairs], [value for _, value in pairs])


def _extras(pairs: list[tuple[bytes | None, bytes]], dice: random.Random, keyed: bool) -> Iterator[tuple]:
    """Conflicts, exact duplicates and conflicts that come under another Kafka key or none, and tombstones."""
    times = Counter(event_key(value) for _, value in pairs)
    single = [pair for pair in pairs if times[event_key(pair[1])] == 1 and event_key(pair[1]) is not None]
    chosen = iter(dice.sample(single, 60))
    for n, (key, value) in zip(range(20), chosen, strict=False):
        yield key, _again(value, f"conflict-{n}", notes="another account of it")
    yield from ((b"tombstone", None) for _ in range(3))
    if keyed:
        return
    for n, (_, value) in zip(range(20), chosen, strict=False):
        yield (b"stray" if n % 2 else None), _again(value, f"stray-{n}")
    for n, (_, value) in zip(range(10), chosen, strict=False):
        yield b"astray-%d" % n, _again(value, f"astray-{n}", notes="another account of it")


def _again(value: bytes, message_id: str, **changes: str) -> bytes:
    return json.dumps(json.loads(value) | {"message_id": message_id} | changes).encode()


def read_back(broker: str, topic: str) -> list[Produced]:
    """Every message of the topic, as the broker has it: up to the ends that its fetch responses tell."""
    consumer = Consumer({"bootstrap.servers": broker, "group.id": uuid.uuid4().hex, "log_level": 0})
    partitions = [TopicPartition(topic, number, 0) for number in range(PARTITIONS)]
    found: list[Produced] = []
    try:
        consumer.assign(partitions)
        deadline = time.monotonic() + 30
        while len(found) != sum(consumer.get_watermark_offsets(tp, cached=True)[1] for tp in partitions):
            assert time.monotonic() < deadline, "the topic cannot be read back"
            found += [Produced.of(m.partition(), m.offset(), m.value(), m.key()) for m in consumer.consume(1000, 0.2)]
    finally:
        consumer.close()
    return sorted(found, key=lambda message: message.place)
