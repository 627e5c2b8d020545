"""A small hospital's visits, drawn from a seed, and its Gold tables by naive counting."""

import random
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Final

import duckdb
import polars as pl

from lake.gold.tables import GOLD, VIEWS, sql
from tests.support.disclosure_attacker import NO_INDEX, SEVERITIES

START: Final = date(2026, 1, 26)  # a week across the end of a month comes soon


@dataclass(frozen=True)
class Visit:
    facility: str
    admit_department: str
    department: str
    admitted: date
    hour: int
    discharged: date | None
    code: str | None
    treatment: str | None
    severity: str | None
    disposition: str | None
    doctor: str | None
    index: bool
    readmitted: bool


@dataclass(frozen=True)
class Shape:
    """How large and how uneven the hospital is."""

    visits: int
    facilities: int
    departments: int
    codes: int
    treatments: int
    doctors: int
    days: int
    gaps: float


def visits(seed: int, shape: Shape) -> list[Visit]:
    """Visits of that hospital."""
    chance = random.Random(seed)
    return [_visit(chance, shape) for _ in range(shape.visits)]


def one_a_day(days: int) -> list[Visit]:
    """One admission a day from the first of February on, nobody discharged."""
    plain = Visit("F0", "D0", "D0", START, 8, None, "C0", "T0", "minor", None, "P0", index=False, readmitted=False)
    return [replace(plain, admitted=date(2026, 2, 1 + day)) for day in range(days)]


def _visit(chance: random.Random, shape: Shape) -> Visit:
    def one(prefix: str, many: int) -> str:
        return f"{prefix}{min(int(chance.expovariate(1) * many / 2), many - 1)}"

    def some(value: str) -> str | None:
        return None if chance.random() < shape.gaps else value

    admitted = START + timedelta(chance.randrange(shape.days))
    left = admitted + timedelta(min(int(chance.expovariate(0.4)), shape.days))
    gone = left < START + timedelta(shape.days + 2)
    department = one("D", shape.departments)
    disposition = some(chance.choice(("home", "home", "rehab", "expired", "ama"))) or "unknown" if gone else None
    index = gone and disposition not in NO_INDEX and chance.random() > shape.gaps
    code = some(one("C", shape.codes))
    return Visit(
        facility=one("F", shape.facilities),
        admit_department=department,
        department=department if chance.random() < 0.8 else one("D", shape.departments),
        admitted=admitted,
        hour=chance.choice((8, 8, 8, 13, 20)),
        discharged=left if gone else None,
        code=code,
        treatment=some(one("T", shape.treatments)) if code else None,
        severity=some(chance.choice(SEVERITIES)),
        disposition=disposition,
        doctor=some(one("P", shape.doctors)),
        index=index,
        readmitted=index and chance.random() < 0.3,
    )


def gold(history: list[Visit]) -> dict[str, pl.DataFrame]:
    """The Gold tables of people of these visits, by name."""
    left = [v for v in history if v.discharged]
    tables = {
        "admissions": _admissions(history, left),
        "arrivals": _counted(
            history,
            ("month", "weekday", "hour", "facility", "department"),
            lambda v: (_month(v.admitted), v.admitted.isoweekday(), v.hour, v.facility, v.admit_department),
            admissions=lambda v: True,
        ),
        "diagnoses": _counted(
            [v for v in history if v.code],
            ("month", "diagnosis_code"),
            lambda v: (_month(v.admitted), v.code),
            admissions=lambda v: True,
            discharges=lambda v: v.discharged is not None,
            deaths=_died,
            **{severity: lambda v, s=severity: v.severity == s for severity in SEVERITIES},
        ),
        "treatments": _counted(
            [v for v in history if v.code and v.treatment],
            ("month", "diagnosis_code", "treatment"),
            lambda v: (_month(v.admitted), v.code, v.treatment),
            visits=lambda v: True,
            discharges=lambda v: v.discharged is not None,
            deaths=_died,
        ),
        "outcomes": _counted(
            left,
            ("month", "facility", "department", "disposition"),
            lambda v: (_month(v.discharged), v.facility, v.department, v.disposition),
            discharges=lambda v: True,
        ),
        "length_of_stay": _counted(
            left,
            ("month", "facility", "department"),
            lambda v: (_month(v.discharged), v.facility, v.department),
            discharges=lambda v: True,
        ),
        "doctors": _counted(
            [v for v in left if v.doctor],
            ("month", "doctor_id", "department"),
            lambda v: (_month(v.discharged), v.doctor, v.department),
            discharges=lambda v: True,
            index_discharges_30d=lambda v: v.index,
            readmissions_30d=lambda v: v.readmitted,
            deaths=_died,
        ),
        "occupancy": _occupancy(history),
    }
    return {name: _whole(name, frame) for name, frame in tables.items()}


