"""Scrub: shown texts without the record's own identifiers in any usual spelling, and without anybody's patterns.

Most rows are done by expressions over the whole batch: identifiers written as in the record are cut out of notes, and
patterns out of texts with a digit or an ``@``. Rows in whose folded text there may still be an identifier, in another
spelling, go one by one through ``lake.security.identifiers``, which decides; the search before it only has to miss
none.
"""

import re
from typing import Final

import polars as pl
import polars.selectors as cs

from lake.security.identifiers.finding import REDACTED, scrubbed_all
from lake.security.identifiers.folding import fold_letter, is_within, spelled_out, words
from lake.security.identifiers.patterns import HINT, PASSES, PLAIN
from lake.security.identifiers.spellings import (
    DIRECTIONS,
    IDENTIFIERS,
    LONGEST,
    MONTHS,
    NUMBERS,
    ROAD,
    SAINTS,
    STREET_KINDS,
    spellings_of,
)

HIDDEN: Final = "*****"

TEXTS: Final = ("facility", "department", "ward", "bed", "treatment", "notes")
"""What is an identifier is taken out of these."""
WHOLE: Final = ("message_id", "doctor_id", "diagnosis_code", "patient_name", "ssn", "phone", "email", "address")
"""Ids, a code and masked forms: one that shows an identifier is masked whole."""

_WRITTEN: Final = "__written"
_FOLDED: Final = "__folded"
_BETWEEN: Final = "\x1f"
"""Between two texts of a row: no value can hold it."""
_PARTS: Final = 4
"""How many parts of a name are looked for by expressions."""
_LEAST_WRITTEN: Final = 6
_LEAST_LOCAL: Final = 3
_LEAST_STREET_WORD: Final = 2
_LEAST_PART: Final = 4
"""A shorter part of a name may be a word or a title."""
_EVERY_TEXT: Final = ""
"""What every text holds: the record goes through ``lake.security.identifiers`` whatever its texts are."""
_CITY_AND_STATE: Final = r"^\s*[^,\n0-9]+,\s*[A-Z]{2}(?:\s+[0-9]{5}(?:-[0-9]{4})?)?\s*$"
_NAME_PART: Final = r"[\p{L}\p{M}'’-]{2,}"
_STREET_WORD: Final = (
    rf"^[^\p{{L}}\p{{N}}]*(?:\d[^\s.]*[\s.]+|(?i:{'|'.join(NUMBERS)})[\s.]+)?(?:\d+/\d+[\s.]+)*"
    rf"(?:(?i:{'|'.join((*DIRECTIONS, *SAINTS))})[\s.]+)*[^\p{{L}}\p{{N}}]*([^\s.]+)"
)
"""The first word of a street's name that people do not write in another way."""
_NO_STREET_WORD: Final = (*DIRECTIONS, *SAINTS, *NUMBERS, *words("apt apartment suite ste unit floor fl room rm"))
_OTHER_WORDS: Final = tuple(
    {word: rest[place] for word, kinds in STREET_KINDS.items() if len(rest := [k for k in kinds if k != word]) > place}
    for place in range(2)
)
"""A word for a kind of street → another way to write it, of at most two."""
_ODD_ADDRESS: Final = (
    rf"(?i)\bbo?x\b|\bdrawer\b|\bp[ ./-]*o[ ./-]*b|\b{ROAD}[^\p{{L}}\p{{N}}]*\p{{N}}"
    rf"|\b(?:{'|'.join((*DIRECTIONS, *SAINTS))})[^\p{{L}}\p{{N}}]+(?:{'|'.join(STREET_KINDS)})\b"
)
_AROUND: Final = {"first": (" ", " "), "last": (" ", " "), "zip": (" ", "")}
"""What is around a needle in notes and stays there."""
_MONTH: Final = f"(?:{'|'.join(MONTHS)})"
_DAY_OF_MONTH: Final = rf"[0-9](?:st|nd|rd|th|of|the)+{_MONTH}|{_MONTH}[a-z]{{0,6}}(?:of|the)[0-9]"
_SPELLED_DATES: Final = (rf"[0-9](?:st|nd|rd|th|of|the)*{_MONTH}", rf"{_MONTH}[a-z]{{0,9}}[0-9]")
"""A date in words, folded: what may be one of birth is looked for where there is any."""
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]")


def terms(people: pl.DataFrame) -> pl.DataFrame:
    """What to look for, a row per row of ``people``: identifiers as written (``_WRITTEN``) and folded (``_FOLDED``).

    ``people`` has the String columns ``IDENTIFIERS`` and ``born`` (Date). A term is null where there is none.
    """
    return pl.concat([_as_written(people), _as_folded(people)], how="horizontal")


