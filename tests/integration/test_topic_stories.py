"""The topic is recreated, the group's offsets are lost or run ahead, the broker goes away and comes back."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from stories.batches import batch, dying, land, landing, messages, new_lake, reopened
from stories.feed import PARTITIONS, Fed, create_topic, fed_topic, publish, read_back
from stories.oracle import check, verified
from stories.process import House, paused

from app.broker import EmbeddedBroker
from lake.sealing import LakeKey
from lake.store import DeltaStore, Lake, app_id
from lake.tables import BRONZE, SILVER, Table


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


@pytest.mark.parametrize("offset", [150, 100_000], ids=["ahead", "beyond the end"])
def test_the_groups_offsets_are_wrong(offset: int, fed: Fed, tmp_path: Path) -> None:
    house = fed_house(fed, tmp_path)
    house.crash("silver/events", "before", 3)
    commit_offsets(fed, tmp_path.name, offset)
    check(house.catch_up(group=tmp_path.name), fed.produced)


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
    """librdkafka 2.12 may crash (SIGSEGV) when a topic that it reads is recreated: one more kill to survive."""
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


def test_the_broker_comes_back_and_remembers_nothing(own_broker: EmbeddedBroker, tmp_path: Path) -> None:
    house = own_house(own_broker, tmp_path)
    old = create_topic(own_admin(own_broker), house.topic)
    publish(house.broker, house.topic, 600, seed=35)
    first = read_back(house.broker, house.topic)
    with house.stream(until_caught_up=False) as child:
        child.hear_caught_up()
        own_broker.stop()
        with EmbeddedBroker(int(house.broker.rpartition(":")[2])) as again:
            new = create_topic(own_admin(again), house.topic)
            publish(house.broker, house.topic, 300, seed=36)
            child.hear_caught_up()
            child.stop()
            second = read_back(house.broker, house.topic)
    check(house.lake(), first, topic_id=old)
    check(house.lake(), second, topic_id=new)


def test_the_topic_is_gone_before_a_landing_that_was_cut_short_is_completed(tmp_path: Path) -> None:
    """As when machine, stream and embedded broker are lost at once: all that is left is in Bronze."""
    lake, produced = new_lake(tmp_path), messages()
    land(lake, produced[:200])
    with dying(BRONZE.name, "after"):
        landing(lake).land(batch(lake, produced[200:400]))
    after = messages(seed=8)
    landing(reopened(lake), "its-successor").land(batch(lake, after, "its-successor"))
    verified(reopened(lake))


@pytest.mark.parametrize(
    "table", [pytest.param(SILVER, id="landed"), pytest.param(BRONZE, id="begun", marks=pytest.mark.slow)]
)
def test_a_lake_ahead_of_its_topic_is_an_error_that_says_what_to_do(table: Table, fed: Fed, tmp_path: Path) -> None:
    house = fed_house(fed, tmp_path)
    lake = house.catch_up()
    DeltaStore(lake.root, table).append(table.empty(), {app_id(topic_id(lake), 2): 99_999})
    with house.stream() as child:
        assert child.ends(within=20) == 1
        assert "the lake is ahead of partition 2" in child.last_words()
        assert "recreate the topic" in child.last_words()
