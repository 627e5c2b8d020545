"""``--until-caught-up`` and ``flow daily`` while other members of the group hold partitions: landing them or not."""

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from app.jobs.lake_session import open_with_key
from app.settings import Settings
from app.stream import caught_up
from app.stream.caught_up import Goal
from lake.errors import BrokerError
from lake.gold.published import last
from lake.security.encryption import LakeKey
from lake.storage.store import Lake
from tests.support.commands import SECONDS, Place
from tests.support.lakes import KEY_TEXT, event, make_lake
from tests.support.stories.feed import PARTITIONS, publish, read_back
from tests.support.stories.oracle import check
from tests.support.stories.process import SESSION_MS, House

# The real command, whose sync has less patience.
IMPATIENT_DAILY: Final = """
import sys
from functools import partial
from app.cli import main
from flows import stream_sync

stream_sync.run_stream = partial(stream_sync.run_stream, patience=3)
sys.argv = ["wardlake", "flow", "daily"]
main()
"""


@pytest.fixture
def house(broker: str, topic: str, tmp_path: Path) -> House:
    LakeKey.create_file(tmp_path / "key")
    return House(tmp_path, broker, topic, tmp_path / "key")


@pytest.fixture
def place(tmp_path: Path, broker: str, topic: str) -> Place:
    return Place(
        tmp_path,
        {"WARDLAKE_KAFKA": broker, "WARDLAKE_TOPIC": topic, "WARDLAKE_GROUP": topic, "WARDLAKE_KEY": KEY_TEXT},
    )


def lake_of(place: Place) -> Lake:
    return open_with_key(Settings(data=place.folder / "data", key=KEY_TEXT))


