"""Maintenance: what it merges, removes and forgets, what it leaves alone, and what it must never do to a row."""

import os
import shutil
import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from app.jobs import maintain as app_maintain
from app.jobs.maintain import Maintained, maintain
from app.jobs.verify import verify
from app.settings import Settings
from lake.contracts.tables import AUDIT, BRONZE, INGEST, QUARANTINE, SILVER, TABLES, VISITS, Table
from lake.contracts.tables import UTC as UTC_TIME
from lake.errors import LakeError
from lake.storage import maintenance as care
from lake.storage.store import DeltaStore, Lake, create, open_lake
from tests.support.lakes import DEDUP_KEY, KEY, NOW, Feeder, age, forget_replaced, make_lake, overwrite, rows, simulated

HOURS_AGO = time.time() - 2 * 3600


def small_batches(root: Path, batches: int = 12, messages: int = 20) -> Lake:
    sent = simulated(batches * messages)
    return make_lake(root, *(sent[at : at + messages] for at in range(0, len(sent), messages)))


def settings_of(lake: Lake) -> Settings:
    return Settings(lake=lake.root)


def actions(done: list[Maintained]) -> set[tuple[str, str]]:
    return {(each.action, each.table) for each in done if each.action != "keys"}


def contents(lake: Lake) -> dict[str, pl.DataFrame]:
    found = {table.name: rows(lake.root, table) for table in TABLES}
    return {name: frame.sort(frame.columns[:3]) for name, frame in found.items()}


def versions(lake: Lake) -> dict[str, int]:
    return {name: store.refresh() for name, store in lake.stores.items()}


def let_hours_pass(store: DeltaStore) -> None:
    """Have what was replaced so far be hours old."""
    forget_replaced(store.path.parents[1], store.table)
    age(store.path)
    store.refresh()


