"""Masking policies: an allow-list with default drop, refused when it would let an identifier through."""

from pathlib import Path
from typing import Final

import polars as pl
import pytest

from lake.contracts.event import FIELDS, PHI, REQUIRED
from lake.contracts.tables import SILVER
from lake.errors import UsageError
from lake.security import masking_policy as policies
from lake.security.masking_policy import MASKED_FORMS, RULES, Policy, load, parse, silver_column

SOURCE: Final = {silver_column(field): field for field in FIELDS}
DISPLAY: Final = load("display")


def text(columns: dict[str, str] | None = None, *, name: str = "test", extra: str = "") -> str:
    """A policy's text; the columns are those of ``display`` unless given."""
    columns = DISPLAY.columns if columns is None else columns
    lines = [f'{c} = {{ from = "{SOURCE[c]}", rule = "{rule}", reason = "why" }}' for c, rule in columns.items()]
    return "\n".join([f'name = "{name}"', "[columns]", *lines, extra])


def less(*columns: str) -> dict[str, str]:
    return {column: rule for column, rule in DISPLAY.columns.items() if column not in columns}


def test_display_has_the_mission_s_rules() -> None:
    assert {field: DISPLAY.rule(field) for field in (*PHI, "patient_id", "visit_id", "notes")} == {
        "patient_name": "initial",
        "ssn": "ssn_last4",
        "phone": "phone_area_last4",
        "email": "email_first2",
        "address": "city_state",
        "date_of_birth": "year",
        "patient_id": "pseudonym",
        "visit_id": "pseudonym",
        "notes": "scrub",
    }


def test_display_shows_every_field_under_a_column_of_silver() -> None:
    assert set(DISPLAY.columns) == set(SOURCE)
    assert set(DISPLAY.columns) <= set(SILVER.polars_schema)


@pytest.mark.parametrize("name", policies.available())
def test_every_policy_that_ships_is_valid_and_named_as_its_file(name: str) -> None:
    assert load(name).name == name
    assert set(load(name).columns.values()) <= RULES


def test_the_policies_that_ship_say_that_they_are_not_de_identification() -> None:
    shipped = (Path(policies.__file__).parent / "policies" / "display.toml").read_text("utf-8")
    assert "not HIPAA de-identification" in " ".join(shipped.replace("#", " ").split())
    assert "compliant" not in shipped.lower()


def test_what_is_not_named_is_dropped() -> None:
    policy = parse(text(less("ssn", "notes", "birth_year")))
    assert [policy.rule(field) for field in ("ssn", "notes", "date_of_birth", "sex")] == [None, None, None, "keep"]


def test_the_fewest_columns_that_a_policy_may_have() -> None:
    required = [silver_column(field) for field in REQUIRED]
    policy = parse(text({column: DISPLAY.columns[column] for column in required}))
    assert list(policy.columns) == required


@pytest.mark.parametrize("field", REQUIRED)
def test_a_policy_that_drops_a_required_column_is_refused(field: str) -> None:
    column = silver_column(field)
    with pytest.raises(UsageError) as caught:
        parse(text(less(column)))
    assert str(caught.value) == (
        f"the masking policy test drops {column}; got no rule for it; expected a rule: Silver cannot be keyed "
        "without it; add the column to the policy"
    )


@pytest.mark.parametrize("field", [*PHI, "patient_id", "visit_id", "notes"])
@pytest.mark.parametrize("rule", ["keep", "none", ""])
def test_a_policy_that_would_keep_an_identifier_is_refused(field: str, rule: str) -> None:
    column = silver_column(field)
    with pytest.raises(UsageError) as caught:
        parse(text(DISPLAY.columns | {column: rule}))
    assert str(caught.value) == (
        f"the masking policy is wrong at column {column!r}; got rule {rule!r}; "
        f"expected one of ['{DISPLAY.columns[column]}']; mend the policy file"
    )


def test_a_rule_is_for_its_own_fields(subtests: pytest.Subtests) -> None:
    for column, rule in [("ssn", "initial"), ("patient_name", "city_state"), ("ward", "pseudonym")]:
        with (
            subtests.test(column=column),
            pytest.raises(UsageError, match=f"wrong at column '{column}'; got rule '{rule}'"),
        ):
            parse(text(DISPLAY.columns | {column: rule}))


