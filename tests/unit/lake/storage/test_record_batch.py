"""Record batches: what is packed comes out again, and a batch that was changed, moved or swapped does not open."""

import os
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import polars as pl
import pyarrow as pa
import pytest

from lake.contracts.tables import BRONZE
from lake.errors import LakeError
from lake.security.encryption import LakeKey
from lake.storage import record_batch
from lake.storage.record_batch import (
    MAX_BYTES,
    MESSAGES,
    Messages,
    encrypted,
    headers_in,
    headers_of,
    opened,
    opened_each,
    pack,
    renewed,
    unpack,
)
from tests.support.lakes import KEY, NOW, plain

TOPIC: Final = "topic-1"
AT_MS: Final = 1_709_294_400_123
SECRET: Final = b"Jane Roe, MRN 5551234"
MIXED: Final = Messages(
    offsets=[7, 8, 20, 21],
    times=[AT_MS, None, 0, AT_MS + 1],
    keys=[b"MRN1", b"", None, b"\x00\xff"],
    headers=[None, headers_in([("content-type", b"application/json")]), b"", None],
    values=[SECRET, b"", None, b"\x00\xff" * 50],
)
"""Nulls, empty parts, a gap in the offsets, no time."""


def batch(*held: tuple[int, Messages], topic_id: str = TOPIC, key: LakeKey = KEY) -> pl.DataFrame:
    return encrypted("t", topic_id, held, key, NOW)


def with_payload(rows: pl.DataFrame, payload: bytes) -> pl.DataFrame:
    return rows.with_columns(payload=pl.lit(payload))


def refused(rows: pl.DataFrame) -> str:
    """What is said of rows that do not open."""
    with pytest.raises(LakeError) as caught:
        opened(rows, KEY)
    assert caught.value.__cause__ is None
    assert "Jane" not in str(caught.value)
    assert "5551234" not in str(caught.value)
    assert [found is None for found in opened_each(rows, KEY)] == [True] * rows.height
    return str(caught.value)


def test_what_is_packed_comes_out_again() -> None:
    assert unpack(pack(MIXED)) == MIXED


def test_offsets_and_lengths_may_be_large() -> None:
    large = Messages([2**40, 2**62], [2**45, None], [None, b"k"], [None, None], [b"x" * 70_000, b"y"])
    assert unpack(pack(large)) == large


def test_messages_in_columns_take_less_than_one_by_one() -> None:
    alike = plain([b'{"patient_id": "MRN%07d", "event_type": "admit"}' % n for n in range(200)])
    assert len(pack(alike)) < sum(alike.sizes()) / 3


def test_the_layout_is_as_documented() -> None:
    """It is part of the lake's format: change it only with another version byte."""
    packed = pack(Messages([5, 9], [AT_MS, None], [b"k", None], [None, b"h"], [b"vv", b""]))
    version, count, length = struct.unpack_from("<BII", packed)
    frame = pa.Codec("zstd").decompress(packed[9:], length, asbytes=True)
    assert (version, count) == (1, 2)
    assert frame == struct.pack("<2q2q2i2i2i", 5, 9, AT_MS, -1, 1, -1, -1, 1, 2, 0) + b"khvv"


@pytest.mark.parametrize("version", [0, 2, 255])
def test_another_layout_is_refused(version: int) -> None:
    with pytest.raises(LakeError) as caught:
        unpack(bytes([version]) + pack(MIXED)[1:])
    assert str(caught.value) == (
        f"a record batch cannot be read; got layout {version}; expected layout 1; upgrade Wardlake"
    )


@pytest.mark.parametrize("short", [b"", b"\x01", pack(MIXED)[:8]])
def test_what_is_too_short_to_be_a_batch_is_refused(short: bytes) -> None:
    with pytest.raises(LakeError, match="a record batch cannot be read"):
        unpack(short)


def test_a_row_tells_which_messages_it_holds_and_nothing_of_them() -> None:
    rows = batch((3, MIXED))
    assert rows.schema == BRONZE.polars_schema
    [row] = rows.drop("payload").rows(named=True)
    assert row == {
        "topic": "t",
        "topic_id": TOPIC,
        "kafka_partition": 3,
        "first_offset": 7,
        "last_offset": 21,
        "messages": 4,
        "ingested_at": NOW,
        "key_id": KEY.key_id,
        "ingest_date": NOW.date(),
    }
    assert not any(part in rows["payload"][0] for part in (b"Jane", b"MRN1", b"content-type"))


