"""Masking against a naive masker in plain Python, and what no row may ever show."""

import hashlib
import hmac
import json
import re
import unicodedata
from collections import Counter
from datetime import date
from typing import Any, Final

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from app.jobs.masking_audit import FREE, SEARCHED
from app.stream.decoders.json_event import decode
from app.stream.transforms.mask import Masked, count_fields, mask
from app.stream.transforms.validate import validate
from lake import reference
from lake.contracts.event import PHI
from lake.contracts.tables import UTC
from lake.quality.identifier_search import anybodys, surviving
from lake.security import masking_policy as policies
from lake.security.encryption import LakeKey
from lake.security.identifiers.finding import REDACTED, scrubbed
from lake.security.identifiers.spellings import IDENTIFIERS, SHY, TITLES, spellings_of
from lake.security.masking_policy import MASKED_FORMS, silver_column
from tests.corpus.bad_input import NOW
from tests.support.strategies import records

SECRET: Final = bytes(range(32))
DISPLAY: Final = policies.load("display")
HIDDEN: Final = "*****"
PLACES: Final = frozenset(reference.places())
Record = dict[str, str | None]


def masked(drawn: list[Record]) -> tuple[list[Record], Masked]:
    """Those records that are valid, and their masking; blanks count as absent."""
    payloads = [json.dumps(record).encode() for record in drawn]
    good, _ = validate(decode(payloads).with_columns(ingested_at=pl.lit(NOW).cast(UTC)))
    kept = [{name: v if v and v.strip() else None for name, v in drawn[row].items()} for row in good["row"]]
    return kept, mask(good, DISPLAY, LakeKey(SECRET))


# The naive masker: DESIGN's words, one value at a time.


def initial(value: str) -> str | None:
    return value.strip()[0] + HIDDEN if value.strip()[0].isalpha() else None


def ssn(value: str) -> str | None:
    parts = re.fullmatch(r"(\d{3})[-. ]?(\d\d)[-. ]?(\d{4})", value.strip())
    return f"***-**-{parts[3]}" if parts else None


def phone(value: str) -> str | None:
    digits = "".join(c for c in value if c.isdigit())
    if "+" in value and not re.match(r"\s*\+\s*1[^+]*$", value):
        return None
    digits = digits[1:] if len(digits) == 11 and digits[0] == "1" else digits
    return f"{digits[:3]}-***-{digits[6:]}" if len(digits) == 10 and not value.upper().isupper() else None


def email(value: str) -> str | None:
    local, at, domain = value.strip().partition("@")
    if not (local and at and domain) or "@" in domain or len(value.split()) > 1:
        return None
    return local[: 2 if len(local) > 2 else 1] + "***@***"


def address(value: str) -> str | None:
    place = re.sub(r",?\s*(USA|US|United States)$", "", value.strip())
    before, _, state = place.rpartition(",")
    words = re.fullmatch(r"([A-Z]{2})(\s+\d{5}(-\d{4})?)?", state.strip())
    city = re.split(r"[,\n]", before)[-1].strip()
    fits = words and city[:1].isalpha() and all(c.isalpha() or c in " .'’-" for c in city)
    if not words or not fits or words[1] not in reference.states():
        return None
    [place] = reference.place_of(pl.Series([city]), pl.Series([words[1]]))
    return f"{city if place in PLACES else HIDDEN}, {words[1]}"


def year(value: str) -> int | None:
    forms = (r"(?P<y>\d{4})-(?P<m>\d\d?)-(?P<d>\d\d?)", r"(?P<m>\d\d?)/(?P<d>\d\d?)/(?P<y>\d{4})")
    for form in (*forms, r"(?P<y>\d{4})(?P<m>\d\d)(?P<d>\d\d)"):
        found = re.fullmatch(form, value.strip())
        if found:
            try:
                born = date(int(found["y"]), int(found["m"]), int(found["d"]))
            except ValueError:
                return None
            return born.year if 1850 <= born.year <= NOW.year + 1 else None
    return None


NAIVE: Final[dict[str, Any]] = {
    "patient_name": initial, "ssn": ssn, "phone": phone, "email": email, "address": address, "date_of_birth": year,
}  # fmt: skip


def plain(text: str) -> str:
    """In lower case, without accents; what is neither letter nor digit becomes a space."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    # An accent or an invisible sign belongs to the word around it.
    kept = (c for c in apart if unicodedata.category(c) not in ("Mn", "Mc", "Me", "Cf", "Lm"))
    return "".join(c if c.isalnum() else " " for c in kept)


def own(record: Record) -> list[str]:
    """Words and numbers of the record's identifiers, as plain text to look for."""
    parts = [
        part for part in re.findall(r"[^\W\d_]{2,}", plain(record["patient_name"] or "")) if part not in SHY | TITLES
    ]
    whole = ["".join(plain(record[name] or "").split()) for name in ("patient_id", "visit_id")]
    digits = ["".join(re.findall("[0-9]", record[name] or "")) for name in ("ssn", "phone")]
    return [*parts, *(one for one in whole if len(one) >= 3), *(one for one in digits if len(one) >= 9)]


