"""Mask: a valid event under a policy becomes a Silver row; what does not fit its rule is masked whole.

Masking fails closed twice over: a value that its rule cannot read shows as ``*****`` (a birth year as null) and
counts as redacted; and a row in whose text an identifier of its own still stands has it taken out there too.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import polars as pl
import polars.selectors as cs

from lake.contract import FIELDS, PHI
from lake.identifiers import PATTERN, REDACTED, SEARCHED, SUFFIX, identifiers, scrub
from lake.policy import Policy, silver_column
from lake.sealing import LakeKey
from lake.tables import SILVER

HIDDEN: Final = "*****"
_OLDEST_BIRTH_YEAR: Final = 1850
_FREE: Final = (
    "message_id",
    "facility",
    "department",
    "ward",
    "bed",
    "doctor_id",
    "diagnosis_code",
    "diagnosis",
    "treatment",
)
_SILVER: Final = SILVER.polars_schema
_KEYED: Final = ("patient_id", "visit_id")
_OF_PERSON: Final = (*PHI, *_KEYED, "ingested_at")
"""What an event says of the person and the visit; the time of ingest bounds the birth year."""

_MASKED: Final = "__masked"
_FORMED: Final = ("patient_name", "ssn", "phone", "email", "address")
_NEEDLES: Final = [f"{name}{SUFFIX}" for name in SEARCHED]
_LOW: Final = [f"{needle}_low" for needle in _NEEDLES]
_LOWERED: Final = [pl.col(needle).str.to_lowercase().alias(low) for needle, low in zip(_NEEDLES, _LOW, strict=True)]
_HOLDS_ONE: Final = pl.any_horizontal(
    pl.col("text").str.contains(pl.col(low), literal=True).fill_null(value=False) for low in _LOW
)
_NAME_PART: Final = r"[\p{L}\p{M}'’-]{2,}"
_CITY: Final = r"\p{L}[\p{L} .'’-]*?"
_STATE: Final = r"[A-Z]{2}"
_ZIP_AND_COUNTRY: Final = r"(?:\s+\d{5}(?:-\d{4})?)?(?:,?\s*(?:USA|US|United States))?\s*$"


class Masked(NamedTuple):
    """``rows``: one Silver-shaped row per event (with ``row``); ``fields``: per row and PHI field, its state.

    ``fields`` has ``row`` and per PHI field a String column: ``missing``, ``masked`` or ``redacted``.
    """

    rows: pl.DataFrame
    fields: pl.DataFrame


def mask(events: pl.DataFrame, policy: Policy, key: LakeKey) -> Masked:
    """Mask valid events (``Event`` frames) under ``policy``.

    Adds ``policy``, ``policy_fingerprint``, ``content_hash`` and ``event_date``; columns that the policy does
    not name are null.
    """
    own = events.select("row", *_OF_PERSON).join(
        _people(events, policy, key), on=_OF_PERSON, how="left", nulls_equal=True, maintain_order="left"
    )
    rows = _shown(events.hstack(own.select(cs.ends_with(_MASKED))).with_columns(_content(events, key)), policy)
    if policy.rule("notes"):
        rows = _scrub_notes(rows, events, own)
    rows = _without_own_identifiers(rows, own)
    return Masked(rows, _field_states(events, rows, policy))


def _people(events: pl.DataFrame, policy: Policy, key: LakeKey) -> pl.DataFrame:
    """What depends on the person and the visit alone, worked out once for each that the events tell of.

    A backlog tells of one person twice or more: 20,000 simulated events of 9,000. Holds ``_OF_PERSON``, the masked
    columns (named with ``_MASKED``), the raw identifiers to search for, as written and in lower case, and the
    parts of the name.
    """
    people = events.select(_OF_PERSON).unique()
    masked = [
        _RULES[rule](_source(column)).alias(f"{column}{_MASKED}")
        for column, rule in policy.columns.items()
        if _source(column) in _OF_PERSON and rule != "pseudonym"
    ]
    pseudonyms = [key.pseudonyms(pl.col(field)).alias(f"{silver_column(field)}{_MASKED}") for field in _KEYED]
    parts = pl.col("patient_name").str.extract_all(_NAME_PART).fill_null([]).alias("parts")
    # Lazily, for what expressions share is worked out once then; in memory, for the streaming engine leaves chunks, and
    # the join after this takes three times as long with them.
    known = people.lazy().select(*_OF_PERSON, *masked, *pseudonyms, *identifiers(), parts)
    return known.collect(engine="in-memory").with_columns(_LOWERED)


def _shown(events: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """Silver's columns: those of the person are masked already, the others are kept."""
    shown = [
        pl.col(f"{column}{_MASKED}" if _source(column) in _OF_PERSON else column).alias(column)
        for column in policy.columns
    ]
    dropped = [
        pl.lit(None, dtype).alias(column)
        for column, dtype in _SILVER.items()
        if column not in policy.columns and _source(column) in FIELDS
    ]
    return events.select(
        "row",
        "ingested_at",
        "content_hash",
        *shown,
        *dropped,
        policy=pl.lit(policy.name),
        policy_fingerprint=pl.lit(policy.fingerprint),
        event_date=pl.col("event_time").dt.date(),
    )


