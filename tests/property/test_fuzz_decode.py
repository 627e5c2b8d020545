"""Whatever bytes come in: no crash, one verdict for each message, and the same alone as in company."""

import json
from typing import Any, Final

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.stream.decoders.json_event import decode
from app.stream.transforms.validate import validate
from lake.contracts.tables import UTC
from tests.corpus.bad_input import NOW
from tests.property.test_decode_properties import decoded, naive
from tests.support.fuzzing import FUZZ, nearly_messages

pytestmark = pytest.mark.slow

MESSAGES: Final = st.lists(st.one_of(nearly_messages(), nearly_messages(), st.binary(), st.none()), max_size=8)

Verdict = tuple[str, ...]


def _objects(part: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.text(max_size=4), part, max_size=4)


def verdicts(payloads: list[bytes | None]) -> list[Verdict]:
    """What becomes of each message: the values of its event, or the names of the rules that it broke."""
    good, failed = validate(decode(payloads).with_columns(ingested_at=pl.lit(NOW).cast(UTC)))
    found: dict[int, list[Verdict]] = {row: [] for row in range(len(payloads))}
    for row in good.iter_rows(named=True):
        found[row.pop("row")].append(("valid", *map(str, row.values())))
    for row in failed.iter_rows(named=True):
        assert row["reasons"], "it failed for no reason"
        found[row["row"]].append(("failed", *sorted(row["reasons"])))
    assert [row for row, got in found.items() if len(got) != 1] == [], "messages without one verdict"
    return [got[0] for got in found.values()]


@FUZZ
@given(MESSAGES)
def test_each_message_gets_one_verdict_the_same_alone_as_in_company(payloads: list[bytes | None]) -> None:
    together = verdicts(payloads)
    assert together == [verdicts([payload])[0] for payload in payloads]


@FUZZ
@given(MESSAGES)
def test_what_is_decoded_is_what_a_naive_decoder_reads(payloads: list[bytes | None]) -> None:
    assert decoded(payloads) == [naive(payload) for payload in payloads]


@FUZZ
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda part: st.lists(part) | _objects(part)))
def test_any_json_at_all_gets_its_verdict(value: Any) -> None:
    payload = json.dumps(value).encode("utf-8", "surrogatepass")
    [verdict] = verdicts([payload])
    assert verdict[0] == "failed", "an object of other fields is no event"
