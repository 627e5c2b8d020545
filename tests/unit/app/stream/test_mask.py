"""Mask: the rules by example, what fails closed, what is taken out of text, what is counted."""

import hashlib
import hmac
import re
from dataclasses import replace
from typing import Final

import polars as pl
import pytest

from app.stream.decoders.json_event import decode
from app.stream.transforms.mask import count_fields, mask
from app.stream.transforms.validate import validate
from lake.contracts.event import FIELDS, PHI
from lake.contracts.tables import SILVER, UTC
from lake.security import masking_policy as policies
from lake.security.encryption import LakeKey
from lake.security.masking_policy import Policy
from tests.corpus.bad_input import FULL, NOW, event
from tests.unit.lake.security.test_spelling import STREETS

KEY: Final = LakeKey(bytes(range(32)))
DISPLAY: Final = policies.load("display")
NOBODY: Final = dict.fromkeys((*PHI, "notes"))


def events(*payloads: bytes) -> pl.DataFrame:
    good, failures = validate(decode(payloads).with_columns(ingested_at=pl.lit(NOW).cast(UTC)))
    assert failures.is_empty()
    return good


def masked(policy: Policy = DISPLAY, **fields: str | None) -> tuple[dict[str, object], dict[str, object]]:
    """The Silver row and the field states of one event with these fields and no other identifiers."""
    done = mask(events(event(**(NOBODY | fields))), policy, KEY)
    return done.rows.row(0, named=True), done.fields.row(0, named=True)


EXAMPLES: Final = [
    ("patient_name", "Jane Roe", "J*****"),
    ("patient_name", "  élodie", "é*****"),
    ("patient_name", "O", "O*****"),
    ("ssn", "123-45-6789", "***-**-6789"),
    ("ssn", " 123456789 ", "***-**-6789"),
    ("ssn", "123 45 6789", "***-**-6789"),
    ("phone", "(415) 555-0199", "415-***-0199"),
    ("phone", "+1 415.555.0199", "415-***-0199"),
    ("phone", "14155550199", "415-***-0199"),
    ("email", "jo.roe@mail.example", "jo***@***"),
    ("email", "jo@mail.example", "j***@***"),
    ("email", "j@mail.example", "j***@***"),
    ("email", " joe@mail.example ", "jo***@***"),
    ("address", "12 Elm Street, Springfield, IL 62704", "Springfield, IL"),
    ("address", "12 Elm Street\nApt 3\nSpringfield, IL 62704-1234", "Springfield, IL"),
    ("address", "1 Rue X, Coeur d’Alene, ID, USA", "Coeur d’Alene, ID"),
    ("date_of_birth", "1961-03-04", 1961),
    ("date_of_birth", "03/04/1961", 1961),
    ("date_of_birth", "19610304", 1961),
]


def test_a_value_that_fits_shows_what_its_rule_lets_through(subtests: pytest.Subtests) -> None:
    for field, value, shown in EXAMPLES:
        with subtests.test(field=field):
            row, states = masked(**{field: value})
            assert row[policies.silver_column(field)] == shown
            assert states[field] == "masked"


def test_a_value_that_does_not_fit_fails_closed_and_counts_as_redacted(subtests: pytest.Subtests) -> None:
    for field, value in [
        ("patient_name", "12 Roe"),
        ("patient_name", "*Jane"),
        ("ssn", "12-345-678"),
        ("ssn", "1234567890"),
        ("ssn", "123-45-678X"),
        ("ssn", "SSN 123-45-6789"),
        ("phone", "555-0199"),
        ("phone", "415-555-0199 ext 7"),
        ("phone", "24155550199"),
        ("phone", "004915112345678"),
        ("email", "jo.roe"),
        ("email", "@mail.example"),
        ("email", "jo@roe@mail.example"),
        ("email", "Jane <jo@mail.example>"),
        ("address", "12 Elm Street Springfield IL 62704"),
        ("address", "12 Elm Street, Springfield, Illinois"),
        ("address", "12 Elm Street, Springfield, il 62704"),
        ("address", "12 Elm Street, Unit 4, IL 62704"),
        ("date_of_birth", "1961-02-30"),
        ("date_of_birth", "March 4, 1961"),
        ("date_of_birth", "1961"),
        ("date_of_birth", "1849-12-31"),
        ("date_of_birth", "2061-03-04"),
        ("date_of_birth", "03/04/61"),
    ]:
        with subtests.test(field=field):
            row, states = masked(**{field: value})
            assert row[policies.silver_column(field)] == (None if field == "date_of_birth" else "*****")
            assert states[field] == "redacted"


