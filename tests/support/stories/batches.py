"""Landing without a broker: micro-batches made by hand, and landings that are cut short."""

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from app.stream.batches import MaskedBatch, RawBatch
from app.stream.decide import decide
from app.stream.landing import Landing
from lake.security import masking_policy as policies
from lake.security.encryption import LakeKey, associated_data
from lake.storage import store
from lake.storage.store import DeltaStore, Lake
from tests.support.stories.feed import PARTITIONS, hospital
from tests.support.stories.oracle import DEDUP_KEY, Produced

TOPIC_ID = "a-topic-id"
POLICY = policies.load("display")


def now() -> datetime:
    return datetime.now(UTC)


def new_lake(folder: Path) -> Lake:
    return store.create(folder / "lake", LakeKey.create_file(folder / "key"))


def reopened(lake: Lake) -> Lake:
    """The same lake as another process sees it."""
    return store.open_lake(lake.root, lake.key)


def landing(lake: Lake, topic_id: str = TOPIC_ID) -> Landing:
    """One that starts from what the lake holds."""
    made = Landing(lake, POLICY, DEDUP_KEY, now)
    lake.refresh()
    for partition in range(PARTITIONS):
        made.expect(topic_id, partition)
    return made


def messages(events: int = 1200, seed: int = 5) -> list[Produced]:
    """A feed as it would stand in the partitions of a topic, in the order of arrival."""
    found, ends = [], [0] * PARTITIONS
    for key, value in hospital(events, seed).pairs():
        partition = sum(key or b"") % PARTITIONS
        found.append(Produced.of(partition, ends[partition], value))
        ends[partition] += 1
    return found


def batch(lake: Lake, produced: list[Produced], topic_id: str = TOPIC_ID, at: datetime | None = None) -> MaskedBatch:
    """A decoded, validated and masked micro-batch of these messages, taken in ``at`` (now)."""
    ordered = sorted(produced, key=lambda message: message.place)
    partitions, offsets = zip(*(message.place for message in ordered), strict=True)
    payloads = [message.value for message in ordered]
    encrypted: Future[pl.Series] = Future()
    encrypted.set_result(
        pl.Series(lake.key.encrypt(payloads, associated_data(topic_id, partitions, offsets)), dtype=pl.Binary)
    )
    utc = pl.Datetime("us", "UTC")
    frame = pl.DataFrame(
        {"kafka_partition": partitions, "kafka_offset": offsets},
        schema={"kafka_partition": pl.Int32, "kafka_offset": pl.Int64},
    ).with_columns(kafka_time=pl.lit(None, utc), ingested_at=pl.lit(at or now()).cast(utc))
    raw = RawBatch("a.topic", topic_id, frame.with_row_index("row"), payloads, encrypted)
    return decide(raw, POLICY, lake.key)


def land(lake: Lake, produced: list[Produced], size: int = 200) -> None:
    writer = landing(lake)
    for first in range(0, len(produced), size):
        writer.land(batch(lake, produced[first : first + size]))


class Died(BaseException):
    """Stands in for SIGKILL where a process of its own would add nothing."""


@contextmanager
def dying(table: str, when: str) -> Iterator[None]:
    """Die before or after the commit of a table."""
    append = DeltaStore.append

    def dying_append(self: DeltaStore, *args: Any, **kwargs: Any) -> None:
        if self.table.name != table:
            return append(self, *args, **kwargs)
        if when == "after":
            append(self, *args, **kwargs)
        raise Died

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DeltaStore, "append", dying_append)
        with pytest.raises(Died):
            yield


def versions(lake: Lake) -> dict[str, int]:
    return {name: one.refresh() for name, one in reopened(lake).stores.items()}
