"""The fixed bad-input corpus: payloads as they came, and what must become of each.

Every case is decided by itself, whatever else is in its batch: it is in Silver, or in quarantine with exactly
these rules. All identifiers are invented. ``NOW`` is the time of ingest that the cases are written for.
"""

import json
from datetime import UTC, datetime
from typing import Final, NamedTuple

from lake.contracts.event import FIELDS, MAX_FIELD_BYTES, REQUIRED

NOW: Final = datetime(2024, 6, 1, 12, 0, tzinfo=UTC)
SILVER: Final = ()
"""No broken rule: the event belongs in Silver."""

FULL: Final = {
    "message_id": "MSG-1",
    "event_type": "discharge",
    "event_time": "2024-03-01T10:00:00+02:00",
    "patient_id": "MRN-100001",
    "visit_id": "VIS-200001",
    "patient_name": "Jane Roe",
    "ssn": "123-45-6789",
    "phone": "(415) 555-0199",
    "email": "jo.roe@mail.example",
    "address": "12 Elm Street, Springfield, IL 62704",
    "date_of_birth": "1961-03-04",
    "sex": "female",
    "facility": "North Campus",
    "department": "Cardiology",
    "ward": "W2",
    "bed": "B7",
    "doctor_id": "D-31",
    "diagnosis_code": "I21.4",
    "diagnosis": "Non-ST elevation myocardial infarction",
    "severity": "major",
    "treatment": "Angioplasty",
    "disposition": "home",
    "notes": "Resting.",
}
"""An event with every field, valid."""


class Case(NamedTuple):
    """``rules`` are those that the message breaks; none means Silver."""

    name: str
    payload: bytes | None
    rules: tuple[str, ...]


def event(**changes: object) -> bytes:
    """The full event as JSON, with these fields changed."""
    return json.dumps(FULL | changes).encode()


def raw(field: str, value: str) -> bytes:
    """The full event with a field's value written as this piece of JSON, or of what is none."""
    pairs = [f"{json.dumps(name)}: {value if name == field else json.dumps(text)}" for name, text in FULL.items()]
    return ("{" + ", ".join(pairs) + "}").encode()


def extra(pairs: str) -> bytes:
    """The full event with more pairs at its end."""
    return event()[:-1] + f", {pairs}}}".encode()


def _case(name: str, payload: bytes | None, *rules: str) -> Case:
    return Case(name, payload, rules)


_TIME: Final = "event_time_not_rfc3339"

_BYTES: Final = (
    _case("tombstone", None, "tombstone"),
    _case("empty message", b"", "empty_message"),
    _case("only white space", b" \r\n\t ", "empty_message"),
    _case("bytes that are no UTF-8", b"\xff\xfe\x00\x80", "not_utf8"),
    _case("Latin-1", event(patient_name="Andr\u00e9").replace(b"\\u00e9", b"\xe9"), "not_utf8"),
    _case("UTF-16", event().decode().encode("utf-16"), "not_utf8"),
    _case("overlong encoding", event(ward="X").replace(b'"X"', b'"\xc0\xaf"'), "not_utf8"),
    _case("surrogate in UTF-8", event(ward="X").replace(b'"X"', b'"\xed\xa0\x80"'), "not_utf8"),
    _case("truncated character", b'{"ward": "\xe2\x82', "not_utf8"),
    _case("byte order mark", b"\xef\xbb\xbf" + event(), *SILVER),
    _case("white space around", b"\r\n " + event() + b" \n", *SILVER),
)

_JSON: Final = (
    _case("words", b"hello", "not_json"),
    _case("a brace alone", b"{", "not_json"),
    _case("truncated in a value", event()[:-9], "not_json"),
    _case("truncated after a comma", event()[: event().index(b'"ward"')], "not_json"),
    _case("trailing comma", event()[:-1] + b", }", "not_json"),
    _case("trailing words", event() + b" and more", "not_json"),
    _case("two documents", event() + event(), "not_json"),
    _case("two lines", event() + b"\n" + event(), "not_json"),
    _case("single quotes", b"{'ward': 'W2'}", "not_json"),
    _case("comment", b"/* */" + event(), "not_json"),
    _case("bad escape", raw("notes", '"\\x41"'), "not_json"),
    _case("raw line end in a text", raw("notes", '"a\nb"'), "not_json"),
    _case("raw null byte in a text", raw("notes", '"a\x00b"'), "not_json"),
    _case("null bytes", b"\x00" * 64, "not_json"),
    _case("NaN", raw("ward", "NaN"), "not_json"),
    _case("NaN in an unknown field", extra('"weight": NaN'), "not_json"),
    _case("infinity", extra('"weight": -Infinity'), "not_json"),
    _case("leading zero", extra('"weight": 007'), "not_json"),
    _case("very deep", b"[" * 100_000, "not_json"),
    _case("very deep and closed", b'{"a":' * 20_000 + b"1" + b"}" * 20_000, "not_json"),
    _case("array", b"[" + event() + b"]", "not_an_object"),
    _case("text", b'"admit"', "not_an_object"),
    _case("number", b"42", "not_an_object"),
    _case("null", b"null", "not_an_object"),
    _case("true", b"true", "not_an_object"),
)

