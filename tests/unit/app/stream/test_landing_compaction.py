"""Small files are compacted beside the landings: they go on meanwhile, and whatever becomes of it."""

import errno
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

import pytest

from app.jobs.replay import replay
from app.stream import landing
from lake.contracts.tables import LANDED, QUARANTINE, SILVER
from lake.storage import store, table_swap
from lake.storage.store import Lake, live_files, open_lake
from tests.support import lakes

EVERY = 40
FIRST = EVERY // 2  # the number of the landing after which it is due first; the very first has number 0


@pytest.fixture
def feeder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> lakes.Feeder:
    monkeypatch.setattr(landing, "COMPACT_EVERY", EVERY)
    return lakes.Feeder(store.create(tmp_path / "lake", lakes.KEY))


def land(feeder: lakes.Feeder, first: int, last: int) -> None:
    """Landings of one message each, by number."""
    for number in range(first, last + 1):
        feeder.land([(0, lakes.event(patient_id=f"MRN{number:07}", notes=str(number)))])


def held_up(monkeypatch: pytest.MonkeyPatch, begins: Callable[[Lake], None]) -> Counter[str]:
    """Have ``Lake.tidy`` begin with this; how often it was called and came to its end."""
    counts, tidy = Counter[str](), Lake.tidy

    def counted(lake: Lake) -> None:
        counts["called"] += 1
        begins(lake)
        tidy(lake)
        counts["done"] += 1

    monkeypatch.setattr(Lake, "tidy", counted)
    return counts


def test_it_is_done_after_so_many_landings_and_no_row_is_lost(feeder: lakes.Feeder) -> None:
    files = []
    for first, last in pairwise([1, FIRST + 1, FIRST + 2, FIRST + EVERY + 1, FIRST + EVERY + 2]):
        again = lakes.Feeder(open_lake(feeder.lake.root, lakes.KEY))
        land(again, first, last - 1)
        again.close()
        now = {table.name: len(live_files(store.DeltaStore(feeder.lake.root, table).handle)) for table in LANDED}
        files.append({count for name, count in now.items() if name != QUARANTINE.name})
    assert files == [{FIRST}, {1}, {EVERY}, {1}]
    silver = lakes.rows(feeder.lake.root, SILVER)
    assert silver["notes"].to_list() == [str(number) for number in range(1, FIRST + EVERY + 2)]


def test_landings_go_on_meanwhile(feeder: lakes.Feeder, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = threading.Event()
    counts = held_up(monkeypatch, lambda _: assert_in_time(goes_on))
    land(feeder, 1, FIRST + EVERY + 1)  # twice it would be due: one at a time
    assert counts == {"called": 1}
    goes_on.set()
    feeder.close()
    assert counts == {"called": 1, "done": 1}
    assert lakes.rows(feeder.lake.root, SILVER).height == FIRST + EVERY + 1


def assert_in_time(event: threading.Event) -> None:
    assert event.wait(60)


def test_a_rebuild_is_taken_over_when_its_compaction_is_done(
    feeder: lakes.Feeder, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(feeder, 1, 3)
    feeder.close()
    monkeypatch.setattr(landing, "COMPACT_EVERY", 1)
    counts = held_up(monkeypatch, lambda _: time.sleep(0.5))
    take_over, then = table_swap.commit, Counter[str]()

    def commit(lake: Lake, modes: Mapping[str, table_swap.Mode]) -> None:
        then.update(counts)
        take_over(lake, modes)

    monkeypatch.setattr(table_swap, "commit", commit)
    replay(feeder.lake, lakes.RULES, lambda: lakes.NOW)
    assert then == {"called": 1, "done": 1}
    assert lakes.rows(feeder.lake.root, SILVER).height == 3


def test_what_goes_wrong_is_logged_without_a_value_and_landings_go_on(
    feeder: lakes.Feeder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_: Lake) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "MRN0000001")

    counts = held_up(monkeypatch, fails)
    with caplog.at_level(logging.WARNING):
        land(feeder, 1, FIRST + 1)
        feeder.close()
    assert counts == {"called": 1}
    assert caplog.messages == ["small files were not compacted: a full disk"]
    assert lakes.rows(feeder.lake.root, SILVER).height == FIRST + 1