def _as_written(people: pl.DataFrame) -> pl.DataFrame:
    """Of notes these are cut out at once. What is short, or an ordinary word, is left to what comes after."""
    born = pl.col("born").dt.to_string("%m/%d/%Y")
    street = pl.when(~pl.col("address").str.contains(_CITY_AND_STATE)).then(_line(0))
    raw = {name: pl.col(name).str.strip_chars() for name in IDENTIFIERS if name != "address"}
    raw |= {"street": street, "born": born, "zip": " " + pl.col("address").str.extract(r" ([0-9]{5})\s*$")}
    parts = pl.col("patient_name").str.extract_all(_NAME_PART)
    ends = {"first": parts.list.first(), "last": parts.list.last()}
    return people.select(
        *(
            pl.when(value.str.len_bytes().is_between(_LEAST_WRITTEN, LONGEST)).then(value).alias(f"{name}{_WRITTEN}")
            for name, value in raw.items()
        ),
        *(
            pl.when(part.str.len_bytes() >= _LEAST_PART).then(" " + part + " ").alias(f"{name}{_WRITTEN}")
            for name, part in ends.items()
        ),
    )


def _as_folded(people: pl.DataFrame) -> pl.DataFrame:
    """One of these is in every folded text in which ``lake.security.identifiers`` finds something."""
    texts = _folded_together(people)
    parts = _fold(people["patient_name"], " ")
    if _not_ascii(people["patient_name"]).any():
        parts = parts + " " + _fold(_spelled_out(people["patient_name"]), " ")
    texts = texts.with_columns(
        parts=parts.str.extract_all(r"[^\W0-9_]{2,}").list.unique(),
        email=pl.when(pl.col("email").str.len_chars() < _LEAST_LOCAL).then("mail").otherwise("email"),
        phone=pl.col("phone").str.tail(7),
        **{f"{which}_number": _number_in(pl.col(f"{which}_id")) for which in ("patient", "visit")},
    )
    born = people["born"].dt
    y, m, d = (pl.lit(born.to_string(part)) for part in ("%y", "%m", "%d"))
    month, day = pl.lit(born.month().cast(pl.String)), pl.lit(born.day().cast(pl.String))
    dates: list[tuple[pl.Expr, ...]] = [(y, m, d), (m, d, y), (d, m, y), (y, d, m), (m, y, d), (d, y, m)]
    dates += [(y, month, day), (month, day, y), (day, month, y)]
    odd = (
        ~pl.col("parts").list.len().is_between(1, _PARTS)
        | pl.lit(people["born"].is_null() & people["date_of_birth"].is_not_null())
        | pl.lit(people["address"].str.count_matches(r"[,\n]") > _PARTS)
        | pl.lit(people["address"].str.contains(_ODD_ADDRESS))
        | _is_odd_street("street")
        | _is_odd_street("line")
        | pl.any_horizontal(pl.col(name).str.contains("[^0-9]") for name in ("ssn", "phone"))
    )
    at_least = {
        "email": 3,
        "street": _LEAST_STREET_WORD,
        "line": _LEAST_STREET_WORD,
        "ssn": 3,
        "phone": 7,
        "patient_id": 3,
        "visit_id": 3,
    }
    at_least |= {"patient_number": 3, "visit_number": 3}
    part = pl.col("parts").list
    return texts.select(
        *(
            _long_enough(part.get(place, null_on_oob=True), 2).alias(f"part_{place}{_FOLDED}")
            for place in range(_PARTS)
        ),
        pl.when(odd).then(pl.lit(_EVERY_TEXT)).alias(f"odd{_FOLDED}"),
        *(
            pl.col(name).replace_strict(other, default=None).alias(f"{name}_{number}{_FOLDED}")
            for name in ("street", "line")
            for number, other in enumerate(_OTHER_WORDS)
        ),
        *(_long_enough(pl.col(name), least).alias(f"{name}{_FOLDED}") for name, least in at_least.items()),
        pl.lit(people["address"].str.extract(r"\b([0-9]{5})(?:-[0-9]{4})?\D*$")).alias(f"zip{_FOLDED}"),
        pl.lit(born.to_string("%Y")).alias(f"year{_FOLDED}"),
        *(pl.concat_str(date).alias(f"born_{number}{_FOLDED}") for number, date in enumerate(dates)),
    )