def test_what_is_absent_or_blank_is_missing_and_null(subtests: pytest.Subtests) -> None:
    for field in PHI:
        with subtests.test(field=field):
            for absent in (None, " \t"):
                row, states = masked(**{field: absent})
                assert row[policies.silver_column(field)] is None
                assert states[field] == "missing"


def test_a_row_has_every_column_of_silver_that_is_an_event_s_or_the_policy_s() -> None:
    done = mask(events(event()), DISPLAY, KEY)
    placed = {"topic_id", "kafka_partition", "kafka_offset"}
    wanted = {name: dtype for name, dtype in SILVER.polars_schema.items() if name not in placed}
    assert dict(done.rows.schema) == wanted | {"row": pl.UInt32}
    assert dict(done.fields.schema) == {"row": pl.UInt32, "event_index": pl.Int32} | dict.fromkeys(PHI, pl.String)


def test_what_is_kept_is_kept_and_the_policy_is_named() -> None:
    row, _ = masked()
    kept = [name for name, rule in DISPLAY.columns.items() if rule == "keep" and name != "event_time"]
    assert {name: row[name] for name in kept} == {name: FULL[name] for name in kept}
    assert (row["policy"], row["policy_fingerprint"]) == (DISPLAY.name, DISPLAY.fingerprint)


def test_pseudonyms_are_hmac_sha_256_of_the_value_as_it_came() -> None:
    row, _ = masked(patient_id=" MRN-é ", visit_id="V1")
    expected = [
        hmac.new(bytes(range(32)), value.encode(), hashlib.sha256).hexdigest()[:32] for value in (" MRN-é ", "V1")
    ]
    assert [row["patient_key"], row["visit_key"]] == expected


def test_the_event_date_is_the_utc_date() -> None:
    row, _ = masked(event_time="2024-03-01T00:30:00+05:45")
    assert str(row["event_date"]) == "2024-02-29"


def test_no_event_no_row() -> None:
    done = mask(events(event()).clear(), DISPLAY, KEY)
    assert (done.rows.height, done.fields.height) == (0, 0)
    assert {count["present"] for count in count_fields(done.fields)} == {0}


@pytest.mark.parametrize("field", ["facility", "department", "ward", "bed", "treatment"])
@pytest.mark.parametrize("column", ["patient_name", "ssn", "phone", "email", "patient_id", "visit_id", "date_of_birth"])
def test_an_identifier_in_another_field_is_taken_out_there(field: str, column: str) -> None:
    told = str(FULL[column])
    row, _ = masked(**{column: told, field: f"<{told.upper()}> W"})
    assert str(row[field]).replace("([", "[") == "<[redacted]> W"


def test_an_identifier_inside_a_longer_word_is_not_a_survivor() -> None:
    row, _ = masked(patient_name="Roe", treatment="Roentgen imaging")
    assert row["treatment"] == "Roentgen imaging"


def test_an_id_that_holds_an_identifier_does_not_show_it(subtests: pytest.Subtests) -> None:
    for column in ["patient_name", "ssn", "phone", "patient_id", "visit_id", "date_of_birth"]:
        with subtests.test(column=column):
            told = str(FULL[column]).replace(" ", "")
            row, _ = masked(**{column: FULL[column], "message_id": f"ADT{told}.1", "doctor_id": f"D1-{told.upper()}"})
            assert re.fullmatch("[0-9a-f]{32}", str(row["message_id"]))
            assert row["doctor_id"] == "*****"


def test_what_does_not_look_like_an_id_is_masked_whole(subtests: pytest.Subtests) -> None:
    for text in ["Dr Jane Poe", "jane.poe", "987-65-4321", "212-555-0123", "a b 1", "x@mail.example1"]:
        with subtests.test(text=text):
            row, _ = masked(message_id=text, doctor_id=text)
            assert (row["message_id"], row["doctor_id"]) == ("*****", "*****")


def test_an_id_stays(subtests: pytest.Subtests) -> None:
    for text in ["1234567893", "DR1001", "20240301-000123", "9e107d9d-372b-4b6e", "HL7^A01|77"]:
        with subtests.test(text=text):
            row, _ = masked(message_id=text, doctor_id=text)
            assert (row["message_id"], row["doctor_id"]) == (text, text)


def test_a_diagnosis_is_the_official_title_of_its_code() -> None:
    row, _ = masked(diagnosis_code="I21.4", diagnosis="Jane Roe's heart attack")
    assert row["diagnosis"] == "Non-ST elevation (NSTEMI) myocardial infarction"
    for code in (None, "Z99.ZZ"):
        assert masked(diagnosis_code=code, diagnosis="anything")[0]["diagnosis"] is None


