"""The demo from one command: the same figures each time, those that the simulator knows to be true, nothing left."""

import json
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import polars as pl
import psutil
import pytest

from app.cli.produce import start_day
from dashboards.screens.pipeline import prefect_runs
from flows import signin
from lake.contracts.tables import SILVER
from lake.storage.store import is_demo
from producer.simulator.simulator import Simulator, SimulatorSettings
from tests.support.commands import Place
from tests.support.lakes import Ran, rows
from tests.support.prefects import Served, signed_in, until

EVENTS: Final = 20_000
SEED: Final = 7
MONTH: Final = timedelta(days=30)
COMMAND: Final = ("demo", "--once", "--events", str(EVENTS), "--seed", str(SEED))


Truth = tuple[pl.DataFrame, dict[str, Any]]
"""The visits that really happened in a feed, cancelled ones left out, and how many messages there are of each kind."""


def truth(folder: Path, events: int, seed: int) -> Truth:
    simulator = Simulator(SimulatorSettings(seed=seed, events=events, start=start_day(events, None), truth=True))
    assert sum(len(block) for block in simulator.blocks()) == events
    simulator.write_truth(folder)
    visits = pl.read_parquet(folder / "visits.parquet").filter(~pl.col("cancelled"))
    return visits, json.loads((folder / "counts.json").read_text())


def expected(truth: Truth) -> dict[str, str]:
    """The figures that the summary must show."""
    happened, counts = truth
    left = happened.filter(pl.col("discharged_at").is_not_null())
    days = left.select((pl.col("discharged_at") - pl.col("admitted_at")).dt.total_seconds().mean() / 86_400).item()
    return {
        "events": f"{counts['events']:,}",
        "first day": counts["first_event_time"][:10],
        "last day": counts["last_event_time"][:10],
        "patients": f"{happened['patient_id'].n_unique():,}",
        "admissions": f"{happened.height:,}",
        "discharges": f"{left.height:,}",
        "deaths": f"{left.filter(pl.col('disposition') == 'expired').height:,}",
        "alos days": f"{round(days, 2)}",
        "readmitted within 30 days": readmission_rate(left, happened, moment(counts["last_event_time"])),
        "patients at midnight, mean": mean_census(
            happened, moment(counts["first_event_time"]), moment(counts["last_event_time"])
        ),
        "masking success": "100.0%",
    }


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def readmission_rate(left: pl.DataFrame, happened: pl.DataFrame, end: datetime) -> str:
    """Of the discharges that count, with 30 days of data after them, the share that another admission followed."""
    counted = ~pl.col("disposition").is_in(["expired", "ama", "transfer"]) & (pl.col("discharged_at") + MONTH <= end)
    admissions = [(row["patient_id"], row["admitted_at"]) for row in happened.iter_rows(named=True)]
    of_patient: dict[str, list[datetime]] = {}
    for patient, admitted in admissions:
        of_patient.setdefault(patient, []).append(admitted)
    followed = [
        any(row["discharged_at"] < again <= row["discharged_at"] + MONTH for again in of_patient[row["patient_id"]])
        for row in left.filter(counted).iter_rows(named=True)
    ]
    return f"{sum(followed) / len(followed):.1%}" if followed else "unknown"


def mean_census(happened: pl.DataFrame, start: datetime, end: datetime) -> str:
    """Patients in the hospitals at 24:00, the last day as of the end of the data, over all days."""
    days = (end.date() - start.date()).days + 1
    midnights = [datetime.combine(start.date() + timedelta(n + 1), time(), UTC) for n in range(days)]
    present = [
        happened.filter(
            pl.col("admitted_at") < moment, pl.col("discharged_at").is_null() | (pl.col("discharged_at") >= moment)
        ).height
        for moment in midnights
    ]
    return f"{sum(present) / days:,.0f}"


def law(truth: Truth) -> str:
    """The line that says where every message is."""
    _, counts = truth
    silver, quarantined, duplicates = counts["events"], sum(counts["corrupt"].values()), counts["duplicates"]
    parts = {"silver": silver, "quarantined": quarantined, "duplicates": duplicates, "ignored": 0}
    return f"{counts['messages']:,} messages = " + " + ".join(f"{number:,} {name}" for name, number in parts.items())


def figures(ran: Ran) -> dict[str, str]:
    """The KPI table of the summary."""
    table = ran.out.split("messages =")[0]
    return {name.strip(): figure.strip() for name, figure in re.findall(r"^│ ([^│]+)│ ([^│]+)│$", table, re.MULTILINE)}


