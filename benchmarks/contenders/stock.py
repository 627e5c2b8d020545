"""Contender: the same validation and masking in a stock, per-message Quix ``StreamingDataFrame``.

Written as one writes Quix: JSON deserializer, plain Python per message, a ``BatchingSink`` that appends to Delta at
each checkpoint. No encryption, no Bronze, no quarantine, no deduplication, no counts: it has less to do. That its rows
are ours is held by ``tests/unit/benchmarks/test_benchmarks.py``.
"""

import re
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from typing import Final, cast

import polars as pl
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC
from deltalake import write_deltalake
from quixstreams import Application
from quixstreams.sinks import BatchingSink, SinkBatch

from benchmarks.harness.measure import TOPIC, Landings, report, size
from lake import reference
from lake.contracts.event import FIELDS, ICD10_PATTERN, MAX_FIELD_BYTES, REQUIRED, VALUE_SETS
from lake.security.identifiers.finding import REDACTED, scrubbed
from lake.security.identifiers.folding import folded
from lake.security.identifiers.patterns import ASCII_EDGE, HINT, PASSES
from lake.security.identifiers.spellings import IDENTIFIERS, Spellings, spellings_of
from lake.security.masking_policy import MASKED_FORMS

Event = dict[str, str | None]

HIDDEN: Final = "*****"
_LEAST: Final = 6
SECRET: Final = bytes(32)
_MAC: Final = HMAC(SECRET, hashes.SHA256())
_TEXTS: Final = ("facility", "department", "ward", "bed", "treatment", "notes")
_IDS: Final = ("message_id", "doctor_id", "diagnosis_code")
_FORMED: Final = ("patient_name", "ssn", "phone", "email", "address")
_KEPT: Final = (*_TEXTS, *_IDS, "event_type", "sex", "severity", "disposition")

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_RFC3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})", re.ASCII)
_ICD10 = re.compile(ICD10_PATTERN)
_LETTER = r"[^\W\d_]"
_INITIAL = re.compile(rf"\s*({_LETTER})")
_SSN = re.compile(r"\s*[0-9]{3}[-. ]?[0-9]{2}[-. ]?([0-9]{4})\s*")
_PHONE = re.compile(r"\s*(?:\+\s*1)?[0-9\s().-]*")
_EMAIL = re.compile(r"([^@\s]+)@[^@\s]+")
_CITY_STATE = re.compile(
    rf"(?:^|[,\n])\s*({_LETTER}(?:{_LETTER}|[ .'’-])*?,\s*[A-Z]{{2}})"
    r"(?:\s+\d{5}(?:-\d{4})?)?(?:,?\s*(?:USA|US|United States))?\s*$"
)
_NO_STREET = re.compile(r"\s*[^,\n0-9]+,\s*[A-Z]{2}(?:\s+[0-9]{5}(?:-[0-9]{4})?)?\s*")
_NAME_PART = re.compile(rf"(?:{_LETTER}|['’-]){{2,}}")
_ID = re.compile(MASKED_FORMS["id"])
_HINT = re.compile(HINT.replace(ASCII_EDGE, r"\b"))
_TITLES = dict(reference.diagnosis_titles().iter_rows())
_PLACES = frozenset(reference.places())


def _for_python(pattern: str) -> re.Pattern[str]:
    """A pattern of ``lake.security.identifiers`` in the dialect of ``re``; capitals are those of ASCII here."""
    for rust, python in (
        (ASCII_EDGE, r"\b"),
        (r"\p{L}\p{M}\p{N}", r"\w"),
        (r"\p{L}\p{N}", r"\w"),
        (r"\p{Lu}", "A-Z"),
        (r"\p{L}", "A-Za-z"),
        (r"\p{M}", ""),
        (r"\p{N}", "0-9"),
    ):
        pattern = pattern.replace(rust, python)
    return re.compile(pattern)


_PATTERNS = tuple(map(_for_python, PASSES))
_DATES: Final = {"-": "%Y-%m-%d", "/": "%m/%d/%Y", "": "%Y%m%d"}


