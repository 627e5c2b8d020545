"""``ops/audit``: every access lands, in plain words and without what somebody typed into a query."""

import os
import pwd
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from lake.contracts.tables import AUDIT
from lake.errors import LakeError
from lake.storage import audit_log
from tests.support.commands import ROOT
from tests.support.lakes import KEY_TEXT, event, make_lake, rows, wardlake

PROCESSES: Final = 6
EACH: Final = 5


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_lake(tmp_path / "lake", [(0, event())]).root


def test_a_row_says_who_did_what_when(root: Path) -> None:
    before = datetime.now(UTC)
    audit_log.append(root, "export", "build 1", 12)
    audit_log.append(root, "gold_build", "build 2")
    first, second = rows(root, AUDIT).sort("audited_at").iter_rows(named=True)
    assert (first["who"], first["action"], first["detail"], first["rows"]) == (
        audit_log.user(),
        "export",
        "build 1",
        12,
    )
    assert before <= first["audited_at"] <= second["audited_at"] <= datetime.now(UTC)
    assert first["date"] == first["audited_at"].date()
    assert second["rows"] is None


def test_the_user_is_the_systems_not_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    assert audit_log.user() == pwd.getpwuid(os.getuid()).pw_name


APPEND: Final = """
import sys
from pathlib import Path
from lake.storage import audit_log
for number in range(int(sys.argv[3])):
    audit_log.append(Path(sys.argv[1]), "sql", f"{sys.argv[2]}-{number}", number)
"""


def test_rows_of_many_processes_at_once_all_land(root: Path) -> None:
    started = [
        subprocess.Popen([sys.executable, "-c", APPEND, str(root), str(number), str(EACH)], cwd=ROOT)
        for number in range(PROCESSES)
    ]
    assert [process.wait(60) for process in started] == [0] * PROCESSES
    expected = {f"{process}-{number}" for process in range(PROCESSES) for number in range(EACH)}
    landed = rows(root, AUDIT)["detail"].to_list()
    assert sorted(landed) == sorted(expected)


def test_what_cannot_be_written_down_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match=r"cannot be written to ops/audit, so nothing is shown; got .*; expected"):
        audit_log.append(tmp_path / "nothing", "sql", "x")


def test_replays_leave_a_row_each(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDLAKE_KEY", KEY_TEXT)
    assert wardlake("replay", "--lake", root).code == 0
    assert wardlake("quarantine", "replay", "--lake", root).code == 0
    found = rows(root, AUDIT).sort("audited_at").select("action", "rows").rows()
    assert found == [("replay", 1), ("quarantine_replay", 0)]
    assert rows(root, AUDIT)["detail"].str.starts_with("policy display ").all()
