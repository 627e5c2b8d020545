"""A reader's hour: what was replaced stays for an hour from then, however old its files are, whatever replaced them."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from app.jobs.build_gold import build
from app.jobs.replay import replay
from app.settings import Settings
from lake.contracts.tables import BRONZE, INGEST, QUARANTINE, SILVER, VISITS, Table
from lake.contracts.tables import UTC as UTC_TIME
from lake.storage import maintenance as care
from lake.storage.store import DeltaStore, Lake, live_files
from tests.support.lakes import (
    KEY_TEXT,
    NOW,
    RULES,
    Feeder,
    age,
    forget_replaced,
    make_lake,
    overwrite,
    rows,
    simulated,
    wardlake,
)


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A lake of small batches, with its key in a file and its quarantine resolved."""
    monkeypatch.setenv("WARDLAKE_DATA", str(tmp_path))
    (tmp_path / "lake.key").write_text(KEY_TEXT)
    (tmp_path / "lake.key").chmod(0o600)
    sent = simulated(240)
    lake = make_lake(tmp_path / "lake", *(sent[at : at + 20] for at in range(0, len(sent), 20)))
    resolved = pl.lit(datetime(2026, 1, 1, tzinfo=UTC)).cast(UTC_TIME)
    overwrite(lake.root, QUARANTINE, rows(lake.root, QUARANTINE).with_columns(resolved_at=resolved))
    return lake


def compaction(lake: Lake) -> None:
    lake.store(INGEST).compact()


def compaction_of_the_crowded_days(lake: Lake) -> None:
    store = lake.store(BRONZE)
    store.refresh()
    store.compact(store.crowded(1 << 20, 5))


def forgetting(lake: Lake) -> None:
    assert care.forget_resolved(lake, NOW) > 0


def rebuild(lake: Lake) -> None:
    replay(lake, RULES, lambda: NOW)


def reencrypting(lake: Lake) -> None:
    assert wardlake("key", "rotate", "--reencrypt").code == 0


def a_refresh_of_gold(lake: Lake) -> None:
    Feeder(lake).land(simulated(60, seed=8))
    assert build(settings_of(lake)).kind == "refresh"


def settings_of(lake: Lake) -> Settings:
    return Settings(lake=lake.root, data=lake.root.parent, key=KEY_TEXT)


@pytest.mark.parametrize(
    ("replacing", "table"),
    [
        (compaction, INGEST),
        (compaction_of_the_crowded_days, BRONZE),
        (forgetting, QUARANTINE),
        (rebuild, SILVER),
        (reencrypting, BRONZE),
        (a_refresh_of_gold, VISITS),
    ],
)
def test_what_was_just_replaced_stays_though_its_files_are_old(
    lake: Lake, replacing: Callable[[Lake], None], table: Table
) -> None:
    if table is VISITS:
        build(settings_of(lake))
    age(lake.root)
    before = set(live_files(DeltaStore(lake.root, table).handle))
    replacing(lake)
    store = DeltaStore(lake.root, table)
    replaced = before - set(live_files(store.handle))
    assert replaced
    forget_replaced(lake.root, table)
    care.vacuum(store)
    assert all(Path(file).exists() for file in replaced)
    age(lake.root)
    care.vacuum(store)
    assert not any(Path(file).exists() for file in replaced)


def test_a_table_that_lost_a_file_is_still_mended(lake: Lake) -> None:
    build(settings_of(lake))
    before = rows(lake.root, SILVER), rows(lake.root, VISITS).sort("visit_key")
    for table in (SILVER, VISITS):
        Path(live_files(DeltaStore(lake.root, table).handle)[0]).unlink()
    rebuild(lake)
    build(settings_of(lake), full=True)
    assert rows(lake.root, SILVER)["message_id"].equals(before[0]["message_id"])
    assert rows(lake.root, VISITS).sort("visit_key")["visit_key"].equals(before[1]["visit_key"])
