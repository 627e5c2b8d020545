"""``WARDLAKE_DEDUP_SCOPE=partition``: streams that do not wait for each other; and commits of which nobody knows."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from deltalake.exceptions import CommitFailedError

from app.jobs import replay as rebuilding
from app.stream.exactly_once_writer import BatchWriter, PositionMoved
from app.stream.landing import Landing
from app.stream.recovery import recover
from app.stream.transforms.validate import NOT_KEYED
from lake.contracts.tables import LANDED, QUARANTINE
from lake.security.encryption import LakeKey
from lake.storage import audit_log, table_swap
from lake.storage import store as storing
from lake.storage.store import DeltaStore, Lake
from tests.support.lakes import RULES
from tests.support.stories.batches import TOPIC_ID, batch, dying, land, landing, messages, new_lake, now, reopened
from tests.support.stories.feed import publish, read_back
from tests.support.stories.oracle import Produced, check, verified
from tests.support.stories.process import House

PARTED = replace(RULES, dedup_scope="partition")


def parted(lake: Lake, *partitions: int) -> Landing:
    made = Landing(lake, PARTED, now)
    for partition in partitions:
        made.expect(TOPIC_ID, partition)
    return made


def of(produced: list[Produced], *partitions: int) -> list[Produced]:
    return [message for message in produced if message.place[0] in partitions]


@pytest.fixture(scope="module")
def produced() -> list[Produced]:
    """Every patient's messages in one partition, each with the patient's key."""
    return messages(keyed=True)


def test_landings_of_other_partitions_do_not_wait(
    tmp_path: Path, produced: list[Produced], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = new_lake(tmp_path)
    held, reached, going_on = reopened(lake), threading.Event(), threading.Event()
    append = DeltaStore.append

    def stalling_append(self: DeltaStore, *args: Any, **kwargs: Any) -> None:
        append(self, *args, **kwargs)
        if self is held.store(QUARANTINE):
            reached.set()
            assert going_on.wait(30)

    monkeypatch.setattr(DeltaStore, "append", stalling_append)
    mine, others = of(produced, 0, 1), of(produced, 2, 3)
    thread = threading.Thread(target=lambda: parted(held, 0, 1).land(batch(held, mine, rules=PARTED)))
    thread.start()
    assert reached.wait(30)
    other = reopened(lake)
    parted(other, 2, 3).land(batch(other, others, rules=PARTED))  # while the first is half-way
    lake.refresh()
    assert [lake.landed(TOPIC_ID, partition) >= 0 for partition in range(4)] == [False, False, True, True]
    going_on.set()
    thread.join()
    check(lake, produced)


@pytest.mark.parametrize("table", [table.name for table in LANDED[:3]])
def test_what_was_cut_short_is_for_who_gets_the_partition(table: str, tmp_path: Path, produced: list[Produced]) -> None:
    lake = new_lake(tmp_path)
    with dying(table, "after"):
        parted(lake, 0, 1).land(batch(lake, of(produced, 0, 1), rules=PARTED))
    other = reopened(lake)
    parted(other, 2, 3).land(batch(other, of(produced, 2, 3), rules=PARTED))
    other.refresh()
    assert [other.landed(TOPIC_ID, partition) >= 0 for partition in range(4)] == [False, False, True, True]
    parted(other, 1)
    assert other.landed(TOPIC_ID, 1) >= 0 > other.landed(TOPIC_ID, 0)
    recover(BatchWriter(reopened(lake), PARTED, now))  # as whoever opens the lake does
    check(lake, produced)


def test_a_cut_short_landing_is_finished_by_streams_that_take_turns(tmp_path: Path, produced: list[Produced]) -> None:
    lake = new_lake(tmp_path)
    with dying(LANDED[0].name, "after"):
        parted(lake, 0).land(batch(lake, of(produced, 0), rules=PARTED))
    lake = reopened(lake)
    landing(lake).land(batch(lake, of(produced, 1, 2, 3)))
    check(lake, produced)


def test_a_message_under_another_key_is_quarantined_and_a_replay_agrees(tmp_path: Path) -> None:
    lake, produced = new_lake(tmp_path), messages()  # some exact duplicates come under another key, or none
    parted(lake, *range(4)).land(batch(lake, produced, rules=PARTED))
    verified(lake)
    held = lake.store(QUARANTINE).scan().select("reasons").collect()["reasons"].to_list()
    strays = sum(NOT_KEYED in reasons for reasons in held)
    assert strays == sum(
        message.key is not None and message.kafka_key != message.key[0].encode() for message in produced
    )
    assert strays >= 20
    before = rebuilding.replay(lake, PARTED, now)
    verified(lake)
    assert before.quarantined == len(held)
    # With the other scope the key does not matter.
    assert rebuilding.replay(lake, RULES, now).quarantined == len(held) - strays + 10
    check(lake, produced)


def test_three_streams_that_are_killed_one_after_the_other(
    broker: str, admin: AdminClient, topic: str, tmp_path: Path
) -> None:
    LakeKey.create_file(tmp_path / "key")
    house = House(tmp_path, broker, topic, tmp_path / "key", batch_messages=60, dedup_scope="partition")
    publish(broker, topic, 1500, seed=91, keyed=True)
    with (
        house.stream(until_caught_up=False, group=topic) as first,
        house.stream(until_caught_up=False, group=topic) as second,
        house.stream(until_caught_up=False, group=topic) as third,
    ):
        for one in (first, second, third):
            one.hear("landed")
            publish(broker, topic, 300, seed=92, keyed=True)
            one.kill()
    check(house.catch_up(), read_back(broker, topic))


# A commit that was made, and whose answer was lost.


@contextmanager
def lost_answer(table: str) -> Iterator[None]:
    """The next commit of a table is made, and reported as failed."""
    write, left = storing.write_deltalake, [table]

    def write_and_fail(handle: Any, *args: Any, **kwargs: Any) -> None:
        write(handle, *args, **kwargs)
        if left and handle.table_uri.rstrip("/").endswith(left[0]):
            left.clear()
            raise CommitFailedError("the answer was lost")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storing, "write_deltalake", write_and_fail)
        yield
    assert not left, "the commit was not made"


@pytest.mark.parametrize("rules", [RULES, PARTED], ids=lambda rules: rules.dedup_scope)
@pytest.mark.parametrize("table", [table.name for table in LANDED])
def test_a_commit_that_was_made_and_reported_as_failed(
    table: str, rules: Any, tmp_path: Path, produced: list[Produced]
) -> None:
    lake = new_lake(tmp_path)
    one = Landing(lake, rules, now)
    for partition in range(4):
        one.expect(TOPIC_ID, partition)
    with lost_answer(table), pytest.raises(PositionMoved):
        one.land(batch(lake, produced[:300], rules=rules))
    for partition in range(4):  # the stream starts again from the lake
        one.expect(TOPIC_ID, partition)
    one.land(batch(lake, produced[300:], rules=rules))
    check(lake, produced)


def test_an_audit_row_is_there_once_though_its_answer_was_lost(tmp_path: Path) -> None:
    lake = new_lake(tmp_path)
    with lost_answer("ops/audit"):
        audit_log.append(lake.root, "query", "SELECT 1", 1)
    lake.refresh()
    assert lake.stores["ops/audit"].scan().collect().height == 1


def test_a_table_swap_goes_on_though_an_answer_was_lost(
    tmp_path: Path, produced: list[Produced], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = new_lake(tmp_path)
    land(lake, produced)
    take, lost = table_swap._take_alone, [True]

    def take_and_fail(*args: Any) -> None:
        take(*args)
        if lost.pop():
            lost.append(False)
            raise CommitFailedError("the answer was lost")
        lost.append(False)

    monkeypatch.setattr(table_swap, "_take_alone", take_and_fail)
    rebuilding.replay(lake, RULES, now)
    check(lake, produced)
