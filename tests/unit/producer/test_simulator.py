"""The simulator: the same bytes for the same seed, the rates that were asked for, a believable hospital."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import polars as pl
import pytest

from lake.contracts.event import ICD10_PATTERN, PHI, SEVERITIES
from lake.errors import UsageError
from producer.simulator.diagnoses import DIAGNOSES
from producer.simulator.hospital import DEPARTMENTS, FACILITIES, Hospital
from producer.simulator.simulator import Simulator, SimulatorSettings, write_staffed_beds

SMALL = SimulatorSettings(events=3_000)


def digest(asked: SimulatorSettings) -> str:
    running = hashlib.sha256()
    for block in Simulator(asked).blocks():
        for key, value in block.pairs():
            running.update(b"%d %b %b\n" % (len(value), key or b"", value))
    return running.hexdigest()


def test_the_same_seed_gives_the_same_bytes_and_another_does_not() -> None:
    assert digest(SMALL) == digest(SMALL)
    assert digest(SMALL) != digest(replace(SMALL, seed=8))


PRINT_DIGEST = """
import hashlib
from producer.simulator.simulator import Simulator, SimulatorSettings
running = hashlib.sha256()
for block in Simulator(SimulatorSettings(events=3_000)).blocks():
    for key, value in block.pairs():
        running.update(b"%d %b %b\\n" % (len(value), key or b"", value))