def on_disk(lake: Lake, table: Table) -> set[Path]:
    return set((lake.root / table.name).rglob("*.parquet")) - set((lake.root / table.name).glob("_delta_log/*"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of small batches, made once."""
    return small_batches(tmp_path_factory.mktemp("made") / "lake").root


@pytest.fixture
def lake(made: Path, tmp_path: Path) -> Lake:
    shutil.copytree(made, tmp_path / "lake")
    return open_lake(tmp_path / "lake", KEY)


# Compaction.


def test_many_small_files_become_few_and_no_row_changes(lake: Lake) -> None:
    before = contents(lake)
    done = maintain(settings_of(lake))
    assert {("compact", BRONZE.name), ("compact", INGEST.name), ("compact", SILVER.name)} <= actions(done)
    for table, after in contents(lake).items():
        assert after.equals(before[table]), table
    for each in done:
        if each.action == "compact":
            assert each.files_after < each.files_before
    assert all(check.passed for check in verify(lake, DEDUP_KEY))


def test_a_second_run_writes_nothing_and_a_third_has_nothing_to_do(lake: Lake) -> None:
    maintain(settings_of(lake))
    before = versions(lake), data_files(lake)
    # The log goes one run after the checkpoint that stands for it.
    assert {action for action, _ in actions(maintain(settings_of(lake)))} <= {"log"}
    assert actions(maintain(settings_of(lake))) == set()
    assert (versions(lake), data_files(lake)) == before


def data_files(lake: Lake) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for table in TABLES for path in on_disk(lake, table)}


@pytest.mark.parametrize(("batches", "worth"), [(4, 0), (5, 1)])
def test_a_partition_is_worth_it_from_five_small_files_on(tmp_path: Path, batches: int, worth: int) -> None:
    lake = small_batches(tmp_path / "lake", batches)
    lake.refresh()
    assert care.worthwhile(lake.store(BRONZE)) == [NOW.date()] * worth


def test_only_the_partitions_that_are_worth_it_are_written_again(lake: Lake) -> None:
    audit = lake.store(AUDIT)
    for day in [1] * 5 + [2] * 4:
        audit.append(audited(date(2026, 5, day)), {})
    quiet = set(audit.path.glob("date=2026-05-02/*.parquet"))
    maintain(settings_of(lake))
    audit.refresh()
    assert quiet < {Path(file.removeprefix("file://")) for file in audit.handle.file_uris()}
    assert care.live(audit).files == 5


def audited(day: date) -> pl.DataFrame:
    when = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return pl.DataFrame([(when, "me", "look", "x", None, day)], schema=AUDIT.polars_schema, orient="row")


def test_an_empty_lake_is_no_trouble(tmp_path: Path) -> None:
    lake = create(tmp_path / "lake", KEY)
    done = maintain(settings_of(lake))
    assert [(each.action, each.table, each.detail) for each in done] == [
        ("keys", BRONZE.name, "no record batch"),
    ]


def test_where_there_is_no_lake(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="there is no lake"):
        maintain(Settings(lake=tmp_path / "none"))


def test_what_cannot_be_written_is_one_line(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(DeltaStore, "compact", full)
    with pytest.raises(
        LakeError, match=r"^maintenance stopped; got a full disk; expected .*; nothing is lost; free space"
    ):
        maintain(settings_of(lake))


# Vacuum.


def test_what_compaction_replaced_goes_after_the_retention_and_not_before(lake: Lake) -> None:
    maintain(settings_of(lake))
    kept = on_disk(lake, SILVER)
    assert len(kept) > len(lake.store(SILVER).handle.file_uris())
    silver = lake.store(SILVER)
    let_hours_pass(silver)
    [vacuumed] = [each for each in maintain(settings_of(lake)) if each.action == "vacuum"]
    assert vacuumed.files_before == len(kept)
    assert {str(path) for path in on_disk(lake, SILVER)} == {uri.removeprefix("file://") for uri in live(lake, SILVER)}
    assert vacuumed.files_after == len(live(lake, SILVER))
    assert all(check.passed for check in verify(lake, DEDUP_KEY))


def live(lake: Lake, table: Table) -> list[str]:
    lake.store(table).refresh()
    return lake.store(table).handle.file_uris()


def test_what_a_crash_left_behind_goes_after_the_retention_and_not_before(lake: Lake) -> None:
    folder = next(iter(on_disk(lake, SILVER))).parent
    for name, written in (("part-young", time.time()), ("part-old", HOURS_AGO)):
        (folder / f"{name}.parquet").write_bytes(b"half a file")
        os.utime(folder / f"{name}.parquet", (written, written))
    maintain(settings_of(lake))
    assert (folder / "part-young.parquet").exists()
    assert not (folder / "part-old.parquet").exists()


def test_old_files_that_are_in_use_stay(lake: Lake) -> None:
    before = contents(lake)
    for file in lake.root.rglob("*"):
        os.utime(file, (HOURS_AGO, HOURS_AGO))
    maintain(settings_of(lake))
    for table, after in contents(lake).items():
        assert after.equals(before[table]), table


def test_vacuum_makes_no_commit(lake: Lake) -> None:
    silver = lake.store(SILVER)
    silver.compact()
    let_hours_pass(silver)
    before = silver.refresh()
    assert care.vacuum(silver).files > 0
    assert silver.refresh() == before


def test_a_path_with_a_space(tmp_path: Path) -> None:
    lake = small_batches(tmp_path / "my lake", batches=6)
    before = contents(lake)
    maintain(settings_of(lake))
    let_hours_pass(lake.store(SILVER))
    assert ("vacuum", SILVER.name) in actions(maintain(settings_of(lake)))
    assert contents(lake)[SILVER.name].equals(before[SILVER.name])


# The log.


def keep_no_log(store: DeltaStore) -> None:
    store.refresh()
    store.handle.alter.set_table_properties({"delta.logRetentionDuration": "interval 0 seconds"})
    store.refresh()


def test_a_checkpoint_stands_for_the_log_before_it(lake: Lake) -> None:
    audit = lake.store(AUDIT)
    for _ in range(4):
        audit.append(audited(date(2026, 5, 1)), {"app": 4})
    keep_no_log(audit)
    care.tidy_log(audit)
    gone, left = care.tidy_log(audit)
    assert gone.files >= 5
    assert left.files == len([path for path in (audit.path / "_delta_log").iterdir() if path.suffix != ".crc"]) - 1
    fresh = DeltaStore(lake.root, AUDIT)
    assert (fresh.scan().collect().height, fresh.position_of("app")) == (4, 4)


def test_a_handle_that_is_behind_can_still_append_after_the_log_was_tidied(lake: Lake) -> None:
    audit = lake.store(AUDIT)
    keep_no_log(audit)
    behind = DeltaStore(lake.root, AUDIT)
    behind.refresh()
    for _ in range(3):
        audit.append(audited(date(2026, 5, 1)), {})
    care.tidy_log(audit)
    behind.append(audited(date(2026, 5, 2)), {})
    assert rows(lake.root, AUDIT).height == 4


def test_the_stream_can_go_on_with_the_handles_it_has(lake: Lake) -> None:
    feeder = Feeder(lake)
    for seed in range(3):
        feeder.land(simulated(40, seed=seed + 20))
        maintain(settings_of(lake))
        for table in (BRONZE, SILVER, INGEST):
            keep_no_log(DeltaStore(lake.root, table))
    feeder.land(simulated(40, seed=30))
    assert all(check.passed for check in verify(lake, DEDUP_KEY))


def test_a_published_version_stays_readable_with_those_after_it(tmp_path: Path) -> None:
    store = DeltaStore(tmp_path, VISITS)
    store.create()
    keep_no_log(store)
    for _ in range(28):
        store.append(VISITS.empty(), {"app": 1})
    care.tidy_log(store, 23)
    gone, _ = care.tidy_log(store, 23)
    assert gone.files > 0
    for version in range(23, store.handle.version() + 1):
        assert DeltaTable(store.path, version=version).version() == version
    with pytest.raises(DeltaError):
        DeltaTable(store.path, version=2)


def test_commits_alone_leave_the_log_of_a_derived_table_as_it_is(tmp_path: Path) -> None:
    store = DeltaStore(tmp_path, VISITS)
    store.create()
    keep_no_log(store)
    for _ in range(22):
        store.append(VISITS.empty(), {"app": 1})
    assert DeltaTable(store.path, version=1).version() == 1


# What may be forgotten.


def resolve(lake: Lake, resolved: dict[int, datetime]) -> None:
    """Mark the n-th quarantine rows resolved, and book them as duplicates."""
    held = rows(lake.root, QUARANTINE).with_row_index()
    when = pl.col("index").replace_strict(resolved, default=None, return_dtype=UTC_TIME)
    overwrite(lake.root, QUARANTINE, held.with_columns(resolved_at=when))
    settled = held.filter(pl.col("index").is_in(list(resolved))).group_by("kafka_partition").agg(moved=pl.len())
    books = rows(lake.root, INGEST).join(settled, on="kafka_partition", how="left")
    moved = pl.col("moved").fill_null(0).cast(pl.Int64) * pl.col("first_offset").eq(0)
    overwrite(lake.root, INGEST, books.with_columns(pl.col("quarantined") - moved, pl.col("duplicates") + moved))


def test_rows_resolved_long_ago_are_forgotten_and_no_others(lake: Lake) -> None:
    resolve(lake, {0: NOW - timedelta(days=91), 1: NOW - timedelta(days=89), 2: NOW - timedelta(days=400)})
    before = rows(lake.root, QUARANTINE)
    done = maintain(settings_of(lake), now=lambda: NOW)
    [forgotten] = [each for each in done if each.action == "forget"]
    assert (forgotten.table, forgotten.detail) == (QUARANTINE.name, "2 rows resolved before 2026-07-03")
    [noted] = rows(lake.root, AUDIT).rows(named=True)
    assert (noted["action"], noted["rows"]) == ("forget", 2)
    assert noted["detail"] == "bronze/quarantine: rows resolved before 2026-07-03 12:00:00 UTC"
    kept = (NOW - pl.col("resolved_at") < timedelta(days=90)) | pl.col("resolved_at").is_null()
    assert rows(lake.root, QUARANTINE).equals(before.filter(kept))
    assert all(check.passed for check in verify(lake, DEDUP_KEY))


def test_the_stream_lands_while_rows_are_forgotten(lake: Lake) -> None:
    resolve(lake, {0: NOW - timedelta(days=91)})
    feeder = Feeder(lake)
    forgetting = threading.Thread(target=maintain, args=(settings_of(lake),), kwargs={"now": lambda: NOW})
    forgetting.start()
    for seed in range(4):
        feeder.land(simulated(20, seed=seed + 40))
    forgetting.join(60)
    assert rows(lake.root, QUARANTINE)["resolved_at"].null_count() == rows(lake.root, QUARANTINE).height
    assert all(check.passed for check in verify(lake, DEDUP_KEY))


def test_which_key_is_needed_for_how_much(lake: Lake) -> None:
    old = "0123456789abcdef"
    bronze = rows(lake.root, BRONZE).with_columns(
        key_id=pl.when(pl.int_range(pl.len()) < 7).then(pl.lit(old)).otherwise("key_id")
    )
    overwrite(lake.root, BRONZE, bronze)
    keys = {each.table: each.detail for each in maintain(settings_of(lake)) if each.action == "keys"}
    ours = f"key {KEY.key_id}: {bronze.height - 7:,} record batches"
    assert keys == {BRONZE.name: ", ".join(sorted([f"key {old}: 7 record batches", ours]))}


# Two at once.


def test_a_second_maintain_waits_for_the_first(lake: Lake) -> None:
    before = contents(lake)
    runs = [threading.Thread(target=maintain, args=(settings_of(lake),)) for _ in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(60)
    for table, after in contents(lake).items():
        assert after.equals(before[table]), table


def test_it_says_what_it_is_at(lake: Lake) -> None:
    said: list[str] = []
    maintain(settings_of(lake), said.append)
    assert {f"looking after {table.name}" for table in TABLES} <= set(said)


@pytest.mark.parametrize("step", ["compact", "vacuum"])
def test_maintain_acts_again_where_the_log_moved(lake: Lake, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """As when the stream clears log files between a handle's listing and its reading of them."""
    owner: object = DeltaStore if step == "compact" else app_maintain.care
    original: Callable[..., object] = getattr(owner, step)
    failed: list[str] = []

    def gone_at_first(store: DeltaStore, *rest: object) -> object:
        if store.table is SILVER and not failed:
            failed.append(step)
            raise FileNotFoundError
        return original(store, *rest)

    if step == "vacuum":
        lake.store(SILVER).compact()
        let_hours_pass(lake.store(SILVER))
    monkeypatch.setattr(owner, step, gone_at_first)
    assert (step, SILVER.name) in actions(maintain(settings_of(lake)))
    assert failed == [step]


@pytest.mark.parametrize("stop", ["compact", "vacuum", "tidy_log"])
def test_after_a_crash_the_next_run_goes_on(lake: Lake, monkeypatch: pytest.MonkeyPatch, stop: str) -> None:
    before = contents(lake)
    crash_at(monkeypatch, stop)
    with pytest.raises(KeyboardInterrupt):
        maintain(settings_of(lake))
    monkeypatch.undo()
    maintain(settings_of(lake))
    assert {action for action, _ in actions(maintain(settings_of(lake)))} <= {"log"}
    for table, after in contents(lake).items():
        assert after.equals(before[table]), table


def crash_at(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Die after the third of these steps."""
    owner: object = DeltaStore if name == "compact" else app_maintain.care
    original: Callable[..., object] = getattr(owner, name)
    calls: list[None] = []

    def counted(*arguments: object) -> object:
        result = original(*arguments)
        calls.append(None)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(owner, name, counted)
