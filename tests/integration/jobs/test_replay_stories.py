"""A rebuild takes over whole or not at all, whenever it is killed and whoever works beside it."""

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from app.jobs import replay as rebuilding
from app.jobs.lake_session import open_with_key
from app.settings import Settings
from lake.contracts.tables import INGEST, LANDED, SILVER
from lake.storage import bronze, table_swap
from lake.storage.store import Lake
from tests.support.stories.batches import (
    RULES,
    batch,
    dying,
    land,
    landing,
    messages,
    new_lake,
    now,
    reopened,
    versions,
)
from tests.support.stories.feed import fed_topic
from tests.support.stories.oracle import Produced, check
from tests.support.stories.process import House

PRODUCED = messages(events=1500, seed=6)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """One that holds all messages, landed in several batches."""
    made = new_lake(tmp_path)
    land(made, PRODUCED)
    return made


@pytest.fixture
def house(lake: Lake, tmp_path: Path) -> House:
    return House(tmp_path, "127.0.0.1:1", "no.topic", tmp_path / "key")


def kinds(lake: Lake) -> set[str]:
    """Who wrote the books: the stream, a replay."""
    lake.refresh()
    return set(lake.store(INGEST).scan().select("kind").unique().collect()["kind"])


def killed(house: House, *point: object) -> None:
    with house.replay(die=point) as child:
        child.is_killed()


def opened(house: House) -> Lake:
    """As a command opens it."""
    return open_with_key(Settings(data=house.folder, lake=house.folder / "lake", key_file=house.key_file))


def test_undisturbed_it_comes_to_the_same(house: House, lake: Lake) -> None:
    before = check(lake, PRODUCED)
    with house.replay() as child:
        child.ends_well()
    assert kinds(lake) == {"replay"}
    assert check(lake, PRODUCED) == before


@pytest.mark.parametrize(
    "point",
    [
        pytest.param(("build silver/events", "before", 2), marks=pytest.mark.slow),
        pytest.param(("build ops/ingest", "after", 3), marks=pytest.mark.slow),
        ("table swap", "before", 1),
    ],
)
def test_killed_while_it_builds_the_old_tables_stand(point: tuple[str, str, int], house: House, lake: Lake) -> None:
    before = versions(lake)
    killed(house, *point)
    assert versions(opened(house)) == before
    check(lake, PRODUCED)
    rebuilding.replay(lake, RULES, now)
    assert kinds(lake) == {"replay"}
    check(lake, PRODUCED)


TAKING = [("before", 1), ("after", 1), *(pytest.param("after", nth, marks=pytest.mark.slow) for nth in (2, 3))]


@pytest.mark.parametrize(("when", "nth"), TAKING)
def test_killed_while_it_takes_over_the_next_opening_carries_it_through(
    when: str, nth: int, house: House, lake: Lake
) -> None:
    killed(house, "taking", when, nth)
    assert table_swap.pending(lake.root)
    check(opened(house), PRODUCED)
    assert kinds(lake) == {"replay"}
    assert not table_swap.pending(lake.root)
    after = versions(lake)
    assert versions(opened(house)) == after


def test_killed_while_it_takes_over_the_next_landing_carries_it_through(house: House, lake: Lake) -> None:
    killed(house, "taking", "after", 1)
    more = later(lake, 400)
    land(lake, more)
    assert kinds(lake) == {"replay", "stream"}
    check(lake, [*PRODUCED, *more])


def test_killed_while_it_carries_through_the_one_after_does(house: House, lake: Lake) -> None:
    killed(house, "taking", "after", 1)
    killed(house, "taking", "after", 2)
    check(opened(house), PRODUCED)
    assert kinds(lake) == {"replay"}


def test_a_landing_that_began_before_a_replay_goes_on_after_it(lake: Lake) -> None:
    more = later(lake, 400)
    writer = landing(reopened(lake))
    writer.land(batch(lake, more[:200]))
    rebuilding.replay(reopened(lake), RULES, now)
    writer.land(batch(lake, more[200:]))
    check(lake, [*PRODUCED, *more])


