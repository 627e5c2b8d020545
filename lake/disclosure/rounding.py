"""The public form of Gold: counts of 1 to 10 hidden, all others rounded to 5, rates and means made of rounded counts.

The practice of NHS Digital (Hospital Episode Statistics) and OpenSAFELY. ``FIGURES`` says what each column of Gold is;
a test fails where one is not declared. Totals are rounded too: each from its exact count, so a public total is not the
sum of its public parts, and their difference does not give a hidden part away.

A row in which every count is hidden or 0 is left out. Otherwise it would say that there is at least one person, and ten
such days of a month of 1 to 10 people would have one person each. So a row that is not there counts 0 to 10.

Rounding is no proof: where many counts share sums, as single days of small units do, a few hidden ones can still follow
from all of the others together (``tests/property/test_disclosure_properties.py`` measures it).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

import polars as pl

SMALL: Final = 10
"""Counts of 1 to this many people are hidden (CMS cell-size suppression policy)."""

BASE: Final = 5
"""Other counts are rounded to the nearest multiple of this."""

LEAST: Final = 15
"""The least public count but 0. 11 and 12 are rounded up to it: as 10 they would be known to be 11 or 12, so that
12 - 11 would give a hidden 1 away."""

HIDDEN: Final = "hidden"
"""The text column that names a row's hidden figures; null where none is hidden."""

_HALF_DAY: Final = 0.5


class Plain(Enum):
    """Columns that follow from no other one."""

    DIMENSION = "names the row"
    NOT_OF_PEOPLE = "counts no people: beds, messages, checks"
    COUNT = "a count of people"


@dataclass(frozen=True)
class Amount:
    """A sum over the people of ``count``, such as days: rounded to 5, hidden where ``count`` is."""

    count: str


@dataclass(frozen=True)
class Rate:
    """``part`` / ``whole``, both as they are published; hidden where one of them is."""

    part: str
    whole: str


@dataclass(frozen=True)
class Mean:
    """An amount per person of ``count``: the amount rounded to 5, by the rounded count; hidden where ``count`` is."""

    count: str


@dataclass(frozen=True)
class Median:
    """Days, of the people of ``count``: rounded to half a day, hidden where ``count`` is."""

    count: str


Figure = Plain | Amount | Rate | Mean | Median

_DIMENSION, _NOT_OF_PEOPLE, _COUNT = Plain


def _columns(kind: Plain, *names: str) -> dict[str, Figure]:
    return dict.fromkeys(names, kind)


_PLACE: Final = _columns(_DIMENSION, "facility", "department")
_FOLLOWED: Final = _columns(_COUNT, "index_discharges_30d", "readmissions_30d")
_AGAIN: Final = {"readmission_rate_30d": Rate("readmissions_30d", "index_discharges_30d")}
_FLOWS: Final = _columns(_COUNT, "admissions", "discharges", "transfers_in") | _FOLLOWED
_BEDS: Final = _columns(_COUNT, "occupied_midnight") | {
    "staffed_beds": _NOT_OF_PEOPLE,
    "occupancy_rate": Rate("occupied_midnight", "staffed_beds"),
}
_STAYS: Final = _columns(_COUNT, "discharges") | {
    "bed_days": Amount("discharges"),
    "alos_days": Mean("discharges"),
    "median_los_days": Median("discharges"),
}
_CODES: Final = (
    _columns(_DIMENSION, "month", "diagnosis_code", "diagnosis")
    | _columns(_COUNT, "admissions", "discharges", "deaths", "minor", "moderate", "major", "extreme")
    | {"alos_days": Mean("discharges")}
)
_MONTH: Final = _columns(_DIMENSION, "month")
_DAY: Final = _columns(_DIMENSION, "day", "month")

