"""The demo from one command: the same figures each time, those that the simulator knows to be true, nothing left."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import polars as pl
import psutil
import pytest

from app.cli.produce import start_day
from lake.store import is_demo
from lake.tables import SILVER
from producer.simulator import Simulator, SimulatorSettings
from tests.commands import Place
from tests.lakes import Ran, rows

EVENTS: Final = 20_000
SEED: Final = 7
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
    }


def law(truth: Truth) -> str:
    """The line that says where every message is."""
    _, counts = truth
    silver, quarantined, duplicates = counts["events"], sum(counts["corrupt"].values()), counts["duplicates"]
    return (
        f"{counts['messages']:,} messages = {silver:,} silver + {quarantined:,} quarantined + {duplicates:,} duplicates"
    )


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
    assert figures(first) == expected(true)
    assert law(true) in first.out.splitlines()

    lake = here.folder / "data" / "lake"
    assert is_demo(lake)
    assert here.look("verify", "--json").json["passed"] is True
    [row] = here.look("sql", "SELECT count(*) AS n FROM silver.events", "--format", "json").json
    assert row["n"] == true[1]["events"] == rows(lake, SILVER).height

    assert [one.pid for one in psutil.process_iter() if _folder(one) in {str(here.folder), str(there.folder)}] == []
    assert [path.name for path in here.folder.iterdir()] == ["data"]
    kept = sorted(path.name for path in (here.folder / "data").iterdir())
    assert kept == ["lake", "lake.key", "staffed_beds.csv"]


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
    assert figures(ran) == expected(true)
    assert law(true) in ran.out.splitlines()
