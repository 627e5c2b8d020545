"""Ground truth: what really happened in the events that were sent, to compare a lake with.

``Truth.write(folder)`` writes three files. All times are UTC, microseconds. The people are invented;
the files hold their identifiers in clear, so that a test can look each of them up.

``visits.parquet``, one row per visit of which any event was sent:
    visit_id, patient_id, facility; admit_department and last_department; admitted_at; discharged_at
    (null while open); disposition (null while open); diagnosis_code, diagnosis, severity, treatment
    (null until one is known) and doctor_id as last stated; cancelled (true when the admission was taken
    back: such a visit counts for nothing, has no stays, and its discharged_at is null).

``stays.parquet``, one row per stretch of a visit in one bed, cancels honoured, cancelled visits left out:
    visit_id, patient_id, facility, department, ward, bed, from_time, to_time (null while there).

``counts.json``:
    messages = events + duplicates + the sum of corrupt; events (valid and distinct); duplicates (exact
    copies but for message_id); corrupt (kind -> number); late (events sent minutes to days after they
    happened); event_types (type -> number of events); first_event_time and last_event_time (RFC 3339).
"""

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from lake.contracts.event import DISPOSITIONS, EVENT_TYPES, SEVERITIES
from producer.simulator.corruption import KINDS
from producer.simulator.diagnoses import DIAGNOSES
from producer.simulator.hospital import DEPARTMENTS, FACILITIES, Hospital
from producer.simulator.interface_engine import CORRUPT, DUPLICATE, REAL, Messages
from producer.simulator.json_messages import Renderer, doctor_ids
from producer.simulator.patient_flow import ADMIT, COLUMNS, DISCHARGE, NONE, TRANSFER
from producer.simulator.patients import PatientBook

_NARROW: Final = pl.col("type", "severity", "treatment", "disposition").cast(pl.Int8)