_VALUES: Final = (
    _case("empty object", b"{}", *(f"{name}_missing" for name in REQUIRED)),
    _case("nested object", event(address={"city": "Springfield"}), "address_nested"),
    _case("nested array", event(notes=["a", "b"]), "notes_nested"),
    _case("number for a text", event(ssn=123456789), "ssn_not_text"),
    _case("text for a number", event(bed="7", ward="3"), *SILVER),
    _case("boolean for a text", event(sex=True), "sex_not_text"),
    _case("huge number", raw("bed", "1e999"), "bed_not_text"),
    _case("number of 10,000 digits", raw("bed", "9" * 10_000), "bed_not_text"),
    _case("huge number in an unknown field", extra(f'"weight": {"9" * 10_000}, "height": 1e999'), *SILVER),
    _case("three at once", event(ssn=1, notes=[], sex="x"), "ssn_not_text", "notes_nested"),
    _case("unknown field", extra('"blood_type": "0+"'), *SILVER),
    _case("unknown nested field", extra('"next_of_kin": {"name": "John Roe", "of": [1, {"a": null}]}'), *SILVER),
    _case("unknown field with a known name in other case", extra('"SSN": "987-65-4321"'), *SILVER),
    _case("duplicate key", extra('"ward": "W3"'), "duplicate_json_key"),
    _case("duplicate key with the same value", extra('"ward": "W2"'), "duplicate_json_key"),
    _case("duplicate key, once null", extra('"ward": null'), "duplicate_json_key"),
    _case("duplicate key, once escaped", extra('"w\\u0061rd": "W3"'), "duplicate_json_key"),
    _case("duplicate unknown key", extra('"x": 1, "x": 2'), "duplicate_json_key"),
    _case("duplicate key, once nested", extra('"ward": {}'), "duplicate_json_key", "ward_nested"),
    _case("duplicate key inside an unknown field", extra('"x": {"y": 1, "y": 2}'), *SILVER),
    _case("escaped null byte", event(notes="a\x00b"), "control_character"),
    _case("escape character", event(ward="\x1b[31mW"), "control_character"),
    _case("control character in the event time", event(event_time="2024-03-01T10:00:00Z\x07"), "control_character"),
    _case("too long, with a null byte", event(notes="\x00" * 70_000), "field_too_long", "control_character"),
    _case("tab and line ends", event(notes="a\tb\r\nc"), *SILVER),
    _case("half a surrogate pair", raw("notes", '"\\ud83d"'), "notes_not_unicode"),
    _case("whole surrogate pair", raw("notes", '"\\ud83d\\ude00"'), *SILVER),
    _case("half a surrogate pair in an unknown key", extra('"\\udc00": 1'), *SILVER),
    _case("value of 1 MB", event(notes="x" * 1_000_000), "field_too_long"),
    _case("unknown value of 1 MB", extra(f'"scan": "{"x" * 1_000_000}"'), *SILVER),
    _case("longest value", event(notes="x" * MAX_FIELD_BYTES), *SILVER),
    _case("longest value in two-byte letters", event(notes="\u00e9" * (MAX_FIELD_BYTES // 2)), *SILVER),
    _case("one letter too long", event(notes="\u00e9" * (MAX_FIELD_BYTES // 2 + 1)), "field_too_long"),
    _case("one character too long", event(notes="x" * (MAX_FIELD_BYTES + 1)), "field_too_long"),
)

_CODES: Final = (
    _case("unknown event type", event(event_type="arrive"), "event_type_not_allowed"),
    _case("event type in capitals", event(event_type="DISCHARGE"), "event_type_not_allowed"),
    _case("event type with a blank", event(event_type="discharge "), "event_type_not_allowed"),
    _case("unknown sex", event(sex="f"), "sex_not_allowed"),
    _case("unknown severity", event(severity="severe"), "severity_not_allowed"),
    _case("unknown disposition", event(disposition="discharged"), "disposition_not_allowed"),
    _case("discharge without disposition", event(disposition=None), *SILVER),
    _case("discharge that says unknown", event(disposition="unknown"), *SILVER),
    _case("discharge to elsewhere", event(disposition="other"), *SILVER),
    _case("code that is no ICD-10-CM", event(diagnosis_code="410.9"), "diagnosis_code_not_icd10cm"),
    _case("code without its dot", event(diagnosis_code="I214"), "diagnosis_code_not_icd10cm"),
    _case("code with a line end", event(diagnosis_code="I21.4\n"), "diagnosis_code_not_icd10cm"),
    _case("code for emergency use", event(diagnosis_code="U07.1"), *SILVER),
    _case(
        "several wrong codes",
        event(sex="f", severity="severe", facility=" ", event_time="never"),
        "sex_not_allowed",
        "severity_not_allowed",
        "facility_missing",
        _TIME,
    ),
)

_TIMES: Final = (
    _case("no time", event(event_time=None), "event_time_missing"),
    _case("number as a time", event(event_time=1709280000), "event_time_not_text"),
    _case("no such day", event(event_time="2023-02-29T10:00:00Z"), _TIME),
    _case("leap day", event(event_time="2024-02-29T10:00:00Z"), *SILVER),
    _case("month 13", event(event_time="2024-13-01T10:00:00Z"), _TIME),
    _case("hour 24", event(event_time="2024-03-01T24:00:00Z"), _TIME),
    _case("no offset", event(event_time="2024-03-01T10:00:00"), _TIME),
    _case("date only", event(event_time="2024-03-01"), _TIME),
    _case("American date", event(event_time="03/01/2024 10:00 AM"), _TIME),
    _case("blank for the T", event(event_time="2024-03-01 10:00:00Z"), _TIME),
    _case("named zone", event(event_time="2024-03-01T10:00:00 CET"), _TIME),
    _case("offset of a day", event(event_time="2024-03-01T10:00:00+24:00"), _TIME),
    _case("offset without a colon", event(event_time="2024-03-01T10:00:00+0200"), _TIME),
    _case("digits of another script", event(event_time="\uff12\uff10\uff12\uff14-03-01T10:00:00Z"), _TIME),
    _case("offset of three quarters", event(event_time="2024-03-01T10:00:00.5+05:45"), *SILVER),
    _case("offset to the west", event(event_time="2024-03-01T10:00:00-11:00"), *SILVER),
    _case("small letters", event(event_time="2024-03-01t10:00:00z"), *SILVER),
    _case("nanoseconds", event(event_time="2024-03-01T10:00:00.123456789Z"), *SILVER),
    _case("leap second", event(event_time="2016-12-31T23:59:60Z"), *SILVER),
    _case("second 61", event(event_time="2016-12-31T23:59:61Z"), _TIME),
    _case("year 0", event(event_time="0000-01-01T00:00:00+14:00"), "event_time_before_1900"),
    _case("before 1900", event(event_time="1899-12-31T23:59:59Z"), "event_time_before_1900"),
    _case("before 1900 by its offset", event(event_time="1900-01-01T00:00:00+01:00"), "event_time_before_1900"),
    _case("year 9999", event(event_time="9999-12-31T23:59:59-14:00"), "event_time_in_future"),
    _case("birthday that is none", event(date_of_birth="1961-02-30"), *SILVER),
    _case("24 hours ahead", event(event_time="2024-06-02T12:00:00Z"), *SILVER),
    _case("24 hours and a bit ahead", event(event_time="2024-06-02T12:00:00.000001Z"), "event_time_in_future"),
    _case("24 hours ahead by its offset", event(event_time="2024-06-02T14:00:00+02:00"), *SILVER),
)

CASES: Final = (*_BYTES, *_JSON, *_VALUES, *_CODES, *_TIMES)
"""Written by hand, each for itself."""


def _of_each_field() -> tuple[Case, ...]:
    cases = []
    for name in FIELDS:
        cases += [
            _case(f"{name} nested", event(**{name: {}}), f"{name}_nested"),
            _case(f"{name} not text", event(**{name: 7}), f"{name}_not_text"),
            _case(f"{name} not Unicode", raw(name, '"a\\udfffb"'), f"{name}_not_unicode"),
        ]
    for name in REQUIRED:
        absent = {field: text for field, text in FULL.items() if field != name}
        cases += [
            _case(f"{name} absent", json.dumps(absent).encode(), f"{name}_missing"),
            _case(f"{name} blank", event(**{name: " \t\u00a0"}), f"{name}_missing"),
        ]
    return tuple(cases)


PER_FIELD: Final = _of_each_field()
"""The same mistake in every field that it can be made in."""
