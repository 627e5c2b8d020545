"""Validate: the bad-input corpus lands where it must, each rule has a case, no bad message spoils its batch."""

import ast
import inspect
from collections import Counter
from typing import Final

import polars as pl
import pytest

import app.stream.decoders.json_event
from app.stream.decoders.json_event import decode
from app.stream.transforms.validate import Event, validate
from lake.contracts.event import FIELDS
from lake.contracts.tables import UTC
from tests.corpus.bad_input import CASES, FULL, NOW, PER_FIELD, SILVER, Case, event

ALL: Final = (*CASES, *PER_FIELD)
OUR_OWN: Final = {"row", "event_index", "source_format", "unknown_fields", "ingested_at", "event_text"}
"""Columns of ``Event`` that no sender fills."""


def decide(payloads: list[bytes | None]) -> tuple[pl.DataFrame, dict[int, list[str]]]:
    """Valid events, and by row the rules that the others break."""
    good, failures = validate(decode(payloads).with_columns(ingested_at=pl.lit(NOW).cast(UTC)))
    return good, {row: sorted(reasons) for row, reasons in failures.iter_rows()}


def outcomes(cases: tuple[Case, ...]) -> dict[str, list[str]]:
    """Case → rules broken, none being Silver; every case is in exactly one of the two places."""
    good, failed = decide([case.payload for case in cases])
    assert Counter([*good["row"], *failed]) == Counter(range(len(cases)))
    return {case.name: failed.get(row, []) for row, case in enumerate(cases)}


@pytest.fixture(scope="module")
def together() -> dict[str, list[str]]:
    return outcomes(ALL)


def test_case_names_are_unique() -> None:
    assert len({case.name for case in ALL}) == len(ALL)


def test_a_case_of_the_corpus_lands_where_it_must(subtests: pytest.Subtests, together: dict[str, list[str]]) -> None:
    for case in ALL:
        with subtests.test(case=case):
            assert together[case.name] == sorted(case.rules)


def test_the_company_makes_no_difference(together: dict[str, list[str]]) -> None:
    differing = [case.name for case in ALL if outcomes((case,)) != {case.name: together[case.name]}]
    assert differing == []
    assert outcomes(tuple(reversed(ALL))) == together


def test_good_messages_among_all_the_bad_stay_as_they_are() -> None:
    payloads = [payload for case in ALL if case.rules for payload in (case.payload, event())]
    good, _ = decide(payloads)
    alone, _ = decide([event()])
    assert good["row"].to_list() == list(range(1, len(payloads), 2))
    assert good.drop("row").unique().equals(alone.drop("row"))


def rules_of_validate() -> set[str]:
    """Every rule of the Event schema that a message can break, as the quarantine names it."""
    _, failure = Event.filter(Event.create_empty())
    names = set(failure.details().columns) - set(Event.column_names())
    split = [(field, rule) for field, _, rule in (name.rpartition("|") for name in names) if field not in OUR_OWN]
    said = {"nullability": "missing"}
    return {"_".join(filter(None, [field, said.get(rule, rule.removeprefix("check__"))])) for field, rule in split}


def rules_of_decode() -> set[str]:
    """Every reason in decode's source: what is appended to a list or returned in a pair, as a text."""
    tree = ast.walk(ast.parse(inspect.getsource(app.stream.decoders.json_event)))
    given = [node.args for node in tree if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".append")]
    tree = ast.walk(ast.parse(inspect.getsource(app.stream.decoders.json_event)))
    returned = [part for node in tree if isinstance(node, ast.Return) for part in ast.walk(node)]
    given += [part.elts for part in returned if isinstance(part, ast.Tuple)]
    return {rule for nodes in given for node in nodes for rule in named(node)}


def named(node: ast.expr) -> set[str]:
    """The rules that an expression names: a text, or an ending behind each field's name."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return {node.value}
    if isinstance(node, ast.JoinedStr):
        ending = "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
        return {f"{name}{ending}" for name in FIELDS}
    return set()


def test_every_rule_has_a_case_and_every_case_a_rule() -> None:
    covered = {rule for case in ALL for rule in case.rules}
    producible = rules_of_validate() | rules_of_decode()
    assert sorted(producible - covered) == [], "add a case to tests/corpus/bad_input.py"
    assert sorted(covered - producible) == [], "no code names these rules any more"


def test_the_search_for_rules_finds_some_of_each_kind() -> None:
    assert {"event_time_in_future", "facility_missing", "sex_not_allowed"} <= rules_of_validate()
    assert {"tombstone", "not_json", "not_an_object", "bed_nested", "ssn_not_unicode"} <= rules_of_decode()


def test_the_corpus_has_valid_messages_too() -> None:
    assert sum(case.rules == SILVER for case in ALL) > 15


def test_an_event_time_is_the_instant_it_denotes(subtests: pytest.Subtests) -> None:
    for text, instant in [
        ("2024-03-01T10:00:00Z", "2024-03-01 10:00:00"),
        ("2024-03-01T10:00:00+05:45", "2024-03-01 04:15:00"),
        ("2024-03-01T00:30:00+14:00", "2024-02-29 10:30:00"),
        ("2024-03-01T10:00:00.1234567-00:00", "2024-03-01 10:00:00.123456"),
        ("2016-12-31T23:59:60Z", "2017-01-01 00:00:00"),
        ("2024-03-01t10:00:00z", "2024-03-01 10:00:00"),
    ]:
        with subtests.test(text=text):
            good, _ = decide([event(event_time=text)])
            assert good["event_time"].dt.strftime("%F %T%.f").to_list() == [instant]
            assert good["event_text"].to_list() == [text]


def test_mixed_zones_of_one_instant_are_one_instant() -> None:
    texts = ["2024-03-01T10:00:00Z", "2024-03-01T11:00:00+01:00", "2024-02-29T23:00:00-11:00"]
    good, _ = decide([event(event_time=text) for text in texts])
    assert good["event_time"].n_unique() == 1


def test_a_blank_is_missing(subtests: pytest.Subtests) -> None:
    for blank in ["", " ", "\t\r\n", "\u00a0\u2003"]:
        with subtests.test(blank=blank):
            optional = ["patient_name", "ssn", "ward", "sex", "notes", "diagnosis_code"]
            good, _ = decide([event(**dict.fromkeys(optional, blank))])
            assert good.select(optional).row(0) == (None,) * len(optional)


def test_values_are_not_trimmed_or_changed() -> None:
    good, _ = decide([event(facility="  North\u00a0Campus ")])
    kept = [name for name in FIELDS if name not in {"facility", "event_time"}]
    assert good["facility"].to_list() == ["  North\u00a0Campus "]
    assert good.select(kept).row(0, named=True) == {name: FULL[name] for name in kept}


def test_nothing_in_nothing_out() -> None:
    good, failures = validate(decode([]).with_columns(ingested_at=pl.lit(NOW).cast(UTC)))
    assert (good.height, failures.height) == (0, 0)
    assert failures.schema["reasons"] == pl.List(pl.String)


def test_no_reason_tells_a_value() -> None:
    known = rules_of_validate() | rules_of_decode()
    _, failed = decide([case.payload for case in ALL])
    assert {rule for rules in failed.values() for rule in rules} <= known
