"""A key is rotated, rows are re-encrypted, and the process is killed (SIGKILL) at each step while a stream runs."""

from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from app.jobs import rotate_key as rotating
from app.jobs.lake_session import open_with_key
from app.settings import Settings
from lake.contracts.tables import BRONZE, QUARANTINE
from lake.errors import LakeError
from lake.security.encryption import LakeKey
from lake.storage.store import Lake
from tests.support.commands import SECONDS, Place
from tests.support.stories.batches import batch, dying, land, landing, messages, new_lake
from tests.support.stories.feed import fed_topic, publish, read_back
from tests.support.stories.oracle import Outcome, check
from tests.support.stories.process import House

PRODUCED = messages(events=600, seed=16)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = new_lake(tmp_path)
    land(made, PRODUCED)
    return made


@pytest.fixture
def before(lake: Lake) -> Outcome:
    return check(lake, PRODUCED)


@pytest.fixture
def house(lake: Lake, tmp_path: Path) -> House:
    return House(tmp_path, "127.0.0.1:1", "no.topic", tmp_path / "key")


def opened(house: House) -> Lake:
    """As a command opens it, with what stands in the key file."""
    return open_with_key(Settings(data=house.folder, lake=house.folder / "lake", key_file=house.key_file))


def keys_in_use(lake: Lake) -> set[str]:
    lake.refresh()
    return set(lake.store(BRONZE).scan().select("key_id").collect()["key_id"])


SLOW = pytest.mark.slow
STEPS = [*(pytest.param(step, marks=SLOW) for step in ("new key", "old key kept", "key in place")), "rotation"]


@pytest.mark.parametrize("when", [pytest.param("before", marks=SLOW), "after"])
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_step_the_lake_opens_with_the_key_file_as_it_stands(
    step: str, when: str, house: House, lake: Lake, before: Outcome
) -> None:
    with house.rotate(die=(step, when, 1)) as child:
        child.is_killed()
    rotated = (step, when) in {("rotation", "after"), ("key in place", "before"), ("key in place", "after")}
    found = opened(house)
    assert (found.key.key_id != lake.key.key_id) is rotated
    assert found.key.key_id == LakeKey.from_file(house.key_file).key_id
    assert check(found, PRODUCED) == before

    with house.rotate(reencrypt=True) as child:
        child.ends_well()
    again = opened(house)
    assert again.key.key_id not in {lake.key.key_id, found.key.key_id}
    assert check(again, PRODUCED) == before
    assert keys_in_use(again) == {again.key.key_id}
    assert not house.key_file.with_name("key.new").exists()
    assert house.key_file.with_name(f"key.{lake.key.key_id}").exists(), "a rotation destroyed a key"


RESEALING = [
    ("day re-encrypted", "after", 1),
    *(
        pytest.param(point, marks=SLOW)
        for point in [
            ("day re-encrypted", "before", 1),
            ("day re-encrypted", "after", 2),
            ("keys forgotten", "after", 1),
            ("keys forgotten", "after", 2),
        ]
    ),
]


@pytest.mark.parametrize("point", RESEALING)
def test_killed_while_it_reencrypts_the_next_run_does_the_rest(
    point: tuple[str, str, int], house: House, before: Outcome
) -> None:
    with house.rotate() as child:
        child.ends_well()
    with house.reencrypt(die=point) as child:
        child.is_killed()
    assert check(opened(house), PRODUCED) == before
    with house.reencrypt() as child:
        child.ends_well()
    found = opened(house)
    assert check(found, PRODUCED) == before
    assert keys_in_use(found) == {found.key.key_id}


def test_where_the_key_s_folder_can_only_be_read_the_new_key_is_used_where_it_lies(
    house: House, before: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    with house.rotate(die=("key in place", "before", 1)) as child:
        child.is_killed()

    def refuse(*_: object) -> None:
        raise PermissionError

    with monkeypatch.context() as patch:  # root may write where others may not
        patch.setattr(Path, "replace", refuse)
        assert check(opened(house), PRODUCED) == before
    assert house.key_file.with_name("key.new").exists()


@pytest.mark.parametrize("table", [BRONZE.name, QUARANTINE.name])
def test_a_landing_that_was_cut_short_is_carried_through_with_the_new_key(table: str, tmp_path: Path) -> None:
    lake = new_lake(tmp_path)
    land(lake, PRODUCED[:200])
    with dying(table, "after"):
        landing(lake).land(batch(lake, PRODUCED[200:400]))
    new = LakeKey.create_file(tmp_path / "new")
    with lake.landing_lock():
        rotating.change(lake, new)
    with pytest.raises(LakeError, match="was rotated"):
        land(lake, PRODUCED[400:])
    rotated = open_with_key(Settings(data=tmp_path, lake=lake.root, key_file=tmp_path / "new"))
    land(rotated, PRODUCED[400:])
    check(rotated, PRODUCED)
    assert keys_in_use(rotated) == {lake.key.key_id, new.key_id}


def test_a_running_stream_lands_nothing_more_with_the_old_key(broker: str, admin: AdminClient, tmp_path: Path) -> None:
    with fed_topic(broker, admin, events=200, seed=61) as fed:
        place = Place(tmp_path, {"WARDLAKE_KAFKA": broker, "WARDLAKE_TOPIC": fed.topic, "WARDLAKE_GROUP": fed.topic})
        with place.running("stream") as stream:
            stream.wait_for(lambda lines: any('"landed"' in line for line in lines), "a batch had landed")
            place.works("key", "rotate")
            publish(broker, fed.topic, 200, seed=63)
            code = stream.process.wait(SECONDS)
            stream.close()
        said = [line for line in stream.lines if "landed" not in line]
        assert (code, len(said)) == (2, 1), said
        assert said[0].startswith(
            f"wardlake: the key of the lake at {tmp_path / 'data' / 'lake'} was rotated; got key "
        )
        assert said[0].endswith("nothing is lost; start again with the new key")
        place.works("stream", "--until-caught-up")
        place.works("key", "reencrypt")
        lake = open_with_key(Settings(data=tmp_path / "data"))
        check(lake, read_back(broker, fed.topic))
        assert keys_in_use(lake) == {lake.key.key_id}


def test_a_stream_and_a_reencryption_at_once(broker: str, admin: AdminClient, lake: Lake, tmp_path: Path) -> None:
    with fed_topic(broker, admin, events=900, seed=62) as fed:
        folder = tmp_path / "streamed"
        folder.mkdir()
        house = House(folder, broker, fed.topic, tmp_path / "key", batch_messages=40)
        house.crash("silver/events", "after", 4)
        with house.rotate() as child:
            child.ends_well()
        with house.stream(until_caught_up=False) as stream:
            stream.hear("landed")
            for _ in range(2):
                with house.reencrypt() as child:
                    child.ends_well()
            stream.hear_caught_up()
            stream.stop()
        streamed = house.lake()
        check(streamed, fed.produced)
        assert keys_in_use(streamed) == {streamed.key.key_id}
