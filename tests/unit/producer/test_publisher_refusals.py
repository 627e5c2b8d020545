"""What the publisher makes of a broker's answers that no test broker gives."""

from concurrent.futures import Future
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from lake.errors import BrokerError
from lake.kafka import Kafka
from producer.publisher import ensure_topic


def broker_that_answers(monkeypatch: pytest.MonkeyPatch, code: int, partitions: list[int]) -> None:
    """Topics are created with that error; asked for the third time, the broker shows the partitions."""
    asked = count(1)

    class Admin:
        def __init__(self, _options: dict[str, Any]) -> None:
            pass

        def create_topics(self, new: list[Any]) -> dict[str, Future[None]]:
            future: Future[None] = Future()
            future.set_exception(KafkaException(KafkaError(code, "not for you")))
            return {topic.topic: future for topic in new}

    shown = {"events": SimpleNamespace(partitions=partitions)}
    monkeypatch.setattr("producer.publisher.AdminClient", Admin)
    monkeypatch.setattr("producer.publisher.reach", lambda _: shown if next(asked) > 2 else {})


def test_a_topic_that_the_broker_refuses_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    broker_that_answers(monkeypatch, KafkaError.TOPIC_AUTHORIZATION_FAILED, [])
    with pytest.raises(BrokerError) as caught:
        ensure_topic(Kafka("broker:9092"), "events")
    assert str(caught.value) == "the topic events cannot be created; got not for you"


def test_a_topic_that_another_has_just_created_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    broker_that_answers(monkeypatch, KafkaError.TOPIC_ALREADY_EXISTS, [0, 1, 2])
    assert ensure_topic(Kafka("broker:9092"), "events") == 3
