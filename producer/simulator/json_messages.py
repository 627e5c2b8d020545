"""Events as JSON text: event rows in, one compact JSON object per row out, made a column at a time.

Fields come in the order of ``lake.contracts.event.FIELDS``; one that is absent is left out. A PHI field goes
missing by chance, event by event, as where a registration is incomplete. A note names the patient by
what its own event carries, and by nothing that the event leaves out.
"""

import json
from typing import Final

import numpy as np
import polars as pl

from lake.contracts.event import DISPOSITIONS, EVENT_TYPES, FIELDS, PHI, SEVERITIES
from producer.simulator.diagnoses import DIAGNOSES
from producer.simulator.hospital import DEPARTMENTS, FACILITIES, Flags, Hospital, Ints
from producer.simulator.patient_flow import ADMIT, CANCEL_ADMIT, COLUMNS, DISCHARGE, TRANSFER, UPDATE
from producer.simulator.patients import PatientBook, Words, hashed

_SALT_MISSING: Final = 20
_SALT_NOTE: Final = 40

_NOTED: Final = {ADMIT: 0.9, TRANSFER: 0.55, DISCHARGE: 0.9, UPDATE: 0.8}
_NOTED_ELSE: Final = 0.4

# What follows the name in a note, by event type; DX and RX stand for the diagnosis and the treatment.
_STORIES: Final = {
    ADMIT: (
        " admitted with DX.",
        " presented with symptoms since yesterday; working diagnosis DX.",
        " brought in by family. Assessment: DX. Plan: RX.",
    ),
    TRANSFER: (
        " transferred for further care of DX.",
        " moved after bed huddle; report given to the receiving nurse.",
    ),
    DISCHARGE: (
        " discharged in stable condition after RX.",
        " ready to leave; instructions for DX explained and understood.",
        " leaves today. Follow-up in clinic in two weeks.",
    ),
    UPDATE: (
        " seen on rounds; continues RX.",
        " slept well, pain controlled. Labs reviewed.",
        " has concerns about DX; answered at the bedside.",
        " tolerating RX, vitals stable.",
    ),
    CANCEL_ADMIT: (" registered in error; admission withdrawn.",),
}
_STORIES_ELSE: Final = (" entered too early; entry taken back.",)
_STORIES_EXPIRED: Final = (
    " died despite RX; family informed.",
    " pronounced dead; cause of death DX.",
)

# The sentence after it: literal texts and the fields that it gives away.
_CONTACTS: Final = (
    ("",),
    (" Chart ", "patient_id", ", born ", "date_of_birth", "."),
    (" Call ", "phone", " with results."),
    (" SSN ", "ssn", " checked at registration."),
    (" Letter to ", "address", "."),
    (" Results to ", "email", "; visit ", "visit_id", "."),
    (" Born ", "birth_us", ". ", "formal_name", " asks for a call at ", "phone", "."),
)


class Renderer:
    """Turns event rows into JSON text; holds the texts to look up and the patient book."""

    def __init__(self, hospital: Hospital, book: PatientBook, missing_phi: float, seed: int) -> None:
        self._book = book
        self._missing = np.uint64(min(int(missing_phi * 2**64), 2**64 - 1))
        self._seed = seed
        self._tag = f"{int(hashed(np.array([seed]), 99)[0]) & 0xFFFFFF:06X}"
        self._offsets = np.array([FACILITIES[bed.facility].utc_offset_hours for bed in hospital.beds])
        self._zones = pl.Series([f'{hours:+03d}:00"' for hours in self._offsets.tolist()])
        self._places = pl.Series(
            [
                _members(
                    facility=FACILITIES[bed.facility].name,
                    department=DEPARTMENTS[bed.department].name,
                    ward=bed.ward,
                    bed=bed.label,
                )
                for bed in hospital.beds
            ]
        )
        self._codes = pl.Series([_members(diagnosis_code=d.code, diagnosis=d.text) for d in DIAGNOSES])
        self._treatments = pl.Series([text for d in DIAGNOSES for text in d.treatments])
        self._first_treatment = np.cumsum([0] + [len(d.treatments) for d in DIAGNOSES[:-1]])
        self._stories = _Stories()

    def visit_ids(self, visits: Ints) -> pl.Series:
        """Visit numbers as they are written in events."""
        return _numbered(f"V{self._tag[:3]}-", visits, 8)

    def render(self, rows: Ints, numbers: Ints) -> pl.DataFrame:
        """Write out event rows: columns key (the patient_id) and value, both Binary, never null.

        ``rows`` has the shape (events, COLUMNS). ``numbers`` are the messages' running numbers, from
        which ``message_id`` is made: a second copy of a row differs in nothing else.
        """
        column = {name: rows[:, place] for place, name in enumerate(COLUMNS)}
        words = hashed(column["number"], self._seed)
        frame = self._patients(column["patient"], words)
        frame = frame.with_columns(self._coded(column, numbers))
        frame = self._with_notes(frame, column, words)
        return frame.select(
            key=pl.col("patient_id").cast(pl.Binary),
            value=pl.concat_str(_members_of_event(), ignore_nulls=True).cast(pl.Binary),
        )

    def _patients(self, patients: Ints, words: Words) -> pl.DataFrame:
        """Who each event is about, with some of the PHI fields missing (null)."""
        who, where = np.unique(patients, return_inverse=True)
        details = self._book.details(who)[where]
        return details.with_columns(
            pl.when(pl.Series(hashed(words, _SALT_MISSING + place) >= self._missing)).then(field).alias(field)
            for place, field in enumerate(PHI)
        )

    def _coded(self, column: dict[str, Ints], numbers: Ints) -> list[pl.Series]:
        """Everything else but the notes."""
        bed, diagnosis, treatment = column["bed"], column["diagnosis"], column["treatment"]
        numbered = pl.Series(np.where(treatment < 0, 0, self._first_treatment[diagnosis] + treatment))
        chosen = numbered.set(pl.Series(treatment < 0), None)
        local = pl.Series((column["time"] + self._offsets[bed] * 3_600) * 1_000).cast(pl.Datetime("ms"))
        ending = pl.Series([*DISPOSITIONS, None]).gather(column["disposition"] % (len(DISPOSITIONS) + 1))
        return [
            _numbered(f"{self._tag}-", numbers, 10).alias("message_id"),
            self.visit_ids(column["visit"]).alias("visit_id"),
            doctor_ids(column["doctor"]).alias("doctor_id"),
            pl.Series("event_type", EVENT_TYPES).gather(column["type"]),
            (',"event_time":"' + local.dt.to_string("%Y-%m-%dT%H:%M:%S") + self._zones.gather(bed)).alias("when"),
            self._places.gather(bed).alias("place"),
            self._codes.gather(diagnosis).alias("code"),
            pl.Series("severity", SEVERITIES).gather(column["severity"]),
            self._treatments.gather(chosen).alias("treatment"),
            ending.alias("disposition"),
        ]

    def _with_notes(self, frame: pl.DataFrame, column: dict[str, Ints], words: Words) -> pl.DataFrame:
        """Add the notes, null for the events that have none."""
        known = self._first_treatment[column["diagnosis"]] + np.maximum(column["treatment"], 0)
        dice = hashed(words, _SALT_NOTE)
        contact = pl.Series((hashed(words, _SALT_NOTE + 1) % np.uint64(len(_CONTACTS))).astype(np.int64))
        told = pl.lit("")
        born = pl.col("date_of_birth").str
        frame = frame.with_columns(
            birth_us=pl.concat_str(born.slice(5, 2), pl.lit("/"), born.slice(8, 2), pl.lit("/"), born.slice(0, 4)),
            formal_name=pl.when(pl.col("patient_name").is_not_null()).then(
                pl.concat_str("title", pl.lit(" "), "surname")
            ),
            contact=contact,
            story=self._stories.pick(column["type"], column["disposition"], known, dice),
            noted=pl.Series(self._stories.noted(column["type"], hashed(words, _SALT_NOTE + 2))),
        )
        for place, pieces in enumerate(_CONTACTS):
            told = pl.when(pl.col("contact") == place).then(_joined(pieces)).otherwise(told)
        note = pl.concat_str(pl.coalesce("patient_name", pl.lit("Patient")), "story", told, ignore_nulls=True)
        return frame.with_columns(notes=pl.when("noted").then(note))


