"""Rewriting a table, one at a time: delta-rs by itself would double rows in each of these."""

import threading
from pathlib import Path

import pytest
from deltalake import DeltaTable

from lake.contracts.tables import INGEST, SILVER
from lake.storage import table_swap
from lake.storage.store import DeltaStore, Lake
from tests.support.lakes import make_lake, rows, simulated


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    sent = simulated(120)
    return make_lake(tmp_path / "lake", *(sent[at : at + 20] for at in range(0, len(sent), 20)))


def test_a_compaction_from_an_old_snapshot_doubles_no_row(lake: Lake) -> None:
    first, second = (DeltaStore(lake.root, INGEST) for _ in range(2))
    assert first.refresh() == second.refresh()
    before = rows(lake.root, INGEST).height
    first.compact()
    second.compact()
    assert rows(lake.root, INGEST).height == before


def test_delta_rs_still_needs_that(lake: Lake) -> None:
    first, second = (DeltaTable(lake.root / INGEST.name) for _ in range(2))
    before = rows(lake.root, INGEST).height
    first.optimize.compact()
    second.optimize.compact()
    assert rows(lake.root, INGEST).height == 2 * before, "delta-rs guards compactions now: the lock may go"


def test_a_table_that_others_are_rewriting_is_left_to_them(lake: Lake) -> None:
    ingest = lake.store(INGEST)
    files = ingest.handle.file_uris()
    with ingest.rewriting():
        ingest.compact()
    assert ingest.handle.file_uris() == files


def test_a_takeover_waits_for_a_compaction(lake: Lake) -> None:
    beside = table_swap.begin(lake, (SILVER,))
    beside.store(SILVER).append(rows(lake.root, SILVER).head(3), {})
    silver = DeltaStore(lake.root, SILVER)
    with silver.rewriting():
        taking = threading.Thread(target=table_swap.commit, args=(lake, {SILVER.name: "overwrite"}))
        taking.start()
        taking.join(0.3)
        assert taking.is_alive()
        silver.handle.optimize.compact()
    taking.join(30)
    assert rows(lake.root, SILVER).height == 3
