"""Mask: a valid event under a policy becomes a Silver row; what does not fit its rule is masked whole.

Masking fails closed twice over: a value that its rule cannot read shows as ``*****`` (a birth year as null) and
counts as redacted; and every text that is shown is scrubbed (``app.stream.transforms.scrub``).
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import polars as pl
import polars.selectors as cs

from app.stream.transforms.scrub import HIDDEN, scrub, terms
from lake import reference
from lake.contracts.event import FIELDS, PHI
from lake.contracts.tables import SILVER
from lake.security.encryption import LakeKey
from lake.security.masking_policy import DIMENSIONS, MASKED_FORMS, Policy, silver_column

_OLDEST_BIRTH_YEAR: Final = 1850
_SILVER: Final = SILVER.polars_schema
_IDS: Final = ("message_id", "doctor_id")
_KEYED: Final = ("patient_id", "visit_id")
_OF_PERSON: Final = (*PHI, *_KEYED, "ingested_at")
"""What an event says of the person and the visit; the time of ingest bounds the birth year."""

_MASKED: Final = "__masked"
_NO_ID: Final = (
    r"(?:^|[^0-9])(?:[0-9]{3}[-._/:](?:[0-9]{2}|[0-9]{3})[-._/:][0-9]{4}|(?:[0-9]{4}[-._/:]){3}[0-9]{4})(?:[^0-9]|$)"
    r"|^\+[0-9]|(?i:ssn)[^0-9]?[0-9]|(?:[0-9]{1,3}\.){3}[0-9]|\.(?i:com|org|net|edu|gov|info|io|example)(?:/|$)"
    r"|(?i:(?:^|[^a-z0-9])[1-9][a-z][a-z0-9][0-9][-._]?[a-z][a-z0-9][0-9][-._]?[a-z]{2}[0-9]{2}(?:[^a-z0-9]|$)"
    r"|^(?:[a-z]+[^a-z0-9]+)?(?:(?:18|19|20)[0-9]{2}[-./][0-9]{1,2}[-./][0-9]{1,2}"
    r"|[0-9]{1,2}[-./][0-9]{1,2}[-./][0-9]{4})$"
    r"|(?:^|[^a-z0-9])[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}(?:[^a-z0-9]|$)"
    r"|(?:^|[^a-z])(?:mrn|dob|ssn|iban|acct|account|policy|passport|license|medicare|medicaid)[^a-z0-9]*[a-z]{0,2}[0-9])"
)
"""An SSN, a phone, card or Medicare number, an address of the net, a MAC address, a date alone, or a number after its
keyword, which no id may show. A date among other figures and ten digits in a row are none: messages are numbered by
day, doctors by an NPI."""
_CITY: Final = r"\p{L}[\p{L} .'’-]*?"
_STATE: Final = r"[A-Z]{2}"
_ZIP_AND_COUNTRY: Final = r"(?:\s+\d{5}(?:-\d{4})?)?(?:,?\s*(?:USA|US|United States))?\s*$"


class Masked(NamedTuple):
    """``rows``: one Silver-shaped row per event (with ``row``); ``fields``: per event and PHI field, its state.

    ``fields`` has ``row``, ``event_index`` and per PHI field a String column: ``missing``, ``masked`` or ``redacted``.
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
    known = rows.select(
        pl.col(name).is_in(policy.dimensions.get(name, ())).fill_null(value=False) for name in DIMENSIONS
    )
    rows = scrub(rows, own, known)
    if policy.find_names is not None:
        rows = rows.with_columns(policy.find_names(rows["notes"]))
    rows = _with_titles(_with_ids(rows, events["message_id"], key), events["diagnosis_code"], policy)
    return Masked(rows, _field_states(events, rows, policy))


