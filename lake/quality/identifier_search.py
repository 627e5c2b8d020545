"""Search stored text for identifiers, by other code than masking's: what masking misses is found here.

It follows the same definition (``lake.security.identifiers``) by another way: texts and identifiers are reduced to
letters and digits by expressions over whole columns, and a name's parts are then looked at one by one.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

import polars as pl

from lake.security.identifiers.spellings import IDENTIFIERS, NOBODY, SHY, SUFFIXES, TELLING, TELLING_LOCAL, TITLES

ANYBODY: Final = {
    "SSN": r"\b\d{3}[- .]\d{2}[- .]\d{4}\b",
    "phone": r"\(\d{3}\) ?\d{3}[-. ]\d{4}\b|\b\d{3}[-.]\d{3}[-.]\d{4}\b|\+\d{1,3} \d{3} ?\d{3}",
    "email": r"[\p{L}\d]@[\p{L}\d]",
    "date": r"\b(?:19|20)\d\d-\d\d-\d\d\b|\b\d{1,2}/\d{1,2}/\d{4}\b",
    "address": r"\b[A-Z]{2} \d{5}\b|\bP\.?O\.? ?Box \d",
}
"""What no free text may hold (Rust regex): the plainest form of each kind."""

_BETWEEN_WORDS: Final = r"[^\p{L}\p{N}]+"
_NOT_SHOWN: Final = r"[^\p{L}\p{N}\n]"
_NO_NAMES: Final = TITLES | SUFFIXES | NOBODY
_APOSTROPHES: Final = "['`\u2019\u02bc]"
_LEAST: Final = {"email": 5, "patient_id": 5, "visit_id": 5}
_LETTERS: Final = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe"})
_WORD_LEAST: Final = 3
_NAME_LEAST: Final = 6
_NUMBER_LEAST: Final = 6
_DATES: Final = ("%Y%m%d", "%m%d%Y", "%d%m%Y")


def anybodys(texts: pl.Expr) -> pl.Expr:
    """Whether a text holds any of the forms of ``ANYBODY``; null where it is null."""
    return pl.any_horizontal(texts.str.contains(form) for form in ANYBODY.values())


def surviving(rows: pl.DataFrame) -> dict[str, tuple[int, list[int]]]:
    """Per field of ``IDENTIFIERS``: how many rows have one to look for, and in which it is still found.

    ``rows``: ``row`` (a number), ``text`` (String, never null) and ``IDENTIFIERS`` (String), the text's own record.
    """
    plain = rows.with_columns(_unaccented(rows[name]) for name in ("text", *IDENTIFIERS))
    squashed = plain.select("row", *(_squashed(name) for name in ("text", *IDENTIFIERS)))
    found = {}
    for name, terms in _terms(plain, squashed).items():
        together = squashed.select("row", "text", readable=plain["text"]).hstack(terms)
        looked_at = together.select(
            pl.any_horizontal(pl.col(term).is_not_null() for term in terms.columns).sum()
        ).item()
        still = set[int]()
        for term in terms.columns:
            held = together.filter(pl.col("text").str.contains(pl.col(term), literal=True))
            still.update(
                row for row, text, needle in held.select("row", "readable", term).iter_rows() if _run(text, needle)
            )
        found[name] = (looked_at, still)
    found["patient_name"][1].update(_rows_with_a_part(rows, plain))
    for name in ("patient_id", "visit_id"):
        found[name][1].update(_rows_with_a_word(plain, name))
    return {name: (looked_at, sorted(these)) for name, (looked_at, these) in found.items()}


def in_texts(texts: pl.Series, people: pl.DataFrame) -> list[str]:
    """The fields of ``people`` (``IDENTIFIERS``, String) of which a whole identifier is in one of the texts."""
    plain = people.select(_unaccented(people[name]) for name in IDENTIFIERS)
    squashed = plain.select(map(_squashed, IDENTIFIERS))
    readable = _unaccented(texts.drop_nulls())
    within = readable.str.replace_all(_NOT_SHOWN, "")
    held = (
        ["patient_name"]
        if _holds_any(" " + readable.str.replace_all(_BETWEEN_WORDS, " ") + " ", _full_names(plain))
        else []
    )
    for name, terms in _terms(plain, squashed).items():
        if name != "patient_name" and _holds_any(within, pl.concat([terms[term] for term in terms.columns])):
            held.append(name)
    return held


def _squashed(name: str) -> pl.Expr:
    """Letters and digits; of a phone number without its extension."""
    text = pl.col(name).str.extract("^([^x#;]*)") if name == "phone" else pl.col(name)
    return text.str.replace_all(_NOT_SHOWN, "")


def _holds_any(texts: pl.Series, needles: pl.Series) -> bool:
    wanted = needles.drop_nulls().unique()
    return bool(wanted.len() and texts.len() and texts.str.contains_any(wanted.implode()).any())


def _full_names(plain: pl.DataFrame) -> pl.Series:
    """First and last name in both orders, and run together, as whole words."""
    words = plain.select(pl.col("patient_name").str.extract_all(r"[\p{L}\p{N}]{2,}")).to_series()
    first, last = words.list.first(), words.list.last()
    forms = [" " + first + " " + last + " ", " " + last + " " + first + " ", " " + first + last + " "]
    return pl.concat([form.filter(words.list.len() > 1).alias("form") for form in forms])


def _terms(plain: pl.DataFrame, squashed: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Per field what no text may hold, not even within a longer word: letters and digits; null where there is none."""

    def long(value: pl.Expr, least: int) -> pl.Expr:
        return pl.when(value.str.len_chars() >= least).then(value)

    def digits(name: str) -> pl.Expr:
        return pl.col(name).str.replace_all(r"\D", "")

    def telling(number: pl.Expr) -> pl.Expr:
        return pl.when(number.str.strip_chars_start("0").str.len_chars() >= TELLING).then(long(number, _NUMBER_LEAST))

    words = plain.select(pl.col("patient_name").str.extract_all(r"[\p{L}\p{N}]+")).to_series()
    first, last = words.list.first(), words.list.last()
    many = words.list.len() > 1
    born = plain.select(
        pl.coalesce(
            pl.col("date_of_birth").str.strip_chars().str.to_date(form, strict=False)
            for form in ("%Y-%m-%d", "%m/%d/%Y", "%Y%m%d")
        ).alias("born")
    )
    local = pl.col("email").str.extract("^([^@]+)@").str.replace_all(_NOT_SHOWN, "")
    tells = (local.str.len_chars() >= TELLING_LOCAL) | (
        (local.str.len_chars() >= _LEAST["email"]) & local.str.contains(r"\d")
    )
    # The house's number and the street's name without the word for its kind, if there is one.
    line = pl.col("address").str.extract(r"^\s*([0-9]+\s[^,\n]+)[,\n]").str.strip_chars()
    named = pl.coalesce(line.str.extract(r"^([0-9]+\s.*\S)\s+\S+$"), line)
    street = plain.select(line=named.str.replace_all(_NOT_SHOWN, ""))
    both = pl.DataFrame({"first": first, "last": last}).with_columns(
        one=pl.when(pl.Series(many)).then(long(pl.col("first") + pl.col("last"), _NAME_LEAST)),
        two=pl.when(pl.Series(many)).then(long(pl.col("last") + pl.col("first"), _NAME_LEAST)),
    )
    return {
        "patient_name": both.select("one", "two"),
        "ssn": squashed.select(long(digits("ssn"), 9)),
        "phone": squashed.select(long(digits("phone").str.tail(7), 7).alias("phone")),
        "email": plain.select(pl.when(tells).then(local).alias("local")),
        "address": street.select(long(pl.col("line"), _NAME_LEAST)),
        "date_of_birth": born.select(pl.col("born").dt.to_string(form).alias(form) for form in _DATES),
        **{
            name: squashed.select(long(pl.col(name), _LEAST[name]).alias("all"), telling(digits(name)).alias("digits"))
            for name in ("patient_id", "visit_id")
        },
    }


