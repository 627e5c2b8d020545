"""Consumers come, go and die while partitions change hands; a flush that a rebalance left behind writes nothing."""

import os
import signal
import threading
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from app.settings import Settings
from app.stream.consumer import MicroBatchConsumer
from app.stream.exactly_once_writer import PositionMoved
from app.stream.run import run_stream
from lake.contracts.tables import BRONZE, INGEST, QUARANTINE
from lake.security.encryption import LakeKey
from lake.storage.store import DeltaStore
from tests.support.lakes import RULES
from tests.support.stories.batches import batch, land, landing, messages, new_lake, reopened, versions
from tests.support.stories.feed import publish, read_back
from tests.support.stories.oracle import check
from tests.support.stories.process import House


@pytest.fixture
def house(broker: str, admin: AdminClient, topic: str, tmp_path: Path) -> House:
    LakeKey.create_file(tmp_path / "key")
    return House(tmp_path, broker, topic, tmp_path / "key", batch_messages=40)


def test_a_second_consumer_joins_and_leaves(house: House) -> None:
    publish(house.broker, house.topic, 900, seed=21, keyed=True)
    with house.stream(until_caught_up=False, group=house.topic) as first:
        first.hear("landed")
        with house.stream(until_caught_up=False, group=house.topic) as second:
            second.hear("assigned 2")
            first.hear("assigned 2")
            publish(house.broker, house.topic, 900, seed=22, keyed=True)
            second.hear("landed")
            first.hear("landed")
            second.stop()
        first.hear("assigned 4")
        first.stop()
    assert check(house.catch_up(), read_back(house.broker, house.topic)).duplicates > 50


def test_a_stream_that_is_stopped_while_it_joins_keeps_nobody_out(house: House) -> None:
    """The built-in broker keeps a member for ever that leaves while it joins: the next stream waited for it."""
    with house.stream(until_caught_up=False, group=house.topic) as first:
        first.hear("joins")
        first.stop()
    with house.stream(until_caught_up=False, group=house.topic) as second:
        second.hear("assigned 4")
        second.stop()


def test_a_stop_that_comes_before_the_first_poll_holds(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quix takes signals before its run begins, and forgets what they told it when it does."""
    subscribe = MicroBatchConsumer.subscribe
    late = threading.Timer(30, os.kill, (os.getpid(), signal.SIGTERM))

    def told_to_stop(self: MicroBatchConsumer, *args: Any, **named: Any) -> None:
        signal.raise_signal(signal.SIGTERM)
        subscribe(self, *args, **named)
        late.start()

    monkeypatch.setattr(MicroBatchConsumer, "subscribe", told_to_stop)
    settings = Settings(data=house.folder, kafka=house.broker, topic=house.topic)
    try:
        assert not run_stream(settings, new_lake(house.folder), RULES)
        assert late.is_alive(), "it ended at the second signal only"
    finally:
        late.cancel()


def test_two_streams_that_are_stopped_after_one_another_keep_nobody_out(house: House) -> None:
    """The second one joins anew when the first one has left, and was stopped meanwhile."""
    with (
        house.stream(until_caught_up=False, group=house.topic) as first,
        house.stream(until_caught_up=False, group=house.topic) as second,
    ):
        first.hear("assigned 2")
        second.hear("assigned 2")
        first.stop()
        second.hear("revoked 2")
        second.stop()
    with house.stream(until_caught_up=False, group=house.topic) as third:
        third.hear("assigned 4")
        third.stop()


@pytest.mark.parametrize(
    "point",
    [
        ("revoke", "before", 1),
        pytest.param(("revoke", "after", 1), marks=pytest.mark.slow),
        pytest.param(("assign", "after", 2), marks=pytest.mark.slow),
    ],
)
def test_killed_during_a_rebalance(point: tuple[str, str, int], house: House) -> None:
    publish(house.broker, house.topic, 1500, seed=23, keyed=True)
    with house.stream(until_caught_up=False, group=house.topic, die=point) as first:
        first.hear("landed")
        with house.stream(until_caught_up=False, group=house.topic) as second:
            first.is_killed()
            second.hear("assigned 4")
            publish(house.broker, house.topic, 300, seed=25, keyed=True)
            second.hear("landed")
            second.stop()
    check(house.catch_up(), read_back(house.broker, house.topic))


@pytest.mark.slow
def test_the_newcomer_is_killed_while_partitions_come_to_it(house: House) -> None:
    publish(house.broker, house.topic, 1500, seed=24, keyed=True)
    with house.stream(until_caught_up=False, group=house.topic) as first:
        first.hear("landed")
        with house.stream(until_caught_up=False, group=house.topic, die=("assign", "before", 1)) as second:
            second.is_killed()
        first.hear("assigned 4")
        first.stop()
    check(house.catch_up(), read_back(house.broker, house.topic))


@pytest.mark.parametrize("table", [BRONZE, QUARANTINE, INGEST], ids=lambda table: table.name)
def test_a_flush_left_behind_before_the_next_commit_writes_no_more(
    table: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the lock, as on another machine: the Delta fence alone holds the late flush off."""
    lake, produced = new_lake(tmp_path), messages()
    held, reached, going_on = reopened(lake), threading.Event(), threading.Event()
    append = DeltaStore.append

    def stalling_append(self: DeltaStore, *args: Any, **kwargs: Any) -> None:
        append(self, *args, **kwargs)
        if self is held.store(table):
            reached.set()
            assert going_on.wait(30)

    monkeypatch.setattr(DeltaStore, "append", stalling_append)
    monkeypatch.setattr(held, "landing_lock", nullcontext)
    caught: list[BaseException] = []

    def late_flush() -> None:
        try:
            landing(held).land(batch(held, produced[:200]))
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=late_flush)
    thread.start()
    assert reached.wait(30)
    land(reopened(lake), produced)
    before = versions(lake)
    going_on.set()
    thread.join()
    assert [type(error) for error in caught] == [PositionMoved]
    assert versions(lake) == before
    check(lake, produced)


def test_two_landings_of_one_process_take_turns(tmp_path: Path) -> None:
    lake, produced = new_lake(tmp_path), messages()
    writers = [landing(reopened(lake)), landing(reopened(lake))]
    batches = [batch(lake, produced[:300]), batch(lake, produced[:300])]
    moved: list[PositionMoved] = []

    def flush(number: int) -> None:
        try:
            writers[number].land(batches[number])
        except PositionMoved as error:
            moved.append(error)

    threads = [threading.Thread(target=flush, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(moved) == 1
    land(lake, produced[300:])
    check(lake, produced)