class Truth:
    """Keeps the sent events as numbers (about 70 bytes each) and folds them into visits and stays."""

    def __init__(self, hospital: Hospital, book: PatientBook, renderer: Renderer) -> None:
        self._hospital, self._book, self._renderer = hospital, book, renderer
        self._parts: list[pl.DataFrame] = []
        self._kinds: Counter[int] = Counter()

    def add(self, messages: Messages) -> None:
        """Remember what is going to be sent."""
        kinds, numbers = np.unique(messages.kind, return_counts=True)
        self._kinds.update(dict(zip(kinds.tolist(), numbers.tolist(), strict=True)))
        real = messages.rows[messages.kind == REAL]
        self._parts.append(pl.DataFrame(real, schema=list(COLUMNS), orient="row").with_columns(_NARROW))

    def write(self, folder: Path, late: int) -> None:
        """Write the three files described above into the folder, which is made when absent."""
        folder.mkdir(parents=True, exist_ok=True)
        empty = pl.DataFrame(schema=dict.fromkeys(COLUMNS, pl.Int64)).with_columns(_NARROW)
        events = pl.concat([empty, *self._parts]).sort("time", "number")
        undone = pl.col("number").is_in(events["undoes"].implode())
        stands = events.filter(~undone & (pl.col("undoes") == NONE))
        self._visits(events, stands).write_parquet(folder / "visits.parquet")
        self._stays(stands).write_parquet(folder / "stays.parquet")
        counts = json.dumps(self._counts(events, late), indent=2)
        (folder / "counts.json").write_text(counts + "\n", encoding="utf-8")

    def _counts(self, events: pl.DataFrame, late: int) -> dict[str, object]:
        types = Counter(events["type"].to_list())
        times = events["time"]
        return {
            "messages": self._kinds.total(),
            "events": self._kinds[REAL],
            "duplicates": self._kinds[DUPLICATE],
            "corrupt": {name: self._kinds[CORRUPT + place] for place, name in enumerate(KINDS)},
            "late": late,
            "event_types": {name: types[place] for place, name in enumerate(EVENT_TYPES)},
            "first_event_time": _rfc3339(times.min()),
            "last_event_time": _rfc3339(times.max()),
        }

    def _visits(self, events: pl.DataFrame, stands: pl.DataFrame) -> pl.DataFrame:
        """One row per visit; a cancelled one is described by the admission that was taken back."""
        kind = pl.col("type")
        placed = pl.col("bed").filter(kind.is_in([ADMIT, TRANSFER]))
        folded = stands.group_by("visit", maintain_order=True).agg(
            first_bed=placed.first(),
            last_bed=placed.last(),
            discharged_at=pl.col("time").filter(kind == DISCHARGE).last(),
            disposition=pl.col("disposition").filter(kind == DISCHARGE).last(),
            severity=pl.col("severity").last(),
            treatment=pl.col("treatment").filter(pl.col("treatment") != NONE).last(),
            doctor=pl.col("doctor").last(),
        )
        admits = events.filter(kind == ADMIT).select(
            *("visit", "patient", "diagnosis", "bed"),
            admitted_at="time",
            first_severity="severity",
            first_doctor="doctor",
        )
        frame = admits.join(folded, on="visit", how="left", maintain_order="left").with_columns(
            cancelled=pl.col("first_bed").is_null(),
            first_bed=pl.coalesce("first_bed", "bed"),
            last_bed=pl.coalesce("last_bed", "bed"),
            severity=pl.coalesce("severity", "first_severity"),
            doctor=pl.coalesce("doctor", "first_doctor"),
        )
        places, code = self._places(), frame["diagnosis"]
        return frame.select(
            visit_id=self._renderer.visit_ids(frame["visit"].to_numpy()),
            patient_id=self._book.patient_ids(frame["patient"].to_numpy()),
            facility=places["facility"].gather(frame["first_bed"]),
            admit_department=places["department"].gather(frame["first_bed"]),
            last_department=places["department"].gather(frame["last_bed"]),
            admitted_at=_instant("admitted_at"),
            discharged_at=_instant("discharged_at"),
            disposition=pl.Series(DISPOSITIONS).gather(frame["disposition"]),
            diagnosis_code=pl.Series([d.code for d in DIAGNOSES]).gather(code),
            diagnosis=pl.Series([d.text for d in DIAGNOSES]).gather(code),
            severity=pl.Series(SEVERITIES).gather(frame["severity"]),
            treatment=pl.struct("diagnosis", "treatment").map_elements(_treatment, return_dtype=pl.String),
            doctor_id=doctor_ids(frame["doctor"].to_numpy()),
            cancelled="cancelled",
        )

    def _stays(self, stands: pl.DataFrame) -> pl.DataFrame:
        moves = stands.filter(pl.col("type").is_in([ADMIT, TRANSFER, DISCHARGE]))
        moves = moves.with_columns(to_time=pl.col("time").shift(-1).over("visit"))
        stays = moves.filter(pl.col("type") != DISCHARGE)
        places = self._places()
        return stays.select(
            visit_id=self._renderer.visit_ids(stays["visit"].to_numpy()),
            patient_id=self._book.patient_ids(stays["patient"].to_numpy()),
            facility=places["facility"].gather(stays["bed"]),
            department=places["department"].gather(stays["bed"]),
            ward=places["ward"].gather(stays["bed"]),
            bed=places["bed"].gather(stays["bed"]),
            from_time=_instant("time"),
            to_time=_instant("to_time"),
        )

    def _places(self) -> pl.DataFrame:
        return pl.DataFrame(
            {
                "facility": [FACILITIES[bed.facility].name for bed in self._hospital.beds],
                "department": [DEPARTMENTS[bed.department].name for bed in self._hospital.beds],
                "ward": [bed.ward for bed in self._hospital.beds],
                "bed": [bed.label for bed in self._hospital.beds],
            }
        )


def _treatment(row: dict[str, int | None]) -> str | None:
    diagnosis, place = row["diagnosis"], row["treatment"]
    return None if diagnosis is None or place is None else DIAGNOSES[diagnosis].treatments[place]


def _instant(seconds: str) -> pl.Expr:
    return (pl.col(seconds) * 1_000_000).cast(pl.Datetime("us", "UTC"))


def _rfc3339(seconds: object) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat() if isinstance(seconds, int) else None
