"""Patterns: forms of anybody's that are taken out of text, and clinical text that stays."""

from pathlib import Path
from typing import Final

import polars as pl
import pytest

from benchmarks.suites.scrub_corpus import CLINICAL
from lake.security.identifiers.patterns import ASCII_EDGE, HINT, PASSES, PATTERNS, PLAIN

CORPUS: Final = Path(__file__).parents[3] / "corpus"
CASES: Final = [
    (kind, form.replace("\\t", "\t"))
    for kind, form in (line.split("\t") for line in (CORPUS / "forms.tsv").read_text("utf-8").splitlines())
]
SENTENCES: Final = (*CLINICAL, *(CORPUS / "clinical.txt").read_text("utf-8").splitlines())


def without_patterns(text: str) -> str:
    texts = pl.Series([text]).str.replace_many(list(PLAIN), list(PLAIN.values()))
    for pattern in PASSES:
        texts = texts.str.replace_all(pattern, "[redacted]")
    return str(texts[0])


def test_a_form_is_taken_out_whole(subtests: pytest.Subtests) -> None:
    for kind, form in CASES:
        with subtests.test(kind=kind):
            assert without_patterns(f"Seen {form} today") == "Seen [redacted] today", kind


def test_what_is_looked_for_first_misses_none(subtests: pytest.Subtests) -> None:
    for kind, form in CASES:
        with subtests.test(kind=kind):
            text = f"Seen {form} today"
            assert not text.isascii() or pl.Series([text]).str.contains(HINT)[0], kind


def test_every_kind_has_its_examples_and_its_pass() -> None:
    assert {kind for kind, _ in CASES} == set(PATTERNS)
    in_passes = [sum(pattern.replace(r"\b", ASCII_EDGE) in one for one in PASSES) for pattern in PATTERNS.values()]
    assert in_passes == [1] * len(PATTERNS)


def test_clinical_text_stays(subtests: pytest.Subtests) -> None:
    for text in SENTENCES:
        with subtests.test(text=text):
            assert without_patterns(text) == text
