"""Run, be killed (SIGKILL) at a named point or at a random moment, run again, compare.

Each lake is held, message by message, against what a naive Python says must become of it, and against a lake that
took the same topic in without interruption.
"""

import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from deltalake.exceptions import CommitFailedError

from app.stream.exactly_once_writer import PositionMoved
from lake.contracts.tables import LANDED, SILVER
from lake.security.encryption import LakeKey
from lake.storage.store import app_id
from tests.support.stories.batches import TOPIC_ID, batch, dying, land, landing, messages, new_lake, reopened, versions
from tests.support.stories.feed import Fed, fed_topic
from tests.support.stories.oracle import Outcome, check
from tests.support.stories.process import House

SLOW = pytest.mark.slow
COMMITS = [
    "bronze/events",
    "silver/events",
    *(pytest.param(x, marks=SLOW) for x in ("bronze/quarantine", "ops/ingest", "offsets")),
]


@pytest.fixture(scope="module")
def fed(broker: str, admin: AdminClient) -> Iterator[Fed]:
    with fed_topic(broker, admin, events=2500, seed=1) as fed:
        yield fed


@pytest.fixture(scope="module")
def first_house(fed: Fed, tmp_path_factory: pytest.TempPathFactory) -> House:
    folder = tmp_path_factory.mktemp("undisturbed")
    LakeKey.create_file(folder / "key")
    return House(folder, fed.broker, fed.topic, folder / "key")


@pytest.fixture(scope="module")
def undisturbed(fed: Fed, first_house: House) -> Outcome:
    """What an uninterrupted run comes to."""
    return check(first_house.catch_up(), fed.produced)


@pytest.fixture
def house(first_house: House, tmp_path: Path) -> House:
    """Another lake over the same topic, with the same key so that the two can be compared."""
    return replace(first_house, folder=tmp_path)


def test_the_feed_has_every_outcome_in_it(undisturbed: Outcome) -> None:
    assert min(undisturbed.silver, undisturbed.quarantined - 10, undisturbed.duplicates - 10) > 50


@pytest.mark.parametrize("commit", COMMITS)
def test_killed_before_and_after_a_commit(commit: str, house: House, fed: Fed, undisturbed: Outcome) -> None:
    house.crash(commit, "before", 2)
    # This one is killed while it lands again what the first had begun.
    house.crash(commit, "after", 1)
    assert check(house.catch_up(), fed.produced) == undisturbed


def test_killed_and_started_again_in_the_same_group(house: House, fed: Fed, undisturbed: Outcome) -> None:
    house.crash("silver/events", "before", 3, group=house.folder.name)
    assert check(house.catch_up(group=house.folder.name), fed.produced) == undisturbed


def test_nothing_changes_when_there_is_nothing_new(first_house: House, undisturbed: Outcome, fed: Fed) -> None:
    before = versions(first_house.lake())
    lake = first_house.catch_up()
    assert versions(lake) == before
    assert check(lake, fed.produced) == undisturbed


def killed_at_random_moments(house: House, moments: int, seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(moments):
        with house.stream(until_caught_up=False) as child:
            child.hear("assigned")
            time.sleep(dice.uniform(0.05, 1.5))
            child.kill()


@pytest.mark.slow
def test_killed_at_30_random_moments(house: House, broker: str, admin: AdminClient) -> None:
    with fed_topic(broker, admin, events=9000, seed=2) as fed:
        house = replace(house, topic=fed.topic, batch_messages=40)
        killed_at_random_moments(house, 30, seed=12)
        outcome = check(house.catch_up(), fed.produced)
        folder = house.folder / "undisturbed"
        folder.mkdir()
        assert check(replace(house, folder=folder).catch_up(), fed.produced) == outcome


@pytest.mark.parametrize("table", LANDED, ids=lambda table: table.name)
def test_a_zombie_writer_from_an_old_snapshot_writes_nothing(table, tmp_path: Path) -> None:
    lake = new_lake(tmp_path)
    zombie, alive = reopened(lake).store(table), reopened(lake).store(table)
    zombie.refresh()
    alive.append(table.empty(), {app_id(TOPIC_ID, 0): 9})
    with pytest.raises(CommitFailedError):
        zombie.append(table.empty(), {app_id(TOPIC_ID, 1): 5, app_id(TOPIC_ID, 0): 9})
    assert (alive.refresh(), zombie.refresh()) == (1, 1)
    assert alive.position(TOPIC_ID, 1) == -1


def test_writers_of_different_partitions_do_not_hinder_each_other(tmp_path: Path) -> None:
    lake = new_lake(tmp_path)
    one, other = reopened(lake).store(SILVER), reopened(lake).store(SILVER)
    other.refresh()
    one.append(SILVER.empty(), {app_id(TOPIC_ID, 0): 9})
    other.append(SILVER.empty(), {app_id(TOPIC_ID, 1): 5})
    lake.refresh()
    assert [lake.landed(TOPIC_ID, partition) for partition in (0, 1)] == [9, 5]


def test_a_zombie_landing_writes_nothing_and_can_start_again(tmp_path: Path) -> None:
    lake, produced = new_lake(tmp_path), messages()
    zombie = landing(reopened(lake))
    land(reopened(lake), produced[:200])
    before = versions(lake)
    with pytest.raises(PositionMoved):
        zombie.land(batch(lake, produced[:200]))
    assert versions(lake) == before
    land(lake, produced[200:])
    check(lake, produced)


@pytest.mark.parametrize(
    ("table", "when"),
    [
        ("bronze/events", "after"),
        ("silver/events", "before"),
        *(pytest.param(table.name, when, marks=SLOW) for table in LANDED[1:3] for when in ("before", "after")),
        *(pytest.param(*point, marks=SLOW) for point in (("bronze/events", "before"), ("silver/events", "after"))),
    ],
)
def test_a_zombie_comes_back_after_its_successor_landed_again_what_it_began(
    table: str, when: str, tmp_path: Path
) -> None:
    lake, produced = new_lake(tmp_path), messages()
    zombie = landing(reopened(lake))
    with dying(table, when):
        zombie.land(batch(lake, produced[:200]))
    successor = reopened(lake)
    land(successor, produced[:200])
    before = versions(lake)
    if (table, when) != (LANDED[-1].name, "after"):  # then the zombie had landed all of it
        with pytest.raises(PositionMoved):
            zombie.land(batch(lake, produced[:200]))
    assert versions(lake) == before
    land(successor, produced[200:])
    check(lake, produced)