def doctor_ids(doctors: Ints) -> pl.Series:
    """Doctors as they are written in events."""
    return _numbered("DR", doctors + 1_001, 4)


class _Stories:
    """What notes say of the course of the visit: a text per story and treatment, and when each is told."""

    def __init__(self) -> None:
        self._by_type = [_STORIES.get(kind, _STORIES_ELSE) for kind in range(len(EVENT_TYPES))]
        self._by_type.append(_STORIES_EXPIRED)
        self._count = np.array([len(stories) for stories in self._by_type])
        self._first = np.cumsum(self._count) - self._count
        self._chance = np.array([_NOTED.get(kind, _NOTED_ELSE) for kind in range(len(EVENT_TYPES))])
        courses = [(d.text, treatment) for d in DIAGNOSES for treatment in d.treatments]
        self._width = len(courses)
        self._texts = pl.Series(
            [
                _body(story.replace("DX", _mid(text)).replace("RX", _mid(treatment)))
                for stories in self._by_type
                for story in stories
                for text, treatment in courses
            ]
        )

    def pick(self, kind: Ints, disposition: Ints, course: Ints, dice: Words) -> pl.Series:
        """Choose a story for each event: a JSON string body."""
        kind = np.where(disposition == DISPOSITIONS.index("expired"), len(self._by_type) - 1, kind)
        story = self._first[kind] + (dice % self._count[kind].astype(np.uint64)).astype(np.int64)
        return self._texts.gather(story * self._width + course)

    def noted(self, kind: Ints, dice: Words) -> Flags:
        """Whether each event has a note."""
        result: Flags = dice.astype(np.float64) < self._chance[kind] * 2.0**64
        return result


def _body(text: str) -> str:
    """Escape the text for use between JSON quotes."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _mid(text: str) -> str:
    """Put the text as it reads within a sentence; an abbreviation keeps its capitals."""
    return text[0].lower() + text[1:] if text[1].islower() else text


def _members(**members: str) -> str:
    return "".join(f',"{name}":"{_body(text)}"' for name, text in members.items())


def _numbered(prefix: str, numbers: Ints, width: int) -> pl.Series:
    return prefix + pl.Series(numbers).cast(pl.String).str.zfill(width)


def _joined(pieces: tuple[str, ...]) -> pl.Expr:
    names = {*FIELDS, "birth_us", "formal_name"}
    return pl.concat_str([pl.col(piece) if piece in names else pl.lit(piece) for piece in pieces])


def _members_of_event() -> list[pl.Expr]:
    """List the pieces of the JSON object in the contract's order; one is null where its field is absent."""
    ready = {"event_time": "when", "facility": "place", "diagnosis_code": "code"}
    inside = {"department", "ward", "bed", "diagnosis"}
    pieces: list[pl.Expr] = []
    for field in FIELDS:
        if field in ready:
            pieces.append(pl.col(ready[field]))
        elif field not in inside:
            opening = "{" if field == FIELDS[0] else ","
            pieces.append(pl.concat_str(pl.lit(f'{opening}"{field}":"'), field, pl.lit('"')))
    return [*pieces, pl.lit("}")]
