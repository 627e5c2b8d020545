"""The flows as plain functions and as ``wardlake flow``: what follows what, how each ends, and what is never told."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import polars as pl
import pytest

from app.jobs.kpi_summary import HIDDEN, kpis
from app.settings import load
from flows.definitions import FLOWS, Run, Step, carry_out
from flows.environment import child_environment
from lake.contracts.tables import QUALITY, SILVER
from lake.disclosure.audience import Audience
from lake.errors import LakeError, StepError
from lake.gold.published import last
from lake.gold.tables import COMPLIANCE
from tests.support.commands import SECONDS
from tests.support.golds import published
from tests.support.lakes import KEY_TEXT, Feeder, event, make_lake, overwrite, rows, simulated, wardlake

NOWHERE: Final = "http://127.0.0.1:1/api"
CORRUPT: Final = [(0, b"not json"), (1, b"{}"), (2, event(event_type="x"))]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WARDLAKE_KEY", KEY_TEXT)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)


def test_a_run_gives_way_to_the_stream() -> None:
    """In a process of its own: who lowered its priority may not raise it again."""
    script = (
        "import os; from unittest import mock; from app.settings import load; from flows import run\n"
        "def carry_out(*_, **__): print(os.getpriority(os.PRIO_PROCESS, 0))\n"
        "with mock.patch.object(run, 'carry_out', carry_out):\n"
        "    for _ in range(2): run.run_now('gold', load(), print, print)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [str(max(os.getpriority(os.PRIO_PROCESS, 0), 10))] * 2


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the settings expect the lake."""
    return tmp_path / "data" / "lake"


def test_gold_is_validated_and_built_and_then_up_to_date(root: Path) -> None:
    make_lake(root, simulated(400))
    first, again, full = (wardlake("flow", "gold", *more, "--json") for more in ((), (), ("--full",)))
    assert [ran.code for ran in (first, again, full)] == [0, 0, 0]
    assert [step["step"] for step in first.json["steps"]] == ["validate tables", "build Gold"]
    kinds = [ran.json["steps"][1]["result"]["kind"] for ran in (first, again, full)]
    assert kinds == ["full", "unchanged", "full"]
    assert first.json["passed"] is True
    assert first.json["message"] == "Gold is up to date"
    assert first.err.splitlines()[0] == "validate tables"


def test_a_table_for_people_and_one_line_to_end_with(root: Path) -> None:
    make_lake(root, simulated(400))
    ran = wardlake("flow", "gold")
    assert ran.code == 0
    assert "build 1 (full)" in ran.out
    assert ran.out.splitlines()[-1] == "Gold is up to date"


def test_nothing_landed_yet_is_no_failure(root: Path) -> None:
    make_lake(root)
    ran = wardlake("flow", "gold")
    assert (ran.code, ran.out) == (0, "nothing has landed yet: nothing was built\n")
    assert last(root) is None


@pytest.mark.parametrize("flow", ["gold", "quality", "maintain", "export"])
def test_no_lake_is_one_line(root: Path, flow: str) -> None:
    ran = wardlake("flow", flow)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.splitlines()[-1].startswith(f"wardlake: there is no lake at {root}; got nothing there")
    assert not root.exists()


