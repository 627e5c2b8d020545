"""What scrubbing finds, what it loses, and what it costs: over a labelled corpus, and over simulated events."""

import json
import time
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from importlib.util import find_spec
from itertools import islice
from typing import Final

import polars as pl

from app.stream.decoders.json_event import decode
from app.stream.transforms.mask import mask
from app.stream.transforms.name_finder import MODEL, NameFinder
from app.stream.transforms.validate import validate
from benchmarks.harness.result import Ratio, Result
from benchmarks.suites.scrub_corpus import Note, corpus, of_others
from lake.contracts.tables import UTC as UTC_TIME
from lake.security import masking_policy
from lake.security.encryption import LakeKey
from lake.security.identifiers.finding import REDACTED
from lake.security.identifiers.folding import folded
from producer.simulator.simulator import Simulator, SimulatorSettings

_BATCH: Final = 20_000
_ROUNDS: Final = 5
_LEAST_TOLD: Final = 4


def run() -> Result:
    """Scrub the corpus, and mask simulated events for the cost."""
    notes = corpus()
    shown = scrubbed(notes)
    found: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for note, text in zip(notes, shown, strict=True):
        counts = found[note.kind]
        counts[0] += 1
        counts[1] += missed(note, text)
        counts[2] += len(note.kept)
        counts[3] += lost(note, text)
    rows = [
        [kind, *counts[:2], None if kind == "clinical" else 100 * (1 - counts[1] / counts[0]), *counts[2:]]
        for kind, counts in sorted(found.items(), key=lambda item: (item[0] == "clinical", item[0]))
    ]
    words, gone = (sum(counts[place] for counts in found.values()) for place in (2, 3))
    return Result(
        "scrub",
        f"Scrubbing {len(notes):,} notes of {len({n.patient['patient_id'] for n in notes})} invented patients",
        ["identifier", "notes", "missed", "found, %", "other words", "of them lost"],
        rows,
        [
            Ratio.at_least("own identifiers found, %", _share(found, "own"), 99.5),
            Ratio.at_least("forms of anybody's found, %", _share(found, "form"), 99),
            Ratio.at_most("other words lost, %", 100 * gone / words, 0.5),
        ],
        [f"Masking simulated events, all of it: {_cost():.1f} µs of CPU an event.", *_names_of_others()],
    )


def _names_of_others() -> list[str]:
    """What of other people's names is found, with the finder of names where it is installed, and how fast that is."""
    notes = of_others()
    found = {"without a finder of names": masking_policy.load("display")}
    if all(find_spec(name) for name in ("presidio_analyzer", "spacy", MODEL)):
        found["with WARDLAKE_NER=presidio"] = replace(masking_policy.load("display"), find_names=NameFinder())
    said = []
    for how, rules in found.items():
        scrubbed(notes[:1], rules)  # the model is loaded
        begun = time.process_time()
        shown = scrubbed(notes, rules)
        rate = sum(len(note.text) for note in notes) / (time.process_time() - begun) / 1e3
        there = sum(not _named(note, text) for note, text in zip(notes, shown, strict=True)) / len(notes)
        said.append(f"Names of others, {how}: {100 * there:.0f} % of {len(notes)} found, {rate:,.0f} kB of notes/s.")
    return said


def _named(note: Note, shown: str) -> bool:
    return any(word in shown.split() for word in note.hidden.split() if word[0].isupper() and word != "Dr.")


def scrubbed(notes: list[Note], rules: masking_policy.Policy | None = None) -> list[str]:
    """The notes as Silver shows them."""
    payloads = [
        json.dumps(
            note.patient
            | {"message_id": f"M{number}", "event_type": "update", "event_time": "2024-03-01T10:00:00Z"}
            | {"facility": "A", "department": "B", "notes": note.text}
        ).encode()
        for number, note in enumerate(notes)
    ]
    rows = mask(_valid(payloads), rules or masking_policy.load("display"), LakeKey(bytes(32))).rows
    return rows["notes"].to_list()


def missed(note: Note, shown: str) -> bool:
    """Whether the identifier of the note is still there: all of it, or a piece of it that says who it is."""
    if not note.hidden:
        return False
    if folded(note.hidden) in folded(shown):
        return True
    others = {folded(word) for word in note.kept}
    pieces = [folded(piece) for piece in note.hidden.replace(",", " ").split()]
    told = [folded(word) for word in shown.replace(REDACTED, " ").split()]
    return any(piece in told for piece in pieces if len(piece) >= _LEAST_TOLD and piece not in others | _KEYWORDS)


_KEYWORDS: Final = frozenset({"pager", "policy", "license", "plate", "aged", "year", "years"})
"""Words that say what follows; no identifiers."""


def lost(note: Note, shown: str) -> int:
    """How many of the other words are gone."""
    left = shown.replace(REDACTED, " ").split()
    gone = 0
    for word in note.kept:
        if word in left:
            left.remove(word)
        else:
            gone += 1
    return gone


def _share(found: dict[str, list[int]], kind: str) -> float:
    counts = [numbers for name, numbers in found.items() if name.startswith(kind)]
    return 100 * (1 - sum(c[1] for c in counts) / sum(c[0] for c in counts))


def _valid(payloads: list[bytes]) -> pl.DataFrame:
    return validate(decode(payloads).with_columns(ingested_at=pl.lit(datetime.now(UTC)).cast(UTC_TIME)))[0]


def _cost() -> float:
    """Microseconds of CPU an event of masking, the least of some rounds."""
    simulator = Simulator(SimulatorSettings(seed=7, events=2 * _BATCH))
    payloads = list(islice((value for block in simulator.blocks() for value in block.values), _BATCH))
    events, rules, key = _valid(payloads), masking_policy.load("display"), LakeKey(bytes(32))
    spent = []
    for _ in range(_ROUNDS):
        begun = time.process_time()
        mask(events, rules, key)
        spent.append(time.process_time() - begun)
    return 1e6 * min(spent) / events.height
