"""Decode against a naive decoder that knows nothing but ``json`` and looks at one message at a time."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.stream.decoders.json_event import decode
from lake.contracts.event import FIELDS
from tests.support.strategies import batches, mangled, off_contract, well_formed

Decoded = tuple[dict[str, str], int, list[str]]


def naive(payload: bytes | None) -> Decoded:
    """Field texts, number of unlisted fields and sorted reasons of one payload."""
    if payload is None:
        return {}, 0, ["tombstone"]
    if not payload.strip():
        return {}, 0, ["empty_message"]
    try:
        text = payload.decode("utf-8").removeprefix("\ufeff")
        pairs = json.loads(text, object_pairs_hook=tuple, parse_int=float, parse_constant=refuse)
    except UnicodeDecodeError:
        return {}, 0, ["not_utf8"]
    except ValueError:
        return {}, 0, ["not_json"]
    return naive_fields(pairs) if isinstance(pairs, tuple) else ({}, 0, ["not_an_object"])


def refuse(_: str) -> Any:
    raise ValueError


def naive_fields(pairs: tuple[tuple[str, Any], ...]) -> Decoded:
    names = [name for name, _ in pairs]
    reasons = {"duplicate_json_key"} if len(set(names)) < len(names) else set()
    values = {}
    for name, value in pairs:
        if name not in FIELDS or value is None:
            continue
        if isinstance(value, tuple | list):
            reasons.add(f"{name}_nested")
        elif not isinstance(value, str):
            reasons.add(f"{name}_not_text")
        elif broken := naive_faults(name, value):
            reasons |= broken
        else:
            values[name] = value
    return values, sum(name not in FIELDS for name in names), sorted(reasons)


def naive_faults(name: str, value: str) -> set[str]:
    halves = any("\ud800" <= letter <= "\udfff" for letter in value)
    controls = any(letter < " " and letter not in "\t\n\r" for letter in value)
    long = len(value.encode("utf-8", "surrogatepass")) > 65_536 and not halves
    faults = {f"{name}_not_unicode": halves, "control_character": controls, "field_too_long": long}
    return {rule for rule, found in faults.items() if found}


def decoded(payloads: list[bytes | None]) -> list[Decoded]:
    rows = decode(payloads)
    assert rows["row"].to_list() == list(range(len(payloads)))
    return [
        (
            {name: row[name] for name in FIELDS if row[name] is not None},
            row["unknown_fields"],
            sorted(row["reasons"] or []),
        )
        for row in rows.iter_rows(named=True)
    ]


@given(batches())
def test_a_batch_decodes_as_the_naive_decoder_says(payloads: list[bytes | None]) -> None:
    assert decoded(payloads) == [naive(payload) for payload in payloads]


@given(st.one_of(well_formed(), mangled(), off_contract(), st.binary()))
def test_a_message_alone_decodes_as_the_naive_decoder_says(payload: bytes) -> None:
    assert decoded([payload]) == [naive(payload)]


@given(batches(), st.randoms(use_true_random=False))
def test_the_order_and_the_company_make_no_difference(payloads: list[bytes | None], chance: Any) -> None:
    order = list(range(len(payloads)))
    chance.shuffle(order)
    shuffled = decoded([payloads[at] for at in order])
    alone = [decoded([payload])[0] for payload in payloads]
    assert [alone[at] for at in order] == shuffled
