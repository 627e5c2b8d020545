"""What a record costs grows with its size alone: none of any content costs over 20 times the mean per byte."""

import json
import time
from datetime import UTC, datetime
from typing import Final

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from app.stream.decoders.json_event import decode
from app.stream.transforms.mask import mask
from app.stream.transforms.validate import validate
from lake.contracts.event import FIELDS
from lake.contracts.tables import UTC as UTC_TIME
from lake.security import masking_policy
from lake.security.encryption import LakeKey
from tests.corpus.bad_input import FULL
from tests.support.lakes import simulated

KEY: Final = LakeKey(bytes(32))
RULES: Final = masking_policy.load("display")
MOST: Final = 20
BYTES: Final = 48_000
"""Of a field that is made long: near the most that is taken, so that what grows faster than the size is seen."""

PIECES: Final = st.sampled_from(
    [
        "[redacted] ", "[redacted]", "aa ", "a", "aA", "a1", "1", "1 ", "12-", "12/", "a@b.", "a.b.",
        "a at b dot ", "JANE ROE ", "jAnE ", "roe", "Roe, J. ", "4 5 61 ", "12 Oak ", "12 Élan ", "may 5 ",
        "AB12 ", "call me at ", "reg ab12 ", "ü", "é\u0301", "王", "\u200b", "123-45-", "MRN-100001", ".", "(((",
        "x@", "90 ", "12 birch ", "12 Bull ", "MRN 88912, ", "age 90-", "tel 555-8834, ", "PO Box ", "Élan 12 ",
    ]
)  # fmt: skip
CODED: Final = ("event_type", "event_time", "sex", "severity", "disposition", "diagnosis_code")
LONG: Final = st.dictionaries(st.sampled_from(sorted({*FIELDS} - {*CODED})), PIECES, min_size=1, max_size=3)


def seconds(payloads: list[bytes]) -> float:
    """CPU seconds of everything that is decided of these messages, the least of two."""
    spent = []
    for _ in range(2):
        begun = time.process_time()
        good, _ = validate(decode(payloads).with_columns(ingested_at=pl.lit(datetime.now(UTC)).cast(UTC_TIME)))
        mask(good, RULES, KEY)
        spent.append(time.process_time() - begun)
    return min(spent)


ORDINARY: Final = [payload for _, payload in simulated(5_000) if payload]
SMALL: Final = [json.dumps(FULL).encode()]


def ratio(payload: bytes) -> float:
    """What a byte of the message costs beside a byte of ordinary ones, without what every batch costs."""
    mean = seconds(ORDINARY) / sum(map(len, ORDINARY))
    return (seconds([payload]) - seconds(SMALL)) / len(payload) / mean


@given(LONG)
@settings(max_examples=12, deadline=None)
def test_no_record_costs_over_20_times_the_mean_per_byte(long: dict[str, str]) -> None:
    fields = {name: (piece * (1 + BYTES // len(piece.encode()))) for name, piece in long.items()}
    fields = {name: text.encode()[:BYTES].decode("utf-8", "ignore") for name, text in fields.items()}
    payload = json.dumps(FULL | fields).encode()
    # A busy machine may disturb one measurement; what is dear is dear each time.
    assert any(ratio(payload) <= MOST for _ in range(5))
