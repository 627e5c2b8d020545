"""``wardlake key rotate`` and ``key reencrypt``: what is on disk, in messages and refused."""

import json
import stat
from base64 import b64encode
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from app.jobs import rotate_key as rotating
from lake.contracts.tables import AUDIT, BRONZE, QUARANTINE, SILVER, TABLES
from lake.errors import LakeError
from lake.security.encryption import LakeKey
from lake.storage import bronze, record_batch, table_swap
from lake.storage.metadata import FORMAT, METADATA_FILE
from lake.storage.store import DeltaStore, Lake, create, open_lake
from tests.support.lakes import KEY_TEXT, NOW, TOPIC_ID, Feeder, event, plain, rows, simulated, wardlake

OTHER_TEXT = b64encode(b"another key of thirty-two bytes.").decode()


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a key file and a lake that has rows in every table."""
    monkeypatch.setenv("WARDLAKE_DATA", str(tmp_path))
    feed(create(tmp_path / "lake", LakeKey.create_file(tmp_path / "lake.key")), 80)
    return tmp_path


def feed(lake: Lake, events: int, seed: int = 7) -> None:
    Feeder(lake).land(simulated(events, seed))


def key_of(data: Path, name: str = "lake.key") -> LakeKey:
    return LakeKey.from_file(data / name)


def opened(data: Path) -> Lake:
    return open_lake(data / "lake", key_of(data))


def metadata(data: Path) -> dict[str, Any]:
    return json.loads((data / "lake" / METADATA_FILE).read_text())


def encrypted_with(data: Path) -> Counter[str]:
    return Counter(rows(data / "lake", BRONZE)["key_id"])


def messages_of(data: Path, key: LakeKey | None = None) -> pl.DataFrame:
    """Bronze, opened."""
    return record_batch.opened(rows(data / "lake", BRONZE), key or opened(data).key)


def audited(data: Path, action: str) -> list[tuple[str, int | None]]:
    return rows(data / "lake", AUDIT).filter(action=action).select("detail", "rows").rows()


def test_new_rows_are_encrypted_with_the_new_key_and_old_ones_stay_readable(data: Path) -> None:
    old, before, messages = key_of(data), rows(data / "lake", SILVER), messages_of(data)
    ran = wardlake("key", "rotate")
    new = key_of(data)
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.splitlines() == [
        f"key {old.key_id} gave way to key {new.key_id}",
        f"the new key is in {data / 'lake.key'}: back it up; the old one is kept in {data}/lake.key.{old.key_id}",
        "older rows stay encrypted with earlier keys, which the lake keeps; 'wardlake key reencrypt' changes that",
    ]
    assert messages_of(data).equals(messages)
    feed(opened(data), 40, seed=8)
    assert set(encrypted_with(data)) == {old.key_id, new.key_id}
    assert rows(data / "lake", SILVER).join(before, on=before.columns, how="semi", nulls_equal=True).height == (
        before.height
    )
    assert wardlake("verify").code == 0
    assert audited(data, "key_rotate") == [(f"from key {old.key_id} to key {new.key_id}", None)]


def test_a_patient_keeps_the_pseudonym_and_a_twin_is_found_across_the_rotation(data: Path) -> None:
    Feeder(opened(data)).land([(0, event(message_id="before-1"))])
    wardlake("key", "rotate", "--reencrypt")
    Feeder(opened(data)).land(
        [
            (0, event(message_id="exact duplicate-3")),
            (0, event(message_id="conflict-4", ward="W9")),
            (0, event(message_id="later-2", event_time="2026-03-02T08:00:00+00:00")),
        ]
    )
    found = rows(data / "lake", SILVER).filter(
        pl.col("message_id").is_in(["before-1", "exact duplicate-3", "conflict-4", "later-2"])
    )
    assert sorted(found["message_id"]) == ["before-1", "later-2"]
    assert found["patient_key"].n_unique() == 1
    assert ["duplicate_key_conflict"] in rows(data / "lake", QUARANTINE)["reasons"].to_list()
    assert wardlake("verify").code == 0


def test_the_old_key_opens_the_lake_no_more(data: Path) -> None:
    old = key_of(data)
    wardlake("key", "rotate")
    ran = wardlake("verify", "--key-file", data / f"lake.key.{old.key_id}")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        f"wardlake: this is not the key of the lake at {data / 'lake'}; got key {old.key_id}; expected key "
        f"{key_of(data).key_id}; set WARDLAKE_KEY or WARDLAKE_KEY_FILE to the lake's key, the new one if it was "
        "rotated\n"
    )


def test_after_reencryption_no_row_and_no_file_needs_the_old_key(data: Path) -> None:
    old, messages, before = key_of(data), messages_of(data), positions(data)
    count = encrypted_with(data)[old.key_id]
    plain = columns_but_the_encrypted(data)
    ran = wardlake("key", "rotate", "--reencrypt")
    assert ran.code == 0
    assert ran.err.splitlines()[-2:] == [
        f"{count} rows re-encrypted: all rows use key {key_of(data).key_id}, the lake holds no earlier key",
        "the old files go with 'wardlake flow maintain', from an hour on",
    ]
    (data / f"lake.key.{old.key_id}").unlink()
    assert encrypted_with(data) == {key_of(data).key_id: count}
    for key in (None, LakeKey.from_file(data / "lake.key")):
        assert messages_of(data, key).equals(messages)
    assert opened(data).key.known == {old.key_id, key_of(data).key_id}, "the first key goes on making pseudonyms"
    with pytest.raises(LakeError, match="does not know"):
        opened(data).key.decrypt([b"x" * 40], [b"p"], [old.key_id])
    assert positions(data) == before
    assert columns_but_the_encrypted(data).equals(plain)
    assert wardlake("verify").code == 0
    assert audited(data, "key_reencrypt") == [(f"all rows are encrypted with key {key_of(data).key_id}", count)]


@pytest.mark.parametrize("at_a_time", [1, 60])
def test_reencryption_in_slices(data: Path, monkeypatch: pytest.MonkeyPatch, at_a_time: int) -> None:
    """A slice holds some messages, of one record batch or of two."""
    feed(opened(data), 40, seed=8)
    messages, plain = messages_of(data), columns_but_the_encrypted(data)
    monkeypatch.setattr(bronze, "_MOST_MESSAGES", at_a_time)
    assert len(list(bronze.slices(opened(data)))) == (8 if at_a_time == 1 else 4)
    assert wardlake("key", "rotate", "--reencrypt").code == 0
    assert set(encrypted_with(data)) == {key_of(data).key_id}
    assert messages_of(data).equals(messages)
    assert columns_but_the_encrypted(data).equals(plain)


def test_reencryption_carries_a_takeover_through_before_it_begins_its_own(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, held = opened(data), rows(data / "lake", SILVER)
    wardlake("key", "rotate")
    with monkeypatch.context() as patch:
        patch.setattr(table_swap, "finish", lambda _: None)  # as if killed there
        table_swap.begin(lake, (SILVER,)).store(SILVER).append(held.head(3), {})
        table_swap.commit(lake, {SILVER.name: "overwrite"})
    assert table_swap.pending(lake.root)
    assert wardlake("key", "reencrypt").code == 0
    assert rows(data / "lake", SILVER).equals(held.head(3))


def columns_but_the_encrypted(data: Path) -> pl.DataFrame:
    return rows(data / "lake", BRONZE).drop("payload", "key_id")


def positions(data: Path) -> list[int]:
    stores = [DeltaStore(data / "lake", table) for table in TABLES]
    found = [store.position(TOPIC_ID, partition) for store in stores for partition in range(4)]
    assert max(found) > 0
    return found


def test_reencryption_touches_only_the_days_that_need_it_and_a_second_time_nothing(data: Path) -> None:
    wardlake("key", "rotate", "--reencrypt")
    old = set(DeltaStore(data / "lake", BRONZE).files()["path"])
    before = DeltaStore(data / "lake", BRONZE).refresh()
    assert wardlake("key", "reencrypt").err.startswith("0 rows re-encrypted")
    assert DeltaStore(data / "lake", BRONZE).refresh() == before

    wardlake("key", "rotate")
    later = [(0, plain([b"later"], first=10_000))]
    rows_of_another_day = record_batch.encrypted("t", TOPIC_ID, later, key_of(data), NOW + timedelta(days=1))
    opened(data).store(BRONZE).append(rows_of_another_day, {})
    another = set(DeltaStore(data / "lake", BRONZE).files()["path"]) - old
    assert wardlake("key", "reencrypt").err.splitlines()[0] == f"re-encrypting {BRONZE.name} of {NOW:%F}"
    assert another == {path for path in DeltaStore(data / "lake", BRONZE).files()["path"] if path in old | another}


def test_several_rotations_in_a_row(data: Path) -> None:
    messages = messages_of(data)
    for seed in range(3):
        assert wardlake("key", "rotate").code == 0
        feed(opened(data), 20, seed=20 + seed)
    assert len(encrypted_with(data)) == 4
    assert messages.join(messages_of(data), on=messages.columns, how="anti", nulls_equal=True).is_empty()
    assert len(list(data.glob("lake.key.*"))) == 3
    assert wardlake("key", "reencrypt").code == 0
    assert set(encrypted_with(data)) == {key_of(data).key_id}
    assert wardlake("verify").code == 0


def test_a_replay_after_a_rotation_comes_to_the_same(data: Path) -> None:
    before = rows(data / "lake", SILVER)
    wardlake("key", "rotate")
    assert wardlake("quarantine", "replay").code == 0
    assert wardlake("replay").code == 0
    assert rows(data / "lake", SILVER).drop("policy").equals(before.drop("policy"))
    assert wardlake("verify").code == 0


def test_every_file_of_it_is_its_owner_s_alone(data: Path) -> None:
    wardlake("key", "rotate", "--new-key-file", data / "elsewhere" / "new.key")
    wardlake("key", "rotate", "--key-file", data / "elsewhere" / "new.key")
    files = [data / "lake" / METADATA_FILE, data / "lake.key", *(data / "elsewhere").iterdir()]
    assert len(files) == 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_a_rotated_lake_is_of_the_same_format(data: Path) -> None:
    before = metadata(data)["format"]
    wardlake("key", "rotate")
    assert metadata(data)["format"] == before == FORMAT


def test_the_marker_names_no_key_and_shows_none(data: Path) -> None:
    old = (data / "lake.key").read_text().strip()
    wardlake("key", "rotate")
    text = (data / "lake" / METADATA_FILE).read_text()
    assert old not in text
    assert (data / "lake.key").read_text().strip() not in text
    assert set(metadata(data)) == {"format", "key_id", "lake_id", "demo", "keys"}


def test_a_key_of_the_environment_needs_a_place_for_the_new_one(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDLAKE_KEY", (data / "lake.key").read_text())
    ran = wardlake("key", "rotate")
    assert (ran.code, ran.err) == (
        2,
        "wardlake: there is no place for the new key; got the lake's key in WARDLAKE_KEY; expected a file for the new "
        "one, or the new one in WARDLAKE_NEW_KEY; name one: wardlake key rotate --new-key-file PATH\n",
    )
    path = data / "new.key"
    ran = wardlake("key", "rotate", "--new-key-file", path)
    assert ran.code == 0
    assert ran.err.splitlines()[1] == f"the new key is in {path}: set WARDLAKE_KEY_FILE to it, and unset WARDLAKE_KEY"
    assert wardlake("verify").code == 2
    monkeypatch.setenv("WARDLAKE_KEY", path.read_text())
    assert wardlake("verify").code == 0


def test_a_new_key_of_the_environment(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDLAKE_NEW_KEY", OTHER_TEXT)
    ran = wardlake("key", "rotate", "--reencrypt")
    assert ran.code == 0
    assert ran.err.splitlines()[1] == "give the new key in WARDLAKE_KEY from now on, and unset WARDLAKE_NEW_KEY"
    assert OTHER_TEXT not in ran.err
    assert sorted(path.name for path in data.iterdir()) == ["lake", "lake.key"]
    monkeypatch.setenv("WARDLAKE_KEY", OTHER_TEXT)
    assert wardlake("verify").code == 0


def test_a_new_key_that_is_none_is_refused_unshown(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDLAKE_NEW_KEY", OTHER_TEXT[:-4])
    ran = wardlake("key", "rotate")
    assert ran.code == 2
    assert ran.err.startswith("wardlake: WARDLAKE_NEW_KEY is wrong; got ")
    assert OTHER_TEXT[:8] not in ran.err


def test_a_key_that_the_lake_had_is_refused(data: Path) -> None:
    first = key_of(data)
    wardlake("key", "rotate", "--reencrypt")
    for name in ("lake.key", f"lake.key.{first.key_id}"):
        before = metadata(data)
        ran = wardlake("key", "rotate", "--new-key-file", data / name)
        assert ran.code == 2
        assert ran.err == (
            f"wardlake: the new key is not new; got key {key_of(data, name).key_id}; expected a key that this lake "
            "never had; make one: wardlake key rotate --new-key-file PATH\n"
        )
        assert metadata(data) == before
    assert len(audited(data, "key_rotate")) == 1


def test_a_place_that_cannot_be_written(data: Path) -> None:
    (data / "file").touch()
    ran = wardlake("key", "rotate", "--new-key-file", data / "file" / "new.key")
    assert ran.code == 2
    assert ran.err.startswith(f"wardlake: the new key cannot be made in {data / 'file' / 'new.key'}; got ")
    assert "format" in metadata(data)
    assert "keys" not in metadata(data)


def test_where_there_is_no_lake_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDLAKE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("WARDLAKE_KEY", KEY_TEXT)
    for command in ("rotate", "reencrypt"):
        ran = wardlake("key", command)
        assert (ran.code, ran.err.split(";")[0]) == (2, f"wardlake: there is no lake at {tmp_path / 'data' / 'lake'}")
    assert list(tmp_path.iterdir()) == []


def test_two_rotations_at_once_of_which_one_is_told(data: Path) -> None:
    lake = opened(data)
    wardlake("key", "rotate")
    for work in (lake.require_current_key, lambda: rotating.reencrypt(lake), lambda: feed(lake, 5)):
        with pytest.raises(LakeError, match=r"the key of the lake .* was rotated; .*start again with the new key"):
            work()


def test_a_lake_that_was_put_together_from_two_backups(data: Path) -> None:
    old = (data / "lake" / METADATA_FILE).read_text()
    old_key = key_of(data)
    wardlake("key", "rotate")
    feed(opened(data), 30, seed=9)
    (data / "lake" / METADATA_FILE).write_text(old)
    ran = wardlake("replay", "--key-file", data / f"lake.key.{old_key.key_id}")
    assert ran.code == 2
    assert ran.err.startswith(
        f"wardlake: a payload is encrypted with a key that this lake does not know; got key {key_of(data).key_id}; "
    )


def test_a_takeover_that_a_crash_left_brings_no_old_key_back(data: Path) -> None:
    wardlake("key", "rotate")
    lake = opened(data)
    held = rows(data / "lake", BRONZE)
    with lake.landing_lock():
        beside = table_swap.begin(lake, (BRONZE,))
        beside.store(BRONZE).append(held, {})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(table_swap, "finish", lambda _: None)
            table_swap.commit(lake, {BRONZE.name: "replace"})
    assert wardlake("key", "reencrypt").code == 0
    assert set(encrypted_with(data)) == {key_of(data).key_id}
    assert wardlake("verify").code == 0