print(running.hexdigest())
"""


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_the_bytes_do_not_depend_on_the_process(hash_seed: str) -> None:
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "TZ": "Pacific/Apia", "POLARS_MAX_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PRINT_DIGEST], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == digest(SMALL)


def test_a_longer_feed_goes_on_where_a_shorter_one_ends() -> None:
    def real(events: int) -> set[tuple[str, str]]:
        asked = replace(SMALL, events=events, duplicates=0, corrupt=0)
        return {(e["patient_id"], e["event_time"]) for e in events_of(asked)}

    assert real(1_000) < real(2_000)


def test_exactly_as_many_messages_as_asked(subtests: pytest.Subtests) -> None:
    for count in [1, 2, 999, 20_000]:
        with subtests.test(count=count):
            blocks = list(Simulator(SimulatorSettings(events=count, duplicates=0.3, corrupt=0.3)).blocks())
            assert sum(len(block) for block in blocks) == count
            assert all(len(block) for block in blocks)


def test_events_and_days_scale_the_hospital() -> None:
    asked = SimulatorSettings(events=6_000, days=60)
    times = sorted(when(event) for event in events_of(asked))
    assert 50 <= (times[-1] - times[0]).days <= 66
    assert len(Simulator(asked).hospital.beds) < len(Hospital().beds) / 2


def test_days_alone_end_with_the_last_day() -> None:
    start = datetime(2025, 5, 5, 6, 30, tzinfo=UTC)
    times = [when(event) for event in events_of(SimulatorSettings(days=2, start=start))]
    assert start <= min(times) < start + timedelta(hours=3)
    assert start + timedelta(days=2, hours=-1) < max(times) < start + timedelta(days=2)


def when(event: dict[str, str]) -> datetime:
    return datetime.fromisoformat(event["event_time"])


def events_of(asked: SimulatorSettings) -> list[dict[str, str]]:
    """Return the events of a feed without corrupt extras, in the order sent."""
    blocks = Simulator(replace(asked, corrupt=0)).blocks()
    return [json.loads(value) for block in blocks for value in block.values]


@pytest.fixture(scope="module")
def months(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, str]], Path]:
    """Give the events of four months, with the usual rates but without corrupt extras, and the truth."""
    folder = tmp_path_factory.mktemp("months")
    simulator = Simulator(SimulatorSettings(events=80_000, corrupt=0, truth=True))
    events = [json.loads(value) for block in simulator.blocks() for value in block.values]
    simulator.write_truth(folder)
    return events, folder


def test_the_rates_are_those_asked_for(months: tuple[list[dict[str, str]], Path]) -> None:
    events, folder = months
    counts = json.loads((folder / "counts.json").read_text(encoding="utf-8"))
    real, kinds = counts["events"], counts["event_types"]
    assert counts["duplicates"] / real == pytest.approx(0.02, rel=0.15)
    assert counts["late"] / real == pytest.approx(0.02, rel=0.15)
    moves = sum(kinds[kind] for kind in ("admit", "transfer", "discharge"))
    cancels = sum(kinds[kind] for kind in ("cancel_admit", "cancel_transfer", "cancel_discharge"))
    assert cancels / moves == pytest.approx(0.01, rel=0.25)
    for name in PHI:
        assert sum(name not in event for event in events) / len(events) == pytest.approx(0.03, rel=0.15)


def test_late_events_come_minutes_to_days_after_others(months: tuple[list[dict[str, str]], Path]) -> None:
    latest = datetime.min.replace(tzinfo=UTC)
    delays = []
    for event in months[0]:
        latest = max(latest, when(event))
        delays.append((latest - when(event)).total_seconds())
    assert 0.01 < sum(delay > 240 for delay in delays) / len(delays) < 0.05
    assert sum(delay > 86_400 for delay in delays) > 50
    assert max(delays) < 3.1 * 86_400


def test_readmissions_within_30_days_are_12_to_15_percent(months: tuple[list[dict[str, str]], Path]) -> None:
    visits = pl.read_parquet(months[1] / "visits.parquet").filter(~pl.col("cancelled"))
    admitted: dict[str, list[datetime]] = defaultdict(list)
    for patient, at in visits.select("patient_id", "admitted_at").iter_rows():
        admitted[patient].append(at)
    followed = visits["admitted_at"].max() - timedelta(days=30)  # type: ignore[operator]
    index = [
        (patient, left)
        for patient, left, how in visits.select("patient_id", "discharged_at", "disposition").iter_rows()
        if left and left <= followed and how not in {"expired", "ama", "transfer"}
    ]
    back = sum(any(left < again <= left + timedelta(days=30) for again in admitted[patient]) for patient, left in index)
    assert len(index) > 8_000
    assert 0.12 < back / len(index) < 0.15


def test_people_die_more_often_of_what_is_graver(months: tuple[list[dict[str, str]], Path]) -> None:
    left = pl.read_parquet(months[1] / "visits.parquet").filter(pl.col("discharged_at").is_not_null())
    died = left.group_by("severity").agg((pl.col("disposition") == "expired").mean()).rows()
    rates = [dict(died)[severity] for severity in SEVERITIES]
    assert rates == sorted(rates)
    assert 0.004 < (left["disposition"] == "expired").mean() < 0.03  # type: ignore[operator]


def test_emergencies_come_by_day_and_planned_patients_on_weekdays(
    months: tuple[list[dict[str, str]], Path],
) -> None:
    admits = [event for event in months[0] if event["event_type"] == "admit"]
    emergencies = Counter(when(e).hour for e in admits if e["department"] == "Emergency")
    assert sum(emergencies[hour] for hour in range(9, 21)) > 2 * sum(emergencies[hour] for hour in range(7))
    planned = Counter(when(e).weekday() for e in admits if e["department"] == "Orthopedics")
    assert planned[0] + planned[1] > 4 * (planned[5] + planned[6])
    discharges = Counter(
        when(e).hour
        for e in months[0]
        if e["event_type"] == "discharge"
        and e["department"] in {"Surgery", "Orthopedics"}
        and e["disposition"] != "expired"
    )
    assert sum(discharges[hour] for hour in range(9, 19)) > 0.9 * discharges.total()


def test_length_of_stay_differs_by_department(months: tuple[list[dict[str, str]], Path]) -> None:
    stays = pl.read_parquet(months[1] / "stays.parquet").drop_nulls("to_time")
    days: dict[str, list[float]] = defaultdict(list)
    for department, start, end in stays.select("department", "from_time", "to_time").iter_rows():
        days[department].append((end - start).total_seconds() / 86_400)
    middle = {department: median(values) for department, values in days.items()}
    assert 0.1 < middle["Emergency"] < 0.3
    assert middle["Pediatrics"] < middle["Surgery"] < middle["Internal Medicine"]
    # A long tail to the right, as log-normal has: the mean is well above the median.
    medicine = days["Internal Medicine"]
    assert sum(medicine) / len(medicine) > 1.1 * middle["Internal Medicine"]


def test_the_census_is_high_and_bounded_once_the_wards_are_full(
    months: tuple[list[dict[str, str]], Path],
) -> None:
    stays = pl.read_parquet(months[1] / "stays.parquet")
    midnight = datetime(2026, 3, 15, tzinfo=UTC)
    there = stays.filter(pl.col("from_time") <= midnight, pl.col("to_time").is_null() | (pl.col("to_time") > midnight))
    assert 0.5 < len(there) / len(Hospital().beds) <= 1
    assert there.select("facility", "ward", "bed").is_duplicated().sum() == 0


def test_departments_treat_what_they_are_for(months: tuple[list[dict[str, str]], Path]) -> None:
    for event in months[0]:
        born, code = event.get("date_of_birth"), event["diagnosis_code"]
        if code.startswith("O"):
            assert event["sex"] == "female"
        if event["department"] == "Pediatrics" and born:
            assert when(event).year - int(born[:4]) <= 18


def test_notes_contain_the_patients_identifiers_and_no_one_elses(
    months: tuple[list[dict[str, str]], Path],
) -> None:
    told: Counter[str] = Counter()
    noted = [event for event in months[0] if "notes" in event]
    for event in noted:
        note = event["notes"]
        own: dict[str, str] = {name: event[name] for name in (*PHI, "patient_id", "visit_id") if name in event}
        told.update(name for name, text in own.items() if text in note)
        for pattern, name in (
            (r"\d{3}-\d{2}-\d{4}", "ssn"),
            (r"\S+@\S+\.com", "email"),
            (r"MRN\d+", "patient_id"),
        ):
            assert all(found == own.get(name) for found in re.findall(pattern, note))
    assert 0.6 < len(noted) / len(months[0]) < 0.9
    assert told["patient_name"] > 0.9 * len(noted)
    assert all(told[name] > 0.05 * len(noted) for name in ("patient_id", "visit_id", "ssn", "phone", "email"))


def test_the_case_mix_is_well_formed() -> None:
    codes = [diagnosis.code for diagnosis in DIAGNOSES]
    assert len(set(codes)) == len(codes) >= 60
    assert all(re.fullmatch(ICD10_PATTERN, code) for code in codes)
    assert {diagnosis.again for diagnosis in DIAGNOSES} - {""} <= set(codes)
    assert {diagnosis.department for diagnosis in DIAGNOSES} == set(range(len(DEPARTMENTS)))
    assert len(FACILITIES) == 3
    assert len(DEPARTMENTS) == 8


def test_names_have_letters_that_are_not_ascii(months: tuple[list[dict[str, str]], Path]) -> None:
    assert any(not event.get("patient_name", "").isascii() for event in months[0])


MEASURE = """
import resource, sys
from producer.simulator.simulator import Simulator, SimulatorSettings
for block in Simulator(SimulatorSettings(events=int(sys.argv[1]))).blocks():
    pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in other units elsewhere")
