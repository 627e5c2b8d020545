"""The demo's Gold at full length is the simulator's own truth: every KPI of every day and month, exactly."""

from pathlib import Path

import pytest

from app.cli.produce import start_day
from lake.gold.tables import KPIS
from lake.security.encryption import LakeKey
from producer.simulator.simulator import Simulator, SimulatorSettings
from tests.support.commands import Place
from tests.support.golds import published
from tests.support.oracle import kpis as naive
from tests.support.oracle.frames import differences, to_polars
from tests.support.oracle.truth import read_truth

EVENTS = 200_000
SEED = 7


@pytest.mark.slow
def test_every_kpi_of_a_long_demo_is_what_really_happened(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.works("demo", "--once", "--events", str(EVENTS), "--seed", str(SEED))
    simulator = Simulator(SimulatorSettings(seed=SEED, events=EVENTS, start=start_day(EVENTS, None), truth=True))
    assert sum(len(block) for block in simulator.blocks()) == EVENTS
    simulator.write_truth(tmp_path / "truth")
    data = tmp_path / "data"
    truth = read_truth(tmp_path / "truth", LakeKey.from_file(data / "lake.key"), data / "staffed_beds.csv")
    expected = naive.kpis(truth.hospital("UTC"))
    for table in KPIS:
        ours = published(data / "lake", table)
        assert ours.height > 0
        assert differences(table.name, ours, to_polars(table, expected[table.name])) == []
