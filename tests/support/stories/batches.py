"""Landing without a broker: micro-batches made by hand, and landings that are cut short."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.stream.batches import MaskedBatch
from app.stream.decide import Rules, decide
from app.stream.landing import Landing
from lake.security import masking_policy as policies
from lake.security.encryption import LakeKey
from lake.storage import store
from lake.storage.record_batch import Messages
from lake.storage.store import DeltaStore, Lake
from tests.support.lakes import raw_batch
from tests.support.stories.feed import PARTITIONS, hospital
from tests.support.stories.oracle import DEDUP_KEY, Produced

TOPIC_ID = "a-topic-id"
RULES = Rules(policies.load("display"), DEDUP_KEY)


def now() -> datetime:
    return datetime.now(UTC)


def new_lake(folder: Path) -> Lake:
    return store.create(folder / "lake", LakeKey.create_file(folder / "key"))


def reopened(lake: Lake) -> Lake:
    """The same lake as another process sees it."""
    return store.open_lake(lake.root, lake.key)


def landing(lake: Lake, topic_id: str = TOPIC_ID) -> Landing:
    """One that starts from what the lake holds."""
    made = Landing(lake, RULES, now)
    lake.refresh()
    for partition in range(PARTITIONS):
        made.expect(topic_id, partition)
    return made


def messages(events: int = 1200, seed: int = 5, *, keyed: bool = False) -> list[Produced]:
    """A feed as it would stand in the partitions of a topic, in the order of arrival."""
    found, ends = [], [0] * PARTITIONS
    for key, value in hospital(events, seed, keyed=keyed).pairs():
        partition = sum(key or b"") % PARTITIONS
        found.append(Produced.of(partition, ends[partition], value, key))
        ends[partition] += 1
    return found


def batch(
    lake: Lake, produced: list[Produced], topic_id: str = TOPIC_ID, at: datetime | None = None, rules: Rules = RULES
) -> MaskedBatch:
    """A decoded, validated and masked micro-batch of these messages, taken in ``at`` (now)."""
    held: dict[int, Messages] = {}
    for partition in sorted({message.place[0] for message in produced}):
        part = sorted((message for message in produced if message.place[0] == partition), key=lambda one: one.place)
        nothing = [None] * len(part)
        offsets = [message.place[1] for message in part]
        held[partition] = Messages(offsets, nothing, [m.kafka_key for m in part], nothing, [m.value for m in part])
    return decide(raw_batch(lake, held, topic_id, at or now()), rules, lake.key)


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
