"""Decode: what each payload becomes, alone or in company."""

import json
import random
from typing import Final

import polars as pl
import pytest

from app.stream.decoders.json_event import decode
from lake.contracts.event import FIELDS
from tests.corpus.bad_input import CASES, FULL, PER_FIELD, event, extra, raw

DECODED: Final = {
    "row": pl.UInt32,
    "event_index": pl.Int32,
    "source_format": pl.String,
    **dict.fromkeys(FIELDS, pl.String),
    "unknown_fields": pl.UInt32,
}


def values(payload: bytes | None) -> dict[str, str | None]:
    """The fields that one payload decodes to, less those that are null."""
    row = decode([payload]).select(FIELDS).row(0, named=True)
    return {name: value for name, value in row.items() if value is not None}


def test_the_shape_is_the_same_whatever_comes(subtests: pytest.Subtests) -> None:
    for payloads in [[], [None], [b"{}"], [b"\xff", event()], [event(), event()]]:
        with subtests.test(payloads=payloads):
            decoded = decode(payloads)
            assert dict(decoded.schema) == DECODED | {"reasons": pl.List(pl.String)}
            assert decoded["row"].to_list() == list(range(len(payloads)))


def test_a_full_event_decodes_to_its_values() -> None:
    assert values(event()) == FULL


def test_how_it_is_written_does_not_matter(subtests: pytest.Subtests) -> None:
    for payload in [
        event(),
        json.dumps(FULL, separators=(",", ":")).encode(),
        json.dumps(FULL, indent=2).encode(),
        json.dumps(dict(reversed(FULL.items()))).encode(),
        json.dumps(FULL, ensure_ascii=False).encode(),
        b"\xef\xbb\xbf" + event() + b"\r\n",
        "".join(["{", ",".join(rf'"{n}":"\u{ord(v[0]):04x}{v[1:]}"' for n, v in FULL.items()), "}"]).encode(),
    ]:
        with subtests.test(payload=payload):
            assert values(payload) == FULL


def test_absent_and_null_are_the_same_and_empty_is_not() -> None:
    decoded = decode([b'{"ward": null}', b"{}", b'{"ward": ""}'])
    assert decoded["ward"].to_list() == [None, None, ""]


def test_values_stay_as_they_came() -> None:
    tricky = ["  12 ", "null", "1e5", '"\\/', "a\tb\nc", "\u2028\ud7ff\ue000", "\U0001f600", "e\u0301"]
    decoded = decode([json.dumps({"notes": text}).encode() for text in tricky])
    assert decoded["notes"].to_list() == tricky


def test_what_could_be_read_of_a_broken_message_is_kept() -> None:
    assert values(event(ssn=5)) == {name: text for name, text in FULL.items() if name != "ssn"}


def test_unlisted_fields_are_counted_and_nothing_else() -> None:
    payloads = [extra('"a": 1, "b": {"c": 2, "ssn": "x"}'), event(), extra('"SSN": null')]
    decoded = decode(payloads)
    assert decoded["unknown_fields"].to_list() == [2, 0, 1]
    assert decoded["ssn"].to_list() == [FULL["ssn"]] * 3
    assert decoded.columns == [*DECODED, "reasons"]


def test_reasons_are_null_when_it_decoded_and_each_is_named_once() -> None:
    payloads = [event(), extra('"ward": "a", "ward": "b", "bed": "c"'), raw("bed", "[1, [2]]")]
    assert decode(payloads)["reasons"].to_list() == [None, ["duplicate_json_key"], ["bed_nested"]]


def test_the_corpus_decodes_the_same_alone_and_in_company(subtests: pytest.Subtests) -> None:
    for seed in range(3):
        with subtests.test(seed=seed):
            payloads = [case.payload for case in (*CASES, *PER_FIELD)] + [event(ward=f"W{n}") for n in range(50)]
            random.Random(seed).shuffle(payloads)
            together = decode(payloads).drop("row")
            alone = pl.concat([decode([payload]) for payload in payloads]).drop("row")
            differing = [row for row in range(len(payloads)) if not together[row].equals(alone[row])]
            assert not differing, f"{len(differing)} of {len(payloads)} payloads decode differently in company"


def test_a_message_cut_off_where_a_pair_ends_fails_alone(subtests: pytest.Subtests) -> None:
    for cut in [b"{", event()[: event().index(b'"ward"')], b'{"ward": null,']:
        with subtests.test(cut=cut):
            assert decode([event(), cut, event()])["reasons"].to_list() == [None, ["not_json"], None]
