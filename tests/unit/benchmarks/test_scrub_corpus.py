"""The labelled corpus of ``benchmarks scrub``, and the aims that its figures are held to."""

from collections import Counter

from benchmarks.suites.scrub import lost, missed, scrubbed
from benchmarks.suites.scrub_corpus import corpus


def test_own_identifiers_and_forms_are_found_and_other_words_stay() -> None:
    notes = corpus()
    assert len({note.text for note in notes}) > 500
    assert len({note.patient["patient_id"] for note in notes}) >= 40
    shown = scrubbed(notes)
    among, gone = Counter[str](), Counter[str]()
    words = lost_words = 0
    for note, text in zip(notes, shown, strict=True):
        kind = note.kind.split(":")[0]
        among[kind] += 1
        gone[kind] += missed(note, text)
        words += len(note.kept)
        lost_words += lost(note, text)
    assert set(among) == {"own", "form", "clinical"}
    assert gone["own"] / among["own"] <= 0.005
    assert gone["form"] / among["form"] <= 0.01
    assert lost_words / words <= 0.005


def test_what_is_counted_as_missed_and_lost() -> None:
    note = next(note for note in corpus() if note.kind == "own: name")
    assert missed(note, note.text)
    assert missed(note, note.text.upper())
    assert lost(note, note.text) == 0
    assert (missed(note, ""), lost(note, "")) == (False, len(note.kept))