def test_opened_messages_are_as_they_were_received() -> None:
    found = opened(batch((3, MIXED), (0, plain([b"other"]))), KEY)
    assert found.schema == MESSAGES
    assert found["kafka_partition"].to_list() == [3, 3, 3, 3, 0]
    assert found["kafka_offset"].to_list() == [*MIXED.offsets, 0]
    assert found["kafka_key"].to_list() == [*MIXED.keys, None]
    assert found["headers"].to_list() == [*MIXED.headers, None]
    assert found["value"].to_list() == [*MIXED.values, b"other"]
    times = [datetime(2024, 3, 1, 12, 0, 0, 123_000, UTC), None, datetime(1970, 1, 1, tzinfo=UTC)]
    assert found["kafka_time"].to_list()[:3] == times
    assert set(found["ingested_at"]) == {NOW}
    assert (set(found["topic"]), set(found["topic_id"])) == ({"t"}, {TOPIC})


def test_where_there_are_no_messages() -> None:
    assert batch().equals(BRONZE.empty())
    assert opened(BRONZE.empty(), KEY).equals(pl.DataFrame(schema=MESSAGES))
    assert list(opened_each(BRONZE.empty(), KEY)) == []


def test_times_of_none_only() -> None:
    found = opened(batch((0, Messages([0, 1], [None, None], [None] * 2, [None] * 2, [b"a", b"b"]))), KEY)
    assert found["kafka_time"].to_list() == [None, None]
    assert found.schema == MESSAGES


def sizes(rows: pl.DataFrame) -> list[tuple[int, int]]:
    """(First offset, messages) of each row."""
    return rows.select("first_offset", "messages").rows()


def test_a_batch_is_bounded_by_bytes() -> None:
    half = MAX_BYTES // 2
    assert sizes(batch((0, plain([bytes(half)] * 2)))) == [(0, 2)]
    assert sizes(batch((0, plain([bytes(half)] * 2 + [b"x"])))) == [(0, 2), (2, 1)]
    assert sizes(batch((0, plain([bytes(half)] * 5, first=10)))) == [(10, 2), (12, 2), (14, 1)]
    keyed = plain([bytes(half)] * 2, keys=[None, b"k"])
    assert sizes(batch((0, keyed))) == [(0, 1), (1, 1)], "keys and headers count too"


def test_a_message_of_10_mb_is_a_batch_alone() -> None:
    large = os.urandom(10_000_000)
    messages = plain([b"one", b"two", large, b"four", None])
    rows = batch((0, messages))
    assert sizes(rows) == [(0, 2), (2, 1), (3, 2)]
    assert opened(rows, KEY)["value"].to_list() == list(messages.values)
    assert sizes(batch((0, plain([large])))) == [(0, 1)]


def test_batches_of_several_partitions_keep_apart() -> None:
    rows = batch((2, plain([bytes(MAX_BYTES), b"x"])), (0, plain([b"a", b"b"], first=5)))
    assert rows.select("kafka_partition", "first_offset", "messages").rows() == [(2, 0, 1), (2, 1, 1), (0, 5, 2)]


def test_a_flipped_bit_anywhere_is_noticed() -> None:
    rows = batch((3, MIXED))
    payload = rows["payload"][0]
    for at in range(len(payload)):
        changed = bytearray(payload)
        changed[at] ^= 1 << (at % 8)
        with pytest.raises(LakeError, match="does not open"):
            opened(with_payload(rows, bytes(changed)), KEY)
    for other in (payload[:-1], payload + b"\0", payload[:12], b""):
        refused(with_payload(rows, other))


MOVED: Final[dict[str, Callable[[pl.DataFrame], pl.DataFrame]]] = {
    "first offset": lambda rows: rows.with_columns(pl.col("first_offset") + 1),
    "last offset": lambda rows: rows.with_columns(pl.col("last_offset") - 1),
    "both offsets": lambda rows: rows.with_columns(pl.col("first_offset", "last_offset") + 100),
    "partition": lambda rows: rows.with_columns(kafka_partition=pl.lit(4, pl.Int32)),
    "topic": lambda rows: rows.with_columns(topic_id=pl.lit("topic-2")),
    "topic and partition that read alike": lambda rows: rows.with_columns(topic_id=pl.lit("topic-1:3")),
    "key": lambda rows: rows.with_columns(key_id=pl.lit("0123456789abcdef")),
}


