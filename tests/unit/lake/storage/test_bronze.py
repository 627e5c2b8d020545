"""Reading Bronze: whole record batches in slices of bounded size, and their messages."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import polars as pl
import pytest

from app.jobs import replay as rebuilding
from app.jobs.verify import verify
from lake.contracts.tables import BRONZE, INGEST, KAFKA_COORDINATES, SILVER
from lake.errors import LakeError
from lake.storage import bronze, record_batch
from lake.storage.record_batch import Messages
from lake.storage.store import Lake, create
from tests.support.lakes import (
    DEDUP_KEY,
    KEY,
    NOW,
    RULES,
    bronze_messages,
    make_lake,
    overwrite,
    plain,
    rows,
    simulated,
)

EVENTS: Final = 300
TOPIC: Final = "topic-1"
BEFORE: Final = NOW - timedelta(days=1)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return create(tmp_path / "lake", KEY)


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake of many small record batches."""
    sent = simulated(EVENTS)
    root = tmp_path_factory.mktemp("bronze") / "lake"
    return make_lake(root, *(sent[at : at + 20] for at in range(0, EVENTS, 20)))


def add(lake: Lake, partition: int, *batches: Messages, topic_id: str = TOPIC, at: object = NOW) -> None:
    """Append record batches of a partition."""
    held = ((partition, batch) for batch in batches)
    lake.store(BRONZE).append(record_batch.encrypted("t", topic_id, held, lake.key, at), {})  # type: ignore[arg-type]


def at(*offsets: int) -> Messages:
    """Messages at these offsets."""
    number = len(offsets)
    return Messages(list(offsets), [0] * number, [b"k"] * number, [None] * number, [b"%d" % one for one in offsets])


def firsts(found: Sequence[pl.DataFrame]) -> list[list[int]]:
    """The first offsets of each slice."""
    return [part["first_offset"].to_list() for part in found]


def offsets(found: Sequence[pl.DataFrame]) -> list[int]:
    """The messages' offsets, in the order of the frames."""
    return [offset for part in found for offset in part["kafka_offset"]]


def test_an_empty_bronze(lake: Lake) -> None:
    assert list(bronze.slices(lake)) == list(bronze.messages(lake)) == []
    assert (bronze.total(lake), bronze.ends(lake)) == (0, {})


def test_how_many_messages_and_where_they_end(lake: Lake) -> None:
    add(lake, 1, at(0, 1), at(5, 7, 9))
    add(lake, 2, at(3))
    add(lake, 1, at(0), topic_id="topic-2")
    assert bronze.total(lake) == 7
    assert bronze.ends(lake) == {(TOPIC, 1): 9, (TOPIC, 2): 3, ("topic-2", 1): 0}