def cleaned(event: object) -> Event | None:
    """The fields of the contract, blanks made null; null where the message breaks a rule."""
    if not isinstance(event, dict):
        return None
    values = {name: event.get(name) for name in FIELDS}
    if any(value is not None and not _readable(value) for value in values.values()):
        return None
    fields = {name: value if value and value.strip() else None for name, value in values.items()}
    return fields if _valid(fields) else None


def _readable(value: object) -> bool:
    return isinstance(value, str) and len(value.encode()) <= MAX_FIELD_BYTES and not _CONTROL.search(value)


def _valid(event: Event) -> bool:
    """The contract's rules."""
    if any(event[name] is None for name in REQUIRED):
        return False
    if any(event[name] is not None and event[name] not in allowed for name, allowed in VALUE_SETS.items()):
        return False
    if event["diagnosis_code"] and not _ICD10.match(event["diagnosis_code"]):
        return False
    at = _instant(event["event_time"] or "")
    return at is not None and at.year >= 1900 and at - datetime.now(UTC) <= timedelta(hours=24)


def _instant(text: str) -> datetime | None:
    if not _RFC3339.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def masked(event: Event) -> dict[str, object]:
    """The display policy."""
    row: dict[str, object] = {name: event[name] for name in _KEPT}
    row["event_time"] = _instant(event["event_time"] or "")
    row["patient_key"], row["visit_key"] = _pseudonym(event["patient_id"] or ""), _pseudonym(event["visit_id"] or "")
    row |= {name: None if event[name] is None else _MASKS[name](event[name] or "") for name in _FORMED}
    row["birth_year"] = _birth_year(event["date_of_birth"])
    row["notes"] = _without_own(event, own := list(_own(event)))
    _mend(row, event, own)
    for name in _TEXTS:
        if (text := cast("str | None", row[name])) and _HINT.search(text):
            row[name] = _without_patterns(text)
    row["diagnosis"] = _TITLES.get(row["diagnosis_code"])
    row |= {name: HIDDEN for name in ("message_id", "doctor_id") if row[name] and not _ID.match(cast("str", row[name]))}
    return row


def _mend(row: dict[str, object], event: Event, own: list[str]) -> None:
    """Take out what is in another spelling, where the folded text says that there may be some."""
    texts = {name: text for name in (*_TEXTS, *_IDS, *_FORMED) if (text := cast("str | None", row[name]))}
    together = folded("\n".join(texts.values()))
    terms = [folded(part) for needle in own for part in (needle, *_NAME_PART.findall(needle))]
    if any(len(term) > 1 and term in together for term in terms):
        spellings: Spellings = spellings_of({name: event[name] for name in IDENTIFIERS})
        for name, text in texts.items():
            clean = scrubbed(text, spellings)
            row[name] = clean if name in _TEXTS or clean == text else HIDDEN


def _without_patterns(text: str) -> str:
    for pattern in _PATTERNS:
        text = pattern.sub(REDACTED, text)
    return text


def _pseudonym(value: str) -> str:
    mac = _MAC.copy()  # a third of the cost of beginning with the key each time
    mac.update(value.encode())
    return mac.finalize().hex()[:32]


def _initial(name: str) -> str:
    found = _INITIAL.match(name)
    return found[1] + HIDDEN if found else HIDDEN


def _ssn(value: str) -> str:
    found = _SSN.fullmatch(value)
    return f"***-**-{found[1]}" if found else HIDDEN


def _phone(value: str) -> str:
    digits = re.sub(r"[^0-9]", "", value) if _PHONE.fullmatch(value) else ""
    fits = len(digits) == 10 or (len(digits) == 11 and digits[0] == "1")
    return f"{digits[-10:-7]}-***-{digits[-4:]}" if fits else HIDDEN


def _email(value: str) -> str:
    found = _EMAIL.fullmatch(value.strip())
    return f"{found[1][: 2 if len(found[1]) > 2 else 1]}***@***" if found else HIDDEN


