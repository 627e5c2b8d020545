"""Messages of a megabyte: they land as others do, and the stream never holds many of them."""

import json
from pathlib import Path

import polars as pl
import pytest

from lake.contracts.tables import INGEST
from lake.kafka import Kafka
from lake.storage.store import open_lake
from producer.batches import MessageBatch
from producer.publisher import Publisher
from tests.support.commands import Place

MESSAGES = 80
BYTES = 900_000
MOST_BYTES = 2 * 16 * 1024 * 1024
"""A batch is full at 16 MiB; the last it takes at once are as many as the client fetched ahead, 16 MiB again."""


@pytest.fixture
def place(broker: str, topic: str, tmp_path: Path) -> Place:
    value = json.dumps({"patient_id": "P1", "notes": "x" * BYTES}).encode()
    block = MessageBatch([b"P1"] * MESSAGES, [value] * MESSAGES)
    assert Publisher(Kafka(broker), topic).publish([block]).delivered == MESSAGES
    return Place(tmp_path, {"WARDLAKE_KAFKA": broker, "WARDLAKE_TOPIC": topic, "WARDLAKE_GROUP": topic})


def test_a_batch_holds_few_large_messages(place: Place) -> None:
    place.works("stream", "--until-caught-up")
    books = open_lake(place.folder / "data" / "lake").store(INGEST).scan()
    messages = books.group_by("batch_id").agg(pl.sum("messages")).collect()["messages"]
    assert messages.sum() == MESSAGES
    assert messages.max() * BYTES < MOST_BYTES
