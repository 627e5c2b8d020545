"""Patients and beds: turns planned visits into events, one bed per patient and one patient per bed.

A discrete-event simulation. Each visit has one pending moment in a heap; at that moment it arrives,
moves on or leaves, if there is a bed, and else waits, is diverted, or stays where it is. A bed is held
from the moment it is given until it is cleaned after the patient has left it for good: through the time
in which a mistaken transfer or discharge may still be taken back, too.
"""

import heapq
from typing import Final

import numpy as np

from lake.contracts.event import DISPOSITIONS, EVENT_TYPES
from producer.simulator.hospital import (
    CARDIOLOGY,
    DEPARTMENTS,
    EMERGENCY,
    FACILITIES,
    INTENSIVE,
    MEDICINE,
    ORTHOPEDICS,
    SURGERY,
    Hospital,
    Ints,
)
from producer.simulator.patients import DAY, Registry, uniform
from producer.simulator.visit_planner import EXPIRED, LEGS, Plan, Planner, Return

ADMIT, TRANSFER, DISCHARGE, UPDATE, CANCEL_ADMIT, CANCEL_TRANSFER, CANCEL_DISCHARGE = range(len(EVENT_TYPES))
NONE: Final = -1

COLUMNS: Final = (
    "time",
    "number",
    "type",
    "visit",
    "patient",
    "bed",
    "doctor",
    "diagnosis",
    "severity",
    "treatment",
    "disposition",
    "undoes",
)
"""Columns of an event row, all integers. ``time`` is seconds since 1970 UTC, ``number`` the event's own
running number, ``undoes`` the number of the event that a cancel takes back, else NONE; ``severity`` and
``disposition`` are places in the contract's value sets, NONE where absent."""

_HOUR: Final = 3_600
_SALT_UPDATES: Final = 100
_CLEANING: Final = 25 * 60
_RETRY: Final = 40 * 60
_PATIENCE: Final = 6
_BOARDING: Final = 30
_ADULT_WARDS: Final = (MEDICINE, SURGERY, CARDIOLOGY, ORTHOPEDICS)
_INPATIENT: Final = frozenset({MEDICINE, CARDIOLOGY, SURGERY, ORTHOPEDICS, 6, 7})
_OFFSETS: Final = tuple(facility.utc_offset_hours * _HOUR for facility in FACILITIES)
_AMA: Final = DISPOSITIONS.index("ama")
_TO_OTHER_HOSPITAL: Final = DISPOSITIONS.index("transfer")


class Visit:
    """A visit on its way: the plan, and where it has got to."""

    __slots__ = (
        "bed",
        "chance",
        "doctor",
        "facility",
        "leg",
        "mistaken",
        "number",
        "patient",
        "plan",
        "severity",
        "tries",
    )

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.facility = plan.facility
        self.patient = plan.patient
        self.mistaken = plan.mistaken
        self.severity = plan.severity
        self.chance = plan.chance
        self.number = 0
        self.leg = NONE
        self.bed = NONE
        self.doctor = NONE
        self.tries = 0

    def roll(self) -> float:
        """Draw the visit's next number in [0, 1), from a stream of its own."""
        self.chance = (self.chance * 9_301.0 + 0.493_827) % 1.0
        return self.chance