def count_fields(fields: pl.DataFrame) -> list[dict[str, object]]:
    """Counts per PHI field over ``Masked.fields`` rows: present, masked, redacted, missing."""
    counts = []
    for name in PHI:
        states = dict(fields[name].value_counts().iter_rows())
        masked, redacted = states.get("masked", 0), states.get("redacted", 0)
        counts.append(
            {
                "field": name,
                "present": masked + redacted,
                "masked": masked,
                "redacted": redacted,
                "missing": states.get("missing", 0),
            }
        )
    return counts


def _source(column: str) -> str:
    return next((field for field in FIELDS if silver_column(field) == column), column)


def _content(events: pl.DataFrame, key: LakeKey) -> pl.Series:
    """Fingerprint of the record as received less its ``message_id``; control characters cannot be in a value."""
    fields = [
        pl.col("event_time").dt.epoch("us").cast(pl.String) if name == "event_time" else pl.col(name)
        for name in FIELDS
        if name != "message_id"
    ]
    text = events.select(pl.concat_str([field.fill_null("\0") for field in fields], separator="\x1f").cast(pl.Binary))
    return pl.Series("content_hash", key.fingerprints(text.to_series().to_list()), dtype=pl.Int64)


def _fit(value: pl.Expr, masked: pl.Expr) -> pl.Expr:
    """Null stays null; what the rule could not read is masked whole."""
    return pl.when(value.is_not_null()).then(masked.fill_null(HIDDEN))


def _initial(field: str) -> pl.Expr:
    value = pl.col(field)
    return _fit(value, value.str.extract(r"^\s*(\p{L})") + HIDDEN)


def _ssn_last4(field: str) -> pl.Expr:
    value = pl.col(field)
    return _fit(value, "***-**-" + value.str.extract(r"^\s*[0-9]{3}[-. ]?[0-9]{2}[-. ]?([0-9]{4})\s*$"))


def _phone_area_last4(field: str) -> pl.Expr:
    value = pl.col(field)
    digits = pl.when(value.str.contains(r"^\s*(?:\+\s*1)?[0-9\s().-]*$")).then(value.str.replace_all(r"[^0-9]", ""))
    fits = digits.str.contains(r"^1?[0-9]{10}$")
    return _fit(value, pl.when(fits).then(digits.str.tail(10).str.head(3) + "-***-" + digits.str.tail(4)))


def _email_first2(field: str) -> pl.Expr:
    value = pl.col(field).str.strip_chars()
    local = value.str.extract(r"^([^@\s]+)@[^@\s]+$")
    kept = pl.when(local.str.len_chars() > 2).then(local.str.head(2)).otherwise(local.str.head(1))
    return _fit(value, kept + "***@***")


def _city_state(field: str) -> pl.Expr:
    value = pl.col(field)
    place = value.str.extract(rf"(?:^|[,\n])\s*({_CITY},\s*{_STATE}){_ZIP_AND_COUNTRY}")
    return _fit(value, place.str.replace(r",\s*", ", "))  # a city has no comma


def _year(field: str) -> pl.Expr:
    value = pl.col(field).str.strip_chars()
    # Each form is tried on what looks like it: a failed reading costs ten times a good one.
    dashed, slashed = value.str.contains("-", literal=True), value.str.contains("/", literal=True)
    looks = {"%Y-%m-%d": dashed, "%m/%d/%Y": slashed, "%Y%m%d": ~dashed & ~slashed}
    read = pl.coalesce(pl.when(fits).then(value).str.to_date(form, strict=False) for form, fits in looks.items())
    year = read.dt.year()
    return pl.when(year.is_between(_OLDEST_BIRTH_YEAR, pl.col("ingested_at").dt.year() + 1)).then(year).cast(pl.Int32)