def _city_state(value: str) -> str:
    found = _CITY_STATE.search(value)
    if not found:
        return HIDDEN
    city, state = re.split(r",\s*", found[1])
    real = reference.place_of(pl.Series([city]), pl.Series([state]))[0] in _PLACES
    return f"{city if real else HIDDEN}, {state}"


_MASKS: Final = {"patient_name": _initial, "ssn": _ssn, "phone": _phone, "email": _email, "address": _city_state}


def _birth_year(value: str | None) -> int | None:
    text = (value or "").strip()
    form = _DATES["-" if "-" in text else "/" if "/" in text else ""]
    try:
        # A tenth of the cost where it will do.
        usual = len(text) == 10 and form == "%Y-%m-%d"
        year = (date.fromisoformat(text) if usual else datetime.strptime(text, form).replace(tzinfo=UTC)).year
    except ValueError:
        return None
    return year if 1850 <= year <= datetime.now(UTC).year + 1 else None


def _own(event: Event) -> Iterator[str]:
    """The record's own identifiers as written that are long enough to look for, and the date of birth as in the US."""
    address, born = event["address"], event["date_of_birth"]
    street = None if address is None or _NO_STREET.fullmatch(address) else re.split(r"[,\n]", address.lstrip())[0]
    values = [street if name == "address" else event[name] for name in IDENTIFIERS]
    values.append(f"{born[5:7]}/{born[8:]}/{born[:4]}" if born and re.fullmatch(r"\d{4}-\d\d-\d\d", born) else None)
    yield from (value.strip() for value in values if value and len(value.strip()) >= _LEAST)


def _without_own(event: Event, own: list[str]) -> str | None:
    """Notes less the identifiers as they are written in the record."""
    notes = event["notes"]
    if notes is None:
        return None
    notes = reduce(lambda text, needle: text.replace(needle, REDACTED), own, notes)
    if zip_code := re.search(r" [0-9]{5}\s*$", event["address"] or ""):
        notes = notes.replace(zip_code[0], f" {REDACTED}")
    parts = _NAME_PART.findall(event["patient_name"] or "")
    for part in (part for part in (*parts[:1], *parts[-1:]) if len(part.encode()) > 3):
        notes = notes.replace(f" {part} ", f" {REDACTED} ")
    return notes


class DeltaSink(BatchingSink):
    """Appends each partition's rows at a checkpoint."""

    def __init__(self, table: str, landings: Landings) -> None:
        super().__init__()
        self._table, self._landings = table, landings

    def write(self, batch: SinkBatch) -> None:
        """Append one partition's rows."""
        rows = [item.value for item in batch]
        frame = pl.DataFrame(rows, infer_schema_length=None).with_columns(pl.col("event_time").dt.date().alias("day"))
        write_deltalake(self._table, frame, mode="append", schema_mode="merge", partition_by="day")
        self._landings.note(len(rows))


def main(bootstrap: str, _: str, out: str) -> None:
    """Stream until nothing comes for a few seconds; broken JSON is skipped, as Quix can be told to."""
    landings = Landings([], [], [])
    with tempfile.TemporaryDirectory() as scratch:
        app = Application(
            bootstrap,
            consumer_group=f"stock-{uuid.uuid4().hex}",  # one that was used before would begin where that ended
            auto_offset_reset="earliest",
            commit_interval=5.0,
            loglevel=None,
            state_dir=f"{scratch}/state",
            on_consumer_error=lambda *_: True,
            consumer_extra_config={"session.timeout.ms": 6000},
        )
        frame = app.dataframe(app.topic(TOPIC, value_deserializer="json"))
        frame = frame.apply(cleaned).filter(lambda event: event is not None).apply(masked)
        frame.sink(DeltaSink(f"{scratch}/silver", landings))
        threading.excepthook = lambda _: None
        app.run(timeout=5.0, collect=False)
        report(out, landings, size(f"{scratch}/silver"))


if __name__ == "__main__":
    main(*sys.argv[1:4])
