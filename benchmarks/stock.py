"""Contender: the same validation and masking in a stock, per-message Quix ``StreamingDataFrame``.

Written as one writes Quix: JSON deserializer, plain Python per message, a ``BatchingSink`` that appends to Delta at
each checkpoint. No sealing, no Bronze, no deduplication: it has less to do.
"""

import re
import sys
import tempfile
import threading
from datetime import UTC, datetime, timedelta

import polars as pl
from deltalake import write_deltalake
from quixstreams import Application
from quixstreams.sinks import BatchingSink, SinkBatch

from benchmarks.measure import TOPIC, Landings, report
from lake.contract import FIELDS, ICD10_PATTERN, REQUIRED, VALUE_SETS
from lake.identifiers import scrub
from lake.sealing import LakeKey

_KEY = LakeKey(bytes(32))
_ICD10 = re.compile(ICD10_PATTERN)
_CITY_STATE = re.compile(r"(?:^|[,\n])\s*([^\W\d_][^\n,]*?),\s*([A-Z]{2})(?:\s+\d{5}(?:-\d{4})?)?\s*$")
_SSN = re.compile(r"\s*\d{3}[-. ]?\d{2}[-. ]?(\d{4})\s*")
_PATTERNS = re.compile(
    r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*|\d{3}[-. ]?\d{2,3}[-. ]?\d{4}|\d{4}-\d{2}-\d{2}|\d{2}/\d{2}/\d{4}"
)


def valid(event: object) -> bool:
    """The contract's rules, one message at a time."""
    if not isinstance(event, dict) or any(not isinstance(v, str | None) for v in event.values()):
        return False
    if any(not (event.get(name) or "").strip() for name in REQUIRED):
        return False
    if any(event.get(name) is not None and event[name] not in allowed for name, allowed in VALUE_SETS.items()):
        return False
    if event.get("diagnosis_code") and not _ICD10.match(event["diagnosis_code"]):
        return False
    try:
        at = datetime.fromisoformat(event["event_time"])
    except ValueError:
        return False
    return at.tzinfo is not None and at.year >= 1900 and at - datetime.now(UTC) <= timedelta(hours=24)


def masked(event: dict[str, str | None]) -> dict[str, str | None]:
    """The display policy, one message at a time."""
    row = {name: event.get(name) for name in FIELDS if name not in ("patient_id", "visit_id", "date_of_birth")}
    row["patient_key"], row["visit_key"] = _KEY.pseudonyms([event["patient_id"] or "", event["visit_id"] or ""])
    name, phone, address = event.get("patient_name"), event.get("phone"), event.get("address")
    row["patient_name"] = None if name is None else name.strip()[:1] + "*****"
    ssn = _SSN.fullmatch(event.get("ssn") or "")
    row["ssn"] = None if not event.get("ssn") else f"***-**-{ssn[1]}" if ssn else "*****"
    digits = re.sub(r"\D", "", phone or "").removeprefix("1")
    row["phone"] = None if phone is None else f"{digits[:3]}-***-{digits[-4:]}" if len(digits) == 10 else "*****"
    email = event.get("email")
    row["email"] = None if email is None else email[:2] + "***@***" if "@" in email else "*****"
    place = _CITY_STATE.search(address or "")
    row["address"] = None if address is None else f"{place[1]}, {place[2]}" if place else "*****"
    row["birth_year"] = (event.get("date_of_birth") or "")[:4] or None
    row["notes"] = _scrubbed(event)
    return row


def _scrubbed(event: dict[str, str | None]) -> str | None:
    notes = event.get("notes")
    if notes is None:
        return None
    own = [event.get(n) for n in ("patient_name", "ssn", "phone", "email", "patient_id", "visit_id", "date_of_birth")]
    needles = [
        value.lower() for value in (*own, *(event.get("patient_name") or "").split()) if value and len(value) > 1
    ]
    notes = scrub(notes, needles)
    return _PATTERNS.sub("[redacted]", notes)


class DeltaSink(BatchingSink):
    """Appends each partition's rows at a checkpoint."""

    def __init__(self, table: str, landings: Landings) -> None:
        super().__init__()
        self._table, self._landings = table, landings

    def write(self, batch: SinkBatch) -> None:
        """Append one partition's rows."""
        rows = [item.value for item in batch]
        frame = pl.DataFrame(rows, infer_schema_length=None).with_columns(
            pl.col("event_time").str.head(10).alias("day")
        )
        write_deltalake(self._table, frame, mode="append", schema_mode="merge", partition_by="day")
        self._landings.note(len(rows))


def main(bootstrap: str, _: str, out: str) -> None:
    """Stream until nothing comes for a few seconds; broken JSON is skipped, as Quix can be told to."""
    landings = Landings([], [], [])
    with tempfile.TemporaryDirectory() as scratch:
        app = Application(
            bootstrap,
            consumer_group="stock",
            auto_offset_reset="earliest",
            commit_interval=5.0,
            loglevel=None,
            state_dir=f"{scratch}/state",
            on_consumer_error=lambda *_: True,
            consumer_extra_config={"session.timeout.ms": 6000},
        )
        frame = app.dataframe(app.topic(TOPIC, value_deserializer="json"))
        frame = frame.filter(valid).apply(masked)
        frame.sink(DeltaSink(f"{scratch}/silver", landings))
        threading.excepthook = lambda _: None
        app.run(timeout=5.0, collect=False)
        report(out, landings, f"{scratch}/silver")


if __name__ == "__main__":
    main(*sys.argv[1:4])