def test_the_demo_is_true_and_the_same_each_time_and_leaves_nothing(tmp_path: Path) -> None:
    here, there = Place(tmp_path / "here"), Place(tmp_path / "there")
    for place in (here, there):
        place.folder.mkdir()
    with ThreadPoolExecutor(2) as pool:
        elsewhere = pool.submit(there.run, *COMMAND)
        first, again = here.run(*COMMAND), here.run(*COMMAND)
    demos = [first, again, elsewhere.result()]
    assert [ran.code for ran in demos] == [0, 0, 0]
    assert first.out == again.out == demos[2].out != ""

    true = truth(tmp_path / "truth", EVENTS, SEED)
    shown = figures(first)
    assert (
        0 < float(shown.pop("bed occupancy").removesuffix("%")) < 100
    )  # exactly: tests/unit/lake/gold/test_truth_kpis.py
    assert shown == expected(true)
    assert law(true) in first.out.splitlines()

    lake = here.folder / "data" / "lake"
    assert is_demo(lake)
    assert here.look("verify", "--json").json["passed"] is True
    [row] = here.look("sql", "SELECT count(*) AS n FROM silver.events", "--format", "json").json
    assert row["n"] == true[1]["events"] == rows(lake, SILVER).height

    assert left_in(here, there) == []
    assert [path.name for path in here.folder.iterdir()] == ["data"]
    kept = sorted(path.name for path in (here.folder / "data").iterdir())
    assert kept == ["lake", "lake.key", "staffed_beds.csv"]


@pytest.mark.slow
def test_the_live_demo_has_dashboards_prefect_and_its_flows_and_leaves_nothing(tmp_path: Path) -> None:
    """At full speed it lives some weeks in the minutes that this takes."""
    place = Place(tmp_path)
    with place.running("demo", "--speed", "10000", "--events", "2000") as demo:
        demo.wait_for(lambda lines: any(line.startswith("live: ") for line in lines), "the live feed")
        [ui] = re.findall(r"Prefect UI at (http://127\.0\.0\.1:\d+)", "\n".join(demo.lines))
        [dashboards] = re.findall(r"dashboards at (http://127\.0\.0\.1:\d+)", "\n".join(demo.lines))
        assert httpx.get(f"{dashboards}/_stcore/health").text == "ok"
        finds_the_demo(place)
        home = tmp_path / "data" / "prefect"
        assert f"it asks for a sign-in: the line in {signin.file(home, signin.OWNER)}" in demo.lines
        assert httpx.post(f"{ui}/api/deployments/filter", json={}).status_code == httpx.codes.FORBIDDEN
        with signed_in(f"{ui}/api", signin.file(home, signin.OWNER)) as client:
            served = Served(client)
            until(lambda: len(served.deployments()) == 5, "the deployments")
            daily = served.ended(served.start("daily"))
            told = served.ask(f"/artifacts/{served.artifacts()['daily-run']}", method="GET")["data"]
        runs = prefect_runs.runs(f"{ui}/api", signin.file(home, signin.READER))
        assert runs is not None
        assert ("daily", "Completed") in runs.select("flow", "state").rows()
        assert f"- Dashboards: [{dashboards}]({dashboards})" in told
        assert daily["state"]["message"] == "Gold is up to date, checked and exported"
        until(lambda: lived(place) >= 14, "a fortnight")
        assert demo.stop(signal.SIGINT) == 0
    assert left_in(place) == []
    is_one_hospital(place)
    assert is_demo(tmp_path / "data" / "lake")
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [
        *("export", "lake", "lake.key", "prefect", "staffed_beds.csv")
    ]
    for gone in (ui, dashboards):
        with pytest.raises(httpx.ConnectError):
            httpx.get(gone)


def finds_the_demo(place: Place) -> None:
    """What a second terminal runs reaches the demo's broker; another demo does not take its lake away."""
    assert place.works("status", "--json").json["lag"] is not None
    assert "Gold is up to date" in place.works("flow", "daily").out
    refused = place.run("demo", "--once")
    assert refused.code == 2
    assert "a demo is running in" in refused.err


def lived(place: Place) -> int:
    """Days since the history ended that Silver holds."""
    query = "SELECT count(DISTINCT event_date) AS days FROM silver.events"
    [row] = place.works("sql", query, "--format", "json").json
    return int(row["days"]) - 5  # the history: 2,000 messages are four days and a part of one


def is_one_hospital(place: Place) -> None:
    """No day of the history changed, no bed has two patients, and every check passes."""
    assert place.works("flow", "quality", "--json").json["passed"] is True
    assert place.works("verify", "--json").json["passed"] is True
    query = "SELECT max(occupancy_rate) AS fullest FROM gold.occupancy"
    [row] = place.works("sql", query, "--format", "json").json
    assert 0.3 < row["fullest"] <= 1.15
    query = "SELECT sum(admissions) AS n FROM gold.admissions GROUP BY day ORDER BY day"
    daily = [row["n"] for row in place.works("sql", query, "--format", "json").json]
    assert max(daily) < 2 * 145, "a day had twice the admissions of a usual one"


def left_in(*places: Place) -> list[int]:
    """Processes that still work in these folders."""
    return [one.pid for one in psutil.process_iter() if _folder(one) in {str(place.folder) for place in places}]


def _folder(process: psutil.Process) -> str:
    try:
        return process.cwd()
    except psutil.Error:
        return ""


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 11, 2026])
def test_other_hospitals_come_out_true_too(tmp_path: Path, seed: int) -> None:
    ran = Place(tmp_path).works("demo", "--once", "--events", "60000", "--seed", str(seed))
    true = truth(tmp_path / "truth", 60_000, seed)
    assert {name: figure for name, figure in figures(ran).items() if name != "bed occupancy"} == expected(true)
    assert law(true) in ran.out.splitlines()
