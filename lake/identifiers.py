"""A record's own identifiers, and taking them out of text that is shown.

What counts as surviving: one of the record's identifiers (name, SSN, phone, e-mail, street, date of birth, MRN,
visit number) standing as a whole word, in any case, in a stored text. An identifier under three characters is
not searched for outside notes: it cannot be told from ordinary text.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import polars as pl

REDACTED: Final = "[redacted]"
MIN_CHARS: Final = 3

SUFFIX: Final = "__raw"
"""What an identifier's column is called after its name, so that it cannot be taken for a masked column."""

SEARCHED: Final = (
    "patient_name",
    "ssn",
    "phone",
    "email",
    "street",
    "patient_id",
    "visit_id",
    "date_of_birth",
)
"""The identifiers of a record that are searched for, by name."""

PATTERNS: Final = (
    r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)*\b",  # e-mail
    r"\b\d{3}[- .]?\d{2}[- .]?\d{4}\b",  # SSN
    r"(?:\+?1[-. ]?)?\(?\b\d{3}\)?[-. ]?\d{3}[-. ]?\d{4}\b",  # phone
    r"\b(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})\b",  # dates in figures
    r"(?i)\b(?:\d{1,2}(?:st|nd|rd|th)?(?: of)? )?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
    r" \d{1,2}(?:st|nd|rd|th)?,? \d{4}\b",  # March 4, 1961
    r"(?i)\b\d{1,2}(?:st|nd|rd|th)?(?: of)? (?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?,? \d{4}\b",
)
"""What is taken out of notes whosever it is: e-mail addresses, SSNs, phone numbers and dates (Rust regex)."""


def identifiers(*, lower: bool = True) -> list[pl.Expr]:
    """One String expression per name in ``SEARCHED`` over an event frame, null where absent or too short.

    Named for the identifier and ``SUFFIX``; lower-cased unless ``lower`` is false.
    """
    raw = {name: pl.col(name) for name in SEARCHED if name != "street"}
    raw["street"] = pl.col("address").str.extract(r"^\s*([^,\n]+)")
    cleaned = {name: _cleaned(expr, lower=lower) for name, expr in raw.items()}
    return [
        pl.when(expr.str.len_chars() >= MIN_CHARS).then(expr).alias(f"{name}{SUFFIX}") for name, expr in cleaned.items()
    ]


def _cleaned(value: pl.Expr, *, lower: bool) -> pl.Expr:
    value = value.str.strip_chars()
    return value.str.to_lowercase() if lower else value


def scrub(text: str, needles: Iterable[str]) -> str:
    """``text`` with every whole-word occurrence of the (lower-cased) needles replaced by ``[redacted]``.

    Fails closed: a text whose lower-cased form has another length (a few Unicode letters do that), so that
    places cannot be matched, is replaced whole.
    """
    low = text.lower()
    if len(low) != len(text):
        return REDACTED
    spans = sorted(span for needle in needles for span in _occurrences(low, needle))
    if not spans:
        return text
    parts, at = [], 0
    for start, end in spans:
        if start >= at:
            parts += [text[at:start], REDACTED]
        at = max(at, end)
    return "".join([*parts, text[at:]])


def _occurrences(text: str, needle: str) -> Sequence[tuple[int, int]]:
    found = []
    at = text.find(needle)
    while at >= 0:
        end = at + len(needle)
        if not (_is_word(text, at - 1) and _is_word(text, at)) and not (
            _is_word(text, end - 1) and _is_word(text, end)
        ):
            found.append((at, end))
        at = text.find(needle, at + 1)
    return found


def _is_word(text: str, at: int) -> bool:
    return 0 <= at < len(text) and text[at].isalnum()
