"""Deduplication against a naive one with a dictionary; the order of polls and the cut of batches change nothing."""

from collections import Counter
from collections.abc import Iterable
from itertools import groupby
from typing import Any, Final

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from app.stream.transforms.deduplicate import Deduplicated, deduplicate

KEY: Final = ("patient_key", "bed")
SCHEMA: Final = {
    "kafka_partition": pl.Int32, "kafka_offset": pl.Int64, "patient_key": pl.String, "bed": pl.String,
    "content_hash": pl.Int64, "event_index": pl.Int32,
}  # fmt: skip
KNOWN: Final = {name: SCHEMA[name] for name in (*KEY, "content_hash")}
Row = tuple[int, int, str, str | None, int, int]
Place = tuple[int, int]


@st.composite
def streams(draw: st.DrawFn) -> list[Row]:
    """Events of two partitions: exact duplicates share a partition, as the contract has it.

    Offsets may have gaps, and a message may hold several events.
    """
    drawn = draw(
        st.lists(st.tuples(st.integers(0, 3), st.sampled_from([None, "B1", "B2"]), st.integers(-1, 1)), max_size=20)
    )
    gaps = draw(st.lists(st.integers(0, 3), min_size=len(drawn), max_size=len(drawn)))
    offsets = [0, 0]
    rows: list[Row] = []
    held = Counter[Place]()
    for (patient, bed, content), gap in zip(drawn, gaps, strict=True):
        partition = patient % 2
        place = (partition, offsets[partition])
        rows.append((*place, f"p{patient}", bed, content, held[place]))
        held[place] += 1
        offsets[partition] += gap
    return rows


@st.composite
def standing(draw: st.DrawFn) -> dict[tuple[str, str | None], int]:
    """Keys that stand in Silver already, with their content."""
    keys = st.tuples(st.sampled_from(["p0", "p1", "p2", "p9"]), st.sampled_from([None, "B1"]))
    return draw(st.dictionaries(keys, st.integers(-1, 1), max_size=4))


def split(rows: Iterable[Row], known: dict[tuple[str, str | None], int]) -> Deduplicated:
    frame = pl.DataFrame([(*key, content) for key, content in known.items()], schema=KNOWN, orient="row")
    return deduplicate(pl.DataFrame(list(rows), schema=SCHEMA, orient="row"), frame, KEY)


def messages(rows: Iterable[Row]) -> list[tuple[Place, list[Row]]]:
    """Messages with their events, by partition and offset."""
    ordered = sorted(rows, key=lambda row: (*row[:2], row[5]))
    return [(place, list(events)) for place, events in groupby(ordered, key=lambda row: row[:2])]


def places(frame: pl.DataFrame, *more: str) -> set[tuple[int, ...]]:
    found = list(frame.select("kafka_partition", "kafka_offset", *more).iter_rows())
    assert len(set(found)) == len(found)
    return set(found)


Answer = tuple[set[tuple[int, ...]], set[tuple[int, ...]], set[tuple[int, ...]]]
"""Events that are fresh, messages that are duplicates, messages that are conflicts."""


def answer(done: Deduplicated) -> Answer:
    return places(done.fresh, "event_index"), places(done.duplicates), places(done.conflicts)


def naive(rows: Iterable[Row], known: dict[tuple[str, str | None], int]) -> Answer:
    """One message at a time, by partition and offset, against a dictionary of what was seen."""
    seen = dict(known)
    answer: Answer = (set(), set(), set())
    for place, events in messages(rows):
        within = dict(seen)
        fresh = []
        for *_, patient, bed, content, index in events:
            if (patient, bed) not in within:
                within[patient, bed] = content
                fresh.append((*place, index))
        if any(within[patient, bed] != content for *_, patient, bed, content, _ in events):
            answer[2].add(place)
            continue
        seen = within
        if fresh:
            answer[0].update(fresh)
        else:
            answer[1].add(place)
    return answer


@given(streams(), standing())
def test_it_splits_as_the_naive_one_does(rows: list[Row], known: dict[Any, int]) -> None:
    assert answer(split(rows, known)) == naive(rows, known)


@given(streams(), standing())
def test_every_message_is_in_exactly_one_place_and_unchanged(rows: list[Row], known: dict[Any, int]) -> None:
    done = split(rows, known)
    assert all(dict(part.schema) == SCHEMA for part in done)
    fresh, duplicates, conflicts = ({row[:2] for row in part.iter_rows()} for part in done)
    assert fresh | duplicates | conflicts == {row[:2] for row in rows}
    assert len(fresh) + len(duplicates) + len(conflicts) == len(messages(rows))
    assert set(pl.concat(done).iter_rows()) <= set(rows)


@given(streams(), standing(), st.randoms(use_true_random=False))
def test_the_order_in_which_partitions_were_polled_does_not_matter(
    rows: list[Row], known: dict[Any, int], chance: Any
) -> None:
    shuffled = list(rows)
    chance.shuffle(shuffled)
    assert all(one.equals(other) for one, other in zip(split(shuffled, known), split(rows, known), strict=True))


CUTS: Final = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=5)
"""How many messages of each partition a batch takes; the last batch takes what is left."""


@given(streams(), standing(), CUTS)
def test_however_the_stream_is_cut_into_batches_the_answer_is_the_same(
    rows: list[Row], known: dict[Any, int], cuts: list[tuple[int, int]]
) -> None:
    left = [[events for place, events in messages(rows) if place[0] == partition] for partition in (0, 1)]
    total: Answer = (set(), set(), set())
    seen = dict(known)
    for taken in (*cuts, (len(rows), len(rows))):
        batch = [row for part, count in zip(left, taken, strict=True) for events in part[:count] for row in events]
        left = [part[count:] for part, count in zip(left, taken, strict=True)]
        done = split(batch, seen)
        seen |= {(patient, bed): content for _, _, patient, bed, content, _ in done.fresh.iter_rows()}
        total = tuple(before | now for before, now in zip(total, answer(done), strict=True))
    assert total == answer(split(rows, known))


@given(streams())
def test_taking_the_same_stream_in_again_adds_nothing(rows: list[Row]) -> None:
    first = split(rows, {})
    seen = {(patient, bed): content for _, _, patient, bed, content, _ in first.fresh.iter_rows()}
    again = split(rows, seen)
    assert again.fresh.is_empty()
    assert places(again.conflicts) == places(first.conflicts)