def _rows_with_a_part(rows: pl.DataFrame, plain: pl.DataFrame) -> list[int]:
    """Rows in whose text a part of the name is a word; one that is an ordinary word too, with a capital."""
    parts = plain.select(
        "row", "text", original=rows["text"],
        part=pl.col("patient_name").str.replace_all(_APOSTROPHES, "").str.extract_all(r"\p{L}{2,}"),
    ).explode("part", empty_as_null=False, keep_nulls=False)  # fmt: skip
    bare = pl.col("text").str.replace_all(_APOSTROPHES, "")
    suspects = parts.with_columns(bare).filter(pl.col("text").str.contains(pl.col("part"), literal=True))
    return [
        row
        for row, text, original, part in suspects.iter_rows()
        if part not in _NO_NAMES and (_capital(original, part) if part in SHY else _word(text, part))
    ]


def _rows_with_a_word(plain: pl.DataFrame, name: str) -> list[int]:
    """Rows in whose text a short id is a word."""
    value = pl.col(name).str.strip_chars()
    short = plain.filter(value.str.len_chars().is_between(_WORD_LEAST, _LEAST[name] - 1)).select("row", "text", value)
    suspects = short.filter(pl.col("text").str.contains(pl.col(name), literal=True))
    return [row for row, text, word in suspects.iter_rows() if _word(text, word)]


def _run(text: str, needle: str) -> bool:
    """Whether these letters and digits follow each other: within a word, or from the edge of one to that of another."""
    for match in re.finditer(r"[\W_]*".join(map(re.escape, needle)), text):
        if not re.search(r"[\W_]", match[0]):
            return True
        before, after = text[match.start() - 1 : match.start()], text[match.end() : match.end() + 1]
        if not _same_kind(before, match[0][0]) and not _same_kind(after, match[0][-1]):
            return True
    return False


def _same_kind(one: str, other: str) -> bool:
    return (one.isalpha() and other.isalpha()) or (one.isdigit() and other.isdigit())


def _word(text: str, word: str) -> bool:
    """Whether the word is in the text between two signs that are neither letters nor digits."""
    return any(
        not text[match.start() - 1 : match.start()].isalnum() and not text[match.end() : match.end() + 1].isalnum()
        for match in re.finditer(re.escape(word), text)
    )


def _capital(text: str, word: str) -> bool:
    pattern = f"(?<![^\\W_])(?:{re.escape(word.capitalize())}|{re.escape(word.upper())})(?![^\\W_])"
    return re.search(pattern, text) is not None


def _unaccented(values: pl.Series) -> pl.Series:
    """In lower case, without accents, invisible signs and compatibility forms."""
    low = values.str.to_lowercase()
    other = (low.str.len_bytes() != low.str.len_chars()).fill_null(value=False)
    if not other.any():
        return low
    some: Sequence[str] = low.filter(other).to_list()
    return low.scatter(other.arg_true(), [_without_accents(text) for text in some])


def _without_accents(text: str) -> str:
    apart = unicodedata.normalize(
        "NFKD", text.casefold().replace("ß", "ss").replace("\u0131", "i").replace("ς", "\u03c3")
    )
    kept = "".join(sign for sign in apart if unicodedata.category(sign) not in ("Mn", "Me", "Cf"))
    return kept.translate(_LETTERS)
