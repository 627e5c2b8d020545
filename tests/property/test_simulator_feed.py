"""The simulated feed against a naive reading of it: beds, visits, truth, and what is corrupt.

The fold here is written from the meaning of the event types alone and shares no code with the simulator.
"""

import csv
import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lake.contracts.event import FIELDS, ICD10_PATTERN, REQUIRED, VALUE_SETS
from producer.simulator.corruption import KINDS
from producer.simulator.simulator import Simulator, SimulatorSettings

Event = dict[str, str]
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def valid_event(value: bytes) -> Event | None:
    """Return the event, or None when any rule of the contract is broken."""
    try:
        event = json.loads(value.decode())
    except ValueError:
        return None
    if not isinstance(event, dict) or any(not isinstance(text, str) for text in event.values()):
        return None
    if any(not event.get(name, "").strip() for name in REQUIRED):
        return None
    if any(event[name] not in allowed for name, allowed in VALUE_SETS.items() if name in event):
        return None
    if "diagnosis_code" in event and not re.fullmatch(ICD10_PATTERN, event["diagnosis_code"]):
        return None
    try:
        when = datetime.fromisoformat(event["event_time"])
    except ValueError:
        return None
    return event if when.tzinfo and EARLIEST <= when <= LATEST else None


@dataclass
class Feed:
    """A simulated feed as a reader gets it: messages in order, and the distinct valid events by time."""

    values: list[bytes]
    valid: list[Event]
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        seen: dict[tuple[str, str], Event] = {}
        for event in self.valid:
            seen.setdefault((event["patient_id"], event["event_time"]), event)
        self.events = sorted(seen.values(), key=when)


def when(event: Event) -> datetime:
    return datetime.fromisoformat(event["event_time"])


def simulate(asked: SimulatorSettings, truth: Path | None = None) -> Feed:
    simulator = Simulator(asked)
    values = [value for block in simulator.blocks() for value in block.values]
    if truth:
        simulator.write_truth(truth)
        simulator.write_staffed_beds(truth / "staffed_beds.csv")
    return Feed(values, [event for value in values if (event := valid_event(value))])


def fold(events: list[Event]) -> dict[str, list[Event]]:
    """Return each visit's events that stand: a cancel takes back the latest of its kind, and both go."""
    visits: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        standing = visits[event["visit_id"]]
        kind = event["event_type"]
        if kind.startswith("cancel_"):
            places = [n for n, earlier in enumerate(standing) if earlier["event_type"] == kind[7:]]
            assert places, f"{kind} with nothing to take back"
            del standing[places[-1]]
        else:
            standing.append(event)
    return dict(visits)


def place(event: Event) -> tuple[str, str, str]:
    return event["facility"], event["ward"], event["bed"]


@st.composite
def simulations(draw: st.DrawFn) -> SimulatorSettings:
    rate = st.sampled_from([0.0, 0.01, 0.1, 0.3])
    return SimulatorSettings(
        seed=draw(st.integers(0, 2**40)),
        events=draw(st.one_of(st.none(), st.integers(1, 1_200))),
        days=draw(st.integers(1, 2)),
        start=datetime(2025, 3, 1, tzinfo=UTC) + timedelta(minutes=draw(st.integers(0, 400_000))),
        duplicates=draw(rate),
        corrupt=draw(rate),
        late=draw(rate),
        missing_phi=draw(rate),
        cancels=draw(rate),
        late_days=draw(st.sampled_from([0.1, 3.0])),
    )


@settings(phases=[Phase.generate])  # a fifth of a second each: too slow to shrink
@given(asked=simulations())
def test_any_feed_is_whole_and_consistent(asked: SimulatorSettings) -> None:
    feed = simulate(asked)
    if asked.events is not None:
        assert len(feed.values) == asked.events
    assert len({event["message_id"] for event in feed.valid}) == len(feed.valid)
    check_keys(feed)
    check_visits(feed)
    check_beds(feed)


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Feed, Path]:
    """Give three weeks of a crowded, error-prone hospital, cut in the middle of things, and its truth."""
    folder = tmp_path_factory.mktemp("truth")
    asked = SimulatorSettings(
        seed=11, events=14_000, duplicates=0.05, corrupt=0.05, late=0.05, cancels=0.08, truth=True
    )
    return simulate(asked, folder), folder


def test_the_keys_of_real_events_are_unique(busy: tuple[Feed, Path]) -> None:
    check_keys(busy[0])


def check_keys(feed: Feed) -> None:
    """Whoever shares patient and time with another event equals it in all but message_id."""
    first: dict[tuple[str, str], Event] = {}
    for event in feed.valid:
        key = event["patient_id"], event["event_time"]
        assert first.setdefault(key, event) | {"message_id": ""} == event | {"message_id": ""}


def test_visits_are_in_order_and_never_overlap(busy: tuple[Feed, Path]) -> None:
    check_visits(busy[0])


def check_visits(feed: Feed) -> None:
    left: dict[str, datetime] = {}
    dead: set[str] = set()
    for visit in sorted(fold(feed.events).values(), key=lambda visit: when(visit[0]) if visit else LATEST):
        if not visit:
            continue
        kinds = [event["event_type"] for event in visit if event["event_type"] != "update"]
        if kinds == []:
            continue  # the admission was taken back
        patient = visit[0]["patient_id"]
        assert {event["patient_id"] for event in visit} == {patient}
        assert kinds[0] == "admit"
        assert Counter(kinds)["admit"] == 1
        assert "discharge" not in kinds[:-1]
        assert patient not in dead
        assert left.get(patient, EARLIEST) < when(visit[0])
        left[patient] = when(visit[-1]) if kinds[-1] == "discharge" else LATEST
        if visit[-1].get("disposition") == "expired":
            dead.add(patient)
        assert all(("disposition" in event) == (event["event_type"] == "discharge") for event in visit)