class Flow:
    """The hospital group over time; call ``day`` for consecutive days from ``start``."""

    def __init__(self, hospital: Hospital, planner: Planner, start: int) -> None:
        self._start = start
        self._planner = planner
        self._hospital = hospital
        self._registry = Registry()
        self._ready: list[list[tuple[int, int]]] = [[(0, bed) for bed in beds] for beds in hospital.beds_of]
        self._heap: list[tuple[int, int, Visit]] = []
        self._pushed = 0
        self._due: dict[int, list[Return]] = {}
        self._visits = 0
        self._events = 0
        self._rows: list[tuple[int, ...]] = []
        self._legs: list[tuple[int, ...]] = []
        self._later: Ints = np.empty((0, len(COLUMNS)), dtype=np.int64)

    def day(self, start: int) -> Ints:
        """Events of the 24 hours from ``start`` in order of event time: shape (events, COLUMNS)."""
        end = start + DAY
        for plan in self._planner.day(start, self._due.pop((start - self._start) // DAY, [])):
            self._push(plan.arrival, Visit(plan))
        heap = self._heap
        while heap and heap[0][0] < end:
            now, _, visit = heapq.heappop(heap)
            if visit.leg == NONE:
                self._arrive(now, visit)
            elif visit.leg + 1 < len(visit.plan.departments):
                self._move(now, visit)
            else:
                self._leave(now, visit, visit.plan.disposition)
        return self._take(end)

    def _take(self, end: int) -> Ints:
        """Return the rows before ``end``, sorted, and keep the rest: updates and cancels are known early."""
        made = np.array(self._rows, dtype=np.int64).reshape(-1, len(COLUMNS))
        legs = np.array(self._legs, dtype=np.int64).reshape(-1, len(COLUMNS) - 3)
        updates = update_rows(legs, self._events)
        self._events += len(updates)
        self._rows.clear()
        self._legs.clear()
        rows = np.concatenate([self._later, made, updates])
        now = rows[:, 0] < end
        self._later, rows = rows[~now], rows[now]
        ordered: Ints = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
        return ordered

    def _push(self, when: int, visit: Visit) -> None:
        self._pushed += 1
        heapq.heappush(self._heap, (when, self._pushed, visit))

    def _bed(self, now: int, facility: int, department: int) -> int:
        """Take the bed that has been empty longest, or NONE."""
        ready = self._ready[facility * len(DEPARTMENTS) + department]
        if ready and ready[0][0] <= now:
            return heapq.heappop(ready)[1]
        return NONE

    def _free(self, when: int, bed: int) -> None:
        place = self._hospital.beds[bed]
        unit = place.facility * len(DEPARTMENTS) + place.department
        heapq.heappush(self._ready[unit], (when + _CLEANING, bed))

    def _arrive(self, now: int, visit: Visit) -> None:
        plan = visit.plan
        bed = self._bed(now, visit.facility, plan.departments[0])
        if bed == NONE:
            visit.tries += 1
            if visit.tries > _PATIENCE:
                bed = self._divert(now, visit)
            else:
                self._push(now + _RETRY, visit)
                return
        if bed == NONE:
            if plan.patient:
                self._registry.leave(now, plan.group, plan.patient)
            return
        self._admit(now, visit, bed)

    def _divert(self, now: int, visit: Visit) -> int:
        """Try the other facilities; a patient for whom there is no bed anywhere is never admitted."""
        for step in range(1, len(FACILITIES)):
            facility = (visit.plan.facility + step) % len(FACILITIES)
            bed = self._bed(now, facility, visit.plan.departments[0])
            if bed != NONE:
                visit.facility = facility
                return bed
        return NONE

    def _admit(self, now: int, visit: Visit, bed: int) -> None:
        plan = visit.plan
        if not visit.patient:
            visit.patient = self._registry.admit(now, plan.facility, plan.group, plan.newcomer, plan.chance)
        self._visits += 1
        visit.number = self._visits
        if visit.mistaken & 1:
            self._settle(visit, bed)
            admitted = self._event(now, visit, ADMIT)
            undone = now + 300 + int(visit.roll() * 3_000)
            self._event(undone, visit, CANCEL_ADMIT, undoes=admitted)
            self._free(undone, bed)
            self._registry.leave(now, plan.group, visit.patient)
            return
        self._begin_leg(now, visit, bed, ADMIT)

    def _settle(self, visit: Visit, bed: int) -> None:
        """Put the visit in the bed, on its next leg, under a doctor of the department."""
        place = self._hospital.beds[bed]
        visit.leg += 1
        visit.bed = bed
        visit.tries = 0
        unit = place.facility * len(DEPARTMENTS) + place.department
        visit.doctor = unit * 100 + int(visit.roll() * DEPARTMENTS[place.department].doctors)
        if place.department == INTENSIVE:
            visit.severity = max(visit.severity, 2)

    def _begin_leg(self, now: int, visit: Visit, bed: int, kind: int) -> None:
        self._settle(visit, bed)
        self._event(now, visit, kind)
        end = now + visit.plan.seconds[visit.leg]
        if visit.leg + 1 == len(visit.plan.departments):
            end = self._leaving_time(now, end, visit)
        self._legs.append((now, end, *self._about(visit, known=True)))
        self._push(end, visit)

    def _leaving_time(self, now: int, end: int, visit: Visit) -> int:
        """Wards discharge by day; the dying and the emergency department keep no hours."""
        if visit.plan.departments[visit.leg] not in _INPATIENT or visit.plan.disposition == EXPIRED:
            return end
        offset = _OFFSETS[visit.facility]
        of_day = 9 * _HOUR + int((visit.roll() + visit.roll()) * 4.5 * _HOUR)
        end = (end + offset) // DAY * DAY + of_day - offset
        return end if end >= now + 2 * _HOUR else end + DAY

    def _move(self, now: int, visit: Visit) -> None:
        department = visit.plan.departments[visit.leg + 1]
        bed = self._bed(now, visit.facility, department)
        if bed == NONE:
            bed = self._elsewhere(now, visit, department)
        if bed == NONE:
            self._wait(now, visit, department)
            return
        mistake = 1 << visit.leg + 1
        if visit.mistaken & mistake:
            visit.mistaken ^= mistake
            self._mistaken_transfer(now, visit, bed)
            return
        self._free(now, visit.bed)
        self._begin_leg(now, visit, bed, TRANSFER)

    def _elsewhere(self, now: int, visit: Visit, department: int) -> int:
        """After a while an adult takes a bed on another ward; nobody is parked in intensive care."""
        if visit.tries < _PATIENCE or department not in _ADULT_WARDS:
            return NONE
        for ward in _ADULT_WARDS:
            bed = self._bed(now, visit.facility, ward)
            if bed != NONE:
                return bed
        return NONE

    def _wait(self, now: int, visit: Visit, department: int) -> None:
        visit.tries += 1
        if department == INTENSIVE and visit.tries > _PATIENCE:
            visit.leg += 1  # cared for where they are, for as long as it would have taken
            visit.tries = 0
            self._push(now + visit.plan.seconds[visit.leg], visit)
        elif visit.tries > _BOARDING:
            self._leave(now, visit, _TO_OTHER_HOSPITAL)
        else:
            self._push(now + _RETRY + int(visit.roll() * 600), visit)

    def _mistaken_transfer(self, now: int, visit: Visit, bed: int) -> None:
        """Entered too early, taken back, made again later; both beds are held in between."""
        former = visit.bed, visit.doctor, visit.severity, visit.leg
        self._settle(visit, bed)
        moved = self._event(now, visit, TRANSFER)
        visit.bed, visit.doctor, visit.severity, visit.leg = former
        undone = now + 300 + int(visit.roll() * 5_000)
        self._event(undone, visit, CANCEL_TRANSFER, undoes=moved)
        self._free(undone, bed)
        self._push(undone + _HOUR + int(visit.roll() * 6 * _HOUR), visit)

    def _leave(self, now: int, visit: Visit, disposition: int) -> None:
        gone = self._event(now, visit, DISCHARGE, disposition=disposition)
        mistake = 1 << LEGS
        if visit.mistaken & mistake and disposition != EXPIRED:
            visit.mistaken ^= mistake
            undone = now + 300 + int(visit.roll() * 7_000)
            self._event(undone, visit, CANCEL_DISCHARGE, undoes=gone)
            visit.leg = len(visit.plan.departments) - 1
            self._push(undone + 3 * _HOUR + int(visit.roll() * 21 * _HOUR), visit)
            return
        self._free(now, visit.bed)
        if disposition == EXPIRED:
            return
        self._go_home(now, visit, disposition)

    def _go_home(self, now: int, visit: Visit, disposition: int) -> None:
        """Home, and back within 30 days if the plan says so."""
        plan = visit.plan
        if not plan.readmitted_after or disposition in (_AMA, _TO_OTHER_HOSPITAL):
            self._registry.leave(now, plan.group, visit.patient)
            return
        due = now + plan.readmitted_after
        back = Return(due, visit.facility, plan.diagnosis, plan.group, visit.patient)
        self._due.setdefault((due - self._start) // DAY, []).append(back)

    def _event(self, time: int, visit: Visit, kind: int, disposition: int = NONE, undoes: int = NONE) -> int:
        """Write an event row down and return its number."""
        self._events += 1
        known = kind != ADMIT or visit.plan.departments[0] != EMERGENCY
        self._rows.append((time, self._events, kind, *self._about(visit, known), disposition, undoes))
        return self._events

    def _about(self, visit: Visit, known: bool) -> tuple[int, ...]:
        """Fill the columns visit to treatment; the treatment only where it is known."""
        plan = visit.plan
        treatment = plan.treatment if known else NONE
        return (
            visit.number,
            visit.patient,
            visit.bed,
            visit.doctor,
            plan.diagnosis,
            visit.severity,
            treatment,
        )


def update_rows(legs: Ints, events: int) -> Ints:
    """Make the updates within legs of visits: none, one or a few each, evenly spread and never at one time.

    ``legs`` has the columns begin, end, then visit to treatment; ``events`` is the last event number in
    use. Returns rows of ``COLUMNS``; all times lie between begin and end.
    """
    span = legs[:, 1] - legs[:, 0]
    chance = uniform(legs[:, 0] ^ legs[:, 2] << 40, _SALT_UPDATES)
    counts = np.minimum(span / DAY * 0.75 + chance * 1.3, 8).astype(np.int64)
    leg = np.repeat(np.arange(len(legs)), counts)
    place = np.arange(len(leg)) - np.searchsorted(leg, leg)
    number = events + 1 + np.arange(len(leg))
    share = (place + 0.15 + 0.7 * uniform(number, _SALT_UPDATES)) / (counts[leg] + 0.3)
    time = legs[leg, 0] + 60 + ((span[leg] - 120) * share).astype(np.int64)
    none = np.full(len(leg), NONE)
    fixed = time, number, np.full(len(leg), UPDATE)
    return np.column_stack([*fixed, *legs[leg, 2:].T, none, none])
