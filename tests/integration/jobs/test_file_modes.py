"""Another user of the machine reads nothing, even where the umask lets him."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lake.security.encryption import LakeKey
from lake.storage import store
from tests.support.lakes import KEY_TEXT, Feeder, make_lake, simulated, wardlake


def within_reach(folder: Path) -> Iterator[Path]:
    """Files that others may read or write, in folders that they may enter; links count as what they lead to."""
    for item in folder.iterdir():
        mode = item.stat().st_mode
        if item.is_dir() and mode & 0o011:
            yield from within_reach(item)
        elif not item.is_dir() and mode & 0o066:
            yield item


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder that everybody may enter, under a umask that takes nothing away."""
    before = os.umask(0)
    folder = tmp_path / "data"
    folder.mkdir(mode=0o777)
    monkeypatch.setenv("WARDLAKE_DATA", str(folder))
    monkeypatch.chdir(tmp_path)
    yield folder
    os.umask(before)


def works(*arguments: str | Path) -> None:
    ran = wardlake(*arguments)
    assert ran.code == 0, ran.err.splitlines()[-1:]


def test_all_that_is_written_is_its_owner_s_alone(data: Path) -> None:
    works("key", "create")
    make_one(data)
    for command in (("flow", "gold"), ("flow", "export"), ("flow", "quality"), ("flow", "maintain")):
        works(*command)
    works("sql", "FROM silver.events LIMIT 1")
    works("verify")
    works("replay")
    works("quarantine", "replay")
    works("key", "rotate", "--reencrypt")
    assert [path.relative_to(data).as_posix() for path in within_reach(data)] == []
    made = {path.name for path in data.iterdir()}
    assert made >= {"lake", "lake.key", "export"}
    assert any(data.glob("lake.key.*"))
    assert {"wardlake.json", "gold_public.duckdb", "wardlake.duckdb"} <= {
        path.name for path in (data / "lake").iterdir()
    }


def make_one(data: Path) -> None:
    """A lake with rows, made with the key of the key file."""
    Feeder(store.create(data / "lake", LakeKey.from_file(data / "lake.key"))).land(simulated(400))


def test_a_file_within_reach_is_found(tmp_path: Path) -> None:
    for folder, file in ((0o755, 0o644), (0o700, 0o644), (0o755, 0o600)):
        inside = tmp_path / f"{folder:o}-{file:o}"
        inside.mkdir()
        (inside / "file").touch()
        (inside / "file").chmod(file)
        inside.chmod(folder)
    assert [path.parent.name for path in within_reach(tmp_path)] == ["755-644"]


def test_no_command_shows_the_key(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDLAKE_KEY", KEY_TEXT)
    make_lake(data / "lake", simulated(20))
    said = [
        wardlake(*command)
        for command in (("verify",), ("status",), ("key", "rotate"), ("key", "reencrypt"), ("replay",))
    ]
    assert not [ran for ran in said if KEY_TEXT in ran.out + ran.err]