def test_a_bed_never_holds_two_patients(busy: tuple[Feed, Path]) -> None:
    check_beds(busy[0])


def check_beds(feed: Feed) -> None:
    """Follow the events as they happen, mistakes included: whoever comes finds the bed empty."""
    occupant: dict[tuple[str, str, str], str] = {}
    path: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for event in feed.events:
        visit, kind = event["visit_id"], event["event_type"]
        places = path[visit]
        if kind in {"admit", "transfer"}:
            places.append(place(event))
        elif kind in {"cancel_admit", "cancel_transfer"}:
            places.pop()
        elif kind == "update":
            assert places[-1] == place(event)
            continue
        for bed in [bed for bed, who in occupant.items() if who == visit]:
            del occupant[bed]
        if places and kind != "discharge":
            assert occupant.setdefault(places[-1], visit) == visit, f"two patients at a {kind}"


def test_no_unit_has_more_beds_than_are_staffed(busy: tuple[Feed, Path]) -> None:
    feed, folder = busy
    used: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    for event in feed.events:
        used[event["facility"], event["department"]].add((event["ward"], event["bed"]))
    with (folder / "staffed_beds.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    staffed = {(row["facility"], row["department"]): int(row["staffed_beds"]) for row in rows}
    assert len(staffed) == len(rows) == 24
    assert {row["valid_from"] for row in rows} == {"2000-01-01"}
    assert used.keys() == staffed.keys()
    assert all(len(beds) <= staffed[unit] for unit, beds in used.items())


def test_the_truth_counts_what_was_sent(busy: tuple[Feed, Path]) -> None:
    feed, folder = busy
    counts = json.loads((folder / "counts.json").read_text(encoding="utf-8"))
    assert counts["messages"] == len(feed.values) == 14_000
    assert counts["events"] == len(feed.events)
    assert counts["events"] + counts["duplicates"] == len(feed.valid)
    assert counts["corrupt"].keys() == KINDS.keys()
    assert sum(counts["corrupt"].values()) == len(feed.values) - len(feed.valid)
    types = Counter(event["event_type"] for event in feed.events)
    assert counts["event_types"] == types
    assert datetime.fromisoformat(counts["first_event_time"]) == when(feed.events[0])
    assert datetime.fromisoformat(counts["last_event_time"]) == when(feed.events[-1])


def test_the_true_visits_are_those_of_the_feed(busy: tuple[Feed, Path]) -> None:
    feed, folder = busy
    truth = {row["visit_id"]: row for row in pl.read_parquet(folder / "visits.parquet").to_dicts()}
    admits = {event["visit_id"]: event for event in feed.events if event["event_type"] == "admit"}
    standing = fold(feed.events)
    assert truth.keys() == standing.keys() == admits.keys()
    expected = {visit: folded(admits[visit], standing[visit]) for visit in truth}
    assert truth == expected
    assert sum(row["cancelled"] for row in truth.values()) > 100
    assert sum(row["disposition"] == "expired" for row in truth.values()) > 5


def folded(admit: Event, standing: list[Event]) -> dict[str, Any]:
    placed = [event for event in standing if event["event_type"] in {"admit", "transfer"}]
    gone = [event for event in standing if event["event_type"] == "discharge"]
    treatments = [event["treatment"] for event in standing if "treatment" in event]
    return {
        "visit_id": admit["visit_id"],
        "patient_id": admit["patient_id"],
        "facility": admit["facility"],
        "admit_department": admit["department"],
        "last_department": (placed or [admit])[-1]["department"],
        "admitted_at": when(admit),
        "discharged_at": when(gone[-1]) if gone else None,
        "disposition": gone[-1]["disposition"] if gone else None,
        "diagnosis_code": admit["diagnosis_code"],
        "diagnosis": admit["diagnosis"],
        "severity": (standing or [admit])[-1]["severity"],
        "treatment": treatments[-1] if treatments else None,
        "doctor_id": (standing or [admit])[-1]["doctor_id"],
        "cancelled": not standing,
    }


def test_the_true_stays_are_those_of_the_feed(busy: tuple[Feed, Path]) -> None:
    feed, folder = busy
    truth = pl.read_parquet(folder / "stays.parquet").sort("from_time", "visit_id").to_dicts()
    expected = []
    for visit, standing in fold(feed.events).items():
        moves = [event for event in standing if event["event_type"] != "update"]
        for event, following in zip(moves, [*moves[1:], None], strict=False):
            if event["event_type"] != "discharge":
                names = "patient_id", "facility", "department", "ward", "bed"
                until = when(following) if following else None
                stay: dict[str, Any] = {"visit_id": visit, **{name: event[name] for name in names}}
                expected.append(stay | {"from_time": when(event), "to_time": until})
    assert truth == sorted(expected, key=lambda stay: (stay["from_time"], stay["visit_id"]))


@given(data=st.data(), kind=st.sampled_from(sorted(KINDS)), dice=st.integers(0, 2**62))
def test_no_corrupt_extra_is_a_valid_event(busy: tuple[Feed, Path], data: st.DataObject, kind: str, dice: int) -> None:
    value = data.draw(st.sampled_from(busy[0].values).filter(lambda value: valid_event(value) is not None))
    assert valid_event(KINDS[kind](value, dice)) is None


def test_every_field_is_in_the_contract_and_in_its_order(busy: tuple[Feed, Path]) -> None:
    for value in busy[0].values:
        event = valid_event(value)
        if event is not None:
            assert list(event) == [name for name in FIELDS if name in event]
            assert value == json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
