"""What is stored is looked at in slices: by rows, and by bytes where messages are large."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from app import replay as rebuilding
from app import stored
from app.stored import at_once, slices
from lake import policy, store
from lake.store import Lake, create
from lake.tables import BRONZE, INGEST, PLACE
from tests.lakes import DEDUP_KEY, KEY, make_lake, rows, simulated

EVENTS = 300


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return make_lake(tmp_path_factory.mktemp("slices") / "lake", simulated(EVENTS))


def few(monkeypatch: pytest.MonkeyPatch, lake: Lake, messages: int) -> None:
    """Have a slice hold so many messages of this lake's average size."""
    files = lake.store(BRONZE).files()
    average = files["size_bytes"].sum() / files["num_records"].sum()
    monkeypatch.setattr(stored, "_SLICE_BYTES", int(average * (messages + 0.5)))


def test_small_messages_are_taken_by_number(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    few(monkeypatch, lake, 40)
    assert [at_once(lake, most) for most in (1, 39, 40)] == [1, 39, 40]


def test_large_messages_are_taken_by_size(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    few(monkeypatch, lake, 40)
    assert [at_once(lake, most) for most in (41, 100_000)] == [40, 40]
    few(monkeypatch, lake, 0)
    assert at_once(lake, 100_000) == 1, "one that is larger than a slice is taken all the same"


def test_of_a_lake_without_messages(tmp_path: Path) -> None:
    assert at_once(create(tmp_path / "lake", KEY), 100) == 100


def test_slices_hold_each_row_once(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    few(monkeypatch, lake, 40)
    found = list(slices(lake, BRONZE))
    assert max(part.height for part in found) <= 40
    whole = store.scan(lake.store(BRONZE).handle, BRONZE).select(PLACE).sort(PLACE).collect()
    assert pl.concat(found).select(PLACE).sort(PLACE).equals(whole)


def test_a_replay_holds_no_more_than_a_slice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = make_lake(tmp_path / "lake", simulated(EVENTS))
    few(monkeypatch, lake, 40)
    done = rebuilding.replay(lake, policy.load("display"), DEDUP_KEY, lambda: datetime(2026, 1, 1, tzinfo=UTC))
    landed = rows(lake.root, INGEST)["messages"]
    assert landed.max() <= 40
    assert landed.sum() == done.messages == rows(lake.root, BRONZE).height