@pytest.mark.parametrize("moved", MOVED)
def test_a_batch_that_was_moved_does_not_open(moved: str) -> None:
    assert refused(MOVED[moved](batch((3, MIXED))))


def test_two_swapped_payloads_do_not_open() -> None:
    rows = batch((3, MIXED), (4, MIXED))
    refused(rows.with_columns(pl.col("payload").reverse()))


def test_another_key_does_not_open_it() -> None:
    other = LakeKey(bytes(32))
    refused(batch((3, MIXED), key=other))
    refused(batch((3, MIXED), key=other).with_columns(key_id=pl.lit(KEY.key_id)))


def test_one_that_does_not_open_hides_no_other() -> None:
    rows = batch((0, plain([b"a"])), (1, plain([b"b"])), (2, plain([b"c"])))
    broken = rows.with_columns(payload=pl.when(pl.col("kafka_partition") == 1).then(pl.lit(b"")).otherwise("payload"))
    found = list(opened_each(broken, KEY))
    assert [None if one is None else one["value"].to_list() for one in found] == [[b"a"], None, [b"c"]]


def holding(inside: Messages, *, first: int, last: int, messages: int) -> pl.DataFrame:
    """A row with the lake's own key that tells these numbers, whatever is inside."""
    place = record_batch._place(TOPIC, 3, first, last)
    [payload] = KEY.encrypt([pack(inside)], [place])
    told = {"first_offset": first, "last_offset": last, "messages": messages, "payload": payload}
    return batch((3, plain([b"x"]))).with_columns(pl.lit(value).alias(name) for name, value in told.items())


FIVE: Final = plain([b"a", b"b", b"c", b"d", b"e"], first=5)


@pytest.mark.parametrize(
    ("inside", "told"),
    [
        (FIVE, {"first": 5, "last": 9, "messages": 4}),
        (FIVE, {"first": 5, "last": 9, "messages": 6}),
        (FIVE, {"first": 4, "last": 9, "messages": 5}),
        (FIVE, {"first": 5, "last": 10, "messages": 5}),
        (Messages([5, 8, 7, 9], [None] * 4, *[[None] * 4] * 3), {"first": 5, "last": 9, "messages": 4}),
        (Messages([5, 7, 7, 9], [None] * 4, *[[None] * 4] * 3), {"first": 5, "last": 9, "messages": 4}),
        (Messages([], [], [], [], []), {"first": 5, "last": 9, "messages": 0}),
    ],
)
def test_a_batch_that_holds_other_messages_than_its_row_tells_is_none(inside: Messages, told: dict[str, int]) -> None:
    assert list(opened_each(holding(inside, **told), KEY)) == [None]


def test_a_batch_that_holds_what_its_row_tells_is_opened() -> None:
    [found] = opened_each(holding(FIVE, first=5, last=9, messages=5), KEY)
    assert found is not None
    assert found["value"].to_list() == FIVE.values


def test_a_batch_that_is_renewed_opens_with_the_new_key_at_the_same_place() -> None:
    later = KEY.succeeded_by(LakeKey(b"2" * 32))
    rows = batch((3, MIXED))
    again = renewed(rows, later)
    assert again.drop("payload", "key_id").equals(rows.drop("payload", "key_id"))
    assert set(again["key_id"]) == {later.key_id}
    assert opened(again, later.without_retired()).equals(opened(rows, KEY))
    assert renewed(again, later)["payload"].to_list() == again["payload"].to_list()
    with pytest.raises(LakeError, match="does not open"):
        renewed(MOVED["partition"](rows), later)


HEADERS: Final = [
    [("content-type", b"application/json")],
    [("a", None), ("a", b""), ("é\U0001f600", b"\x00\xff")],
]


@pytest.mark.parametrize("headers", HEADERS)
def test_headers_come_out_as_they_went_in(headers: list[tuple[str, bytes | None]]) -> None:
    stored = headers_in(headers)
    assert stored is not None
    assert headers_of(stored) == headers


def test_no_headers_are_none() -> None:
    assert headers_in(None) is headers_in([]) is None
    assert headers_of(None) == headers_of(b"") == []


def test_what_is_shown_of_messages_shows_no_value() -> None:
    shown = repr(MIXED)
    assert "offsets=[7, 8, 20, 21]" in shown
    assert "Jane" not in shown
    assert "MRN1" not in shown
    assert "content-type" not in shown
