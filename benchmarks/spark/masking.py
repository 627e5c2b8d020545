"""A valid event → a masked Silver row under the policy ``display``, by Spark's native functions.

The rules are those of ``app.stream.transforms.mask`` in Java's dialect of regular expressions, but for scrubbing:
identifiers are taken out as they are written, and fewer patterns, so that Spark has less to do than the stream.
"""

from functools import reduce
from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from benchmarks.spark.keys import Key
from lake.contracts.event import FIELDS

_HIDDEN: Final = "*****"
_REDACTED: Final = "[redacted]"
_OLDEST_BIRTH_YEAR: Final = 1850
_MIN_CHARS: Final = 3
_FREE: Final = (
    *("message_id", "facility", "department", "ward", "bed", "doctor_id", "diagnosis_code", "diagnosis"),
    *("treatment", "notes"),
)
_FORMED: Final = ("patient_name", "ssn", "phone", "email", "address")
_KEPT: Final = (
    *("message_id", "event_type", "event_time", "sex", "facility", "department", "ward", "bed", "doctor_id"),
    *("diagnosis_code", "diagnosis", "severity", "treatment", "disposition"),
)
_NEEDLES: Final = ("patient_name", "ssn", "phone", "email", "street", "patient_id", "visit_id", "date_of_birth")

_NAME_PART: Final = r"[\p{L}\p{M}'’-]{2,}"
_PLACE: Final = (
    r"(?:^|[,\n])\s*(\p{L}[\p{L} .'’-]*?,\s*[A-Z]{2})(?:\s+\d{5}(?:-\d{4})?)?(?:,?\s*(?:USA|US|United States))?\s*\z"
)
_CITY_AND_STATE: Final = r"^\s*[^,\n0-9]+,\s*[A-Z]{2}(?:\s+[0-9]{5}(?:-[0-9]{4})?)?\s*\z"
_EDGE: Final = r"(?:\b|[\p{L}_])"
_MONTH: Final = r"(?i:(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*)\.?"
_DAY: Final = r"\d{1,2}(?i:st|nd|rd|th)?"
_PATTERN: Final = "|".join(
    (
        r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)*\b",
        rf"(?:\+?1[-. ]?)?(?:\(\d{{3}}\)|{_EDGE}\d{{3}})[-. ]?\d{{3}}[-. ]?\d{{4}}{_EDGE}",
        rf"{_EDGE}\d{{3}}[-. ]?\d{{2}}[-. ]?\d{{4}}{_EDGE}",
        rf"{_EDGE}\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}{_EDGE}",
        rf"{_EDGE}\d{{1,2}}[-/.]\d{{1,2}}[-/.]\d{{2,4}}{_EDGE}",
        rf"\b{_MONTH} {_DAY},? \d{{4}}\b",
        rf"\b{_DAY}(?i: of)? {_MONTH},? \d{{4}}\b",
    )
)


def masked(rows: DataFrame, key: Key, policy: str, fingerprint: str) -> DataFrame:
    """The columns of ``silver/events`` for each row, in place of the fields; other columns stay.

    Rows as ``validated`` makes them. A row with reasons gets columns too, which nobody is to read.
    """
    others = [name for name in rows.columns if name not in FIELDS]
    parts = F.regexp_extract_all("patient_name", F.lit(_NAME_PART), F.lit(0))
    known = rows.select(*rows.columns, _own().alias("own"), parts.alias("parts"), _fingerprint(key), *_pseudonyms(key))
    shown = known.select(
        *others,
        *_KEPT,
        *(rule(F.col(name)).alias(name) for name, rule in _RULES.items()),
        _birth_year().alias("birth_year"),
        F.regexp_replace(_without_own(F.col("notes")), _PATTERN, _REDACTED).alias("notes"),
        *("patient_key", "visit_key", "content_hash"),
        F.struct(*(F.lower(f"own.{name}").alias(name) for name in _NEEDLES)).alias("low"),
        F.lower(F.array_join("parts", "|")).alias("parts"),
        F.lit(policy).alias("policy"),
        F.lit(fingerprint).alias("policy_fingerprint"),
        F.to_date("event_time").alias("event_date"),
    )
    return _mended(shown).drop("low", "parts")


def _own() -> Column:
    """The record's identifiers as written, null where absent or too short."""
    street = F.when(~F.col("address").rlike(_CITY_AND_STATE), _extract(F.col("address"), r"^\s*([^,\n]+)"))
    raw = [F.trim(street if name == "street" else F.col(name)) for name in _NEEDLES]
    own = [F.when(F.length(value) >= _MIN_CHARS, value) for value in raw]
    return F.struct(*(value.alias(name) for name, value in zip(_NEEDLES, own, strict=True)))


def _fingerprint(key: Key) -> Column:
    fields = [
        F.unix_micros(name).cast("string") if name == "event_time" else F.col(name)
        for name in FIELDS
        if name != "message_id"
    ]
    text = F.concat_ws("\x1f", *(F.coalesce(field, F.lit("\0")) for field in fields))
    return key.fingerprint(text).alias("content_hash")


def _pseudonyms(key: Key) -> list[Column]:
    return [key.pseudonym(F.col(f"{what}_id")).alias(f"{what}_key") for what in ("patient", "visit")]


def _extract(value: Column, pattern: str) -> Column:
    """The pattern's first group, null where it is not found."""
    found = F.regexp_extract(value, pattern, 1)
    return F.when(found != "", found)