class Holder:
    """A member of a group that holds partitions, polls, and lands nothing."""

    def __init__(self, broker: str, topic: str, group: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": broker,
                "group.id": group,
                "log_level": 0,
                "enable.auto.commit": False,
                "partition.assignment.strategy": "range",
                "session.timeout.ms": SESSION_MS,
                "heartbeat.interval.ms": SESSION_MS // 4,
            }
        )
        self._over, self._assigned = threading.Event(), 0
        self._consumer.subscribe([topic], on_assign=self._take)
        self._thread = threading.Thread(target=self._poll)
        self._thread.start()
        self.wait_to_hold(PARTITIONS)

    def _take(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._assigned = len(partitions)

    def wait_to_hold(self, partitions: int) -> None:
        deadline = time.monotonic() + SECONDS
        while self._assigned != partitions:
            assert time.monotonic() < deadline, f"it holds {self._assigned} partitions"
            time.sleep(0.05)

    def _poll(self) -> None:
        while not self._over.is_set():
            self._consumer.poll(0.1)
        self._consumer.close()

    def leave(self) -> None:
        self._over.set()
        self._thread.join()


@contextmanager
def holding(broker: str, topic: str) -> Iterator[Holder]:
    holder = Holder(broker, topic, topic)
    try:
        yield holder
    finally:
        holder.leave()


def test_what_another_member_holds_and_does_not_land_is_waited_for(place: Place, broker: str, topic: str) -> None:
    publish(broker, topic, 600, seed=51)
    with holding(broker, topic) as holder:
        ran = place.run("stream", "--until-caught-up", "--timeout", "3")
        assert (ran.code, ran.out) == (1, "")
        told = ran.err.splitlines()[-1]
        assert told.startswith(f"wardlake: the lake has not caught up with topic {topic}; got ")
        assert " messages in partitions " in told
        assert told.endswith(
            ", and none of it landed within 3 s; expected all that the topic held when the run began; another member "
            f"of group {topic} holds it: let it land, or stop it and run this again"
        )
        publish(broker, topic, 200, seed=57)  # else what is left may be the share that the next run is given
        holder.wait_to_hold(PARTITIONS)
        with place.running("stream", "--until-caught-up") as waiting:
            waiting.wait_for(lambda lines: any("waiting for" in line for line in lines), "it said what it waits for")
            holder.leave()
            assert waiting.process.wait(SECONDS) == 0
    check(lake_of(place), read_back(broker, topic))


@pytest.mark.slow
def test_what_another_stream_lands_counts(house: House) -> None:
    publish(house.broker, house.topic, 600, seed=52)
    produced = read_back(house.broker, house.topic)
    slow = replace(house, batch_messages=20)
    with slow.stream(until_caught_up=False, group=house.topic, rest=0.5) as first:
        first.hear("landed")
        with house.stream(group=house.topic) as second:
            second.hear("assigned 2")
            second.ends_well()
            check(house.lake(), produced)
        first.stop()


@pytest.mark.slow
def test_nothing_is_left_and_others_hold_every_partition(place: Place, broker: str, topic: str) -> None:
    """It does not even join the group, where it would have to wait for its turn."""
    publish(broker, topic, 100, seed=53)
    place.works("stream", "--until-caught-up")
    with holding(broker, topic):
        assert place.works("stream", "--until-caught-up", "--timeout", "1").err == ""


def test_a_member_that_was_killed_holds_its_share_until_its_session_ends(house: House) -> None:
    publish(house.broker, house.topic, 600, seed=54)
    slow = replace(house, batch_messages=20)
    with slow.stream(until_caught_up=False, group=house.topic, rest=0.5) as first:
        first.hear("landed")
        with house.stream(group=house.topic) as second:
            second.hear("assigned 2")
            first.kill()
            second.ends_well()
    check(house.lake(), read_back(house.broker, house.topic))


def test_the_daily_flow_builds_on_a_complete_sync_only(place: Place, broker: str, topic: str) -> None:
    publish(broker, topic, 400, seed=55)
    with holding(broker, topic) as holder:
        ran = subprocess.run(
            [sys.executable, "-c", IMPATIENT_DAILY],
            cwd=place.folder,
            env=place.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        assert (ran.returncode, ran.stdout) == (1, "")
        assert "the lake has not caught up with topic" in ran.stderr.splitlines()[-1]
        assert last(place.folder / "data" / "lake") is None
        holder.wait_to_hold(PARTITIONS)  # the built-in broker keeps a member that leaves while it joins
    place.works("flow", "daily")
    check(lake_of(place), read_back(broker, topic))
    assert last(place.folder / "data" / "lake") is not None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_that_it_was_ended_before_it_had_caught_up(
    place: Place, broker: str, topic: str, number: signal.Signals
) -> None:
    publish(broker, topic, 100, seed=56)
    with holding(broker, topic), place.running("stream", "--until-caught-up") as waiting:
        waiting.wait_for(lambda lines: any('"landed"' in line for line in lines), "its own share landed")
        assert waiting.stop(number) == 130


def test_partitions_that_end_with_what_is_no_message(place: Place, broker: str, topic: str) -> None:
    """The marker of a transaction takes an offset, and lands nowhere."""
    producer = Producer({"bootstrap.servers": broker, "transactional.id": topic, "log_level": 0})
    producer.init_transactions(10)
    for number in range(2):
        producer.begin_transaction()
        for partition in range(4):
            producer.produce(topic, event(message_id=f"m-{number}-{partition}"), partition=partition)
        producer.commit_transaction(10)
    place.works("stream", "--until-caught-up", "--timeout", "30")
    assert place.look("status", "--json").json["messages"]["messages"] == 8
    assert place.works("stream", "--until-caught-up", "--timeout", "1").err == ""


def test_an_end_that_cannot_be_read_is_not_reached(
    tmp_path: Path, broker: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_lake(tmp_path / "lake")
    end_offsets = caught_up.end_offsets
    monkeypatch.setattr(
        caught_up, "end_offsets", lambda *asked: {p: end for p, end in end_offsets(*asked).items() if p != 2}
    )
    with pytest.raises(BrokerError, match="got no answer for partition 2; expected the end of every partition"):
        Goal(Settings(lake=tmp_path / "lake", kafka=broker, topic=topic))


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """A machine that has other things to do."""
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


@pytest.mark.slow
def test_killed_again_and_again_on_a_busy_machine(house: House) -> None:
    """It once ended with 0 after such kills, and a share of the messages was still to be landed."""
    publish(house.broker, house.topic, 6000, seed=58)
    dice = random.Random(58)
    with busy(3):
        for _ in range(12):
            with replace(house, batch_messages=60).stream(until_caught_up=False, group=house.topic) as child:
                child.hear("joins")
                time.sleep(dice.uniform(0, SESSION_MS / 1000))
                child.kill()
        lake = house.catch_up(group=house.topic)
    check(lake, read_back(house.broker, house.topic))
