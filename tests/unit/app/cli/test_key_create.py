"""``wardlake key create`` makes a key once; a heartbeat tells that something works."""

import os
import time
from pathlib import Path

import pytest

from app.services import heartbeat
from lake.security.encryption import LakeKey
from tests.support.lakes import KEY_TEXT, wardlake


def test_a_key_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lake.key"
    first, second = (wardlake("key", "create", "--key-file", str(path)) for _ in range(2))
    assert (first.code, second.code, first.out, second.out) == (0, 0, "", "")
    assert path.stat().st_mode & 0o777 == 0o600
    key_id = LakeKey.from_file(path).key_id
    assert (first.err, second.err) == (f"key {key_id} made in {path}\n", f"key {key_id} found in {path}\n")
    assert path.read_text().strip() not in first.err + second.err


def test_a_key_of_the_environment_is_not_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDLAKE_KEY", KEY_TEXT)
    ran = wardlake("key", "create", "--key-file", str(tmp_path / "lake.key"))
    assert (ran.code, list(tmp_path.iterdir())) == (2, [])
    assert ran.err == (
        "wardlake: there is a key already; got WARDLAKE_KEY; expected no key in the environment; "
        "unset it to make a key file\n"
    )


def test_what_is_no_key_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "lake.key"
    path.write_text("not a key")
    assert wardlake("key", "create", "--key-file", str(path)).code == 2
    assert path.read_text() == "not a key"


def test_a_heartbeat_touches_its_file_and_not_at_every_call(tmp_path: Path) -> None:
    file = tmp_path / "heartbeat"
    beat = heartbeat.of(file)
    beat()
    os.utime(file, (0, 0))
    beat()
    assert file.stat().st_mtime == 0
    time.sleep(1)
    beat()
    assert time.time() - file.stat().st_mtime < 60


def test_without_a_file_nothing_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    heartbeat.of(None)()
    assert list(tmp_path.iterdir()) == []
