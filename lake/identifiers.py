"""A record's own identifiers, and taking them out of text that is shown.

What counts as surviving: one of the record's identifiers (name, SSN, phone, e-mail, street, date of birth, MRN,
visit number) standing as a whole word, in any case, in a stored text. An identifier under three characters is
not searched for outside notes: it cannot be told from ordinary text.
"""

from collections.abc import Sequence
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

# A figure may touch a letter or an underscore (DOB1961-03-04, 2024-03-01T10:00), which then goes with it.
_EDGE: Final = r"(?:\b|[\p{L}_])"
_MONTH: Final = r"(?i:(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*)\.?"
_DAY: Final = r"\d{1,2}(?i:st|nd|rd|th)?"
PATTERN: Final = "|".join(
    (
        r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)*\b",  # e-mail
        rf"(?:\+?1[-. ]?)?(?:\(\d{{3}}\)|{_EDGE}\d{{3}})[-. ]?\d{{3}}[-. ]?\d{{4}}{_EDGE}",  # phone
        rf"{_EDGE}\d{{3}}[-. ]?\d{{2}}[-. ]?\d{{4}}{_EDGE}",  # SSN
        rf"{_EDGE}\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}{_EDGE}",  # dates in figures
        rf"{_EDGE}\d{{1,2}}[-/.]\d{{1,2}}[-/.]\d{{2,4}}{_EDGE}",
        rf"\b{_MONTH} {_DAY},? \d{{4}}\b",  # March 4, 1961
        rf"\b{_DAY}(?i: of)? {_MONTH},? \d{{4}}\b",  # 4th of March 1961
    )
)
"""What is taken out of notes whosever it is: e-mail addresses, SSNs, phone numbers and dates (Rust regex)."""


_CITY_AND_STATE: Final = r"^\s*[^,\n0-9]+,\s*[A-Z]{2}(?:\s+[0-9]{5}(?:-[0-9]{4})?)?\s*$"


def identifiers() -> list[pl.Expr]:
    """One String expression per name in ``SEARCHED`` over an event frame, null where absent or too short.

    Named for the identifier and ``SUFFIX``, as written in the record less surrounding space.
    """
    raw = {name: pl.col(name) for name in SEARCHED if name != "street"}
    first_part = pl.col("address").str.strip_chars().str.extract(r"^[^,\n]+", 0)
    raw["street"] = pl.when(~pl.col("address").str.contains(_CITY_AND_STATE)).then(first_part)
    stripped = {name: value.str.strip_chars() for name, value in raw.items()}
    return [
        pl.when(value.str.len_chars() >= MIN_CHARS).then(value).alias(f"{name}{SUFFIX}")
        for name, value in stripped.items()
    ]


def scrub(text: str, needles: Sequence[str]) -> str:
    """``text`` with every whole-word occurrence of the (lower-cased) needles replaced by ``[redacted]``.

    Fails closed: a text whose lower-cased form has another length (a few Unicode letters do that), so that
    places cannot be matched, is replaced whole. What was redacted before stays as it is.
    """
    return REDACTED.join(_scrub_piece(piece, needles) for piece in text.split(REDACTED))


def _scrub_piece(text: str, needles: Sequence[str]) -> str:
    low = text.lower()
    if len(low) != len(text):
        return REDACTED
    spans = [span for needle in needles if needle in low for span in _occurrences(low, needle)]
    if not spans:
        return text
    spans.sort()
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