@pytest.mark.parametrize("most", [1, 7, 40, EVENTS])
def test_slices_hold_each_record_batch_once_of_one_partition_by_offset(
    landed: Lake, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(bronze, "_MOST_MESSAGES", most)
    found = list(bronze.slices(landed))
    assert all(part["messages"].sum() <= most or part.height == 1 for part in found)
    assert pl.concat(found).equals(rows(landed.root, BRONZE).sort("kafka_partition", "first_offset"))
    assert {part["kafka_partition"].n_unique() for part in found} == {1}
    assert most < EVENTS or len(found) == 4, "no more slices than partitions"


def test_slices_are_bounded_by_messages(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    add(lake, 0, at(0, 1), at(2, 3), at(4, 5, 6, 7, 8), at(9), at(10), at(11), at(12))
    monkeypatch.setattr(bronze, "_MOST_MESSAGES", 4)
    assert firsts(list(bronze.slices(lake))) == [[0, 2], [4], [9, 10, 11, 12]]


def test_slices_are_bounded_by_bytes(landed: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the average size of the table's record batches: large ones are taken one by one."""
    files = landed.store(BRONZE).files()
    average = files["size_bytes"].sum() / files["num_records"].sum()
    monkeypatch.setattr(bronze, "_MOST_BYTES", int(3.5 * average))
    assert max(part.height for part in bronze.slices(landed)) == 3
    monkeypatch.setattr(bronze, "_MOST_BYTES", 1)
    assert {part.height for part in bronze.slices(landed)} == {1}, "one larger than a slice is taken all the same"


def test_topics_come_in_the_order_in_which_they_came_into_use(lake: Lake) -> None:
    add(lake, 0, at(0), topic_id="a newer one")
    add(lake, 0, at(0), topic_id="the oldest", at=BEFORE)
    add(lake, 0, at(1), topic_id="the oldest", at=NOW + timedelta(days=1))
    add(lake, 1, at(0), topic_id="the oldest", at=NOW)
    found = [(part["topic_id"][0], part["kafka_partition"][0]) for part in bronze.slices(lake)]
    assert found == [("the oldest", 0), ("the oldest", 1), ("a newer one", 0)]


def test_slices_of_a_day(lake: Lake) -> None:
    add(lake, 0, at(0, 1), at=BEFORE)
    add(lake, 0, at(2, 3))
    assert firsts(list(bronze.slices(lake, where=pl.col("ingest_date") == NOW.date()))) == [[2]]
    assert list(bronze.slices(lake, where=pl.col("ingest_date") == date(1999, 1, 1))) == []


def test_above_offsets_of_which_one_is_within_a_batch(lake: Lake) -> None:
    add(lake, 0, at(0, 1), at(2, 3), at(4, 6))
    add(lake, 1, at(0, 1))
    add(lake, 0, at(0, 1), topic_id="topic-2")
    known = {(TOPIC, 0): 4, (TOPIC, 1): 1}
    assert firsts(list(bronze.slices(lake, above=known))) == [[4], [0]]
    found = list(bronze.messages(lake, above=known))
    assert [(part["topic_id"][0], offsets([part])) for part in found] == [(TOPIC, [6]), ("topic-2", [0, 1])]


def test_of_chosen_messages_only_their_record_batches_are_opened(lake: Lake) -> None:
    add(lake, 0, at(0, 1), at(2, 3), at(5, 9))
    add(lake, 1, at(0, 1))
    wanted = [(TOPIC, 0, 3), (TOPIC, 0, 9), (TOPIC, 0, 4), (TOPIC, 0, 7), (TOPIC, 0, 11), ("topic-2", 0, 0)]
    schema = {name: BRONZE.polars_schema.get(name, pl.Int64) for name in KAFKA_COORDINATES}
    chosen = pl.DataFrame(wanted, schema=schema, orient="row")
    assert firsts(list(bronze.slices(lake, of=chosen))) == [[2, 5]]
    assert offsets(list(bronze.messages(lake, of=chosen))) == [3, 9], "in a gap, and beyond the end, there is none"
    assert list(bronze.messages(lake, of=chosen.clear())) == []


def test_messages_are_opened_each_once_by_partition_and_offset(landed: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = bronze_messages(landed).sort("kafka_partition", "kafka_offset")
    for most in (1, 40, EVENTS):
        monkeypatch.setattr(bronze, "_MOST_MESSAGES", most)
        assert pl.concat(bronze.messages(landed)).equals(whole)


def test_small_record_batches_come_together_and_large_ones_alone(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    large = plain([b"x" * 40_000], 4)
    add(lake, 0, at(0), at(1), at(2, 3), large, at(5), at(6))
    monkeypatch.setattr(bronze, "_MOST_BYTES", 20_000)
    monkeypatch.setattr(bronze, "_rows_at_once", lambda _: 10)
    assert [offsets([part]) for part in bronze.messages(lake)] == [[0, 1, 2, 3], [4], [5, 6]]


def test_frames_are_put_together_in_their_order() -> None:
    frame = pl.DataFrame({"n": [1]})
    assert list(bronze.together([])) == []
    [whole] = bronze.together([frame, frame + 1, frame + 2])
    assert whole["n"].to_list() == [1, 2, 3]


def test_a_record_batch_that_does_not_open_is_an_error(lake: Lake) -> None:
    add(lake, 0, at(0, 1))
    overwrite(lake.root, BRONZE, rows(lake.root, BRONZE).with_columns(last_offset=pl.lit(2)))
    lake.refresh()
    with pytest.raises(LakeError, match="an encrypted payload does not open"):
        list(bronze.messages(lake))


def test_a_replay_holds_no_more_than_a_slice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = simulated(EVENTS)
    lake = make_lake(tmp_path / "lake", *(sent[at : at + 20] for at in range(0, EVENTS, 20)))
    before = rows(lake.root, SILVER)
    monkeypatch.setattr(bronze, "_MOST_MESSAGES", 40)
    done = rebuilding.replay(lake, RULES, lambda: NOW)
    counted = rows(lake.root, INGEST)["messages"]
    assert 20 < counted.max() <= 40
    assert counted.sum() == done.messages == bronze.total(lake) == EVENTS
    assert rows(lake.root, SILVER).drop("policy").equals(before.drop("policy"))
    assert [check for check in verify(lake, DEDUP_KEY) if not check.passed] == []