def test_a_value_of_the_reference_table_stays_and_another_is_scrubbed() -> None:
    known = replace(DISPLAY, dimensions={"facility": frozenset({"Mercy Harbor"}), "ward": frozenset({"Roe"})})
    row, _ = masked(known, patient_name="Mercy Roe", facility="Mercy Harbor", department="Mercy Unit", ward="Roe")
    assert (row["facility"], row["department"], row["ward"]) == ("Mercy Harbor", "[redacted] Unit", "Roe")
    row, _ = masked(patient_name="Mercy Roe", facility="Mercy Harbor")
    assert row["facility"] == "[redacted] Harbor"


def test_a_city_is_shown_only_where_there_is_such_a_place(subtests: pytest.Subtests) -> None:
    for address, shown in [
        ("1 Elm Street, Jane Roe, IL 62704", "*****, IL"),
        ("1 Elm Street, attn Billing, IL", "*****, IL"),
        ("1 Elm Street, Springfield, ZZ", "*****"),
        ("1 Elm Street, St. Louis, MO 63101", "St. Louis, MO"),
        ("1 Elm Street, O'Fallon, IL", "O'Fallon, IL"),
        ("1 Elm Street, Cañon City, CO", "Cañon City, CO"),
        ("Elm Street, IL", "*****, IL"),
    ]:
        with subtests.test(address=address):
            row, states = masked(address=address)
            assert row["address"] == shown
            assert states["address"] == ("redacted" if "*****" in shown else "masked")


def test_a_masked_form_that_would_show_an_identifier_is_masked_whole(subtests: pytest.Subtests) -> None:
    for shown_by, value, told_by, told in [
        ("ssn", "123-45-6789", "patient_id", "6789"),
        ("phone", "415-555-0199", "visit_id", "0199"),
        ("address", "12 Elm Street, Springfield, IL 62704", "patient_name", "Springfield"),
    ]:
        with subtests.test(shown_by=shown_by):
            row, states = masked(**{shown_by: value, told_by: told})
            assert row[shown_by] == "*****"
            assert states[shown_by] == "redacted"


def test_an_identifier_that_looks_like_a_diagnosis_code_does_not_survive_as_one() -> None:
    row, _ = masked(patient_id="E11", diagnosis_code="E11")
    assert row["diagnosis_code"] != "E11"


NOTES: Final = [
    ("Mrs Roe is well", "Mrs [redacted] is well"),
    ("JANE ROE called", "[redacted] called"),
    ("jane's mother", "[redacted]'s mother"),
    ("Roentgen of 12 ribs", "Roentgen of 12 ribs"),
    ("MRN-100001/VIS-200001", "[redacted]/[redacted]"),
    ("lives at 12 ELM STREET", "lives at [redacted]"),
    ("other SSN 987-65-4321.", "other [redacted]."),
    ("call 212 555 0123 or +1 (212) 555-0123", "[redacted] or [redacted]"),
    ("mail x.y+z@a-b.example!", "mail [redacted]!"),
    ("seen 2024-03-01, 3/1/24 and 01.03.2024", "seen [redacted], [redacted] and [redacted]"),
    ("born March 4, 1961", "born [redacted]"),
    ("born 4th of march 1961", "born [redacted]"),
    ("BP 120/80, 37.5 C, 500 mg", "BP 120/80, 37.5 C, 500 mg"),
]


def test_identifiers_are_taken_out_of_notes(subtests: pytest.Subtests) -> None:
    for text, shown in NOTES:
        with subtests.test(text=text):
            row, _ = masked(notes=text, patient_name="Jane Roe", address=FULL["address"], ssn=FULL["ssn"])
            assert row["notes"] == shown


@pytest.mark.parametrize(
    "hidden",
    ["2024-03-01T10:00:00Z", "2024-03-01T10:00", "987-65-4321", "212-555-0123", "1961-03-04", "x@mail.example"],
)
@pytest.mark.parametrize("around", ["%s", "DOB%s", "id_%s_x", "(%s)", "a=%s;"])
def test_a_pattern_is_taken_out_of_notes_whatever_touches_it(hidden: str, around: str) -> None:
    row, _ = masked(notes=around % hidden)
    assert hidden[:10] not in str(row["notes"])


def test_a_record_whose_name_says_redacted_stays_readable() -> None:
    row, _ = masked(patient_name="Redacted", notes="seen 3/1/2024", treatment="redacted")
    assert (row["notes"], row["treatment"]) == ("seen [redacted]", "[redacted]")