@pytest.mark.parametrize("reason", ["", ', reason = ""'])
def test_a_rule_without_a_reason_is_refused(reason: str) -> None:
    with pytest.raises(UsageError, match=r"wrong at column 'ward'; got no reason; expected a reason for showing it"):
        parse(text(less("ward"), extra=f'ward = {{ from = "ward", rule = "scrub"{reason} }}'))


def test_a_column_shows_its_own_field_of_the_contract(subtests: pytest.Subtests) -> None:
    for column, entry in [
        ("mrn", '{ from = "patient_id", rule = "pseudonym", reason = "x" }'),
        ("ward", '{ from = "ssn", rule = "ssn_last4", reason = "x" }'),
        ("ward", '{ from = "patient_name", rule = "keep", reason = "x" }'),
        ("patient_id", '{ from = "patient_id", rule = "pseudonym", reason = "x" }'),
        ("blood_type", '{ from = "blood_type", rule = "keep", reason = "x" }'),
        ("ward", '"keep"'),
        ("ward", "{}"),
    ]:
        with subtests.test(column=column):
            with pytest.raises(UsageError) as caught:
                parse(text(less("ward"), extra=f"{column} = {entry}"))
            assert f"wrong at column '{column}'; got fills it from" in str(caught.value)
            assert "expected a field of the event contract, under its own column" in str(caught.value)


def test_a_text_that_is_no_policy_is_refused(subtests: pytest.Subtests) -> None:
    for broken in ["", "name = ", 'name = "x"', "[columns]", 'name = "x"\ncolumns = 5', 'name = "x"\ncolumns = "ab"']:
        with (
            subtests.test(broken=broken),
            pytest.raises(
                UsageError, match=r"^the masking policy cannot be read; got \w+; expected TOML with name and"
            ),
        ):
            parse(broken)


def test_an_unknown_policy_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(UsageError) as caught:
        load("safe_harbour")
    assert str(caught.value) == (
        f"unknown masking policy; got 'safe_harbour'; expected one of {', '.join(policies.available())}; "
        "set WARDLAKE_POLICY"
    )


def test_a_policy_can_be_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text(less("ssn")), "utf-8")
    assert load(str(path)) == parse(text(less("ssn")))


def test_the_fingerprint_is_of_what_the_policy_does() -> None:
    base = parse(text())
    assert len(base.fingerprint) == 16
    assert parse(text(dict(reversed(DISPLAY.columns.items())))).fingerprint == base.fingerprint
    assert parse(text().replace('"why"', '"another reason"')).fingerprint == base.fingerprint
    assert parse(text(less("ssn"))).fingerprint != base.fingerprint
    assert len({parse(text(less(column))).fingerprint for column in ("ssn", "ward", "notes")}) == 3


def test_the_fingerprint_of_display_is_the_one_that_lakes_have_recorded() -> None:
    # It is stored with every row. A change here means that rows masked before and after can be told apart:
    # right when the rules changed, wrong when only the way it is computed did.
    assert Policy("display", DISPLAY.columns, "359597b068ef4c93") == DISPLAY


def test_masked_forms_let_through_what_the_rule_shows_and_nothing_raw(subtests: pytest.Subtests) -> None:
    for rule, good, bad in [
        ("pseudonym", "0123456789abcdef0123456789abcdef", "MRN-100001"),
        ("initial", "J*****", "Jane"),
        ("ssn_last4", "***-**-6789", "123-45-6789"),
        ("phone_area_last4", "415-***-0199", "415-555-0199"),
        ("email_first2", "jo***@***", "jo.roe@mail.example"),
        ("city_state", "Springfield, IL", "12 Elm Street, Springfield, IL"),
        ("city_state", "*****, IL", "*****, Springfield"),
        ("id", "HL7-20240301.77", "Dr Jane Poe"),
        ("id", "*****", "no-digit"),
    ]:
        with subtests.test(rule=rule):
            found = pl.Series([good, "*****", bad, good + "\n", f"12 {good}"]).str.contains(MASKED_FORMS[rule])
            assert found.to_list() == [True, rule != "pseudonym", False, False, False]
