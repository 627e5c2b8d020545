"""KPIs of visits and stays, naively: each a loop over rows, as its definition reads."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.support.oracle.visits import DAY_US, Row, microseconds, month_of

FOLLOW_UP = timedelta(hours=720)
NOT_INDEX = {"expired", "ama", "transfer"}
FIGURES = ("admissions", "discharges", "transfers_in", "index_discharges_30d", "readmissions_30d")


@dataclass
class Hospital:
    """What the KPIs are taken from. ``staffed``: rows of facility, department, staffed_beds, valid_from."""

    visits: list[Row]
    stays: list[Row]
    timezone: str
    data_end: datetime
    stale_days: int
    staffed: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.zone = ZoneInfo(self.timezone)
        self.gone = [visit for visit in self.visits if visit["discharged_at"] is not None]
        self.admissions_of: dict[str, list[datetime]] = defaultdict(list)
        for visit in self.visits:
            self.admissions_of[visit["patient_key"]].append(visit["admitted_at"])
        self.last_event_of = {visit["visit_key"]: visit["last_event_at"] for visit in self.visits}

    def day(self, time: datetime) -> date:
        return time.astimezone(self.zone).date()

    def month(self, time: datetime) -> date:
        return month_of(self.day(time))

    def start_of(self, day: date) -> datetime:
        """The instant at which the local day begins: 24:00 of the day before."""
        return datetime(day.year, day.month, day.day, tzinfo=self.zone).astimezone(UTC)

    def is_forgotten(self, stay: Row, day: date) -> bool:
        """Whether nobody has been heard of so long that the visit counts no more on this day, unless it was closed."""
        stale_at = self.last_event_of[stay["visit_key"]] + timedelta(days=self.stale_days)
        return stay["to_time"] is None and self.day(stale_at) < day

    def is_index(self, visit: Row) -> bool:
        return visit["disposition"] not in NOT_INDEX and visit["discharged_at"] + FOLLOW_UP <= self.data_end

    def is_readmitted(self, visit: Row) -> bool:
        left = visit["discharged_at"]
        back = any(left < admitted <= left + FOLLOW_UP for admitted in self.admissions_of[visit["patient_key"]])
        return self.is_index(visit) and back


def kpis(hospital: Hospital) -> dict[str, list[Row]]:
    """Rows of each table by its name, in no order."""
    tables: tuple[Callable[[Hospital], Iterable[Row]], ...] = (
        admissions, arrivals, diagnoses, treatments, outcomes, occupancy, length_of_stay, doctors,
    )  # fmt: skip
    return {f"gold/{table.__name__}": list(table(hospital)) for table in tables}


def admissions(hospital: Hospital) -> Iterator[Row]:
    counts: dict[tuple[date, str, str], Row] = defaultdict(lambda: dict.fromkeys(FIGURES, 0))
    for visit in hospital.visits:
        unit = visit["admit_facility"], visit["admit_department"]
        counts[hospital.day(visit["admitted_at"]), *unit]["admissions"] += 1
    for visit in hospital.gone:
        row = counts[hospital.day(visit["discharged_at"]), visit["facility"], visit["department"]]
        row["discharges"] += 1
        row["index_discharges_30d"] += hospital.is_index(visit)
        row["readmissions_30d"] += hospital.is_readmitted(visit)
    for stay in hospital.stays:
        if stay["transfer_in"]:
            counts[hospital.day(stay["from_time"]), stay["facility"], stay["department"]]["transfers_in"] += 1
    for (day, facility, department), row in counts.items():
        yield {"day": day, "facility": facility, "department": department, **row, "month": month_of(day)}


def arrivals(hospital: Hospital) -> Iterator[Row]:
    names = "month", "weekday", "hour", "facility", "department"
    for key, visits in grouped(hospital.visits, lambda visit: _arrival(hospital, visit)):
        yield dict(zip(names, key, strict=True)) | {"admissions": len(visits)}


def _arrival(hospital: Hospital, visit: Row) -> tuple[object, ...]:
    local = visit["admitted_at"].astimezone(hospital.zone)
    unit = visit["admit_facility"], visit["admit_department"]
    return month_of(local.date()), local.isoweekday(), local.hour, *unit


def diagnoses(hospital: Hospital) -> Iterator[Row]:
    coded = [visit for visit in hospital.visits if visit["diagnosis_code"] is not None]
    for (month, code), visits in grouped(coded, lambda v: (hospital.month(v["admitted_at"]), v["diagnosis_code"])):
        texts = [visit["diagnosis"] for visit in visits if visit["diagnosis"] is not None]
        severities = [visit["severity"] for visit in visits]
        yield {
            "month": month,
            "diagnosis_code": code,
            "diagnosis": min(texts, default=None),
            "admissions": len(visits),
            **_outcome(visits),
            **{severity: severities.count(severity) for severity in ("minor", "moderate", "major", "extreme")},
        }


def treatments(hospital: Hospital) -> Iterator[Row]:
    treated = [v for v in hospital.visits if v["diagnosis_code"] is not None and v["treatment"] is not None]
    keys = grouped(treated, lambda v: (hospital.month(v["admitted_at"]), v["diagnosis_code"], v["treatment"]))
    for (month, code, treatment), visits in keys:
        row = {"month": month, "diagnosis_code": code, "treatment": treatment}
        yield row | {"visits": len(visits)} | _outcome(visits)


def _outcome(visits: list[Row]) -> Row:
    gone = [visit for visit in visits if visit["discharged_at"] is not None]
    deaths = sum(visit["disposition"] == "expired" for visit in gone)
    return {"discharges": len(gone), "alos_days": alos_days(gone), "deaths": deaths}


def alos_days(gone: list[Row]) -> float | None:
    return float(sum(map(los, gone))) / len(gone) / DAY_US if gone else None


def los(visit: Row) -> int:
    return microseconds(visit["discharged_at"] - visit["admitted_at"])


def outcomes(hospital: Hospital) -> Iterator[Row]:
    names = "month", "facility", "department", "disposition"
    for key, visits in grouped(
        hospital.gone, lambda v: (hospital.month(v["discharged_at"]), v["facility"], v["department"], v["disposition"])
    ):
        yield dict(zip(names, key, strict=True)) | {"discharges": len(visits)}


def occupancy(hospital: Hospital) -> Iterator[Row]:
    if not hospital.visits:
        return
    day = hospital.day(min(visit["admitted_at"] for visit in hospital.visits))
    last = hospital.day(hospital.data_end)
    known: tuple[date, list[Row]] = date.min, []
    while day <= last:
        if known[0] != month_of(day):
            known = month_of(day), _stays_of(hospital, month_of(day))
        for (facility, department), stays in grouped(known[1], lambda stay: (stay["facility"], stay["department"])):
            midnight = hospital.start_of(day + timedelta(days=1))
            occupied = sum(_holds(stay, midnight) and not hospital.is_forgotten(stay, day) for stay in stays)
            yield {"day": day, "facility": facility, "department": department, "month": known[0]} | _rate(
                occupied, _staffed(hospital, day, facility, department)
            )
        day += timedelta(days=1)


def _stays_of(hospital: Hospital, month: date) -> list[Row]:
    """The stays that overlap a month, those that nobody closed as long as they count."""
    begin = hospital.start_of(month)
    end = hospital.start_of(month_of(month + timedelta(days=31)))
    return [
        stay
        for stay in hospital.stays
        if stay["from_time"] < end
        and (stay["to_time"] is None or stay["to_time"] >= begin)
        and not hospital.is_forgotten(stay, month)
    ]


def _holds(stay: Row, midnight: datetime) -> bool:
    """Whether the patient is in this place at midnight. One who leaves at midnight sharp is gone; one who is moved
    then is counted where they were."""
    if not stay["from_time"] < midnight:
        return False
    if stay["to_time"] is None:
        return True
    return bool(midnight < stay["to_time"] if stay["ends_visit"] else midnight <= stay["to_time"])


def _staffed(hospital: Hospital, day: date, facility: str, department: str) -> int | None:
    of_unit = [row for row in hospital.staffed if (row["facility"], row["department"]) == (facility, department)]
    valid = [row for row in of_unit if row["valid_from"] <= day]
    return max(valid, key=lambda row: row["valid_from"])["staffed_beds"] if valid else None


def _rate(occupied: int, staffed: int | None) -> Row:
    rate = occupied / staffed if staffed else None
    return {"occupied_midnight": occupied, "staffed_beds": staffed, "occupancy_rate": rate}


def length_of_stay(hospital: Hospital) -> Iterator[Row]:
    for (month, facility, department), gone in grouped(
        hospital.gone, lambda v: (hospital.month(v["discharged_at"]), v["facility"], v["department"])
    ):
        spans = sorted(map(los, gone))
        middle = spans[(len(spans) - 1) // 2] + spans[len(spans) // 2]
        yield {
            "month": month,
            "facility": facility,
            "department": department,
            "discharges": len(gone),
            "bed_days": sum(spans) / DAY_US,
            "alos_days": alos_days(gone),
            "median_los_days": middle / 2 / DAY_US,
        }


def doctors(hospital: Hospital) -> Iterator[Row]:
    attended = [visit for visit in hospital.gone if visit["doctor_id"] is not None]
    for (month, doctor, department), gone in grouped(
        attended, lambda v: (hospital.month(v["discharged_at"]), v["doctor_id"], v["department"])
    ):
        index = sum(map(hospital.is_index, gone))
        readmissions = sum(map(hospital.is_readmitted, gone))
        outcome = _outcome(gone)
        yield {
            "month": month,
            "doctor_id": doctor,
            "department": department,
            **outcome,
            "index_discharges_30d": index,
            "readmissions_30d": readmissions,
            "readmission_rate_30d": readmissions / index if index else None,
            "mortality_rate": outcome["deaths"] / len(gone),
        }


def grouped(rows: Iterable[Row], key: Callable[[Row], tuple[object, ...]]) -> Iterable[tuple[tuple, list[Row]]]:  # type: ignore[type-arg]  # keys of any make
    groups: dict[tuple[object, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups.items()