def _folded_together(people: pl.DataFrame) -> pl.DataFrame:
    """Parts of identifiers, folded in one go: email (before its @), mail, street and line (a word), ssn, phone, ids."""
    parts = {
        "email": pl.col("email").str.extract("^([^@]+)"),
        "mail": pl.col("email"),
        "street": _line(0).str.extract(_STREET_WORD),
        "line": _line(1).str.extract(_STREET_WORD),
        "ssn": pl.col("ssn"),
        "phone": pl.col("phone").str.extract("^([^xX#;]+)"),
        "patient_id": pl.col("patient_id"),
        "visit_id": pl.col("visit_id"),
    }
    joined = people.select(pl.concat_str([part.fill_null("") for part in parts.values()], separator=_BETWEEN))
    split = _fold(joined.to_series()).str.split_exact(_BETWEEN, len(parts) - 1).struct.rename_fields(list(parts))
    return split.struct.unnest()


def scrub(rows: pl.DataFrame, own: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Shown rows with ``TEXTS`` and ``WHOLE`` (String) scrubbed of the identifiers, ``born`` and ``terms`` in ``own``.

    ``known`` has Boolean columns named for texts: true where the text is a value of the reference table and stays. The
    three frames are of the same events, row by row.
    """
    clean = rows.with_columns(_cut_out_of_notes(rows["notes"], own))
    clean = _without_own(clean, own, known)
    clean = clean.with_columns(_without_patterns(clean))
    return clean.with_columns(clean[name].zip_with(~known[name], rows[name]) for name in known.columns)


def _without_own(rows: pl.DataFrame, own: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    looked_at = rows.select(*TEXTS, *WHOLE).with_columns(rows[name].set(known[name], None) for name in known.columns)
    text = looked_at.select(pl.concat_str(pl.all(), separator=_BETWEEN, ignore_nulls=True)).to_series()
    suspects = _may_hold_one(_fold(text), own)
    if not suspects.any():
        return rows
    places = suspects.arg_true()
    both = zip(
        looked_at[places].iter_rows(named=True), own[places].select(IDENTIFIERS).iter_rows(named=True), strict=True
    )
    mended = pl.DataFrame([_mended(*two) for two in both], schema=looked_at.schema)
    # What was not looked at is null there, and stays.
    return rows.with_columns(
        rows[name].scatter(places, mended[name].zip_with(mended[name].is_not_null(), rows[name][places]))
        for name in mended.columns
    )


def _mended(row: dict[str, str | None], record: dict[str, str | None]) -> dict[str, str | None]:
    shown = {name: value for name, value in row.items() if value is not None}
    for name, clean in zip(shown, scrubbed_all(list(shown.values()), spellings_of(record)), strict=True):
        row[name] = clean if name in TEXTS or clean == shown[name] else HIDDEN
    return row


def _line(number: int) -> pl.Expr:
    """A line of the address before its city: the first, or the next one where there is a third."""
    if number == 0:
        return pl.col("address").str.extract(r"^\s*([^,\n]+)").str.strip_chars_end()
    return pl.col("address").str.extract(r"^[^,\n]*[,\n]([^,\n]*)[,\n][^,\n]*[,\n]")


def _long_enough(value: pl.Expr, letters: int) -> pl.Expr:
    """The value, cut at ``LONGEST``; null where it has fewer letters than are looked for."""
    return pl.when(value.str.len_bytes() >= letters).then(value.str.head(LONGEST))


def _is_odd_street(line: str) -> pl.Expr:
    """Whether no word of this line is in all the ways to write its street."""
    word = pl.col(line)
    return (word.str.len_bytes() == 1) | word.is_in(_NO_STREET_WORD) | word.str.contains("^[0-9]+$")


def _number_in(ids: pl.Expr) -> pl.Expr:
    return ids.str.replace_all(r"[^0-9]", "").str.strip_chars_start("0")


def _fold(texts: pl.Series, instead: str = "") -> pl.Series:
    """``folded`` of many texts at once, each text of a row by itself; what it drops becomes ``instead``."""
    plain = texts.str.to_lowercase().str.replace_all(r"[^a-z0-9\x1f]+", instead)
    other = _not_ascii(texts).fill_null(value=False)
    if not other.any():
        return plain
    # What is not ASCII becomes so, or another letter; then as above, with what is left of it.
    careful = [_NOT_ASCII.sub(lambda found: _fold_letter(found[0], instead), text) for text in texts.filter(other)]
    low = pl.Series(careful, dtype=pl.String).str.to_lowercase()
    return plain.scatter(other.arg_true(), low.str.replace_all(r"[^a-z0-9\x1f\x80-\x{10FFFF}]+", instead))


def _fold_letter(letter: str, instead: str) -> str:
    return fold_letter(letter) or ("" if is_within(letter) else instead)


def _spelled_out(texts: pl.Series) -> pl.Series:
    other = _not_ascii(texts).fill_null(value=False)
    return texts.clone().scatter(other.arg_true(), [spelled_out(text) for text in texts.filter(other).to_list()])


def _cut_out_of_notes(notes: pl.Series, own: pl.DataFrame) -> pl.Series:
    """Notes less the identifiers as they are written in the record."""
    for name, needle in ((column.name, column) for column in own.select(cs.ends_with(_WRITTEN))):
        held = (
            pl.DataFrame([notes.alias("text"), needle.alias("needle")])
            .select(pl.col("text").str.contains(pl.col("needle"), literal=True).fill_null(value=False))
            .to_series()
        )
        if not held.any():
            continue
        before, after = _AROUND.get(name.removesuffix(_WRITTEN), ("", ""))
        some = pl.DataFrame([notes.filter(held).alias("text"), needle.filter(held).alias("needle")])
        pieces = pl.col("text").str.split(pl.col("needle"))
        without = some.select(pieces.list.join(f"{before}{REDACTED}{after}")).to_series()
        notes = notes.clone().scatter(held.arg_true(), without)
    return notes


def _without_patterns(rows: pl.DataFrame) -> pl.DataFrame:
    """``TEXTS`` less the patterns of anybody's; a text without any stays as it came."""
    hinted = {name: (rows[name].str.contains(HINT) | _not_ascii(rows[name])).fill_null(value=False) for name in TEXTS}
    some = {name: rows[name].filter(these) for name, these in hinted.items()}
    # All columns at once: looking for a pattern costs something however little there is to look at.
    distinct = pl.concat([texts.alias("text") for texts in some.values()]).unique()
    if distinct.is_empty():
        return rows.select(TEXTS)
    plain = distinct
    if (other := _not_ascii(distinct)).any():
        as_plain = distinct.filter(other).str.replace_many(list(PLAIN), list(PLAIN.values()))
        plain = distinct.clone().scatter(other.arg_true(), as_plain)
    clean = plain
    for pattern in PASSES:
        clean = clean.str.replace_all(pattern, REDACTED)
    changed = clean != plain
    if not changed.any():
        return rows.select(TEXTS)
    old, new = distinct.filter(changed), clean.filter(changed)
    return rows.select(
        rows[name].scatter(these.arg_true(), some[name].replace(old, new)) if len(some[name]) else rows[name]
        for name, these in hinted.items()
    )


def _not_ascii(texts: pl.Series) -> pl.Series:
    return texts.str.len_bytes() != texts.str.len_chars()


def _may_hold_one(text: pl.Series, own: pl.DataFrame) -> pl.Series:
    """Rows whose folded text holds one of the folded terms."""
    found = _holds_any(text, own.select(cs.ends_with(_FOLDED)))
    # One after the other: of both together the engine takes three times as long.
    before, after = (text.str.contains(form) for form in _SPELLED_DATES)
    if (spelled := (before | after) & ~found).any():
        places = spelled.arg_true()
        held = _holds_any(text[places], _births_in_words(own["born"][places]))
        found = found.scatter(places, held | text[places].str.contains(_DAY_OF_MONTH))
    return found


def _births_in_words(born: pl.Series) -> pl.DataFrame:
    """Day or year next to the month's name, of which one is in every date of birth with its month in letters."""
    when = pl.col("born").dt
    day, year = when.to_string("%d"), when.to_string("%y")
    figures = (day, day.str.strip_chars_start("0"), year, year.str.strip_chars_start("0"))
    full = when.to_string("%B").str.to_lowercase()
    sept = pl.when(when.month() == 9).then(pl.lit("sept"))
    dates = [(figure, full.str.head(3)) for figure in figures]
    dates += [(name, figure) for name in (full.str.head(3), full, sept) for figure in figures]
    return born.to_frame().select(pl.concat_str(date).alias(f"{number}") for number, date in enumerate(dates))


def _holds_any(text: pl.Series, terms: pl.DataFrame) -> pl.Series:
    held = (pl.col("text").str.contains(pl.col(term), literal=True).fill_null(value=False) for term in terms.columns)
    return terms.with_columns(text.alias("text")).select(pl.any_horizontal(held)).to_series()
