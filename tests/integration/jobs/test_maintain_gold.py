"""Maintenance beside Gold: what is published stays, what a build that was cut short left stays for the next one."""

import threading
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from app.jobs.build_gold import build
from app.jobs.maintain import Maintained, maintain
from app.settings import Settings
from lake.contracts.tables import INCOMPLETE, STAYS, VISITS
from lake.gold import build as building
from lake.gold.published import Published, last
from lake.gold.tables import GOLD
from lake.query import lake_sql
from lake.storage.store import DeltaStore, Lake, scan
from tests.support.lakes import KEY_TEXT, Feeder, age, forget_replaced, make_lake, simulated

BUILT = {table.name: table for table in (VISITS, STAYS, INCOMPLETE, *GOLD)}


class _CrashError(Exception):
    pass


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return make_lake(tmp_path / "lake", simulated(400))


@pytest.fixture
def settings(lake: Lake) -> Settings:
    return Settings(lake=lake.root, data=lake.root.parent, key=KEY_TEXT)


def more(lake: Lake, seed: int) -> None:
    Feeder(lake).land(simulated(200, seed=seed))


def published(lake: Lake) -> Published:
    found = last(lake.root)
    assert found is not None
    return found


def contents(lake: Lake) -> dict[str, pl.DataFrame]:
    """The published rows of each table."""
    at = published(lake).versions
    tables = {name: (DeltaTable(lake.root / name, version=at[name]), table) for name, table in BUILT.items()}
    return {name: scan(*found).collect().sort(pl.all().exclude(pl.List)) for name, found in tables.items()}


def current(lake: Lake) -> dict[str, int]:
    return {name: DeltaTable(lake.root / name).version() for name in BUILT}


def let_hours_pass(lake: Lake) -> None:
    """Have what was replaced so far be hours old."""
    for name, table in BUILT.items():
        forget_replaced(lake.root, table)
        age(lake.root / name)


def actions(done: list[Maintained], action: str) -> set[str]:
    return {each.table for each in done if each.action == action}


def test_what_older_builds_left_goes_and_the_published_build_stays(lake: Lake, settings: Settings) -> None:
    build(settings)
    more(lake, 30)
    build(settings)
    let_hours_pass(lake)
    before, versions = contents(lake), current(lake)
    done = maintain(settings)
    assert {"silver/visits", "silver/stays", "gold/admissions", "gold/occupancy"} <= actions(done, "vacuum")
    assert not actions(done, "compact") & set(BUILT)
    assert current(lake) == versions
    assert {name: rows.equals(before[name]) for name, rows in contents(lake).items()} == dict.fromkeys(BUILT, True)
    assert build(settings).kind == "unchanged"
    for name in BUILT:
        store = DeltaStore(lake.root, BUILT[name])
        assert {path.name for path in store.path.rglob("*.parquet") if "_delta_log" not in path.parts} == {
            uri.rsplit("/")[-1] for uri in store.handle.file_uris()
        }


def test_a_build_that_was_cut_short_is_left_to_the_next_one(
    lake: Lake, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(settings)
    before = contents(lake)
    more(lake, 31)
    cut_short(settings, monkeypatch)
    let_hours_pass(lake)
    versions = current(lake)
    assert versions != published(lake).versions
    maintain(settings)
    assert current(lake) == versions
    assert {name: rows.equals(before[name]) for name, rows in contents(lake).items()} == dict.fromkeys(BUILT, True)
    assert (
        lake_sql.run(lake.root, "SELECT count(*) AS n FROM gold.admissions")["n"][0] == before["gold/admissions"].height
    )
    assert build(settings).kind == "refresh"
    refreshed = contents(lake)
    build(settings, full=True)
    assert {name: rows.equals(refreshed[name]) for name, rows in contents(lake).items()} == dict.fromkeys(BUILT, True)


def cut_short(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise _CrashError

    with monkeypatch.context() as patch:
        patch.setattr(building, "_publish", crash)
        with pytest.raises(_CrashError):
            build(settings)


def test_tables_that_nothing_was_published_of_are_left_alone(
    lake: Lake, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_short(settings, monkeypatch)
    let_hours_pass(lake)
    versions = current(lake)
    assert not {each.table for each in maintain(settings)} & set(BUILT)
    assert current(lake) == versions
    assert build(settings).kind == "full"


def test_maintenance_waits_for_a_build(lake: Lake, settings: Settings) -> None:
    build(settings)
    said: list[str] = []
    with building.lock(lake.root):
        maintaining = threading.Thread(target=maintain, args=(settings, said.append))
        maintaining.start()
        maintaining.join(3)
        assert maintaining.is_alive()
    maintaining.join(60)
    waited = said.index("waiting for a Gold build to end, if one is under way")
    assert set(said[waited + 1 :]) >= {f"looking after {name}" for name in BUILT}
