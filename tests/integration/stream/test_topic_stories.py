"""The topic is recreated, the group's offsets are lost or run ahead, the broker goes away and comes back."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import accumulate, count
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient
from quixstreams.models import Row

from app import settings as configuration
from app.jobs.lake_session import open_or_create, open_with_key
from app.services.broker import EmbeddedBroker, free_port
from app.services.child_process import HOST
from app.settings import Settings
from app.stream.consumer import MicroBatchConsumer
from app.stream.exactly_once_writer import Landed
from app.stream.run import run_stream
from lake.contracts.tables import BRONZE, SILVER
from lake.security.encryption import LakeKey
from lake.storage.store import DeltaStore, Lake, app_id
from tests.support.commands import Place, landed
from tests.support.lakes import RULES
from tests.support.stories.batches import batch, dying, land, landing, messages, new_lake, reopened
from tests.support.stories.feed import PARTITIONS, Fed, create_topic, fed_topic, publish, read_back
from tests.support.stories.oracle import Produced, check, verified
from tests.support.stories.process import House, paused


@pytest.fixture(scope="module")
def fed(broker: str, admin: AdminClient) -> Iterator[Fed]:
    with fed_topic(broker, admin, events=1000, seed=3) as fed:
        yield fed


@pytest.fixture
def house(broker: str, topic: str, tmp_path: Path) -> House:
    LakeKey.create_file(tmp_path / "key")
    return House(tmp_path, broker, topic, tmp_path / "key", batch_messages=200)


def fed_house(fed: Fed, folder: Path) -> House:
    LakeKey.create_file(folder / "key")
    return House(folder, fed.broker, fed.topic, folder / "key", batch_messages=200)


def commit_offsets(fed: Fed, group: str, offset: int) -> None:
    consumer = Consumer({"bootstrap.servers": fed.broker, "group.id": group, "log_level": 0})
    try:
        wrong = [TopicPartition(fed.topic, partition, offset) for partition in range(PARTITIONS)]
        consumer.commit(offsets=wrong, asynchronous=False)
    finally:
        consumer.close()


@pytest.mark.parametrize(
    "offset", [150, pytest.param(100_000, marks=pytest.mark.slow)], ids=["ahead", "beyond the end"]
)
def test_the_groups_offsets_are_wrong(offset: int, fed: Fed, tmp_path: Path) -> None:
    house = fed_house(fed, tmp_path)
    house.crash("silver/events", "before", 3)
    commit_offsets(fed, tmp_path.name, offset)
    check(house.catch_up(group=tmp_path.name), fed.produced)


@pytest.mark.slow
def test_the_group_is_deleted(fed: Fed, admin: AdminClient, tmp_path: Path) -> None:
    house = fed_house(fed, tmp_path)
    house.catch_up(group=tmp_path.name)
    admin.delete_consumer_groups([tmp_path.name])[tmp_path.name].result(10)
    check(house.catch_up(group=tmp_path.name), fed.produced)


def topic_id(lake: Lake) -> str:
    return str(lake.store(BRONZE).scan().select("topic_id").unique().collect()["topic_id"].item())


def test_the_topic_is_recreated_between_two_runs(house: House, admin: AdminClient) -> None:
    publish(house.broker, house.topic, 600, seed=31)
    first, old = read_back(house.broker, house.topic), topic_id(house.catch_up())
    new = recreated(house, admin)
    lake = house.catch_up()
    check(lake, first, topic_id=old)
    check(lake, read_back(house.broker, house.topic), topic_id=new)


def test_the_topic_is_recreated_under_a_running_stream(house: House, admin: AdminClient) -> None:
    """librdkafka 2.12 may crash (SIGSEGV) when the built-in broker drops a topic that it reads: one more kill."""
    publish(house.broker, house.topic, 600, seed=31)
    first = read_back(house.broker, house.topic)
    with house.stream(until_caught_up=False) as child:
        child.hear_caught_up()
        old = topic_id(house.lake())
        new = recreated(house, admin)
        child.goes_on_or_crashes(3)
    lake = house.catch_up()
    check(lake, first, topic_id=old)
    check(lake, read_back(house.broker, house.topic), topic_id=new)


def recreated(house: House, admin: AdminClient) -> str:
    """Fewer messages than before: by their offsets alone they would look landed."""
    admin.delete_topics([house.topic])[house.topic].result(10)
    new = create_topic(admin, house.topic)
    publish(house.broker, house.topic, 300, seed=32)
    return new


@pytest.fixture
def own_broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as running:
        yield running


def own_house(running: EmbeddedBroker, folder: Path) -> House:
    LakeKey.create_file(folder / "key")
    return House(folder, running.bootstrap, "own.topic", folder / "key", batch_messages=100)


def own_admin(running: EmbeddedBroker) -> AdminClient:
    return AdminClient({"bootstrap.servers": running.bootstrap, "log_level": 0})


@pytest.mark.slow
def test_the_broker_does_not_answer_for_longer_than_a_session(own_broker: EmbeddedBroker, tmp_path: Path) -> None:
    house = own_house(own_broker, tmp_path)
    create_topic(own_admin(own_broker), house.topic)
    publish(house.broker, house.topic, 2000, seed=33)
    with house.stream(until_caught_up=False) as child:
        child.hear("landed")
        with paused(own_broker.pid or 0):
            child.outlives(4)
        publish(house.broker, house.topic, 300, seed=34)
        child.hear_caught_up()
        child.stop()
    check(house.catch_up(), read_back(house.broker, house.topic))


def test_a_broker_that_was_lost_for_a_moment_is_read_on(
    fed: Fed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client says that all brokers are down, and they are there when asked: fetching stops and goes on."""
    poll, polls = MicroBatchConsumer.poll_row, count(1)

    def poll_row(self: MicroBatchConsumer, **told: Any) -> Row | None:
        at = next(polls) if self.assignment() else 0
        assert at < 200, "it does not fetch any more"
        if at in {2, 5}:
            self._error_cb(KafkaError(KafkaError._ALL_BROKERS_DOWN))
        return poll(self, **told)

    monkeypatch.setattr(MicroBatchConsumer, "poll_row", poll_row)
    settings = configuration.load(
        data=tmp_path, kafka=fed.broker, topic=fed.topic, group=tmp_path.name, batch_messages=100, batch_seconds=0.2
    )
    lake = open_or_create(settings)
    assert run_stream(settings, lake, RULES, until_caught_up=True)
    lake.refresh()
    check(lake, fed.produced)


