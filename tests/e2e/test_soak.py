"""A short soak has to come out clean: every fault this machine can do, nothing lost, nothing twice."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import ROOT

SECONDS = 1200
"""Three minutes of faults and what comes before and after, on a machine that is busy with other tests too."""


def soak(out: Path, minutes: float) -> "subprocess.Popen[bytes]":
    command = [
        sys.executable,
        "-m",
        "tests.soak",
        "--minutes",
        str(minutes),
        "--faults-per-minute",
        "8",
        "--rate",
        "500",
    ]
    environment = {**os.environ, "TMPDIR": str(out)}
    return subprocess.Popen(
        [*command, "--out", str(out / "soak")], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
    )


@pytest.mark.slow
def test_three_minutes_of_faults_leave_every_message_in_its_place(tmp_path: Path) -> None:
    with soak(tmp_path, 3) as running:
        try:
            code = running.wait(SECONDS)
        finally:
            running.kill()
    told = json.loads((tmp_path / "soak" / "soak.json").read_text())
    assert told["findings"] == told["account"]["findings"] == []
    assert (code, told["clean"], told["account"]["lost"], told["account"]["duplicated"]) == (0, True, 0, 0)
    assert told["account"]["events_in"] >= told["acknowledged"] > 0
    assert len(told["faults"]) >= 10
    assert (tmp_path / "soak" / "soak.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_end_it_in_good_order_with_the_report_so_far(tmp_path: Path, told: signal.Signals) -> None:
    with soak(tmp_path, 30) as running:
        try:
            with pytest.raises(subprocess.TimeoutExpired):
                running.wait(20)
            running.send_signal(told)
            assert running.wait(60) == 130
        finally:
            running.kill()
    assert json.loads((tmp_path / "soak" / "soak.json").read_text())["interrupted"] is True
    assert [path.name for path in tmp_path.iterdir()] == ["soak"]
