"""Events to visits and stays, naively: sort the events of a visit, let cancels take back, read off what stands."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

from lake.contracts.event import EVENT_TYPES

Row = dict[str, Any]

DAY_US: Final = 86_400_000_000.0
LAST_STATED: Final = ("doctor_id", "severity", "treatment", "sex", "birth_year")


@dataclass
class Folded:
    """Rows of the three tables, in no order."""

    visits: list[Row] = field(default_factory=list)
    stays: list[Row] = field(default_factory=list)
    incomplete: list[Row] = field(default_factory=list)


@dataclass
class History:
    """The events of one visit in order, those that stand, those taken back, and cancels that found nothing."""

    events: list[Row]
    stands: list[Row] = field(default_factory=list)
    taken_back: list[Row] = field(default_factory=list)
    idle_cancels: int = 0

    def standing(self, kind: str) -> list[Row]:
        return [event for event in self.stands if event["event_type"] == kind]


def fold(events: Iterable[Row], stale_days: int) -> Folded:
    """Fold Silver rows, in any order. An open visit is stale ``stale_days`` after its last event."""
    by_visit: dict[str, list[Row]] = defaultdict(list)
    for event in events:
        by_visit[event["visit_key"]].append(event)
    folded = Folded()
    for visit in by_visit.values():
        _add(folded, told(sorted(visit, key=place_in_order)))
    now = max((event["event_time"] for visit in by_visit.values() for event in visit), default=None)
    for row in folded.visits:
        row["stale"] = row["discharged_at"] is None and now - row["last_event_at"] >= timedelta(days=stale_days)
    return folded


def place_in_order(event: Row) -> tuple[datetime, int, str, str]:
    return event["event_time"], EVENT_TYPES.index(event["event_type"]), event["message_id"], event["patient_key"]


def told(events: list[Row]) -> History:
    """Let each cancel take back the latest event of its kind that still stands."""
    history = History(events)
    for event in events:
        kind = event["event_type"]
        if not kind.startswith("cancel_"):
            history.stands.append(event)
            continue
        places = [n for n, other in enumerate(history.stands) if "cancel_" + other["event_type"] == kind]
        if places:
            history.taken_back.append(history.stands.pop(places[-1]))
        else:
            history.idle_cancels += 1
    return history


def _add(folded: Folded, history: History) -> None:
    admits, discharges = history.standing("admit"), history.standing("discharge")
    if not admits:
        cancelled = any(event["event_type"] == "admit" for event in history.taken_back)
        left = history.standing("transfer") + discharges
        folded.incomplete.append(_incomplete(history, "cancelled" if cancelled and not left else "no_admission"))
    elif discharges and discharges[-1]["event_time"] < admits[0]["event_time"]:
        folded.incomplete.append(_incomplete(history, "discharge_before_admission"))
    else:
        moves = _moves(history)
        folded.visits.append(_visit(history, moves))
        folded.stays.extend(_stays(history, moves))


def _incomplete(history: History, why: str) -> Row:
    row = _common(history)
    return row | {
        "patient_key": history.events[0]["patient_key"],
        "flags": sorted([why, *_flags_of_any(history)]),
        "first_month": month_of(row["first_event_at"].date()),
    }


def _common(history: History) -> Row:
    times = [event["event_time"] for event in history.events]
    return {
        "visit_key": history.events[0]["visit_key"],
        "events": len(history.events),
        "first_event_at": min(times),
        "last_event_at": max(times),
    }


def _flags_of_any(history: History) -> list[str]:
    several = len({event["patient_key"] for event in history.events}) > 1
    return ["several_patients"] * several + ["cancel_without_event"] * (history.idle_cancels > 0)


def _span(history: History) -> tuple[datetime, datetime | None]:
    """Admitted and discharged at."""
    discharges = history.standing("discharge")
    return history.standing("admit")[0]["event_time"], discharges[-1]["event_time"] if discharges else None


def _moves(history: History) -> list[Row]:
    """The admission, and the transfers of the time in between."""
    admitted_at, discharged_at = _span(history)
    return history.standing("admit")[:1] + [
        event
        for event in history.standing("transfer")
        if admitted_at <= event["event_time"] and (discharged_at is None or event["event_time"] < discharged_at)
    ]


def _visit(history: History, moves: list[Row]) -> Row:
    admitted_at, discharged_at = _span(history)
    first, last = moves[0], moves[-1]
    coded = [event for event in history.stands if event["diagnosis_code"] is not None]
    discharges = history.standing("discharge")
    row = _common(history) | {name: _last_stated(history, name) for name in LAST_STATED}
    return row | {
        "patient_key": first["patient_key"],
        "admitted_at": admitted_at,
        "discharged_at": discharged_at,
        "los_days": None if discharged_at is None else microseconds(discharged_at - admitted_at) / DAY_US,
        **{name: last[name] for name in ("facility", "department", "ward", "bed")},
        "admit_facility": first["facility"],
        "admit_department": first["department"],
        "diagnosis_code": coded[-1]["diagnosis_code"] if coded else None,
        "diagnosis": coded[-1]["diagnosis"] if coded else None,
        "disposition": (discharges[-1]["disposition"] or "unknown") if discharges else None,
        "flags": sorted(_flags_of_any(history) + _flags_of_visit(history)),
        "admit_month": month_of(admitted_at.date()),
    }


def _last_stated(history: History, name: str) -> Any:
    stated = [event[name] for event in history.stands if event[name] is not None]
    return stated[-1] if stated else None


def _flags_of_visit(history: History) -> list[str]:
    admitted_at, discharged_at = _span(history)
    transfers = [event["event_time"] for event in history.standing("transfer")]
    odd = {
        "repeated_admission": len(history.standing("admit")) > 1,
        "repeated_discharge": len(history.standing("discharge")) > 1,
        "transfer_before_admission": any(time < admitted_at for time in transfers),
        "transfer_after_discharge": discharged_at is not None and any(time > discharged_at for time in transfers),
    }
    return [flag for flag, is_so in odd.items() if is_so]


def _stays(history: History, moves: list[Row]) -> list[Row]:
    _, discharged_at = _span(history)
    stays = []
    for n, move in enumerate(moves):
        is_last = n == len(moves) - 1
        unit = move["facility"], move["department"]
        came_from = (moves[n - 1]["facility"], moves[n - 1]["department"]) if n else unit
        stays.append(
            {
                **{name: move[name] for name in ("visit_key", "facility", "department", "ward", "bed")},
                "patient_key": moves[0]["patient_key"],
                "from_time": move["event_time"],
                "to_time": discharged_at if is_last else moves[n + 1]["event_time"],
                "transfer_in": unit != came_from,
                "ends_visit": is_last and discharged_at is not None,
                "from_month": month_of(move["event_time"].date()),
            }
        )
    return stays


def microseconds(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


def month_of(day: date) -> date:
    return day.replace(day=1)
