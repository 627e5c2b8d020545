"""What is stored is looked at in slices: by rows, and by bytes where messages are large."""

from pathlib import Path

import polars as pl
import pytest

from app.jobs import replay as rebuilding
from app.jobs.verify import verify
from lake.contracts.tables import BRONZE, INGEST, KAFKA_COORDINATES, QUARANTINE, SILVER
from lake.security import masking_policy
from lake.storage import chunked_scan as slicing
from lake.storage import store
from lake.storage.chunked_scan import at_once, chunks
from lake.storage.store import Lake, create
from tests.support.lakes import DEDUP_KEY, KEY, NOW, Feeder, make_lake, overwrite, rows, simulated

EVENTS = 300


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return make_lake(tmp_path_factory.mktemp("chunks") / "lake", simulated(EVENTS))


def few(monkeypatch: pytest.MonkeyPatch, lake: Lake, messages: int) -> None:
    """Have a slice hold so many messages of this lake's average size."""
    files = lake.store(BRONZE).files()
    average = files["size_bytes"].sum() / files["num_records"].sum()
    monkeypatch.setattr(slicing, "_BYTES", int(average * (messages + 0.5)))


def test_small_messages_are_taken_by_number(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    few(monkeypatch, lake, 40)
    assert [at_once(lake, BRONZE, most) for most in (1, 39, 40)] == [1, 39, 40]


def test_large_messages_are_taken_by_size(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    few(monkeypatch, lake, 40)
    assert [at_once(lake, BRONZE, most) for most in (41, 100_000)] == [40, 40]
    few(monkeypatch, lake, 0)
    assert at_once(lake, BRONZE, 100_000) == 1, "one that is larger than a slice is taken all the same"


def test_of_a_lake_without_messages(tmp_path: Path) -> None:
    assert at_once(create(tmp_path / "lake", KEY), BRONZE, 100) == 100


def test_slices_hold_each_row_once(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    few(monkeypatch, lake, 40)
    found = list(chunks(lake, BRONZE))
    assert max(part.height for part in found) <= 40
    whole = store.scan(lake.store(BRONZE).handle, BRONZE).select(KAFKA_COORDINATES).sort(KAFKA_COORDINATES).collect()
    assert pl.concat(found).select(KAFKA_COORDINATES).sort(KAFKA_COORDINATES).equals(whole)


def test_a_replay_holds_no_more_than_a_slice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = make_lake(tmp_path / "lake", simulated(EVENTS))
    few(monkeypatch, lake, 40)
    done = rebuilding.replay(lake, masking_policy.load("display"), DEDUP_KEY, lambda: NOW)
    landed = rows(lake.root, INGEST)["messages"]
    assert landed.max() <= 40
    assert landed.sum() == done.messages == rows(lake.root, BRONZE).height


def test_of_rows_far_apart_a_slice_holds_as_many(lake: Lake) -> None:
    of_twenty = pl.col("kafka_offset") % 20 == 0
    found = list(chunks(lake, BRONZE, most=10, where=of_twenty))
    assert len(found) <= sum(part.height for part in found) / 5
    assert max(part.height for part in found) <= 10
    held = rows(lake.root, BRONZE).filter(of_twenty)
    assert (
        pl.concat(found)
        .select(KAFKA_COORDINATES)
        .sort(KAFKA_COORDINATES)
        .equals(held.select(KAFKA_COORDINATES).sort(KAFKA_COORDINATES))
    )


def test_a_slice_is_of_one_topic(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", simulated(EVENTS))
    for seed, topic_id in enumerate(("AAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAZ"), 20):
        Feeder(lake, topic_id=topic_id).land(simulated(EVENTS, seed))
    for table in (BRONZE, QUARANTINE, SILVER):
        found = list(chunks(lake, table))
        assert [part["topic_id"].n_unique() for part in found] == [1, 1, 1]
        assert sum(part.height for part in found) == rows(lake.root, table).height
    assert [check for check in verify(lake, DEDUP_KEY) if not check.passed] == []


@pytest.mark.parametrize("at_a_time", [1, 7, 40, EVENTS * 2])
def test_a_quarantine_replay_in_slices_comes_to_what_the_stream_came_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_a_time: int
) -> None:
    lake = make_lake(tmp_path / "lake", simulated(EVENTS))
    silver, quarantine = rows(lake.root, SILVER), rows(lake.root, QUARANTINE)
    hold_all(lake)
    monkeypatch.setattr(rebuilding, "_SLICE_ROWS", at_a_time)
    done = rebuilding.replay_quarantine(lake, masking_policy.load("display"), DEDUP_KEY, lambda: NOW)
    assert (done.silver, done.quarantined) == (silver.height, quarantine.height)
    assert rows(lake.root, SILVER).drop("policy").equals(silver.drop("policy"))
    left = rows(lake.root, QUARANTINE)
    assert left.height == done.messages
    assert (
        left.filter(pl.col("resolved_at").is_null())
        .select(KAFKA_COORDINATES)
        .equals(quarantine.select(KAFKA_COORDINATES))
    )
    assert [check for check in verify(lake, DEDUP_KEY) if not check.passed] == []


def hold_all(lake: Lake) -> None:
    """Have every message be in quarantine, as if nothing had been valid."""
    held = rows(lake.root, BRONZE).with_columns(reasons=pl.lit(["department_missing"]), resolved_at=pl.lit(None))
    overwrite(lake.root, QUARANTINE, held)
    overwrite(lake.root, SILVER, rows(lake.root, SILVER).clear())
    none = {"silver": 0, "duplicates": 0, "quarantined": pl.col("messages")}
    overwrite(lake.root, INGEST, rows(lake.root, INGEST).with_columns(**none))
    lake.refresh()