FIGURES: Final[Mapping[str, Mapping[str, Figure]]] = {
    "admissions": _DAY | _PLACE | _FLOWS,
    "admissions_weekly": _columns(_DIMENSION, "week") | _PLACE | _FLOWS,
    "admissions_monthly": _MONTH | _PLACE | _FLOWS,
    "admissions_totals": _columns(_DIMENSION, "grain", "start") | _PLACE | _columns(_COUNT, "admissions", "discharges"),
    "readmissions_totals": _MONTH | _PLACE | _FOLLOWED | _AGAIN,
    "occupancy": _DAY | _PLACE | _BEDS,
    "occupancy_totals": _columns(_DIMENSION, "day") | _PLACE | _BEDS,
    "length_of_stay": _MONTH | _PLACE | _STAYS,
    "length_of_stay_totals": _MONTH | _PLACE | _STAYS,
    "outcomes": _MONTH | _PLACE | _columns(_DIMENSION, "disposition") | _columns(_COUNT, "discharges"),
    "outcomes_totals": _MONTH | _PLACE | _columns(_DIMENSION, "disposition") | _columns(_COUNT, "discharges"),
    "arrivals": _MONTH | _columns(_DIMENSION, "weekday", "hour") | _PLACE | _columns(_COUNT, "admissions"),
    "arrivals_totals": _columns(_DIMENSION, "month", "weekday", "hour", "facility") | _columns(_COUNT, "admissions"),
    "diagnoses": _CODES,
    "diagnoses_totals": _CODES,
    "treatments": _columns(_DIMENSION, "month", "diagnosis_code", "treatment")
    | _columns(_COUNT, "visits", "discharges", "deaths")
    | {"alos_days": Mean("discharges")},
    "doctors": _columns(_DIMENSION, "month", "doctor_id", "department")
    | _columns(_COUNT, "discharges", "deaths")
    | _FOLLOWED
    | _AGAIN
    | {"alos_days": Mean("discharges"), "mortality_rate": Rate("deaths", "discharges")},
    "compliance": _columns(_DIMENSION, "day", "policy", "month")
    | _columns(_NOT_OF_PEOPLE, "messages", "silver", "quarantined", "duplicates", "ignored")
    | _columns(_NOT_OF_PEOPLE, "fields", "rules")
    | _columns(_NOT_OF_PEOPLE, "rows_scanned", "rows_broken", "masking_success_rate"),
    "compliance_fields": _columns(_DIMENSION, "day", "policy", "field")
    | _columns(_NOT_OF_PEOPLE, "present", "masked", "redacted", "missing"),
    "compliance_rules": _columns(_DIMENSION, "day", "policy", "rule") | _columns(_NOT_OF_PEOPLE, "invalid"),
}
"""Table or view of Gold → column → what it is."""


def of_people(name: str) -> bool:
    """Whether a table counts people: then its public form has the column ``hidden``."""
    return any(figure not in (_DIMENSION, _NOT_OF_PEOPLE) for figure in FIGURES[name].values())


def public(name: str, rows: pl.DataFrame) -> pl.DataFrame:
    """The public form of rows of the table or view ``name``, in their order; those without a public count left out.

    A hidden figure is null, and named in the column ``hidden``. The same rows give the same figures. Raises
    ``KeyError`` for a column that is not declared.
    """
    figures = FIGURES[name]
    made = rows.select(_public(column, figures).alias(column) for column in rows.columns)
    if not of_people(name):
        return made
    gone = [column for column in rows.columns if figures[column] not in (_DIMENSION, _NOT_OF_PEOPLE)]
    marks = [pl.when(made[column].is_null() & rows[column].is_not_null()).then(pl.lit(column)) for column in gone]
    named = pl.concat_str(marks, separator=", ", ignore_nulls=True).replace("", None).alias(HIDDEN)
    counts = [column for column in rows.columns if figures[column] is _COUNT]
    return made.with_columns(named).filter(pl.any_horizontal(pl.col(counts) > 0))


def count(exact: pl.Expr) -> pl.Expr:
    """The public form of a count of people: null for 1 to 10, else rounded to 5, but 11 and 12 to 15."""
    rounded = pl.when(exact.is_between(SMALL + 1, LEAST)).then(LEAST).otherwise((exact + BASE // 2) // BASE * BASE)
    return pl.when(~exact.is_between(1, SMALL)).then(rounded)


def amount(exact: pl.Expr) -> pl.Expr:
    """The public form of a sum over people, such as days, where their count is not hidden."""
    return (exact / BASE).round() * BASE


def _public(column: str, figures: Mapping[str, Figure]) -> pl.Expr:
    exact = pl.col(column)
    match figures[column]:
        case Plain.COUNT:
            return count(exact)
        case Amount(of):
            return pl.when(count(pl.col(of)).is_not_null()).then(amount(exact))
        case Rate(part, whole):
            return _ratio(count(pl.col(part)), _public(whole, figures))
        case Mean(of):
            return _ratio(amount(exact * pl.col(of)), count(pl.col(of)))
        case Median(of):
            return pl.when(count(pl.col(of)).is_not_null()).then((exact / _HALF_DAY).round() * _HALF_DAY)
        case Plain.DIMENSION | Plain.NOT_OF_PEOPLE:
            return exact


def _ratio(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    return pl.when(whole > 0).then(part / whole)
