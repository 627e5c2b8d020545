"""Record batches against the messages that they were made of, whatever those are."""

from hypothesis import given
from hypothesis import strategies as st

from lake.storage.record_batch import Headers, Messages, encrypted, headers_in, headers_of, opened, pack, unpack
from tests.support.lakes import KEY, NOW

PARTS = st.none() | st.binary(max_size=60)


@st.composite
def messages(draw: st.DrawFn) -> Messages:
    """Messages of one partition: rising offsets with gaps, and any key, headers and value."""
    offsets = sorted(draw(st.sets(st.integers(0, 2**63 - 1), min_size=1, max_size=30)))
    number = len(offsets)
    times = draw(st.lists(st.none() | st.integers(0, 2**47), min_size=number, max_size=number))
    columns = [draw(st.lists(PARTS, min_size=number, max_size=number)) for _ in range(3)]
    return Messages(offsets, times, *columns)


@given(messages())
def test_what_is_packed_comes_out_again(one: Messages) -> None:
    assert unpack(pack(one)) == one


@given(st.dictionaries(st.integers(0, 2**31 - 1), messages(), max_size=4))
def test_what_is_encrypted_opens_as_it_was(held: dict[int, Messages]) -> None:
    found = opened(encrypted("t", "topic", held.items(), KEY, NOW), KEY)
    expected = [
        (partition, *message)
        for partition, one in held.items()
        for message in zip(one.offsets, one.keys, one.headers, one.values, strict=True)
    ]
    assert found.select("kafka_partition", "kafka_offset", "kafka_key", "headers", "value").rows() == expected
    times = [time for one in held.values() for time in one.times]
    assert found["kafka_time"].dt.epoch("ms").to_list() == times


@given(st.lists(st.tuples(st.text(), PARTS), min_size=1, max_size=5))
def test_headers_come_out_as_they_went_in(headers: Headers) -> None:
    assert headers_of(headers_in(headers)) == headers