def test_text_whose_case_cannot_be_mapped_letter_by_letter_is_scrubbed_too() -> None:
    row, _ = masked(patient_name="Roe", treatment="\u0130stanbul, ROE")
    assert row["treatment"] == "\u0130stanbul, [redacted]"


def test_what_a_note_says_inside_a_word_does_not_hide_what_is_masked_elsewhere() -> None:
    row, states = masked(patient_name="İpek Ünal", notes="seeni̇pek ünalm467")
    assert (row["patient_name"], states["patient_name"]) == ("İ*****", "masked")


def without(*columns: str) -> Policy:
    """The display policy less these columns."""
    source = {policies.silver_column(field): field for field in FIELDS}
    lines = [
        f'{name} = {{ from = "{source[name]}", rule = "{rule}", reason = "x" }}'
        for name, rule in DISPLAY.columns.items()
        if name not in columns
    ]
    return policies.parse('name = "less"\n[columns]\n' + "\n".join(lines))


def test_a_column_that_the_policy_drops_is_null(subtests: pytest.Subtests) -> None:
    for column in sorted({*DISPLAY.columns} - {policies.silver_column(f) for f in policies.REQUIRED}):
        with subtests.test(column=column):
            row = mask(events(event()), without(column), KEY).rows.row(0, named=True)
            rest = {name: row[name] for name in DISPLAY.columns if name != column}
            assert row[column] is None
            assert None not in rest.values()


def test_counts_add_up() -> None:
    several = events(event(), event(ssn="x", email=None), event(ssn=None, date_of_birth="never"))
    counts = {str(count.pop("field")): count for count in count_fields(mask(several, DISPLAY, KEY).fields)}
    assert counts["ssn"] == {"present": 2, "masked": 1, "redacted": 1, "missing": 1}
    assert counts["email"] == {"present": 2, "masked": 2, "redacted": 0, "missing": 1}
    assert counts["date_of_birth"] == {"present": 3, "masked": 2, "redacted": 1, "missing": 0}
    assert list(counts) == list(PHI)


def content(**fields: str | None) -> object:
    return masked(**(FULL | fields))[0]["content_hash"]


def test_the_content_hash_tells_records_apart_by_all_but_the_message_id() -> None:
    assert content(message_id="another") == content()
    assert content(event_time="2024-03-01T08:00:00Z") == content()
    changes = {
        "event_type": "update", "event_time": "2024-03-01T08:00:01Z", "sex": "male", "severity": "minor",
        "disposition": "hospice", "diagnosis_code": "I10",
    }  # fmt: skip
    hashes = {content(**{name: changes.get(name, "changed")}) for name in FIELDS if name != "message_id"}
    assert len(hashes | {content()}) == len(FIELDS)


def test_a_value_that_moves_to_the_next_field_changes_the_content_hash() -> None:
    assert content(ward="B7", bed=None) != content(ward=None, bed="B7")


def test_the_search_before_misses_no_way_of_writing_a_street(subtests: pytest.Subtests) -> None:
    for address, ways in STREETS.items():
        with subtests.test(address=address):
            for way in ways.split(", "):
                row, _ = masked(address=address, notes=f"lives on {way} now")
                assert row["notes"] == "lives on [redacted] now"


def test_the_search_before_misses_no_date_of_birth_in_words(subtests: pytest.Subtests) -> None:
    for told in ["Dec 31st, 59", "December 31 59", "31st of December 59", "59 dec 31", "Dec the 31st 59"]:
        with subtests.test(told=told):
            row, _ = masked(date_of_birth="1959-12-31", notes=f"born {told} here")
            assert row["notes"] == "born [redacted] here"


def test_an_id_that_looks_like_anybody_s_identifier_is_not_shown(subtests: pytest.Subtests) -> None:
    for told in [
        "1961-03-04",
        "03/04/1961",
        "DOB-1961-03-04",
        "a4:5e:60:c2:19:0b",
        "MRN889123",
        "policy:AB88912",
        "iban-DE8937040044",
    ]:
        with subtests.test(told=told):
            row, _ = masked(message_id=told, doctor_id=told)
            assert told not in (row["message_id"], row["doctor_id"])
            assert row["doctor_id"] == "*****"


def test_an_ordinary_id_stays(subtests: pytest.Subtests) -> None:
    for told in ["ADT-20260314-000123", "MSG00001234567890", "DR-1042", "1234567893", "2026-03-14-0017"]:
        with subtests.test(told=told):
            row, _ = masked(message_id=told, doctor_id=told)
            assert (row["message_id"], row["doctor_id"]) == (told, told)
