"""The Gold tables: their contracts, and what each column means as its SQL file's header says it.

Each table has one file ``sql/NAME.sql``. Its header is the table's documentation: a first line that says what a row
is, then one ``-- column: meaning`` per column, then notes and sources. A test holds header and contract together;
DuckDB gets the same words as comments.
"""

import re
from functools import cache
from importlib import resources
from typing import Final

import dataframely as dy

from lake.contracts.tables import Table
from lake.gold.totals import TOTALS

FORMAT: Final = 2
"""Version of the Gold tables and of visits and stays. A lake whose Gold has another format is refused."""


def _count() -> dy.Int64:
    return dy.Int64(nullable=False, min=0)


def _days() -> dy.Float64:
    return dy.Float64(nullable=True, min=0)


def _rate() -> dy.Float64:
    return dy.Float64(nullable=True, min=0)


class _ByDay(dy.Schema):
    day = dy.Date(nullable=False, primary_key=True)
    facility = dy.String(nullable=False, primary_key=True)
    department = dy.String(nullable=False, primary_key=True)


class Admissions(_ByDay):
    """``gold/admissions``."""

    admissions = _count()
    discharges = _count()
    transfers_in = _count()
    index_discharges_30d = _count()
    readmissions_30d = _count()
    month = dy.Date(nullable=False)


class Arrivals(dy.Schema):
    """``gold/arrivals``."""

    month = dy.Date(nullable=False, primary_key=True)
    weekday = dy.Int32(nullable=False, primary_key=True, min=1, max=7)
    hour = dy.Int32(nullable=False, primary_key=True, min=0, max=23)
    facility = dy.String(nullable=False, primary_key=True)
    department = dy.String(nullable=False, primary_key=True)
    admissions = _count()


class Diagnoses(dy.Schema):
    """``gold/diagnoses``."""

    month = dy.Date(nullable=False, primary_key=True)
    diagnosis_code = dy.String(nullable=False, primary_key=True)
    diagnosis = dy.String(nullable=True)
    admissions = _count()
    discharges = _count()
    alos_days = _days()
    deaths = _count()
    minor = _count()
    moderate = _count()
    major = _count()
    extreme = _count()


class Treatments(dy.Schema):
    """``gold/treatments``."""

    month = dy.Date(nullable=False, primary_key=True)
    diagnosis_code = dy.String(nullable=False, primary_key=True)
    treatment = dy.String(nullable=False, primary_key=True)
    visits = _count()
    discharges = _count()
    alos_days = _days()
    deaths = _count()


class Outcomes(dy.Schema):
    """``gold/outcomes``."""

    month = dy.Date(nullable=False, primary_key=True)
    facility = dy.String(nullable=False, primary_key=True)
    department = dy.String(nullable=False, primary_key=True)
    disposition = dy.String(nullable=False, primary_key=True)
    discharges = _count()


class Occupancy(_ByDay):
    """``gold/occupancy``."""

    occupied_midnight = _count()
    staffed_beds = dy.Int64(nullable=True, min=0)
    occupancy_rate = _rate()
    month = dy.Date(nullable=False)


class LengthOfStay(dy.Schema):
    """``gold/length_of_stay``."""

    month = dy.Date(nullable=False, primary_key=True)
    facility = dy.String(nullable=False, primary_key=True)
    department = dy.String(nullable=False, primary_key=True)
    discharges = _count()
    bed_days = dy.Float64(nullable=False, min=0)
    alos_days = _days()
    median_los_days = _days()


class Doctors(dy.Schema):
    """``gold/doctors``."""

    month = dy.Date(nullable=False, primary_key=True)
    doctor_id = dy.String(nullable=False, primary_key=True)
    department = dy.String(nullable=False, primary_key=True)
    discharges = _count()
    alos_days = _days()
    index_discharges_30d = _count()
    readmissions_30d = _count()
    readmission_rate_30d = _rate()
    deaths = _count()
    mortality_rate = _rate()


class Compliance(dy.Schema):
    """``gold/compliance``."""

    day = dy.Date(nullable=False, primary_key=True)
    policy = dy.String(nullable=False, primary_key=True)
    messages = dy.Int64(nullable=False)
    silver = dy.Int64(nullable=False)
    quarantined = dy.Int64(nullable=False)
    duplicates = dy.Int64(nullable=False)
    ignored = dy.Int64(nullable=False)
    fields = dy.List(
        dy.Struct(
            {"field": dy.String(nullable=True)}
            | {name: dy.Int64(nullable=True) for name in ("present", "masked", "redacted", "missing")}
        ),
        nullable=False,
    )
    rules = dy.List(dy.Struct({"rule": dy.String(nullable=True), "invalid": dy.Int64(nullable=True)}), nullable=False)
    rows_scanned = _count()
    rows_broken = _count()
    masking_success_rate = dy.Float64(nullable=True, min=0, max=1)
    month = dy.Date(nullable=False)


ADMISSIONS: Final = Table("gold/admissions", Admissions, "month")
ARRIVALS: Final = Table("gold/arrivals", Arrivals, "month")
DIAGNOSES: Final = Table("gold/diagnoses", Diagnoses, "month")
TREATMENTS: Final = Table("gold/treatments", Treatments, "month")
OUTCOMES: Final = Table("gold/outcomes", Outcomes, "month")
OCCUPANCY: Final = Table("gold/occupancy", Occupancy, "month")
LENGTH_OF_STAY: Final = Table("gold/length_of_stay", LengthOfStay, "month")
DOCTORS: Final = Table("gold/doctors", Doctors, "month")
COMPLIANCE: Final = Table("gold/compliance", Compliance, "month")

KPIS: Final = (ADMISSIONS, ARRIVALS, DIAGNOSES, TREATMENTS, OUTCOMES, OCCUPANCY, LENGTH_OF_STAY, DOCTORS)
"""Built from visits and stays; ``COMPLIANCE`` from ``ops/ingest`` and from looking at what is stored."""

GOLD: Final = (*KPIS, COMPLIANCE)

VIEWS: Final = ("admissions_weekly", "admissions_monthly", "compliance_fields", "compliance_rules", *TOTALS)
"""Views over Gold tables, in ``sql/NAME.sql`` too."""

_COLUMN: Final = re.compile(r"^-- ([a-z0-9_]+): (.+)$")


@cache
def sql(name: str) -> str:
    """The text of ``lake/gold/sql/NAME.sql``."""
    return (resources.files("lake.gold") / "sql" / f"{name}.sql").read_text("utf-8")


def about(name: str) -> str:
    """What a row of the table or view is: the first line of its SQL file."""
    return sql(name).splitlines()[0].removeprefix("-- ")


def meanings(name: str) -> dict[str, str]:
    """Column → its meaning, from the header of the table's or view's SQL file."""
    header = (line for line in sql(name).splitlines() if line.startswith("--"))
    return {found[1]: found[2] for line in header if (found := _COLUMN.match(line))}