def test_a_staffed_beds_table_that_is_named_and_not_there_keeps_the_old_gold(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_lake(root, simulated(200))
    assert wardlake("flow", "gold").code == 0
    before = last(root)
    monkeypatch.setenv("WARDLAKE_STAFFED_BEDS", str(tmp_path / "gone.csv"))
    ran = wardlake("flow", "gold")
    assert ran.code == 2
    assert "gone.csv" in ran.err.splitlines()[-1]
    assert last(root) == before


def test_only_corrupt_messages_make_a_gold_of_compliance_figures(root: Path) -> None:
    make_lake(root, CORRUPT)
    assert wardlake("flow", "gold").code == 0
    figures = published(root, COMPLIANCE)
    assert figures.select("messages", "silver", "quarantined", "duplicates").row(0) == (3, 0, 3, 0)


def break_silver(root: Path, feeder: Feeder) -> None:
    """Land more, and let one of the new events stand there twice."""
    feeder.land([(0, event(message_id="m-9", event_time="2026-03-09T08:00:00+00:00", visit_id="V-0000009"))])
    events = rows(root, SILVER)
    overwrite(root, SILVER, pl.concat([events, events.filter(pl.col("message_id") == "m-9")]))


def test_a_failed_error_check_keeps_the_old_gold(root: Path) -> None:
    feeder = Feeder(make_lake(root))
    feeder.land(simulated(300))
    assert wardlake("flow", "gold").code == 0
    before = last(root)
    break_silver(root, feeder)
    ran = wardlake("flow", "gold", "--json")
    assert ran.code == 1
    assert [step["step"] for step in ran.json["steps"]] == ["validate tables"]
    assert ran.json["passed"] is False
    assert ran.json["message"] == "an error check failed before Gold: the last build stays published"
    assert last(root) == before
    assert "deduplication key (error)" in wardlake("flow", "gold").out


def test_quality_tells_each_failed_check_and_exits_1(root: Path) -> None:
    feeder = Feeder(make_lake(root))
    feeder.land(simulated(300))
    assert wardlake("flow", "gold").code == 0
    assert wardlake("flow", "quality").code == 0
    break_silver(root, feeder)
    ran = wardlake("flow", "quality")
    assert ran.code == 1
    assert "deduplication key" in ran.out
    assert ran.out.splitlines()[-1] == "an error check failed"
    assert rows(root, QUALITY)["run_id"].n_unique() == 3


def test_maintain_and_export(root: Path, tmp_path: Path) -> None:
    make_lake(root, simulated(300))
    assert wardlake("flow", "export").err.splitlines()[-1].startswith("wardlake: there is no Gold to export")
    assert wardlake("flow", "gold").code == 0
    for name in ("maintain", "export"):
        ran = wardlake("flow", name, "--json")
        assert (ran.code, ran.json["passed"]) == (0, True)
        assert ran.json["steps"][0]["result"]
    assert list((tmp_path / "data" / "export").rglob("*.csv"))


def test_every_flow_is_a_command() -> None:
    for name in FLOWS:
        assert wardlake("flow", name, "--help").code == 0


def test_an_error_that_nobody_foresaw_comes_without_its_text(root: Path) -> None:
    make_lake(root)

    def stumble(*_: object) -> None:
        raise ValueError("MRN0000001 is not a number")

    with pytest.raises(StepError) as caught:
        Run(load(), lambda _: None)(Step("stumble", stumble, str))
    assert str(caught.value).startswith("the step 'stumble' failed; got ValueError at ")
    assert "MRN" not in f"{caught.value!r}"
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_an_error_of_ours_comes_as_it_is_and_alone(root: Path) -> None:
    def refuse(*_: object) -> None:
        try:
            int("MRN0000001")
        except ValueError:
            raise LakeError("the lake is not whole")  # noqa: B904 (what the guard is for)

    with pytest.raises(LakeError, match=r"^the lake is not whole$") as caught:
        Run(load(), lambda _: None)(Step("refuse", refuse, str))
    assert caught.value.__suppress_context__


def test_settings_reach_a_process_elsewhere_whole_and_without_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load(data="here", kafka="k:1,l:2", dedup_key="patient_id,event_time,bed")
    variables = child_environment(settings)
    assert KEY_TEXT not in variables.values()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert load() == settings


def test_the_settings_file_is_found_from_elsewhere_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WARDLAKE_KEY")
    (tmp_path / "wardlake.toml").write_text(f'key = "{KEY_TEXT}"\n')
    variables = child_environment(load())
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = load().key
    assert found is not None
    assert found.get_secret_value() == KEY_TEXT


def test_public_kpis_of_few_people_are_hidden(root: Path) -> None:
    make_lake(root, [(0, event())])
    carry_out("gold", Run(load(), lambda _: None))
    public, exact = (dict(kpis(root, audience)) for audience in (Audience.PUBLIC, Audience.INTERNAL))
    assert (public["admissions"], exact["admissions"]) == (HIDDEN, "1")
    assert public["deaths"] == exact["deaths"] == "0"
    assert public["masking success"] == exact["masking success"] == "100.0%"


def test_public_kpis_are_rounded(root: Path) -> None:
    make_lake(root, simulated(3000))
    carry_out("gold", Run(load(), lambda _: None))
    public, exact = (dict(kpis(root, audience)) for audience in (Audience.PUBLIC, Audience.INTERNAL))
    for kpi in ("admissions", "discharges"):
        rounded, true = (int(found[kpi].replace(",", "")) for found in (public, exact))
        assert rounded % 5 == 0
        assert abs(rounded - true) <= 2


def test_without_a_server_prefect_is_not_even_imported(root: Path) -> None:
    make_lake(root, simulated(40))
    code = (
        "import sys\nfrom app.cli import main\nsys.argv = ['wardlake', 'flow', 'gold']\n"
        "try:\n    main()\nfinally:\n    print([name for name in sys.modules if name.partition('.')[0] == 'prefect'])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=SECONDS)
    assert ran.returncode == 0
    assert ran.stdout.splitlines()[-1] == "[]"


def test_a_named_server_that_does_not_answer_is_mentioned_and_done_without(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_lake(root, simulated(40))
    monkeypatch.setenv("PREFECT_API_URL", NOWHERE)
    ran = wardlake("flow", "gold")
    assert ran.code == 0
    assert ran.err.splitlines()[0] == f"no Prefect server answers at {NOWHERE}: its UI will not show this run"


@pytest.mark.parametrize("url", [None, "", NOWHERE, "nonsense", "file:///etc/passwd"])
def test_serving_needs_a_server(url: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if url is not None:
        monkeypatch.setenv("PREFECT_API_URL", url)
    ran = wardlake("flows", "serve")
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    what = f"no Prefect server answers at {url}; got no answer" if url else "no Prefect server is named; got no PREFECT"
    assert ran.err.startswith(f"wardlake: {what}")
    assert "expected PREFECT_API_URL with the address of a running server" in ran.err
    assert "start one with 'wardlake prefect'" in ran.err


def test_nothing_of_the_environment_is_changed_without_a_server(root: Path) -> None:
    make_lake(root)
    before = dict(os.environ)
    wardlake("flow", "gold")
    assert dict(os.environ) == before