def later(lake: Lake, count: int) -> list[Produced]:
    """Messages that come after those, half of them exact duplicates of rows in Silver."""
    ends = {p: 1 + max(m.place[1] for m in PRODUCED if m.place[0] == p) for p in range(4)}
    fresh = messages(events=count // 2, seed=9)
    found = []
    for message in [*PRODUCED[: count // 2], *fresh][:count]:
        partition = message.place[0]
        found.append(replace(message, place=(partition, ends[partition])))
        ends[partition] += 1
    return found


def test_readers_see_the_old_or_the_new_never_a_mix(lake: Lake) -> None:
    stricter = replace(RULES.policy, fingerprint="f" * 16)
    seen: set[tuple[int, str]] = set()
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            rows = reopened(lake).store(SILVER).scan().group_by("policy_fingerprint").len().collect().rows()
            seen.update((len(rows), fingerprint) for fingerprint, _ in rows)
            seen.update((-1, "lost") for _, count in rows if count != height)

    height = lake.store(SILVER).scan().collect().height
    reader = threading.Thread(target=read)
    reader.start()
    rebuilding.replay(lake, replace(RULES, policy=stricter), now)
    over.set()
    reader.join()
    read_once = reopened(lake).store(SILVER).scan().select("policy_fingerprint").unique().collect()
    assert read_once["policy_fingerprint"].to_list() == [stricter.fingerprint]
    assert seen <= {(1, RULES.policy.fingerprint), (1, stricter.fingerprint)}
    assert (1, RULES.policy.fingerprint) in seen


def test_a_stream_and_a_replay_at_once(broker: str, admin: AdminClient, lake: Lake, tmp_path: Path) -> None:
    with fed_topic(broker, admin, events=1500, seed=41) as fed:
        folder = tmp_path / "streamed"
        folder.mkdir()
        house = House(folder, broker, fed.topic, tmp_path / "key", batch_messages=50)
        with house.stream(until_caught_up=False) as stream:
            stream.hear("landed")
            for _ in range(2):
                with house.replay() as child:
                    child.ends_well()
            stream.hear_caught_up()
            stream.stop()
        check(house.catch_up(), fed.produced)
        assert "replay" in kinds(house.lake())


def cut_short(tmp_path: Path, table: str) -> Lake:
    made = new_lake(tmp_path)
    land(made, PRODUCED[:400])
    with dying(table, "after"):
        landing(made).land(batch(made, PRODUCED[400:800]))
    return reopened(made)


@pytest.mark.parametrize("table", [table.name for table in LANDED[:2]])
def test_a_replay_between_a_crash_and_the_restart(table: str, tmp_path: Path) -> None:
    lake = cut_short(tmp_path, table)
    rebuilding.replay(lake, RULES, now)
    land(lake, PRODUCED[400:], size=400)
    check(lake, PRODUCED)


@pytest.mark.parametrize("table", [table.name for table in LANDED[1:3]])
def test_a_quarantine_replay_between_a_crash_and_the_restart(table: str, tmp_path: Path) -> None:
    lake = cut_short(tmp_path, table)
    rebuilding.replay_quarantine(lake, RULES, now)
    land(lake, PRODUCED[400:], size=400)
    check(lake, PRODUCED)


def test_a_replay_after_the_clock_was_set_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bronze, "_MOST_MESSAGES", 200)
    lake = new_lake(tmp_path)
    writer = landing(lake)
    writer.land(batch(lake, PRODUCED[:400]))
    writer.land(batch(lake, PRODUCED[400:800], at=now() - timedelta(minutes=5)))
    before = check(lake, PRODUCED[:800])
    rebuilding.replay(lake, RULES, now)
    assert check(lake, PRODUCED[:800]) == before