def _people(events: pl.DataFrame, policy: Policy, key: LakeKey) -> pl.DataFrame:
    """What depends on the person and the visit alone, worked out once for each that the events tell of.

    A backlog tells of one person twice or more: 20,000 simulated events of 7,600. Holds ``_OF_PERSON``, the masked
    columns (named with ``_MASKED``), and the ``terms`` to search for.
    """
    people = events.select(_OF_PERSON).unique()
    masked = [
        _RULES[rule](_source(column)).alias(f"{column}{_MASKED}")
        for column, rule in policy.columns.items()
        if _source(column) in _OF_PERSON and rule != "pseudonym"
    ]
    pseudonyms = [key.pseudonyms(pl.col(field)).alias(f"{silver_column(field)}{_MASKED}") for field in _KEYED]
    # Lazily, for what expressions share is worked out once then; in memory, for the streaming engine leaves chunks, and
    # the join after this takes three times as long with them.
    known = people.lazy().select(*_OF_PERSON, *masked, *pseudonyms, born=_born("date_of_birth"))
    done = known.collect(engine="in-memory")
    if policy.rule("address"):
        done = done.with_columns(_in_a_real_place(done[f"address{_MASKED}"]))
    return done.hstack(terms(done))


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
        "event_index",
        "source_format",
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


def _in_a_real_place(addresses: pl.Series) -> pl.Series:
    """``City, ST`` where there is such a place in that state; else ``*****, ST``, or ``*****`` without such a state."""
    distinct = addresses.drop_nulls().unique()
    parts = distinct.str.extract_groups(r"^(?<city>.+), (?<state>[A-Z]{2})$").struct.unnest()
    real = reference.are_places(parts["city"], parts["state"])
    state = parts["state"].is_in(list(reference.states())).fill_null(value=False)
    shown = pl.when(real).then(distinct).when(state).then(HIDDEN + ", " + parts["state"]).otherwise(pl.lit(HIDDEN))
    return addresses.replace(distinct, pl.select(shown).to_series())


def _born(field: str) -> pl.Expr:
    """The date of birth (Date), null where it is in none of the forms."""
    value = pl.col(field).str.strip_chars()
    # Each form is tried on what looks like it: a failed reading costs ten times a good one.
    dashed, slashed = value.str.contains("-", literal=True), value.str.contains("/", literal=True)
    looks = {"%Y-%m-%d": dashed, "%m/%d/%Y": slashed, "%Y%m%d": ~dashed & ~slashed}
    return pl.coalesce(pl.when(fits).then(value).str.to_date(form, strict=False) for form, fits in looks.items())


def _year(field: str) -> pl.Expr:
    year = _born(field).dt.year()
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

The others are not of one field: ``pseudonym`` needs the key, ``id``, ``reference`` and ``scrub`` the whole record, and
``title`` the reference table. ``keep`` is none.
"""


def _with_ids(rows: pl.DataFrame, message_ids: pl.Series, key: LakeKey) -> pl.DataFrame:
    """Ids that look like one: a message id that held an identifier becomes a keyed hash, other text is masked whole."""
    held = rows["message_id"] == HIDDEN
    if held.any():
        hashed = message_ids.to_frame().select(key.pseudonyms(pl.col("message_id"))).to_series()
        rows = rows.with_columns(hashed.zip_with(held, rows["message_id"]).alias("message_id"))

    def fit(name: str) -> pl.Expr:
        value = pl.col(name)
        fits = value.str.contains(MASKED_FORMS["id"]) & ~value.str.contains(_NO_ID)
        return pl.when(fits).then(value).when(value.is_not_null()).then(pl.lit(HIDDEN)).alias(name)

    return rows.with_columns(map(fit, _IDS))


def _with_titles(rows: pl.DataFrame, codes: pl.Series, policy: Policy) -> pl.DataFrame:
    """The official title of each diagnosis code; null where there is none. A code that was hidden has none either."""
    if policy.rule("diagnosis") is None:
        return rows
    shown = rows["diagnosis_code"] if policy.rule("diagnosis_code") else codes
    return rows.with_columns(reference.titles_of(shown).alias("diagnosis"))


def _field_states(events: pl.DataFrame, rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    def state(field: str) -> pl.Expr:
        raw, out = pl.col(field), pl.col(f"{silver_column(field)}__out")
        hidden = out.is_null() if field == "date_of_birth" else out.str.starts_with(HIDDEN)
        whole = hidden if policy.rule(field) else pl.lit(value=False)
        return (
            pl.when(raw.is_null())
            .then(pl.lit("missing"))
            .when(whole)
            .then(pl.lit("redacted"))
            .otherwise(pl.lit("masked"))
        )

    out = rows.select(pl.col(silver_column(field)).alias(f"{silver_column(field)}__out") for field in PHI)
    states = (state(field).alias(field) for field in PHI)
    return events.select("row", "event_index", *PHI).hstack(out).select("row", "event_index", *states)