def test_each_landing_is_told_with_the_lag_after_it(fed: Fed, tmp_path: Path) -> None:
    """Not with that of the batch which is being read meanwhile: a lag of 0 would be told before all has landed."""
    settings = configuration.load(
        data=tmp_path, kafka=fed.broker, topic=fed.topic, group=tmp_path.name, batch_messages=100, batch_seconds=0.2
    )
    told: list[tuple[int, int | None]] = []

    def note(landed: list[Landed], lag: int | None) -> None:
        told.append((sum(batch.messages for batch in landed), lag))

    assert run_stream(settings, open_or_create(settings), RULES, until_caught_up=True, on_landed=note)
    so_far = list(accumulate(messages for messages, _ in told))
    known = [landed + lag for landed, (_, lag) in zip(so_far, told, strict=True) if lag is not None]
    assert len(known) > 5
    assert set(known) == {len(fed.produced)}


@contextmanager
def broker_with(events: int, seed: int, place: Place) -> Iterator[list[Produced]]:
    """``wardlake broker``, and the messages that it holds."""
    bootstrap = place.settings["WARDLAKE_KAFKA"]
    with place.running("broker", "--port", bootstrap.rpartition(":")[2]) as broker:
        broker.wait_for(lambda lines: any("broker ready" in line for line in lines), "the broker was ready")
        publish(bootstrap, Settings().topic, events, seed)
        yield read_back(bootstrap, Settings().topic)


def landed_by_topic(lines: list[str]) -> dict[str, int]:
    """Messages landed, by the topic's id in the order of landing."""
    found: dict[str, int] = {}
    for one in landed([line for line in lines if '"landed"' in line]):
        found[one["topic_id"]] = found.get(one["topic_id"], 0) + one["messages"]
    return found


def test_the_broker_comes_back_and_remembers_nothing(tmp_path: Path) -> None:
    """As commands: the stream starts itself again, as one process, for another topic under the old name."""
    place = Place(tmp_path, {"WARDLAKE_KAFKA": f"{HOST}:{free_port()}"})
    with ExitStack() as stack:
        with broker_with(600, 35, place) as first:
            stream = stack.enter_context(place.running("stream"))
            stream.wait_for(lambda lines: [*landed_by_topic(lines).values()] == [len(first)], "the first topic landed")
        with broker_with(300, 36, place) as second:
            both = [len(first), len(second)]
            stream.wait_for(lambda lines: [*landed_by_topic(lines).values()] == both, "the second topic landed")
            assert stream.stop(signal.SIGTERM) == 0
    old, new = landed_by_topic(stream.lines)
    lake = open_with_key(Settings(data=tmp_path / "data"))
    check(lake, first, topic_id=old)
    check(lake, second, topic_id=new)


@pytest.mark.slow
def test_the_broker_comes_back_and_its_topic_only_later(own_broker: EmbeddedBroker, tmp_path: Path) -> None:
    """Were it fetched from before it is known to be another, librdkafka 2.12 would often crash (SIGSEGV)."""
    house = own_house(own_broker, tmp_path)
    old = create_topic(own_admin(own_broker), house.topic)
    publish(house.broker, house.topic, 600, seed=35)
    first = read_back(house.broker, house.topic)
    with house.stream(until_caught_up=False) as child:
        child.hear_caught_up()
        own_broker.stop()
        with EmbeddedBroker(int(house.broker.rpartition(":")[2])) as again:
            child.outlives(1.5)
            new = create_topic(own_admin(again), house.topic)
            publish(house.broker, house.topic, 300, seed=36)
            child.hear("starting again")
            child.hear_caught_up()
            child.stop()
            second = read_back(house.broker, house.topic)
    lake = house.lake()
    check(lake, first, topic_id=old)
    check(lake, second, topic_id=new)


def test_the_topic_is_gone_before_a_landing_that_was_cut_short_is_completed(tmp_path: Path) -> None:
    """As when machine, stream and embedded broker are lost at once: all that is left is in Bronze."""
    lake, produced = new_lake(tmp_path), messages()
    land(lake, produced[:200])
    with dying(BRONZE.name, "after"):
        landing(lake).land(batch(lake, produced[200:400]))
    after = messages(seed=8)
    landing(reopened(lake), "its-successor").land(batch(lake, after, "its-successor"))
    verified(reopened(lake))


def test_a_lake_ahead_of_its_topic_is_an_error_that_says_what_to_do(fed: Fed, tmp_path: Path) -> None:
    house = fed_house(fed, tmp_path)
    lake = house.catch_up()
    DeltaStore(lake.root, SILVER).append(SILVER.empty(), {app_id(topic_id(lake), 2): 99_999})
    with house.stream() as child:
        assert child.ends(within=20) == 1
        assert "the lake is ahead of partition 2" in child.last_words()
        assert "recreate the topic" in child.last_words()