def stands(word: str, text: str) -> bool:
    """Whether ``word`` stands in ``text`` as a whole word, in any spelling."""
    return re.search(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", plain(text)) is not None


def naive(record: Record, field: str) -> tuple[object, str]:
    """The value shown for a PHI field, and its state."""
    value = record[field]
    if value is None:
        return None, "missing"
    shown = NAIVE[field](value)
    if shown is None:
        return None if field == "date_of_birth" else HIDDEN, "redacted"
    if field != "date_of_birth" and scrubbed(shown, spellings_of(record)) != shown:
        return HIDDEN, "redacted"
    return shown, "redacted" if str(shown).startswith(HIDDEN) else "masked"


@given(st.lists(records(), max_size=4))
def test_each_phi_field_is_masked_as_the_naive_masker_says(drawn: list[Record]) -> None:
    kept, done = masked(drawn)
    for at, record in enumerate(kept):
        for field in PHI:
            shown = done.rows[silver_column(field)][at], done.fields[field][at]
            assert shown == naive(record, field), f"{field} differs"


@given(st.lists(records(), min_size=1, max_size=4))
def test_no_own_identifier_survives_in_any_text_of_its_row(drawn: list[Record]) -> None:
    kept, done = masked(drawn)
    coded = ("event_type", "sex", "severity", "disposition", "policy", "policy_fingerprint", "patient_key", "visit_key")
    for record, row in zip(kept, done.rows.drop(coded).iter_rows(named=True), strict=True):
        texts = {name: text.replace("[redacted]", "\n") for name, text in row.items() if isinstance(text, str)}
        surviving_identifiers = [name for name, text in texts.items() for word in own(record) if stands(word, text)]
        assert not surviving_identifiers, "an identifier stands in a column of its own row"


@given(st.lists(records(), min_size=1, max_size=4))
def test_what_searches_stored_text_finds_nothing_in_what_was_masked(drawn: list[Record]) -> None:
    kept, done = masked(drawn)
    text = pl.concat_str(SEARCHED, separator="\n", ignore_nulls=True).str.replace_all(REDACTED, "\n", literal=True)
    people = [{name: record[name] for name in IDENTIFIERS} for record in kept]
    records_beside = pl.DataFrame(people, schema=dict.fromkeys(IDENTIFIERS, pl.String))
    both = done.rows.select(text=text).with_row_index("row").hstack(records_beside)
    assert {name: found for name, (_, found) in surviving(both).items() if found} == {}
    free = done.rows.select(pl.any_horizontal(anybodys(pl.col(name)) for name in FREE)).to_series()
    assert not free.fill_null(value=False).any()


@given(st.lists(records(), min_size=1, max_size=4))
def test_no_pattern_survives_in_notes(drawn: list[Record]) -> None:
    _, done = masked(drawn)
    for notes in done.rows["notes"]:
        text = (notes or "").replace("[redacted]", "\n")
        assert not re.search(r"\b(\d{3}-\d\d-\d{4}|\d{3}-\d{3}-\d{4}|\d{4}-\d\d-\d\d|\w+@\w+)\b", text)


@given(st.lists(records(), max_size=4))
def test_text_that_has_nothing_in_common_with_an_identifier_stays_as_it_came(drawn: list[Record]) -> None:
    kept, done = masked(drawn)
    for at, record in enumerate(kept):
        told = {pair for name in IDENTIFIERS for pair in pairs(record[name] or "")}
        for field in ("facility", "treatment", "ward", "notes"):
            text = record[field] or ""
            if text.isascii() and not re.search("[0-9@]|at", text) and not pairs(text) & told:
                assert done.rows[field][at] == record[field], f"{field} changed"


def pairs(text: str) -> set[str]:
    """Each two neighbouring letters or digits."""
    squashed = plain(text).replace(" ", "")
    return {squashed[at : at + 2] for at in range(len(squashed) - 1)}


@given(st.lists(records(), max_size=4))
def test_every_output_has_its_rule_s_form(drawn: list[Record]) -> None:
    _, done = masked(drawn)
    for column, rule in DISPLAY.columns.items():
        if rule in MASKED_FORMS:
            assert done.rows[column].drop_nulls().str.contains(MASKED_FORMS[rule]).all(), f"{column} breaks its form"


@given(st.lists(records(), max_size=4))
def test_counts_are_conserved_and_agree_with_the_naive_masker(drawn: list[Record]) -> None:
    kept, done = masked(drawn)
    for count in count_fields(done.fields):
        expected = Counter(naive(record, str(count["field"]))[1] for record in kept)
        assert {state: count[state] for state in ("masked", "redacted", "missing")} == {
            state: expected[state] for state in ("masked", "redacted", "missing")
        }
        assert count["present"] == expected["masked"] + expected["redacted"]
        assert expected.total() == done.rows.height


@given(st.lists(records(), max_size=4))
def test_pseudonyms_are_those_of_the_standard_library(drawn: list[Record]) -> None:
    kept, done = masked(drawn)
    for field in ("patient_id", "visit_id"):
        expected = [hmac.new(SECRET, str(r[field]).encode(), hashlib.sha256).hexdigest()[:32] for r in kept]
        assert done.rows[silver_column(field)].to_list() == expected


@given(st.lists(records(), max_size=4))
def test_a_row_is_masked_the_same_alone_and_in_company(drawn: list[Record]) -> None:
    _, together = masked(drawn)
    apart = [masked([record])[1].rows.drop("row") for record in drawn]
    assert together.rows.drop("row").equals(pl.concat([together.rows.drop("row").clear(), *apart]))
