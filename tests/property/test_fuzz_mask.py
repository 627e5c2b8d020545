"""Hostile records: no raw identifier of the record in any column of its Silver row, and every masked form holds."""

import re
from typing import Final

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.quality.masked_forms import form_breaches
from tests.property.test_mask_properties import DISPLAY, NOW, Record, masked, own, stands
from tests.support.fuzzing import FUZZ
from tests.support.strategies import ADDRESSES, EMAILS, NAMES, PHONES, SSNS, records

pytestmark = pytest.mark.slow

FREE: Final = ("message_id", "facility", "department", "ward", "bed", "doctor_id", "diagnosis", "treatment", "notes")
NOT_SEARCHED: Final = {"policy", "policy_fingerprint", "event_type", "sex", "severity", "disposition"}
_AROUND: Final = st.sampled_from(
    [*("", " ", "\n", "\t", "\u00a0", ", ", "; ", "(", ")", "'", '"', "$1", "\\1", "\\", "^", ".*", "|", "[", "]"),
     *("[redacted]", "*****", "\u202e", "\u200b", "\U0001f600", "e\u0301", "%s", "{0}", "<b>", "<!--", "=", "7", "x")]
)  # fmt: skip


@st.composite
def hostile(draw: st.DrawFn) -> Record:
    """A record whose identifiers are of any form, and whose other fields repeat them amid signs of every kind."""
    record = draw(records())
    for field, kind in (
        ("patient_name", NAMES), ("ssn", SSNS), ("phone", PHONES), ("email", EMAILS), ("address", ADDRESSES)
    ):  # fmt: skip
        if draw(st.booleans()):
            record[field] = draw(kind).join(draw(st.tuples(_AROUND, _AROUND)))
    told = [value for value in record.values() if value]
    for field in draw(st.sets(st.sampled_from(FREE))):
        pieces = draw(st.lists(_AROUND | st.sampled_from(told), min_size=1, max_size=10))
        record[field] = "".join(pieces)
    return record


@FUZZ
@given(st.lists(hostile(), min_size=1, max_size=6))
def test_no_raw_identifier_survives_in_any_column(drawn: list[Record]) -> None:
    kept, done = masked(drawn)
    survived = [
        (column, raw_of)
        for record, row in zip(kept, done.rows.iter_rows(named=True), strict=True)
        for raw_of, raw in enumerate(own(record))
        for column, value in row.items()
        if isinstance(value, str) and column not in NOT_SEARCHED and stands(raw.lower(), plain(value))
    ]
    assert survived == []


def plain(value: str) -> str:
    """The text without what stands for something that was removed: a sender may have put just that in a field."""
    return re.sub(r"\[redacted\]|\*{5}", "\n", value.lower())


@FUZZ
@given(st.lists(hostile(), min_size=1, max_size=6))
def test_every_masked_form_holds(drawn: list[Record]) -> None:
    kept, done = masked(drawn)
    rows = done.rows.with_columns(ingested_at=pl.lit(NOW))
    broken = rows.select(
        **{column: breaks.fill_null(value=False).sum() for column, breaks in form_breaches(DISPLAY.name).items()}
    )
    assert {column: count for column, count in broken.row(0, named=True).items() if count} == {}
    assert rows.height == len(kept)
