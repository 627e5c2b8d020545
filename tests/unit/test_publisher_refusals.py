"""What the publisher makes of a broker's answers that no test broker gives."""

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from lake.errors import BrokerError
from producer.publisher import ensure_topic


def admin_that_answers(code: int, partitions: list[int]) -> Any:
    """Return an AdminClient class whose topics are created with that error; it then shows the partitions."""

    class Admin:
        def __init__(self, _options: dict[str, Any]) -> None:
            self.asked = 0

        def list_topics(self, timeout: float) -> SimpleNamespace:
            self.asked += 1
            known = {"events": SimpleNamespace(partitions=partitions)} if self.asked > 2 else {}
            return SimpleNamespace(topics=known)

        def create_topics(self, new: list[Any]) -> dict[str, Future[None]]:
            future: Future[None] = Future()
            future.set_exception(KafkaException(KafkaError(code, "not for you")))
            return {topic.topic: future for topic in new}

    return Admin


def test_a_topic_that_the_broker_refuses_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    refuses = admin_that_answers(KafkaError.TOPIC_AUTHORIZATION_FAILED, [])
    monkeypatch.setattr("producer.publisher.AdminClient", refuses)
    with pytest.raises(BrokerError) as caught:
        ensure_topic("broker:9092", "events")
    assert str(caught.value) == "the topic events cannot be created; got not for you"


def test_a_topic_that_another_has_just_created_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    exists = admin_that_answers(KafkaError.TOPIC_ALREADY_EXISTS, [0, 1, 2])
    monkeypatch.setattr("producer.publisher.AdminClient", exists)
    assert ensure_topic("broker:9092", "events") == 3
