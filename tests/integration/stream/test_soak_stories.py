"""What the soak found first, each as a small story of its own."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from deltalake.exceptions import DeltaError
from quixstreams.internal_consumer import InternalConsumer

from app.stream.collect_batches import BatchLimits
from app.stream.consumer import MicroBatchConsumer
from lake.contracts.tables import SILVER
from lake.errors import StepError
from lake.security.encryption import LakeKey
from lake.storage.store import DeltaStore
from tests.support.stories.batches import batch, landing, messages, new_lake, reopened
from tests.support.stories.feed import Fed, fed_topic
from tests.support.stories.oracle import verified
from tests.support.stories.process import House

FULL = "Failed to parse parquet: External: Generic LocalFileSystem error: No space left on device (os error 28)"


@pytest.fixture(scope="module")
def fed(broker: str, admin: AdminClient) -> Iterator[Fed]:
    with fed_topic(broker, admin, events=300, seed=41) as fed:
        yield fed


def test_a_stream_whose_disk_is_full_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It said "DeltaError" and asked for a report."""
    lake, produced = new_lake(tmp_path), messages()
    append = DeltaStore.append

    def full(store: DeltaStore, *rest: Any, **how: Any) -> None:
        if store.table is SILVER:
            raise DeltaError(FULL)
        append(store, *rest, **how)

    lands, cut = landing(lake), batch(lake, produced[:200])
    with monkeypatch.context() as disk:
        disk.setattr(DeltaStore, "append", full)
        with pytest.raises(StepError) as caught:
            lands.land(cut)
    assert str(caught.value).startswith("the step land failed; got a full disk in a batch that ends at offsets")
    assert str(caught.value).endswith("; nothing of this batch is lost: free space, then start again")
    landing(reopened(lake))
    verified(reopened(lake))


def test_a_broker_that_does_not_take_the_offsets_does_not_end_the_stream(
    fed: Fed, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As when it forgot the group, being restarted: Quix ends an application whose offsets are refused."""
    LakeKey.create_file(tmp_path / "key")
    house = House(tmp_path, fed.broker, fed.topic, tmp_path / "key")
    offsets = [TopicPartition(fed.topic, 0, 1)]
    with house.stream(until_caught_up=False, group=tmp_path.name) as member:
        member.hear("landed")
        stranger = consumer(fed, tmp_path.name)
        try:
            with pytest.raises(KafkaException):
                InternalConsumer.commit(stranger, offsets=offsets, asynchronous=False)
            with caplog.at_level(logging.WARNING, "app.stream.consumer"):
                assert stranger.commit(offsets=offsets, asynchronous=False) is None
        finally:
            stranger.close()
    assert [record.getMessage() for record in caplog.records] == [
        "offsets were not committed: UNKNOWN_MEMBER_ID; the lake knows them"
    ]


def test_a_stream_that_is_given_no_partition_says_so_once(
    fed: Fed, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waited without a word, where the built-in broker let nobody into a group that two streams had left."""
    monkeypatch.setattr("app.stream.assignment._WAIT_SECONDS", 1)
    waiting = consumer(fed, "nobody-joins")
    try:
        with caplog.at_level(logging.WARNING, "app.stream.assignment"):
            assert [waiting.poll_row() for _ in range(4)] == [None] * 4
    finally:
        waiting.close()
    [told] = [record.getMessage() for record in caplog.records]
    assert told.startswith("no partition was assigned for 1 s: other streams of the group hold them all")


def consumer(fed: Fed, group: str) -> MicroBatchConsumer:
    """One of this group by name, which the group does not know."""
    unused: Any = None
    return MicroBatchConsumer(
        fed.broker,
        group,
        "earliest",
        auto_commit_enable=False,
        topic=fed.topic,
        positions=SimpleNamespace(topic_id=""),
        key=unused,
        limits=BatchLimits(1, 1),
        now=lambda: datetime.now(UTC),
        settle=lambda: None,
    )