def _fit(value: Column, masked: Column) -> Column:
    """Null stays null; what the rule could not read is masked whole."""
    return F.when(value.isNotNull(), F.coalesce(masked, F.lit(_HIDDEN)))


def _initial(value: Column) -> Column:
    return _fit(value, F.concat(_extract(value, r"^\s*(\p{L})"), F.lit(_HIDDEN)))


def _ssn_last4(value: Column) -> Column:
    last = _extract(value, r"^\s*[0-9]{3}[-. ]?[0-9]{2}[-. ]?([0-9]{4})\s*\z")
    return _fit(value, F.concat(F.lit("***-**-"), last))


def _phone_area_last4(value: Column) -> Column:
    looks = value.rlike(r"^\s*(?:\+\s*1)?[0-9\s().-]*\z")
    digits = F.when(looks, F.regexp_replace(value, "[^0-9]", ""))
    shown = F.concat(F.substring(digits, -10, 3), F.lit("-***-"), F.substring(digits, -4, 4))
    return _fit(value, F.when(digits.rlike(r"^1?[0-9]{10}\z"), shown))


def _email_first2(value: Column) -> Column:
    local = _extract(F.trim(value), r"^([^@\s]+)@[^@\s]+\z")
    kept = F.when(F.length(local) > 2, F.substring(local, 1, 2)).otherwise(F.substring(local, 1, 1))
    return _fit(value, F.concat(kept, F.lit("***@***")))


def _city_state(value: Column) -> Column:
    return _fit(value, F.regexp_replace(_extract(value, _PLACE), r",\s*", ", "))


_RULES: Final = {
    "patient_name": _initial,
    "ssn": _ssn_last4,
    "phone": _phone_area_last4,
    "email": _email_first2,
    "address": _city_state,
}


def _birth_year() -> Column:
    value = F.trim("date_of_birth")
    read = (
        F.when(value.rlike(r"^\d{4}-\d{1,2}-\d{1,2}\z"), value.try_cast("date"))
        .when(value.contains("/"), F.try_to_timestamp(value, F.lit("M/d/yyyy")).cast("date"))
        .when(value.rlike(r"^\d{8}\z"), F.try_to_timestamp(value, F.lit("yyyyMMdd")).cast("date"))
    )
    year = F.year(read)
    return F.when(year.between(_OLDEST_BIRTH_YEAR, F.year("ingested_at") + 1), year)


def _without_own(notes: Column) -> Column:
    """Notes less the record's own identifiers as written, and the first and last part of the name between spaces."""
    for name in _NEEDLES:
        notes = F.replace(notes, F.coalesce(f"own.{name}", F.lit("")), F.lit(_REDACTED))
    for part in (F.try_element_at("parts", F.lit(1)), F.try_element_at("parts", F.lit(-1))):
        spaced = F.coalesce(F.concat(F.lit(" "), part, F.lit(" ")), F.lit(""))
        notes = F.replace(notes, spaced, F.lit(f" {_REDACTED} "))
    return notes


def _mended(rows: DataFrame) -> DataFrame:
    """The few rows in whose text an identifier still stands (in notes: in any case, or part of the name) without it."""
    low = [F.col(f"low.{name}") for name in _NEEDLES]
    told = rows.withColumns(
        {
            "text": F.lower(F.concat_ws("\n", *_FREE, *_FORMED)),
            "noted": F.coalesce(F.rlike(F.lower("notes"), F.nullif("parts", F.lit(""))), F.lit(False)),
        }
    )
    holds = (F.coalesce(F.col("text").contains(needle), F.lit(False)) for needle in low)
    told = told.withColumn("suspect", reduce(Column.__or__, holds))
    whole = F.array_compact(F.array(*low))
    told = told.withColumns(
        {
            "own_words": F.when(F.col("suspect"), _words(whole)),
            "note_words": F.when(
                F.col("suspect") | F.col("noted"),
                _words(F.concat(whole, F.split(F.coalesce("parts", F.lit("")), r"\|"))),
            ),
        }
    )
    free = {name: _cut("own_words", name) for name in _FREE} | {"notes": _cut("note_words", "notes")}
    hidden = {
        name: F.when(F.col("suspect") & F.rlike(name, F.col("own_words")), _HIDDEN).otherwise(F.col(name))
        for name in _FORMED
    }
    return told.withColumns(free | hidden).drop("text", "noted", "suspect", "own_words", "note_words")


def _cut(words: str, name: str) -> Column:
    """The text less what the pattern finds, where there is a pattern."""
    cut = F.regexp_replace(name, F.col(words), F.lit(_REDACTED))
    return F.when(F.isnotnull(words), cut).otherwise(F.col(name))


def _words(needles: Column) -> Column:
    """A pattern for any of the needles as a whole word, the longest first."""
    told = F.filter(needles, lambda needle: needle != "")
    longest_first = F.array_sort(told, lambda a, b: F.length(b) - F.length(a))
    quoted = F.transform(longest_first, lambda needle: F.concat(F.lit(r"\Q"), needle, F.lit(r"\E")))
    word = r"[\p{L}\p{N}]"
    start, end = rf"(?iu)(?<!{word}(?={word}))(?:", rf")(?!(?<={word}){word})"
    return F.concat(F.lit(start), F.array_join(quoted, "|"), F.lit(end))