_RULES: Final[dict[str, Callable[[str], pl.Expr]]] = {
    "initial": _initial,
    "ssn_last4": _ssn_last4,
    "phone_area_last4": _phone_area_last4,
    "email_first2": _email_first2,
    "city_state": _city_state,
    "year": _year,
}
"""Rule → the expression that masks an event field of a person.

``pseudonym`` needs the key and ``scrub`` the whole record, so both have functions of their own; ``keep`` is none.
"""


def _scrub_notes(rows: pl.DataFrame, events: pl.DataFrame, own: pl.DataFrame) -> pl.DataFrame:
    """Take the record's own identifiers, and whatever looks like one, out of its notes.

    Identifiers written as in the record go first, all rows at once; Python then handles the rows in which one
    still stands in another case, or a part of the name does.
    """
    noted = own.select("row", "parts", *_NEEDLES, *_LOW).with_columns(events["notes"])
    noted = noted.filter(pl.col("notes").is_not_null())
    for needle in _NEEDLES:  # one after the other: nested in one expression, each would be evaluated many times
        noted = noted.with_columns(_cut_out(pl.col(needle)))
    for part in (pl.col("parts").list.first(), pl.col("parts").list.last()):
        noted = noted.with_columns(_cut_out(" " + part + " ", f" {REDACTED} "))
    noted = noted.with_columns(pl.col("parts").list.eval(pl.element().str.to_lowercase()))
    noted = noted.with_columns(pl.col("notes").str.replace_all(PATTERN, REDACTED))
    standing = _any_stands(noted)
    clean = noted.select("row", "notes")
    if standing.any():
        mended = [
            (row, scrub(note, [*filter(None, whole), *parts]))
            for row, note, parts, *whole in noted.filter(standing).select("row", "notes", "parts", *_LOW).iter_rows()
        ]
        clean = pl.concat([clean.filter(~standing), pl.DataFrame(mended, schema=clean.schema, orient="row")])
    return rows.drop("notes").join(clean, on="row", how="left", maintain_order="left")


def _cut_out(needle: pl.Expr, instead: str = REDACTED) -> pl.Expr:
    """Notes without ``needle``, which may differ by row (as a pattern of ``replace_all`` may not)."""
    text = pl.col("notes")
    held = text.str.contains(needle, literal=True)
    return pl.when(held).then(text.str.split(needle).list.join(instead)).otherwise(text)


def _any_stands(noted: pl.DataFrame) -> pl.Series:
    """Rows whose notes still hold an identifier or a part of the name, were it only inside a word."""
    low = noted.select("row", "parts", *_LOW, text=pl.col("notes").str.to_lowercase())
    parts = low.select("row", "text", "parts").explode("parts")
    held = parts.filter(pl.col("text").str.contains(pl.col("parts"), literal=True))["row"].unique()
    return low.select(_HOLDS_ONE).to_series() | low["row"].is_in(held.implode())


def _without_own_identifiers(rows: pl.DataFrame, own: pl.DataFrame) -> pl.DataFrame:
    """Repair the few rows whose text other than notes still holds one of their own identifiers."""
    text = pl.concat_str(*_FREE, *_FORMED, separator="\n", ignore_nulls=True).str.to_lowercase()
    low = own.select(_LOW).with_columns(rows.select(text=text))
    suspect = low.select(_HOLDS_ONE).to_series()
    if not suspect.any():
        return rows
    needles = low.filter(suspect).drop("text").rows()
    found = rows.filter(suspect).iter_rows(named=True)
    repaired = [_repair(row, [n for n in whole if n]) for row, whole in zip(found, needles, strict=True)]
    return pl.concat([rows.filter(~suspect), pl.DataFrame(repaired, schema=rows.schema)]).sort("row")


def _repair(row: dict[str, object], own: list[str]) -> dict[str, object]:
    for column in (*_FREE, *_FORMED):
        value = row[column]
        if isinstance(value, str) and (clean := scrub(value, own)) != value:
            row[column] = HIDDEN if column in _FORMED else clean
    return row


def _field_states(events: pl.DataFrame, rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    def state(field: str) -> pl.Expr:
        raw, out = pl.col(field), pl.col(f"{silver_column(field)}__out")
        hidden = out.is_null() if field == "date_of_birth" else out == HIDDEN
        whole = hidden if policy.rule(field) else pl.lit(value=False)
        return (
            pl.when(raw.is_null())
            .then(pl.lit("missing"))
            .when(whole)
            .then(pl.lit("redacted"))
            .otherwise(pl.lit("masked"))
        )

    out = rows.select(pl.col(silver_column(field)).alias(f"{silver_column(field)}__out") for field in PHI)
    return events.select("row", *PHI).hstack(out).select("row", *(state(field).alias(field) for field in PHI))
