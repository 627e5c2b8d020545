"""A record's own identifiers: which they are, and taking them out of text as whole words."""

import json
import re
from typing import Final

import polars as pl
import pytest

from app.steps.decode import decode
from lake.identifiers import MIN_CHARS, PATTERN, REDACTED, SEARCHED, SUFFIX, identifiers, scrub
from lake.tables import SILVER
from tests.corpus.bad_input import FULL

OWN: Final = {
    "patient_name": "Jane Roe", "ssn": "123-45-6789", "phone": "(415) 555-0199", "email": "jo.roe@mail.example",
    "street": "12 Elm Street", "patient_id": "MRN-100001", "visit_id": "VIS-200001", "date_of_birth": "1961-03-04",
}  # fmt: skip


def found(**changes: str | None) -> dict[str, str | None]:
    frame = decode([json.dumps(FULL | changes).encode()])
    row = frame.select(identifiers()).row(0, named=True)
    return {name.removesuffix(SUFFIX): value for name, value in row.items()}


def test_every_identifier_is_found_and_named_apart_from_masked_columns() -> None:
    assert found() == OWN
    assert set(found()) == set(SEARCHED)
    assert not {f"{name}{SUFFIX}" for name in SEARCHED} & set(SILVER.polars_schema)


@pytest.mark.parametrize("text", [None, "", "  ", "Jo", " Jo "])
def test_what_is_absent_or_too_short_is_not_searched_for(text: str | None) -> None:
    assert found(patient_name=text)["patient_name"] is None


def test_the_shortest_that_is_searched_for() -> None:
    assert found(patient_name=" Zoé ")["patient_name"] == "Zoé"
    assert MIN_CHARS == 3


@pytest.mark.parametrize(
    ("address", "street"),
    [
        ("12 Elm Street, Springfield, IL", "12 Elm Street"),
        ("  12 Elm Street\nSpringfield, IL", "12 Elm Street"),
        ("12 Elm Street", "12 Elm Street"),
        (", Springfield", None),
        (" ,Springfield, IL", None),
        ("\n\n12 Elm Street\nSpringfield, IL", "12 Elm Street"),
        ("\u00a012 Rue de l'Église\u2003, Springfield, IL", "12 Rue de l'Église"),
        (None, None),
    ],
)
def test_the_street_is_what_comes_before_the_first_comma_or_line_end(address: str | None, street: str | None) -> None:
    assert found(address=address)["street"] == street


@pytest.mark.parametrize(
    ("text", "needles", "left"),
    [
        ("Jane Roe", ["jane roe"], "[redacted]"),
        ("JANE ROE's bed", ["jane roe"], "[redacted]'s bed"),
        ("(roe) roe-roe roe", ["roe"], "([redacted]) [redacted]-[redacted] [redacted]"),
        ("roe_1", ["roe"], "[redacted]_1"),
        ("roentgen, aroe, roe2", ["roe"], "roentgen, aroe, roe2"),
        ("Zoé, zoéx", ["zoé"], "[redacted], zoéx"),
        ("tel.(415) 555-0199", ["(415) 555-0199"], "tel.[redacted]"),
        ("x(415) 555-0199", ["(415) 555-0199"], "x[redacted]"),
        ("Jane Roe Smith", ["jane roe", "roe smith"], "[redacted]"),
        ("Jane Roe", ["jane roe", "roe", "jane"], "[redacted]"),
        ("aaa aaa", ["aaa", "aaa aaa"], "[redacted]"),
        ("nothing here", ["jane roe"], "nothing here"),
        ("", ["jane"], ""),
        ("jane", [], "jane"),
    ],
)
def test_scrub_takes_out_whole_words_in_any_case(text: str, needles: list[str], left: str) -> None:
    assert scrub(text, needles) == left


def test_scrub_hides_a_text_whole_when_places_cannot_be_matched() -> None:
    assert scrub("\u0130 roe", ["roe"]) == REDACTED


def test_scrub_again_changes_nothing() -> None:
    once = scrub("Jane Roe, MRN-1, roe", ["jane roe", "roe", "mrn-1"])
    assert scrub(once, ["jane roe", "roe", "mrn-1"]) == once


def without_patterns(text: str) -> str:
    frame = pl.DataFrame({"text": [text]})
    return str(frame["text"].str.replace_all(PATTERN, "#")[0])


@pytest.mark.parametrize(
    "text",
    [
        "a.b+c@mail.example", "A_B@localhost",
        "123-45-6789", "123 45 6789", "123456789",
        "415-555-0199", "(415) 555-0199", "415.555.0199", "4155550199", "+1 415 555 0199", "1-415-555-0199",
        "1961-03-04", "1961/3/4", "03/04/1961", "3-4-61", "04.03.1961",
        "March 4, 1961", "Mar 4 1961", "MARCH 4th, 1961", "4 March 1961", "4th of march, 1961", "Sept. 4, 1961",
    ],
)  # fmt: skip
def test_a_pattern_is_taken_out(text: str) -> None:
    assert re.sub(r"[\[\](){}.,;: ]", "", without_patterns(f"on: {text}; then")) == "on#then"


@pytest.mark.parametrize(
    "text",
    ["120/80", "BP 120/80 at 10:30", "37.5 C", "3 of 4", "room 1234", "I21.4", "may 4", "10 mg/d", "12345", "a @ b"],
)
def test_ordinary_text_stays(text: str) -> None:
    assert without_patterns(text) == text