def with_views(tables: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Gold tables of people, and the views over them that count people."""
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA gold")
        for name, frame in tables.items():
            connection.from_arrow(frame.to_arrow()).create(f"gold.{name}")
        views = [view for view in VIEWS if not view.startswith("compliance")]
        for view in views:
            connection.execute(f"CREATE VIEW gold.{view} AS {sql(view)}")
        return tables | {view: connection.sql(f"FROM gold.{view}").pl() for view in views}


def _died(visit: Visit) -> bool:
    return visit.disposition == "expired"


def _month(day: date | None) -> date:
    assert day is not None
    return day.replace(day=1)


def _counted(
    history: Iterable[Visit], keys: tuple[str, ...], key: Callable[[Visit], Any], **figures: Callable[[Visit], bool]
) -> pl.DataFrame:
    rows: dict[Hashable, Counter[str]] = {}
    for visit in history:
        rows.setdefault(key(visit), Counter()).update(name for name, met in figures.items() if met(visit))
    names = list(figures)
    made = [(*found, *(counts[name] for name in names)) for found, counts in rows.items()]  # type: ignore[misc]
    return pl.DataFrame(made, schema=[*keys, *names], orient="row")


def _admissions(history: list[Visit], left: list[Visit]) -> pl.DataFrame:
    keys = ("day", "facility", "department")
    arrived = _counted(history, keys, lambda v: (v.admitted, v.facility, v.admit_department), admissions=lambda v: True)
    gone = _counted(
        left,
        keys,
        lambda v: (v.discharged, v.facility, v.department),
        discharges=lambda v: True,
        index_discharges_30d=lambda v: v.index,
        readmissions_30d=lambda v: v.readmitted,
    )
    if gone.is_empty():
        gone = gone.cast({"day": pl.Date, "facility": pl.String, "department": pl.String})
    both = arrived.join(gone, on=keys, how="full", coalesce=True)
    counts = pl.exclude(keys).fill_null(0).cast(pl.Int64)
    return both.with_columns(counts, transfers_in=pl.lit(0, pl.Int64))


def _occupancy(history: list[Visit]) -> pl.DataFrame:
    """Patients by midnight; who moves does so on the day after admission."""
    last = max(v.discharged or v.admitted for v in history)
    days = [START + timedelta(n) for n in range((last - START).days + 1)]
    held = Counter[tuple[date, str, str]]()
    units = {(v.facility, u) for v in history for u in (v.admit_department, v.department)}
    for visit in history:
        for day in days:
            if visit.admitted <= day and (visit.discharged is None or day < visit.discharged):
                where = visit.admit_department if day == visit.admitted else visit.department
                held[day, visit.facility, where] += 1
    rows = [(day, *unit, held[day, *unit]) for day in days for unit in sorted(units)]
    return pl.DataFrame(rows, schema=["day", "facility", "department", "occupied_midnight"], orient="row")


def _whole(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """All columns of the contract; what is derived, as a figure made from what it is derived from."""
    [table] = [t for t in GOLD if t.name == f"gold/{name}"]
    if "month" not in frame.columns:
        frame = frame.with_columns(month=pl.col("day").dt.truncate("1mo"))
    missing = {column: pl.lit(1) for column in table.polars_schema if column not in frame.columns}
    return frame.with_columns(**missing).select(table.polars_schema.names()).cast(dict(table.polars_schema))
