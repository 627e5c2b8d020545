"""A query over the lake runs in a process of its own: it can be ended at any moment, and what it reads is audited."""

import json
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import polars as pl
import psutil
import pytest

from lake.contracts.tables import AUDIT
from lake.errors import UsageError
from lake.query.adhoc import process
from lake.query.adhoc.run import run
from tests.corpus.sql_attacks import SPELT, UNQUOTED, VALUES
from tests.support.commands import SECONDS
from tests.support.lakes import make_lake, rows, simulated, wardlake

ENDLESS: Final = "SELECT count(*) FROM range(10000000000) a, range(100) b, silver.events"
FOLDED: Final = "SELECT levenshtein(repeat('ab', 1000000), repeat('ba', 1000000))"
"""Worked out before the query begins, in one step that DuckDB does not interrupt."""
SLOW: Final = [
    ENDLESS,
    FOLDED,
    "FROM silver.events WHERE levenshtein(repeat(ssn, 100000), repeat(ssn, 200000)) > 1",
    "WITH RECURSIVE t AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM t) SELECT max(x) FROM t",
    "SELECT list_sum(list_transform(range(100000000), lambda x: list_sum(range(x))))",
    "FROM range((SELECT max(a.range * b.range) FROM range(1000000) a, range(1000000) b))",
    "SELECT count(DISTINCT a.range * b.range) FROM range(100000) a, range(100000) b",
]
HUGE: Final = [
    "SELECT list_resize([1], 3_000_000_000)",
    "SELECT len(range(2_000_000_000))",
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake; the tests of this module only add to its audit."""
    return make_lake(tmp_path_factory.mktemp("bounded") / "lake", simulated(60)).root


def audited(root: Path) -> pl.DataFrame:
    return rows(root, AUDIT).sort("audited_at")


def at_work() -> list[psutil.Process]:
    """The workers that this process has started and that run."""
    return [one for one in psutil.Process().children(recursive=True) if "worker.py" in " ".join(_command(one))]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it has ended
        return []


@pytest.mark.parametrize("text", SLOW)
def test_what_takes_too_long_is_ended(root: Path, text: str) -> None:
    before, started = audited(root).height, time.monotonic()
    with pytest.raises(UsageError) as refused:
        run(root, text, seconds=0.7)
    assert time.monotonic() - started < 20
    assert str(refused.value).startswith("the query took too long and was ended; got no result after 0.7 s; expected ")
    assert "--timeout" in str(refused.value)
    assert at_work() == []
    assert audited(root)[before:].select("action", "rows").rows() == [("sql", None)] * ("silver" in text)


@pytest.mark.parametrize("text", HUGE)
def test_what_takes_too_much_memory_is_ended(root: Path, text: str) -> None:
    with pytest.raises(
        UsageError, match=r"^the query needs too much memory and was ended; got .*; expected 4 GB at most"
    ):
        run(root, text, seconds=60)
    assert at_work() == []


def test_the_command_ends_a_query_and_says_so_in_one_line(root: Path) -> None:
    ran = wardlake("sql", FOLDED, "--timeout", "0.5", "--lake", root)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert ran.err.startswith("wardlake: the query took too long and was ended; got no result after 0.5 s; expected ")


@pytest.mark.parametrize("text", [ENDLESS, FOLDED])
def test_ctrl_c_ends_a_query_at_once(root: Path, text: str) -> None:
    before = audited(root).height
    command = [sys.executable, "-m", "app", "sql", text, "--lake", str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        _wait_for_work(started)
        pressed = time.monotonic()
        started.send_signal(signal.SIGINT)
        out, err = started.communicate(timeout=SECONDS)
        took = time.monotonic() - pressed
    assert (started.returncode, out) == (130, "")
    assert err == "wardlake: the query was interrupted; run it again, or ask for less\n"
    assert took < 5  # well under a second where nothing else runs
    assert at_work() == []
    assert audited(root).height - before == ("silver" in text)


def test_a_worker_does_not_outlive_a_command_that_is_killed(root: Path) -> None:
    command = [sys.executable, "-m", "app", "sql", FOLDED, "--lake", str(root)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as started:
        worker = _wait_for_work(started)
        started.kill()
    worker.wait(SECONDS)


def _wait_for_work(started: "subprocess.Popen[str] | subprocess.Popen[bytes]") -> psutil.Process:
    """The worker of a command, once it has used its processor for the query."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        for one in psutil.Process(started.pid).children():
            if "worker.py" in " ".join(_command(one)) and one.cpu_times().user > 1.5:  # its imports take less
                return one
        time.sleep(0.05)
    raise AssertionError("the query did not start")


def test_the_worker_has_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDLAKE_KEY", "CANARY-4711")
    worker = process.start()
    try:
        assert "WARDLAKE_KEY" not in psutil.Process(worker.pid).environ()
    finally:
        process.end(worker)


def test_large_results_come_whole_and_in_order(root: Path) -> None:
    text = "SELECT range AS n, repeat('x', 100) AS t FROM range(200000)"
    ran = wardlake("sql", text, "--format", "csv", "--lake", root)
    lines = ran.out.splitlines()
    assert len(lines) == 200_001
    assert lines[-1] == "199999," + "x" * 100
    assert len(json.loads(wardlake("sql", text, "--format", "json", "--lake", root).out)) == 200_000


@pytest.mark.parametrize("text", [*SPELT[:2], UNQUOTED[0]])
def test_nothing_that_somebody_typed_is_in_the_audit(root: Path, text: str) -> None:
    before = audited(root).height
    with suppress(UsageError):
        run(root, text)
    details = audited(root)[before:]["detail"].to_list()
    assert [value for value in VALUES if any(value in detail for detail in details)] == []
    assert [digits for digits in ("6789", "1961") if any(digits in detail for detail in details)] == []
