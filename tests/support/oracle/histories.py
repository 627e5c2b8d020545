"""What Hypothesis draws: small histories of a few visits, most of them odd, around midnights and ends of months.

Times are taken from few moments, so that events often share one, and visits often end exactly 720 hours before another
begins, exactly at midnight, or a microsecond to either side.
"""

import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import polars as pl
from hypothesis import strategies as st

from lake.contracts.event import DISPOSITIONS, EVENT_TYPES, SEVERITIES, SEXES
from lake.contracts.tables import SILVER
from lake.gold.compute import STAFFED_BEDS
from tests.support.oracle.visits import Row

READ: Final = (
    "message_id", "event_type", "event_time", "patient_key", "visit_key", "birth_year", "sex", "facility",
    "department", "ward", "bed", "doctor_id", "diagnosis_code", "diagnosis", "severity", "treatment", "disposition",
)  # fmt: skip
"""The columns of Silver that are drawn; the others are the same in every row."""

ZONES: Final = (
    "UTC", "Europe/London", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Havana",
    "America/Santiago", "Africa/Cairo", "Pacific/Kiritimati",
)  # fmt: skip
"""Summer time of an hour, of half an hour, that begins at midnight and that ends at midnight; odd and far offsets."""

DAYS: Final = (
    date(2026, 3, 1), date(2026, 2, 28), date(2024, 2, 29), date(2025, 12, 31), date(2026, 3, 8), date(2026, 3, 29),
    date(2026, 10, 25), date(2026, 11, 1), date(2026, 4, 5), date(2026, 4, 24), date(2026, 9, 6), date(2026, 10, 4),
    date(2026, 10, 29), date(2026, 4, 4), date(2025, 11, 2),
)  # fmt: skip
"""Ends of months and years, and days on which the clocks of ``ZONES`` change."""

_NUDGES: Final = st.sampled_from([timedelta(microseconds=n) for n in (0, 0, 0, -1, 1)])
_HOURS: Final = (st.integers(-3, 5) | st.integers(-30, 30)).map(lambda n: timedelta(minutes=30 * n))
_FOLLOW_UP: Final = st.sampled_from([timedelta(hours=n) for n in (0, 0, 24, 719, 720, 721)])
_NEARLY_720_H: Final = st.sampled_from([timedelta(hours=720, microseconds=n) for n in (-1, 0, 1)])
_BACK_AFTER: Final = st.sampled_from([timedelta(0), timedelta(microseconds=1), timedelta(days=3)]) | _NEARLY_720_H
_STALE_DAYS: Final = st.sampled_from([1, 2, 30, 60])
_DAYS_ON: Final = st.sampled_from([0, 0, 1, -1, 2, 30, 31])
_COURSES: Final = (
    ("admit", "discharge"), ("admit",), ("admit", "transfer", "discharge"), ("admit", "transfer", "update"),
    ("admit", "cancel_admit"), ("admit", "transfer", "cancel_transfer", "transfer", "discharge"),
    ("admit", "discharge", "cancel_discharge", "update", "discharge"), ("admit", "cancel_admit", "admit", "discharge"),
    ("admit", "admit", "discharge"), ("admit", "discharge", "transfer", "discharge"), ("transfer", "admit", "update"),
    ("discharge", "admit"), ("admit", "cancel_discharge", "transfer", "cancel_admit"),
)  # fmt: skip


@dataclass(frozen=True)
class History:
    """Silver rows in the order they arrived, a time zone, staffed beds or None, days until an open visit is stale."""

    silver: pl.DataFrame
    timezone: str
    staffed: pl.DataFrame | None
    stale_days: int

    def __repr__(self) -> str:
        """In full, so that a failing example can be pasted into a test: these people are invented."""
        beds = None if self.staffed is None else self.staffed.rows()
        return (
            f"History(silver_of({self.silver.select(READ).to_dicts()}), {self.timezone!r}, {beds}, {self.stale_days})"
        )

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(repr(self))  # Hypothesis writes a dataclass its own way, which cuts frames short


@st.composite
def moments(draw: st.DrawFn, zone: ZoneInfo) -> list[datetime]:
    """A few instants: local midnights or near them, some of them 720 hours or nearly so apart."""
    day = draw(st.sampled_from(DAYS))

    def one() -> datetime:
        midnight = datetime.combine(day + timedelta(days=draw(_DAYS_ON)), datetime.min.time(), zone).astimezone(UTC)
        return midnight + draw(st.just(timedelta(0)) | _HOURS) + draw(_FOLLOW_UP) + draw(_NUDGES)

    return [one() for _ in range(draw(st.integers(2, 5)))]


@st.composite
def taken_back(draw: st.DrawFn) -> tuple[str, ...]:
    """An admission, then events of one kind and cancels of them, well nested or not."""
    kind = draw(st.sampled_from(["admit", "transfer", "discharge"]))
    return "admit", *draw(st.lists(st.sampled_from([kind, f"cancel_{kind}"]), min_size=3, max_size=7))


