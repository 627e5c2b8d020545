"""Taking over tables built beside the lake: all of them once, or none, whenever the crash comes."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable

from app.jobs.lake_session import open_or_create, open_with_key
from app.jobs.replay import replay
from app.settings import load
from lake.contracts.tables import BRONZE, INGEST, QUARANTINE, SILVER, TABLES, Table
from lake.storage import table_swap
from lake.storage.store import Lake, create
from tests.support.lakes import KEY, KEY_TEXT, NOW, RULES, Feeder, make_lake, overwrite, rows, simulated

NOTE = Path(table_swap.FOLDER) / "table_swap.json"
OVERWRITE = {table.name: "overwrite" for table in (SILVER, QUARANTINE, INGEST)}


class _CrashError(Exception):
    pass


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return make_lake(tmp_path / "lake", simulated(60))


def build(lake: Lake) -> Lake:
    """A rebuild in progress: Silver with one row only, the other tables empty."""
    beside = table_swap.begin(lake, (QUARANTINE, INGEST, SILVER))
    beside.store(SILVER).append(rows(lake.root, SILVER).head(1), {})
    return beside


def counts(lake: Lake) -> dict[str, int]:
    return {table.name: rows(lake.root, table).height for table in TABLES}


def versions(lake: Lake) -> dict[str, int]:
    return {name: store.refresh() for name, store in lake.stores.items()}


def crash_after(monkeypatch: pytest.MonkeyPatch, tables: int) -> None:
    """Die in the table swap when so many tables have been taken."""
    original, taken = table_swap._take, []

    def take_or_crash(*arguments: Any) -> None:
        if len(taken) == tables:
            raise _CrashError
        original(*arguments)
        taken.append(arguments)

    monkeypatch.setattr(table_swap, "_take", take_or_crash)


def test_without_its_note_a_rebuild_is_thrown_away(lake: Lake) -> None:
    before = counts(lake), versions(lake)
    build(lake)
    assert not table_swap.pending(lake.root)
    table_swap.finish(lake)
    assert (counts(lake), versions(lake)) == before
    assert not (lake.root / table_swap.FOLDER).exists()


def test_finishing_with_nothing_begun_changes_nothing(lake: Lake) -> None:
    before = versions(lake)
    table_swap.finish(lake)
    assert versions(lake) == before


def test_overwriting_replaces_the_rows_in_one_commit_a_table(lake: Lake) -> None:
    before = counts(lake), versions(lake)
    build(lake)
    table_swap.commit(lake, OVERWRITE)
    assert counts(lake) == {**before[0], SILVER.name: 1, QUARANTINE.name: 0, INGEST.name: 0}
    assert versions(lake) == {name: version + (name in OVERWRITE) for name, version in before[1].items()}
    assert not (lake.root / table_swap.FOLDER).exists()


def test_appending_adds_the_rows(lake: Lake) -> None:
    before = counts(lake)
    beside = table_swap.begin(lake, (INGEST, SILVER))
    beside.store(SILVER).append(rows(lake.root, SILVER).head(2), {})
    table_swap.commit(lake, {SILVER.name: "append", INGEST.name: "append"})
    assert counts(lake) == {**before, SILVER.name: before[SILVER.name] + 2}


def test_replacing_takes_the_days_that_were_built(lake: Lake) -> None:
    later = pl.duration(days=pl.col("kafka_offset") % 3)
    overwrite(lake.root, SILVER, rows(lake.root, SILVER).with_columns(pl.col("event_date") + later))
    before, held = versions(lake), rows(lake.root, SILVER)
    day = held["event_date"].min()
    of_that_day = held.filter(pl.col("event_date") == day)
    assert held["event_date"].n_unique() == 3
    beside = table_swap.begin(lake, (SILVER,))
    beside.store(SILVER).append(of_that_day.head(1), {})
    table_swap.commit(lake, {SILVER.name: "replace"})
    left = rows(lake.root, SILVER)
    assert left.filter(pl.col("event_date") != day).equals(held.filter(pl.col("event_date") != day))
    assert left.filter(pl.col("event_date") == day).equals(of_that_day.head(1))
    assert versions(lake) == {**before, SILVER.name: before[SILVER.name] + 1}


def test_a_table_that_the_note_does_not_name_stays(lake: Lake) -> None:
    before = counts(lake)
    build(lake)
    table_swap.commit(lake, {SILVER.name: "overwrite"})
    assert counts(lake) == {**before, SILVER.name: 1}


def test_taken_rows_are_those_that_were_built(lake: Lake) -> None:
    built = rows(lake.root, SILVER)
    beside = table_swap.begin(lake, (SILVER,))
    beside.store(SILVER).append(built, {})
    table_swap.commit(lake, {SILVER.name: "overwrite"})
    taken = rows(lake.root, SILVER)
    assert taken.select(built.columns).equals(built), "Silver changed in the table swap"


@pytest.mark.parametrize("mode", ["overwrite", "append"])
def test_what_was_built_is_not_written_again(lake: Lake, mode: table_swap.Mode) -> None:
    """It took memory as there were rows, 3.5 GB for 4 million."""
    beside = table_swap.begin(lake, (QUARANTINE, INGEST, SILVER))
    for table in (QUARANTINE, INGEST, SILVER):
        beside.store(table).append(rows(lake.root, table), {})
    built = {table: beside.store(table).files() for table in (QUARANTINE, INGEST, SILVER)}
    inodes = {table: inodes_of(beside, table) for table in built}
    table_swap.commit(lake, dict.fromkeys(OVERWRITE, mode))
    for table, files in built.items():
        lake.store(table).refresh()
        taken = lake.store(table).files().join(files.select("path"), on="path", how="semi", maintain_order="right")
        assert taken.select(files.columns).equals(files), "the log tells of the files as it did"
        assert inodes[table] <= inodes_of(lake, table)


def inodes_of(lake: Lake, table: Table) -> set[int]:
    store = lake.store(table)
    return {(store.path / name).stat().st_ino for name in store.files()["path"]}


def test_a_crash_between_a_table_s_files_and_its_commit(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: Any, **__: Any) -> None:
        raise _CrashError

    build(lake)
    with monkeypatch.context() as patch:
        patch.setattr(DeltaTable, "create_write_transaction", crash)
        with pytest.raises(_CrashError):
            table_swap.commit(lake, OVERWRITE)
    table_swap.finish(lake)
    assert rows(lake.root, SILVER).height == 1


def test_a_file_system_without_second_names_for_files(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError

    build(lake)
    monkeypatch.setattr(Path, "hardlink_to", refuse)
    table_swap.commit(lake, OVERWRITE)
    assert rows(lake.root, SILVER).height == 1
    assert not list((lake.root / SILVER.name).rglob("*/_part*"))


def test_positions_of_the_stream_outlast_a_takeover(lake: Lake) -> None:
    [topic_id] = rows(lake.root, BRONZE)["topic_id"].unique()
    before = [lake.landed(topic_id, p) for p in range(4)]
    build(lake)
    table_swap.commit(lake, OVERWRITE)
    lake.refresh()
    assert [lake.landed(topic_id, p) for p in range(4)] == before
    assert max(before) > 0


@pytest.mark.parametrize("tables", [0, 1, 2])
@pytest.mark.parametrize("mode", ["overwrite", "append"])
def test_a_noted_takeover_is_carried_through_once(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, tables: int, mode: table_swap.Mode
) -> None:
    before = counts(lake), versions(lake)
    build(lake)
    with monkeypatch.context() as patch:
        crash_after(patch, tables)
        with pytest.raises(_CrashError):
            table_swap.commit(lake, dict.fromkeys(OVERWRITE, mode))
    assert table_swap.pending(lake.root)
    table_swap.finish(lake)
    table_swap.finish(lake)
    kept = before[0] if mode == "append" else dict.fromkeys(OVERWRITE, 0) | {BRONZE.name: before[0][BRONZE.name]}
    assert counts(lake) == {"ops/audit": 0, **kept, SILVER.name: kept[SILVER.name] + 1}
    assert versions(lake) == {name: version + (name in OVERWRITE) for name, version in before[1].items()}


def test_a_crash_when_all_is_taken_and_the_note_still_there(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    build(lake)
    original = Path.unlink

    def crash_at_note(self: Path, *, missing_ok: bool = False) -> None:
        if self.name == NOTE.name:
            raise _CrashError
        original(self, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", crash_at_note)
        with pytest.raises(_CrashError):
            table_swap.commit(lake, dict.fromkeys(OVERWRITE, "append"))
    before = counts(lake), versions(lake)
    table_swap.finish(lake)
    assert (counts(lake), versions(lake)) == before
    assert not table_swap.pending(lake.root)


def noted(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    build(lake)
    with monkeypatch.context() as patch:
        crash_after(patch, 0)
        with pytest.raises(_CrashError):
            table_swap.commit(lake, OVERWRITE)


def test_whoever_opens_the_lake_with_its_key_finishes_it(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDLAKE_KEY", KEY_TEXT)
    for opening in (open_with_key, open_or_create):
        noted(lake, monkeypatch)
        opening(load(lake=lake.root))
        assert not table_swap.pending(lake.root)
        assert rows(lake.root, SILVER).height == 1


def test_a_landing_finishes_it_first(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    feeder = Feeder(create(lake.root, KEY))
    noted(lake, monkeypatch)
    feeder.land([(0, None)])
    assert not table_swap.pending(lake.root)
    assert (rows(lake.root, SILVER).height, rows(lake.root, QUARANTINE).height) == (1, 1)


def test_a_new_rebuild_clears_the_last_ones_leftover(lake: Lake) -> None:
    build(lake)
    beside = table_swap.begin(lake, (SILVER,))
    assert beside.store(SILVER).scan().select(pl.len()).collect().item() == 0
    assert not (lake.root / table_swap.FOLDER / QUARANTINE.name).exists()


def test_the_note_says_what_becomes_of_each_table(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    noted(lake, monkeypatch)
    note = json.loads((lake.root / NOTE).read_text())
    assert note["modes"] == OVERWRITE


def test_a_replay_that_is_cut_short_leaves_the_old_tables(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    before = counts(lake), versions(lake)

    def crash(*_: Any) -> None:
        raise _CrashError

    with monkeypatch.context() as patch:
        patch.setattr(table_swap, "commit", crash)
        with pytest.raises(_CrashError):
            replay(lake, RULES, lambda: NOW)
    table_swap.finish(lake)
    assert (counts(lake), versions(lake)) == before


def test_a_lake_of_any_name_can_be_rebuilt(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "St Mary's lake", simulated(40))
    before = counts(lake)
    replay(lake, RULES, lambda: NOW)
    assert counts(lake)[SILVER.name] == before[SILVER.name]
