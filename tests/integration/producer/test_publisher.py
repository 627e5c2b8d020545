"""The publisher against a real broker: what is told to be delivered can be consumed, once and in order."""

import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient

from app.services.broker import EmbeddedBroker
from lake.errors import BrokerError, UsageError
from lake.kafka import Kafka
from producer.batches import MessageBatch
from producer.publisher import Publisher, ensure_topic
from producer.simulator.simulator import Simulator, SimulatorSettings


def consumed(bootstrap: str, topic: str) -> dict[int, list[tuple[bytes | None, bytes | None]]]:
    """Return every (key, value) of the topic, by partition, in order of offset."""
    # Read to the end of each partition as a fetch sees it: asked for its last offset, the embedded broker
    # names the first message of the last batch.
    options = {"bootstrap.servers": bootstrap, "group.id": f"read-{topic}", "enable.partition.eof": True}
    consumer = Consumer(options | {"fetch.wait.max.ms": 20, "log_level": 0})
    found: dict[int, list[tuple[bytes | None, bytes | None]]] = {}
    try:
        for number in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
            consumer.assign([TopicPartition(topic, number, 0)])
            found[number] = list(until_end(consumer))
    finally:
        consumer.close()
    return found


def until_end(consumer: Consumer) -> Iterator[tuple[bytes | None, bytes | None]]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for message in consumer.consume(5_000, 0.1):
            error = message.error()
            if error is None:
                yield message.key(), message.value()
            elif error.code() == KafkaError._PARTITION_EOF:
                return
    raise AssertionError("the end of the partition has not come")


def test_all_that_is_published_is_there_once_and_in_order_by_key(broker: str, topic: str) -> None:
    blocks = list(Simulator(SimulatorSettings(events=20_000)).blocks())
    progress: list[int] = []
    result = Publisher(Kafka(broker), topic, on_progress=progress.append).publish(blocks)
    assert (result.sent, result.delivered, result.failed, result.interrupted) == (20_000, 20_000, {}, False)
    assert progress == sorted(progress)
    assert progress[-1] == 20_000

    sent: dict[bytes | None, list[bytes]] = defaultdict(list)
    for block in blocks:
        for key, value in block.pairs():
            sent[key].append(value)
    got: dict[bytes | None, list[bytes | None]] = defaultdict(list)
    partitions = consumed(broker, topic)
    for rows in partitions.values():
        for patient, message in rows:
            got[patient].append(message)
    assert got == sent
    assert len([rows for rows in partitions.values() if rows]) == 4


def test_messages_without_a_key_and_without_content_are_published(broker: str, topic: str) -> None:
    block = MessageBatch([None, b"P1", None], [b"not json", b"", b"\xff"])
    assert Publisher(Kafka(broker), topic).publish([block]).delivered == 3
    rows = [row for rows in consumed(broker, topic).values() for row in rows]
    assert sorted(value or b"" for _, value in rows) == [b"", b"not json", b"\xff"]


def test_a_publisher_can_be_used_again(broker: str, topic: str) -> None:
    publisher = Publisher(Kafka(broker), topic)
    assert publisher.publish([MessageBatch([b"P"], [b"1"])]).sent == 1
    assert publisher.publish([MessageBatch([b"P"], [b"2"]), MessageBatch()]).sent == 1
    assert publisher.publish([]).sent == 0


def test_a_message_that_is_too_large_is_counted_and_the_others_are_sent(broker: str, topic: str) -> None:
    block = MessageBatch([b"P"] * 3, [b"1", b"x" * 1_100_000, b"3"])
    result = Publisher(Kafka(broker), topic).publish([block])
    assert (result.sent, result.delivered, result.failed) == (3, 2, {"MSG_SIZE_TOO_LARGE": 1})


def test_a_full_queue_waits_for_the_broker(broker: str, topic: str) -> None:
    options = {"queue.buffering.max.messages": 50}
    blocks = Simulator(SimulatorSettings(events=2_000)).blocks()
    assert Publisher(Kafka(broker), topic, options=options).publish(blocks).delivered == 2_000


def test_the_rate_is_kept_evenly(broker: str, topic: str) -> None:
    progress: list[tuple[float, int]] = []
    began = time.monotonic()

    def note(sent: int) -> None:
        progress.append((time.monotonic() - began, sent))

    result = Publisher(Kafka(broker), topic, rate=500, on_progress=note).publish(
        [MessageBatch([b"P"] * 500, [b"{}"] * 500)]
    )
    assert result.delivered == 500
    assert result.seconds > 0.9
    # At any time no more than what is due, and a little for the time between the two clocks.
    assert all(sent <= 500 * seconds + 60 for seconds, sent in progress)
    assert len(progress) >= 5


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_a_rate_that_cannot_be_kept_is_refused(rate: float) -> None:
    with pytest.raises(UsageError) as caught:
        Publisher(Kafka("127.0.0.1:1"), "topic", rate=rate)
    assert str(caught.value) == f"the rate cannot be kept; got {rate}; expected messages per second, above 0"


def test_the_topic_is_created_with_four_partitions(broker: str, admin: AdminClient, topic: str) -> None:
    name = f"{topic}.absent"
    with ThreadPoolExecutor(4) as pool:  # all at once: whoever comes second finds it there
        assert list(pool.map(lambda _: ensure_topic(Kafka(broker), name), range(4))) == [4] * 4
    assert ensure_topic(Kafka(broker), name, partitions=9) == 4
    admin.delete_topics([name])[name].result(10)


def test_no_broker_is_an_error_with_the_next_move(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lake.kafka.CONNECT_SECONDS", 0.5)
    with pytest.raises(BrokerError) as caught:
        ensure_topic(Kafka("127.0.0.1:1"), "topic")
    assert str(caught.value).startswith("no Kafka broker answers at 127.0.0.1:1; got ")
    assert str(caught.value).endswith(
        "expected an answer within 0.5 s; start one with `wardlake broker`, or name another with WARDLAKE_KAFKA"
    )


def test_a_broker_that_goes_away_is_an_error_with_the_counts() -> None:
    with EmbeddedBroker() as doomed:
        publisher = Publisher(Kafka(doomed.bootstrap), "topic", options={"message.timeout.ms": 1_000})
        doomed.stop()  # it was there: the topic was asked for
        with pytest.raises(BrokerError) as caught:
            publisher.publish([MessageBatch([b"P"] * 10, [b"secret"] * 10)])
    assert "has stopped taking messages; got 0 delivered, 10 failed (_MSG_TIMED_OUT 10)" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_what_is_not_delivered_in_time_is_given_up() -> None:
    with EmbeddedBroker() as doomed:
        publisher = Publisher(Kafka(doomed.bootstrap), "topic", flush_seconds=0.5)
        doomed.stop()
        with pytest.raises(BrokerError, match=r"0 delivered, 10 failed \(_PURGE_QUEUE 10\)"):
            publisher.publish([MessageBatch([b"P"] * 10, [b"x"] * 10)])


def test_a_run_that_is_asked_to_stop_delivers_what_is_queued_and_says_so(broker: str, topic: str) -> None:
    def endless() -> Iterator[MessageBatch]:
        while True:
            yield MessageBatch([b"P"] * 100, [b"{}"] * 100)

    until = time.monotonic() + 0.5
    result = Publisher(Kafka(broker), topic, rate=2_000, stop=lambda: time.monotonic() > until).publish(endless())
    assert result.interrupted
    assert 0 < result.sent == result.delivered < 10_000
    assert sum(len(rows) for rows in consumed(broker, topic).values()) == result.delivered
