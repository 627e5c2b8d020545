"""A simulated hospital, landed in a lake, against its own ground truth: visits, stays and every KPI, exactly."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import polars as pl
import pytest

from lake.contracts.tables import INCOMPLETE, SILVER, STAYS, VISITS
from lake.gold.compute import kpis
from lake.gold.fold import Folded, fold
from lake.gold.tables import ADMISSIONS, KPIS, LENGTH_OF_STAY, OCCUPANCY
from producer.simulator.simulator import Simulator, SimulatorSettings
from tests.support.lakes import KEY, PARTITIONS, make_lake, rows
from tests.support.oracle import kpis as naive
from tests.support.oracle.frames import differences, expected_gold, expected_lake, to_polars
from tests.support.oracle.truth import Rows, Truth, read_truth

ASKED: Final = SimulatorSettings(seed=7, events=20_000, days=100, cancels=0.05, truth=True)
"""A hundred days of small hospitals: long enough for readmissions to be followed up."""

BATCH: Final = 4_000
ZONES: Final = ("UTC", "America/New_York", "Asia/Kathmandu")
STATED: Final = ("doctor_id", "diagnosis_code", "diagnosis", "severity", "treatment", "disposition")


@dataclass(frozen=True, repr=False)  # pytest shows the arguments of a failing test
class Simulated:
    """What Silver holds and what was folded from it, and what happened."""

    silver: pl.DataFrame
    folded: Folded
    truth: Truth

    def gold(self, timezone: str) -> dict[str, pl.DataFrame]:
        """Our KPIs of what was folded."""
        start = self.folded.visits["admitted_at"].to_list()
        end = self.silver["event_time"].to_list()
        return kpis(self.folded.visits, self.folded.stays, self.truth.staffed, timezone, min(start), max(end), 60)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    folder = tmp_path_factory.mktemp("simulated")
    simulator = Simulator(ASKED)
    payloads = [value for block in simulator.blocks() for value in block.values]
    simulator.write_truth(folder)
    simulator.write_staffed_beds(folder / "staffed_beds.csv")
    messages = [(n % PARTITIONS, payload) for n, payload in enumerate(payloads)]
    make_lake(folder / "lake", *(messages[n : n + BATCH] for n in range(0, len(messages), BATCH)))
    silver = rows(folder / "lake", SILVER)
    return Simulated(silver, fold(silver, 60), read_truth(folder, KEY, folder / "staffed_beds.csv"))


def chosen(frame: pl.DataFrame, columns: list[str], like: Rows) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Some columns of a frame, and the same of rows of the truth."""
    ours = frame.select(columns)
    return ours, pl.DataFrame(like, schema_overrides=dict(ours.schema), infer_schema_length=None).select(columns)


def test_the_visits_are_those_that_happened(simulated: Simulated) -> None:
    columns = ["visit_key", "patient_key", "admitted_at", "discharged_at", "facility", "department", *STATED]
    ours, truth = chosen(
        simulated.folded.visits, [*columns, "admit_facility", "admit_department"], simulated.truth.visits
    )
    assert truth.height > 2_000
    assert differences(VISITS.name, ours, truth) == []


def test_the_stays_are_those_that_happened(simulated: Simulated) -> None:
    columns = [name for name in STAYS.polars_schema if name != "from_month"]
    ours, truth = chosen(simulated.folded.stays, columns, simulated.truth.stays)
    assert differences(STAYS.name, ours, truth) == []


def test_what_was_taken_back_is_set_apart_and_nothing_else_is(simulated: Simulated) -> None:
    incomplete = simulated.folded.incomplete
    told = set(incomplete["visit_key"]) == simulated.truth.cancelled  # a bare bool: a failure shows no key
    assert told
    assert incomplete.height > 20
    assert set(incomplete["flags"].explode()) == {"cancelled"}
    assert simulated.folded.visits["flags"].explode().drop_nulls().is_empty()


@pytest.mark.parametrize("timezone", ZONES)
def test_every_kpi_is_what_really_happened(simulated: Simulated, timezone: str) -> None:
    ours, truth = simulated.gold(timezone), naive.kpis(simulated.truth.hospital(timezone))
    assert [text for t in KPIS for text in differences(t.name, ours[t.name], to_polars(t, truth[t.name]))] == []


def test_the_oracle_reads_the_same_from_silver(simulated: Simulated) -> None:
    expected = expected_lake(simulated.silver, 60)
    for table, ours in zip((VISITS, STAYS, INCOMPLETE), simulated.folded, strict=True):
        assert differences(table.name, ours, expected[table.name]) == []
    ours, gold = simulated.gold("UTC"), expected_gold(simulated.silver, "UTC", simulated.truth.staffed, 60)
    assert [text for name in gold for text in differences(name, ours[name], gold[name])] == []


def test_the_headline_figures_are_those_of_the_truth(simulated: Simulated) -> None:
    gold = simulated.gold("UTC")
    gone = [visit for visit in simulated.truth.visits if visit["discharged_at"]]
    spent = sum((visit["discharged_at"] - visit["admitted_at"]).total_seconds() for visit in gone)
    admissions, los = gold[ADMISSIONS.name], gold[LENGTH_OF_STAY.name]
    assert admissions["admissions"].sum() == len(simulated.truth.visits)
    assert los["discharges"].sum() == len(gone)
    assert los["bed_days"].sum() / len(gone) == pytest.approx(spent / 86_400 / len(gone), rel=1e-12)
    assert gold["gold/doctors"]["deaths"].sum() == sum(visit["disposition"] == "expired" for visit in gone) > 10
    rate = admissions["readmissions_30d"].sum() / admissions["index_discharges_30d"].sum()
    assert 0.10 < rate < 0.17  # the simulator was asked for 13.8 %
    there = gold[OCCUPANCY.name].filter(pl.col("day") == datetime(2026, 3, 1, tzinfo=UTC).date())
    midnight = datetime(2026, 3, 2, tzinfo=UTC)
    in_bed = [
        v
        for v in simulated.truth.visits
        if v["admitted_at"] < midnight < (v["discharged_at"] or simulated.truth.data_end)
    ]
    assert there["occupied_midnight"].sum() == len(in_bed) > 20