@st.composite
def events_of_a_visit(draw: st.DrawFn, times: list[datetime], patients: list[str]) -> list[Row]:
    """Events of one visit: a course of the above or any at all, at times in order or in none."""
    anything = st.lists(st.sampled_from(EVENT_TYPES), min_size=1, max_size=7).map(tuple)
    kinds = draw(st.one_of(st.sampled_from(_COURSES), st.sampled_from(_COURSES), anything, taken_back()))
    at = [draw(st.sampled_from(times)) for _ in kinds]
    if draw(st.booleans()):
        at.sort()
    patient = draw(st.sampled_from(patients))
    stranger = draw(st.sampled_from([patient] * 4 + patients))
    rows = [_row(kind, time, patient) for kind, time in zip(kinds, at, strict=True)]
    return [*rows[:-1], rows[-1] | {"patient_key": stranger}]


@st.composite
def return_of_a_patient(draw: st.DrawFn, times: list[datetime], patients: list[str]) -> list[list[Row]]:
    """A visit, the same patient's next one, and a last event, about 720 hours apart."""
    came, patient = draw(st.sampled_from(times)), draw(st.sampled_from(patients))
    left = came + draw(st.integers(0, 48)) * timedelta(hours=1)
    back = left + draw(_BACK_AFTER)
    last = max(back, left + draw(_NEARLY_720_H | st.just(timedelta(days=40))))
    courses = [[("admit", came), ("discharge", left)], [("admit", back), ("update", last)]]
    return [[_row(kind, at, patient) for kind, at in course] for course in courses]


def _row(kind: str, time: datetime, patient: str) -> Row:
    return {"event_type": kind, "event_time": time, "patient_key": patient}


def _detailed(event: Row, chance: random.Random) -> Row:
    """The event and what else it states, most of it optional.

    Not drawn one by one: Hypothesis would spend its examples on them, and they seldom matter to what shrinks.
    """

    def some(*values: object) -> Any:
        return chance.choice([None, *values])

    return event | {
        "facility": chance.choice(["North", "North", "South"]),
        "department": chance.choice(["Surgery", "Medicine"]),
        "ward": some("W1", "W2"),
        "bed": some("1", "2"),
        "doctor_id": some("DR1", "DR2"),
        "diagnosis_code": some("I21.4", "J18.9"),
        "diagnosis": some("heart attack", "Zoster", "Émphysema"),
        "severity": some(*SEVERITIES),
        "treatment": some("stent", "rest"),
        "disposition": chance.choice([None, None, "home", "home", "expired", *DISPOSITIONS]),
        "sex": some(*SEXES),
        "birth_year": some(1961, 2001),
    }


@st.composite
def staffed_beds(draw: st.DrawFn, days: list[date]) -> pl.DataFrame:
    """A reference table: each unit from some day on, some with several rows, some with no bed."""
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["North", "South"]), st.sampled_from(["Surgery", "Medicine"]), st.integers(0, 3),
                st.sampled_from([date(1970, 1, 1), *days]),
            ),
            max_size=6,
            unique_by=lambda row: (row[0], row[1], row[3]),
        )
    )  # fmt: skip
    return pl.DataFrame(rows, schema=STAFFED_BEDS, orient="row")


@st.composite
def histories(draw: st.DrawFn) -> History:
    """The events of up to ten visits of up to three patients, arrived in any order."""
    timezone = draw(st.sampled_from(ZONES))
    times = draw(moments(ZoneInfo(timezone)))
    patients = [f"{n:032x}" for n in range(draw(st.integers(1, 3)))]
    visits = draw(st.lists(events_of_a_visit(times, patients), min_size=1, max_size=8))
    visits += draw(st.just([]) | return_of_a_patient(times, patients))
    chance = random.Random(draw(st.integers(0, 2**32)))
    events = [
        _detailed(event, chance) | {"visit_key": f"{160 + n:032x}"} for n, visit in enumerate(visits) for event in visit
    ]
    numbers = chance.sample(range(len(events)), len(events))
    events = [event | {"message_id": f"m-{number}"} for event, number in zip(events, numbers, strict=True)]
    chance.shuffle(events)
    days = sorted({time.astimezone(ZoneInfo(timezone)).date() for time in times})
    beds = draw(st.none() | staffed_beds(days))
    return History(silver_of(events), timezone, beds, draw(_STALE_DAYS))


def silver_of(events: list[Row]) -> pl.DataFrame:
    """Rows of ``silver/events`` with these fields, the others as any lake has them."""
    fixed = {
        "topic_id": "t",
        "kafka_partition": 0,
        "policy": "display",
        "policy_fingerprint": "0" * 16,
        "content_hash": 0,
        "ingested_at": datetime(2027, 1, 1, tzinfo=UTC),
    }
    blank = dict.fromkeys(SILVER.polars_schema.names())
    rows = [
        blank | fixed | event | {"kafka_offset": offset, "event_date": event["event_time"].date()}
        for offset, event in enumerate(events)
    ]
    return pl.DataFrame(rows, schema=SILVER.polars_schema)
