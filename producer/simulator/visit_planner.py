"""Arrivals and what becomes of them: one frame of planned visits per simulated day, drawn as arrays.

A plan is what would happen if there were always a bed; ``producer.simulator.patient_flow`` then finds the beds.
Arrivals follow the hour of the day and the day of the week at the facility; length of stay is log-normal by department,
longer with severity. Readmissions due that day are planned with their known patients.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any, Final, NamedTuple

import numpy as np

from lake.contracts.event import DISPOSITIONS
from producer.simulator.diagnoses import CHILD, MOTHER, CaseMix, pick
from producer.simulator.hospital import (
    DEPARTMENTS,
    EMERGENCY,
    FACILITIES,
    INTENSIVE,
    MEDICINE,
    OBSTETRICS,
    PEDIATRICS,
    Flags,
    Floats,
    Ints,
)
from producer.simulator.patients import BIRTH_EPOCH, DAY

EXPIRED: Final = DISPOSITIONS.index("expired")
LEGS: Final = 4
NOWHERE: Final = -1

_EPOCH_BIRTHS: Final = date(1970, 1, 1).toordinal() - BIRTH_EPOCH.toordinal()

# Relative arrivals by hour of the day: emergencies peak from late morning to evening, planned
# admissions come before the morning's list, and babies come when they like.
_EMERGENCY_HOURS: Final = (5, 4, 3, 3, 3, 3, 4, 6, 9, 11, 12, 12, 12, 11, 11, 11, 11, 11, 11, 10, 9, 8, 7, 6)
_PLANNED_HOURS: Final = (0, 0, 0, 0, 1, 8, 22, 26, 20, 12, 9, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0, 0, 0, 0)
_BIRTH_HOURS: Final = (4, 4, 4, 4, 4, 5, 7, 8, 6, 5, 5, 5, 5, 5, 5, 5, 5, 4, 4, 4, 4, 4, 4, 4)
# Monday first.
_EMERGENCY_WEEK: Final = (1.12, 1.03, 1.0, 0.98, 0.98, 0.95, 0.94)
_PLANNED_WEEK: Final = (1.35, 1.4, 1.35, 1.3, 1.1, 0.3, 0.2)
_BIRTH_WEEK: Final = (1.05, 1.1, 1.08, 1.06, 1.06, 0.85, 0.8)

_ED_TARGETS: Final = np.cumsum((0.52, 0.025, 0.215, 0.085, 0.075, 0.04, 0.01, 0.03))
_TO_INTENSIVE: Final = np.array((0.0, 0.015, 0.10, 0.50))
_SEVERITY_STAY: Final = np.array((0.75, 1.0, 1.4, 1.8))
_MORTALITY: Final = np.array((0.0003, 0.004, 0.03, 0.17))
_MORTALITY_OF: Final = np.array((0.3, 1.3, 1.0, 0.9, 0.5, 0.35, 0.02, 0.06))
# In the order of lake.contracts.event.DISPOSITIONS without "expired", by patient group.
_LEAVING: Final = np.cumsum(
    np.array(
        (
            (0.955, 0.02, 0.0, 0.005, 0.015, 0.005, 0.0),
            (0.965, 0.015, 0.0, 0.0, 0.01, 0.01, 0.0),
            (0.80, 0.09, 0.025, 0.03, 0.02, 0.03, 0.005),
            (0.46, 0.21, 0.19, 0.07, 0.025, 0.01, 0.035),
        )
    ),
    axis=1,
)
_LEAVING_EMERGENCY: Final = np.cumsum((0.935, 0.0, 0.0, 0.0, 0.03, 0.035, 0.0))
# Youngest and oldest age of a new patient, by group.
_AGES: Final = np.array(((0, 15), (17, 43), (18, 62), (65, 97)))


@dataclass(frozen=True)
class Return:
    """A readmission that is due: who, where, and after what."""

    due: int
    facility: int
    diagnosis: int
    group: int
    patient: int


class Plan(NamedTuple):
    """One planned visit; times are seconds since 1970 UTC, the rest numbers into the data tables.

    ``departments`` and ``seconds`` have one entry per leg of the stay. ``mistaken`` has a bit per leg
    whose beginning is entered too early and taken back, and bit ``LEGS`` for the discharge.
    """

    arrival: int
    facility: int
    departments: tuple[int, ...]
    seconds: tuple[int, ...]
    diagnosis: int
    severity: int
    treatment: int
    group: int
    patient: int
    newcomer: int
    disposition: int
    readmitted_after: int
    mistaken: int
    chance: float


class Planner:
    """Draws a day's visits from its own random stream; equal calls in equal order give equal plans."""

    def __init__(self, rng: np.random.Generator, scale: float, cancels: float, readmissions: float) -> None:
        self._rng = rng
        self._cases = CaseMix()
        self._cancels = cancels
        self._readmissions = readmissions
        self._rates = _arrival_rates(scale)

    def day(self, start: int, due: list[Return]) -> list[Plan]:
        """Draw the visits of the 24 hours from ``start``, those ``due`` included, in order of arrival."""
        times, facility, entry = self._arrivals(start)
        fresh = len(times)
        rng, count = self._rng, fresh + len(due)
        target = np.where(entry == EMERGENCY, np.searchsorted(_ED_TARGETS, rng.random(fresh)), entry)
        diagnosis = pick(self._cases.by_department, target, rng.random(fresh))
        group = pick(self._cases.groups, diagnosis, rng.random(fresh))
        arrays = _with_due(due, times, facility, diagnosis, group, rng.random(len(due)), self._cases)
        times, facility, diagnosis, group, patient = arrays
        target = self._cases.department[diagnosis]
        entry = np.concatenate([entry, np.where(target[fresh:] == OBSTETRICS, OBSTETRICS, EMERGENCY)])
        severity = pick(self._cases.severity, diagnosis, rng.random(count))
        dies = rng.random(count) < np.minimum(_MORTALITY[severity] * _MORTALITY_OF[target], 0.6)
        legs = self._legs(entry, target, severity, group)
        seconds = self._seconds(legs, severity, dies)
        disposition = self._dispositions(group, legs, dies)
        returns = self._returns(disposition)
        treatment = (rng.random(count) * self._cases.treatments[diagnosis]).astype(np.int64)
        mistaken = (rng.random((count, LEGS + 1)) < self._cancels) @ (1 << np.arange(LEGS + 1))
        order = np.argsort(times, kind="stable")
        columns = (
            times,
            facility,
            legs,
            seconds,
            diagnosis,
            severity,
            treatment,
            group,
            patient,
            self._newcomers(group, times),
            disposition,
            returns,
            mistaken,
            rng.random(count),
        )
        rows = zip(*(column[order].tolist() for column in columns), strict=True)
        return [_plan(row) for row in rows]

    def _arrivals(self, start: int) -> tuple[Ints, Ints, Ints]:
        """Draw times, facilities and departments of entry of the day's fresh arrivals."""
        hours = start // 3600 + np.arange(24)
        offsets = np.array([facility.utc_offset_hours for facility in FACILITIES])
        local = (hours[None, :] + offsets[:, None] + 72) % 168  # 1970-01-01 was a Thursday
        rates = self._rates[np.arange(len(FACILITIES))[:, None], :, local]
        counts = self._rng.poisson(rates)
        facility, hour, entry = (np.repeat(axis.ravel(), counts.ravel()) for axis in np.indices(counts.shape))
        times = start + ((hour + self._rng.random(len(hour))) * 3600).astype(np.int64)
        return times, facility, entry

    def _legs(self, entry: Ints, target: Ints, severity: Ints, group: Ints) -> Ints:
        """Departments of each visit in order, NOWHERE after the last: shape (visits, LEGS)."""
        critical = self._rng.random(len(entry)) < _TO_INTENSIVE[severity]
        critical &= (target != EMERGENCY) & (target != INTENSIVE)
        worsens = self._rng.random(len(entry)) < 0.35
        step_down = np.where(group == CHILD, PEDIATRICS, MEDICINE)
        rows = np.full((len(entry), LEGS), NOWHERE)
        rows[:, 0] = entry
        from_ed = (entry == EMERGENCY) & (target != EMERGENCY)
        at = np.where(from_ed, 1, 0)
        every = np.arange(len(entry))
        rows[every, at] = target
        first = critical & from_ed & ~worsens  # to intensive care first, then the ward
        later = critical & ~first  # the ward, intensive care, the ward again
        rows[first, 1], rows[first, 2] = INTENSIVE, target[first]
        rows[every[later], at[later] + 1], rows[every[later], at[later] + 2] = INTENSIVE, target[later]
        down = target == INTENSIVE
        rows[every[down], at[down] + 1] = step_down[down]
        return rows

    def _seconds(self, legs: Ints, severity: Ints, dies: Flags) -> Ints:
        """Planned length of each leg, in seconds; a ward stay split by intensive care is shared out."""
        median = np.array([department.median_days for department in DEPARTMENTS])[legs]
        sigma = np.array([department.sigma for department in DEPARTMENTS])[legs]
        days = median * np.exp(sigma * self._rng.standard_normal(legs.shape))
        days *= np.where(legs == EMERGENCY, 1.0, _SEVERITY_STAY[severity][:, None])
        visited = (legs != NOWHERE) & (legs != EMERGENCY)
        days /= np.where(visited, np.maximum(visited.sum(axis=1, keepdims=True) - 0.7, 1), 1)
        days *= np.where(dies, 0.8, 1.0)[:, None]
        seconds: Ints = np.clip(days * DAY, 1_800, 90 * DAY).astype(np.int64)
        return seconds

    def _dispositions(self, group: Ints, legs: Ints, dies: Flags) -> Ints:
        uniform = self._rng.random(len(group))
        treated_only = (legs[:, 0] == EMERGENCY) & (legs[:, 1] == NOWHERE)
        from_emergency = np.searchsorted(_LEAVING_EMERGENCY, uniform)
        places = np.where(treated_only, from_emergency, pick(_LEAVING, group, uniform))
        result: Ints = np.where(dies, EXPIRED, np.minimum(places, EXPIRED - 1))
        return result

    def _returns(self, disposition: Ints) -> Ints:
        """Seconds from discharge to readmission, 0 for none: soon for most, always within 30 days."""
        count = len(disposition)
        comes = (self._rng.random(count) < self._readmissions) & (disposition != EXPIRED)
        days = 1.2 + 27.0 * self._rng.beta(1.0, 1.8, count)
        return np.where(comes, days * DAY, 0).astype(np.int64)

    def _newcomers(self, group: Ints, times: Ints) -> Ints:
        """Birth and sex of a new patient of each visit's group, as ``producer.simulator.patients`` packs them."""
        youngest, oldest = _AGES[group].T
        chance = self._rng.random((len(group), 2))
        age = youngest + chance[:, 0] ** 1.3 * (oldest - youngest)
        birth = np.maximum(times // DAY - (age * 365.25).astype(np.int64) + _EPOCH_BIRTHS - 3, 0)
        sex = np.select([chance[:, 1] < 0.52, chance[:, 1] < 0.99, chance[:, 1] < 0.994], [0, 1, 2], 3)
        packed: Ints = birth << 2 | np.where(group == MOTHER, 0, sex)
        return packed


def _plan(row: tuple[Any, ...]) -> Plan:
    legs = tuple(department for department in row[2] if department != NOWHERE)
    return Plan(row[0], row[1], legs, tuple(row[3][: len(legs)]), *row[4:])


def _with_due(
    due: list[Return],
    times: Ints,
    facility: Ints,
    diagnosis: Ints,
    group: Ints,
    uniform: Floats,
    cases: CaseMix,
) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """Append the readmissions to the fresh arrivals: times, facilities, diagnoses, groups, patients."""
    table = np.array([(r.due, r.facility, r.diagnosis, r.group, r.patient) for r in due], dtype=np.int64)
    back = table.reshape(len(due), 5).T
    elsewhere = np.where(uniform < 0.06, (back[1] + 1) % len(FACILITIES), back[1])
    return (
        np.concatenate([times, back[0]]),
        np.concatenate([facility, elsewhere]),
        np.concatenate([diagnosis, cases.again[back[2]]]),
        np.concatenate([group, back[3]]),
        np.concatenate([np.zeros_like(times), back[4]]),
    )


def _arrival_rates(scale: float) -> Floats:
    """Tabulate the expected fresh arrivals in an hour: shape (facilities, departments, hours of the week)."""
    rates = np.empty((len(FACILITIES), len(DEPARTMENTS), 168))
    for index, department in enumerate(DEPARTMENTS):
        hours, week = _PLANNED_HOURS, _PLANNED_WEEK
        if index == EMERGENCY:
            hours, week = _EMERGENCY_HOURS, _EMERGENCY_WEEK
        elif index == OBSTETRICS:
            hours, week = _BIRTH_HOURS, _BIRTH_WEEK
        shape = np.outer(np.array(week) / np.mean(week), np.array(hours) / np.sum(hours)).ravel()
        for place, facility in enumerate(FACILITIES):
            rates[place, index] = department.direct * facility.share * scale * shape
    return rates
