"""Rows of Silver and the quarantine are looked at in slices of bounded size."""

from functools import partial
from pathlib import Path

import polars as pl
import pytest

from app.jobs import replay as rebuilding
from app.jobs.verify import verify
from lake.contracts.tables import INGEST, KAFKA_COORDINATES, QUARANTINE, SILVER, Table
from lake.storage import bronze
from lake.storage.chunked_scan import chunks
from lake.storage.store import Lake
from tests.support.lakes import (
    DEDUP_KEY,
    NOW,
    RULES,
    Feeder,
    bronze_messages,
    make_lake,
    overwrite,
    quarantined,
    rows,
    simulated,
)

EVENTS = 300


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return make_lake(tmp_path_factory.mktemp("chunks") / "lake", simulated(EVENTS))


def same_messages(found: list[pl.DataFrame], held: pl.DataFrame) -> bool:
    """Whether the slices hold the messages of these rows, each once."""
    return (
        pl.concat(found)
        .select(KAFKA_COORDINATES)
        .sort(KAFKA_COORDINATES)
        .equals(held.select(KAFKA_COORDINATES).sort(KAFKA_COORDINATES))
    )


@pytest.mark.parametrize("table", [SILVER, QUARANTINE])
@pytest.mark.parametrize("most", [1, 40, EVENTS])
def test_slices_hold_each_row_once(lake: Lake, table: Table, most: int) -> None:
    found = list(chunks(lake, table, most=most))
    assert max(part.height for part in found) <= most
    assert same_messages(found, rows(lake.root, table))


def test_of_rows_far_apart_a_slice_holds_as_many(lake: Lake) -> None:
    found = list(chunks(lake, QUARANTINE, most=10))
    assert len(found) <= sum(part.height for part in found) / 4
    assert max(part.height for part in found) <= 10
    assert same_messages(found, rows(lake.root, QUARANTINE))


def test_a_slice_is_of_one_topic(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", simulated(EVENTS))
    for seed, topic_id in enumerate(("AAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAZ"), 20):
        Feeder(lake, topic_id=topic_id).land(simulated(EVENTS, seed))
    for table in (QUARANTINE, SILVER):
        found = list(chunks(lake, table))
        assert [part["topic_id"].n_unique() for part in found] == [1, 1, 1]
        assert sum(part.height for part in found) == rows(lake.root, table).height
    assert [check for check in verify(lake, DEDUP_KEY) if not check.passed] == []


@pytest.mark.parametrize("at_a_time", [pytest.param(1, marks=pytest.mark.slow), 40, EVENTS * 2])
def test_a_quarantine_replay_in_slices_comes_to_what_the_stream_came_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_a_time: int
) -> None:
    lake = make_lake(tmp_path / "lake", simulated(EVENTS))
    silver, quarantine = rows(lake.root, SILVER), rows(lake.root, QUARANTINE)
    hold_all(lake)
    monkeypatch.setattr(rebuilding, "chunks", partial(chunks, most=at_a_time))
    monkeypatch.setattr(bronze, "_MOST_MESSAGES", at_a_time)
    done = rebuilding.replay_quarantine(lake, RULES, lambda: NOW)
    assert (done.messages, done.silver, done.quarantined) == (EVENTS, silver.height, quarantine.height)
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
    overwrite(lake.root, QUARANTINE, quarantined(bronze_messages(lake), "department_missing"))
    overwrite(lake.root, SILVER, rows(lake.root, SILVER).clear())
    none = {"silver": 0, "duplicates": 0, "events": 0, "quarantined": pl.col("messages")}
    overwrite(lake.root, INGEST, rows(lake.root, INGEST).with_columns(**none))
    lake.refresh()