def test_memory_does_not_grow_with_the_number_of_events() -> None:
    def megabytes(events: int) -> int:
        run = [sys.executable, "-c", MEASURE, str(events)]
        return int(subprocess.run(run, capture_output=True, text=True, check=True).stdout)

    # The messages themselves, 700 bytes each, would be 100 MB more.
    assert megabytes(180_000) - megabytes(40_000) < 50


def test_staffed_beds_can_be_written_without_a_simulation(tmp_path: Path) -> None:
    path = tmp_path / "reference" / "staffed_beds.csv"
    write_staffed_beds(path)
    frame = pl.read_csv(path)
    assert frame.columns == ["facility", "department", "staffed_beds", "valid_from", "wards"]
    assert frame["staffed_beds"].sum() == len(Hospital().beds)
    write_staffed_beds(path, SimulatorSettings(events=1_000_000, days=30))
    assert pl.read_csv(path)["staffed_beds"].sum() > 20 * len(Hospital().beds)


def test_wrong_settings_are_refused(subtests: pytest.Subtests) -> None:
    for change, message in [
        ({"seed": -1}, "simulator setting seed is out of range; got -1; expected an integer from 0 up"),
        ({"events": 0}, "simulator setting events is out of range; got 0; expected an integer of 1 or more"),
        ({"days": 0}, "simulator setting days is out of range; got 0; expected an integer of 1 or more"),
        (
            {"corrupt": 1.5},
            "simulator setting corrupt is out of range; got 1.5; expected a fraction from 0 to 0.5",
        ),
        (
            {"late": float("nan")},
            "simulator setting late is out of range; got nan; expected a fraction from 0 to 0.5",
        ),
        (
            {"late_days": 0},
            "simulator setting late_days is out of range; got 0; expected days from 0.01 to 30",
        ),
        (
            {"start": datetime(2026, 1, 1)},  # noqa: DTZ001
            "simulator setting start is out of range; got 2026-01-01 00:00:00; "
            "expected a date and time with a time zone",
        ),
    ]:
        with subtests.test(change=change):
            with pytest.raises(UsageError) as caught:
                SimulatorSettings(**change)
            assert str(caught.value) == message


def ran(simulator: Simulator) -> Simulator:
    for _ in simulator.blocks():
        pass
    return simulator


@pytest.mark.parametrize(
    ("misuse", "message"),
    [
        (lambda path: ran(Simulator(SimulatorSettings(events=9))).write_truth(path), "kept no ground truth"),
        (
            lambda path: Simulator(SimulatorSettings(events=9, truth=True)).write_truth(path),
            "not complete yet",
        ),
        (lambda _path: ran(ran(Simulator(SimulatorSettings(events=9)))), "has run already"),
    ],
)
def test_misuse_is_refused(misuse: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        misuse(tmp_path)
    assert list(tmp_path.iterdir()) == []
