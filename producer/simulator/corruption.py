"""Corrupt extras: a copy of a real message, broken in a way that the contract does not let through.

Each kind takes the message's JSON bytes and a dice roll (a non-negative integer), and returns bytes that
are never a valid event, whatever the roll.
"""

import json
from collections.abc import Callable
from typing import Final

from lake.contracts.event import REQUIRED

Mangler = Callable[[bytes, int], bytes]

_ENUMS: Final = (("sex", "F"), ("severity", "severe"), ("disposition", "discharged"), ("sex", "Female"))
_NUMBERS: Final = ("patient_id", "facility", "bed", "department", "visit_id")


def _set(value: bytes, field: str, to: object) -> bytes:
    event = json.loads(value)
    event[field] = to
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def _truncated(value: bytes, dice: int) -> bytes:
    return value[: 1 + dice % (len(value) - 1)]


def _not_utf8(value: bytes, _dice: int) -> bytes:
    """Put a Latin-1 letter before a quote: no UTF-8 sequence goes on so."""
    return value.replace(b'","ward"', b'\xe9","ward"', 1)


def _not_an_object(value: bytes, dice: int) -> bytes:
    return (b"[" + value + b"]", json.dumps(value.decode()).encode(), b"null", b"42")[dice % 4]


def _empty(_value: bytes, dice: int) -> bytes:
    return b" " * (dice % 2)


def _wrong_enum(value: bytes, dice: int) -> bytes:
    return _set(value, *_ENUMS[dice % len(_ENUMS)])


def _unknown_event_type(value: bytes, dice: int) -> bytes:
    return _set(value, "event_type", ("pre_admit", "ADMIT", "A04", "merge")[dice % 4])


def _impossible_date(value: bytes, dice: int) -> bytes:
    year = json.loads(value)["event_time"][:4]
    return _set(
        value,
        "event_time",
        f"{year}-{('02-30T10:15:00', '13-01T08:00:00', '04-12T25:61:00')[dice % 3]}-06:00",
    )


def _no_offset(value: bytes, _dice: int) -> bytes:
    return _set(value, "event_time", json.loads(value)["event_time"][:19])


def _out_of_range(value: bytes, dice: int) -> bytes:
    return _set(value, "event_time", ("2999", "1066")[dice % 2] + json.loads(value)["event_time"][4:])


def _number_for_string(value: bytes, dice: int) -> bytes:
    return _set(value, _NUMBERS[dice % len(_NUMBERS)], dice % 100_000)


def _missing_required(value: bytes, dice: int) -> bytes:
    event = json.loads(value)
    del event[REQUIRED[1 + dice % (len(REQUIRED) - 1)]]
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def _nested(value: bytes, dice: int) -> bytes:
    if dice % 2:
        return _set(value, "address", {"street": "unknown", "city": "unknown"})
    return _set(value, "diagnosis_code", [json.loads(value)["diagnosis_code"]])


def _bad_code(value: bytes, dice: int) -> bytes:
    code = json.loads(value)["diagnosis_code"]
    return _set(
        value,
        "diagnosis_code",
        ("?" + code, code.lower(), code + "..X", code.replace(".", ",") + "!")[dice % 4],
    )


KINDS: Final[dict[str, Mangler]] = {
    "truncated": _truncated,
    "not_utf8": _not_utf8,
    "not_an_object": _not_an_object,
    "empty": _empty,
    "wrong_enum": _wrong_enum,
    "unknown_event_type": _unknown_event_type,
    "impossible_date": _impossible_date,
    "no_offset": _no_offset,
    "out_of_range": _out_of_range,
    "number_for_string": _number_for_string,
    "missing_required": _missing_required,
    "nested": _nested,
    "bad_code": _bad_code,
}
"""Ways to break a message, by name."""
