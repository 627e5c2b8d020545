"""The lake on disk: made once and whole, opened with care, appended to with its positions."""

import json
import os
import shutil
import stat
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError

from lake.contracts.tables import AUDIT, INGEST, LANDED, SILVER, TABLES
from lake.errors import LakeError
from lake.security.encryption import LakeKey
from lake.storage import bronze, store
from lake.storage import metadata as marking
from lake.storage.metadata import METADATA_FILE
from lake.storage.store import DeltaStore, Lake, app_id, create, exists, is_demo, open_lake
from tests.support.lakes import KEY, Feeder, make_lake, rows, simulated

OTHER_KEY = LakeKey(b"another key of thirty-two bytes.")
WHEN = datetime(2026, 5, 1, tzinfo=UTC)


def metadata(root: Path, **changes: object) -> None:
    path = root / METADATA_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def noted(*details: str, day: int = 1) -> pl.DataFrame:
    """Rows of a small table."""
    return pl.DataFrame(
        [(WHEN, "me", "look", detail, None, date(2026, 5, day)) for detail in details],
        schema=AUDIT.polars_schema,
        orient="row",
    )


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return create(tmp_path / "lake", KEY)


@pytest.fixture
def audit(lake: Lake) -> DeltaStore:
    return lake.store(AUDIT)


# Making and opening.


def test_a_new_lake_has_every_table_and_its_marker(lake: Lake) -> None:
    assert exists(lake.root)
    for table in TABLES:
        handle = DeltaTable(lake.root / table.name)
        assert handle.version() == 0
        assert handle.metadata().partition_columns == [table.partition]
    assert json.loads((lake.root / METADATA_FILE).read_text())["key_id"] == KEY.key_id


def test_only_the_owner_may_enter(lake: Lake) -> None:
    assert stat.S_IMODE(lake.root.stat().st_mode) == 0o700


def test_an_empty_folder_becomes_a_lake(tmp_path: Path) -> None:
    assert create(tmp_path, KEY).root == tmp_path
    assert exists(tmp_path)


def test_only_the_owner_may_enter_a_folder_that_was_there(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir(mode=0o755)
    create(tmp_path / "lake", KEY)
    assert stat.S_IMODE((tmp_path / "lake").stat().st_mode) == 0o700


def test_making_it_again_opens_it(tmp_path: Path) -> None:
    first = make_lake(tmp_path / "lake", simulated(20))
    before = (first.root / METADATA_FILE).read_text()
    second = create(first.root, KEY)
    assert (first.root / METADATA_FILE).read_text() == before
    assert bronze.total(second) == 20


def test_many_may_make_it_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(6) as pool:
        lakes = list(pool.map(lambda _: create(tmp_path / "lake", KEY), range(6)))
    assert len({lake.root for lake in lakes}) == 1
    assert {DeltaTable(lakes[0].root / table.name).version() for table in TABLES} == {0}
    assert not (lakes[0].root / f".{METADATA_FILE}").exists()


class _CrashError(Exception):
    pass


@pytest.mark.parametrize("nth", range(len(TABLES) + 1))
def test_a_lake_that_was_half_made_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nth: int) -> None:
    made, original = [], DeltaStore.create

    def create_or_crash(self: DeltaStore) -> None:
        if len(made) == nth:
            raise _CrashError
        original(self)
        made.append(self.table.name)

    def crash(*_: Any, **__: Any) -> None:
        raise _CrashError

    with monkeypatch.context() as patch:
        patch.setattr(DeltaStore, "create", create_or_crash)
        if nth == len(TABLES):
            patch.setattr(marking, "write", crash)
        with pytest.raises(_CrashError):
            create(tmp_path / "lake", KEY)
    assert not exists(tmp_path / "lake")
    create(tmp_path / "lake", KEY)
    assert all(DeltaTable(tmp_path / "lake" / table.name).version() == 0 for table in TABLES)


def test_a_half_made_lake_is_not_opened(tmp_path: Path) -> None:
    DeltaStore(tmp_path, AUDIT).create()
    with pytest.raises(LakeError, match=r"is not a lake; got no readable wardlake\.json"):
        open_lake(tmp_path, KEY)


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(LakeError, match="is not a lake"):
        create(tmp_path, KEY)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_file_is_not_a_lake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for use in (create, open_lake):
        with pytest.raises(LakeError, match="is not a lake; got a file"):
            use(tmp_path / "file", KEY)


def test_there_is_no_lake_where_nothing_is(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(LakeError, match=r"there is no lake at .*; run 'wardlake stream' or 'wardlake demo' first"):
            open_lake(path)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (4, r"a newer version.*got lake format 4; expected lake format 3; upgrade Wardlake"),
        (2, r"an older version.*got lake format 2; expected lake format 3; set WARDLAKE_LAKE to another folder"),
    ],
)
def test_a_lake_of_another_version_is_not_opened(lake: Lake, other: int, told: str) -> None:
    metadata(lake.root, format=other)
    for use in (create, open_lake):
        with pytest.raises(LakeError, match=told):
            use(lake.root, KEY)
    assert not is_demo(lake.root), "a demo may still clear away its own"
    metadata(lake.root, demo=True)
    assert is_demo(lake.root)


def test_a_lake_is_opened_with_its_own_key_only(lake: Lake) -> None:
    for use in (create, open_lake):
        with pytest.raises(LakeError, match=f"not the key.*got key {OTHER_KEY.key_id}; expected key {KEY.key_id}"):
            use(lake.root, OTHER_KEY)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": "x"}', '{"format": 1}'])
def test_a_marker_that_cannot_be_read(lake: Lake, text: str) -> None:
    (lake.root / METADATA_FILE).write_text(text)
    with pytest.raises(LakeError, match="is not a lake"):
        open_lake(lake.root)


def test_without_a_key_masked_rows_can_be_read_and_nothing_opened(lake: Lake) -> None:
    opened = open_lake(lake.root)
    assert opened.store(AUDIT).scan().collect().is_empty()
    with pytest.raises(LakeError, match="this needs the lake's key; set WARDLAKE_KEY"):
        _ = opened.key


def test_a_table_that_is_gone_is_named(lake: Lake) -> None:
    (lake.root / AUDIT.name).rename(lake.root / "elsewhere")
    with pytest.raises(LakeError, match=r"the table ops/audit cannot be opened.*restore the lake from a backup"):
        _ = open_lake(lake.root).store(AUDIT).handle


@pytest.mark.parametrize("emptied", [False, True])
def test_a_table_that_went_after_it_was_opened_is_named(lake: Lake, emptied: bool) -> None:
    silver = lake.store(SILVER)
    silver.refresh()
    shutil.rmtree(silver.path)
    if emptied:
        (silver.path / "_delta_log").mkdir(parents=True)
    with pytest.raises(LakeError, match="silver/events"):
        silver.refresh()


@pytest.mark.parametrize("demo", [True, False])
def test_whether_a_demo_made_it_is_remembered(tmp_path: Path, demo: bool) -> None:
    create(tmp_path / "lake", KEY, demo=demo)
    create(tmp_path / "lake", KEY, demo=not demo)
    assert is_demo(tmp_path / "lake") is demo


# Appending.


def test_rows_and_positions_are_one_commit(audit: DeltaStore) -> None:
    audit.append(noted("a", "b"), {app_id("t", 0): 41, app_id("t", 3): 7})
    fresh = DeltaStore(audit.path.parents[1], AUDIT)
    assert (fresh.handle.version(), fresh.scan().collect().height) == (1, 2)
    assert [fresh.position("t", p) for p in (0, 1, 3)] == [41, -1, 7]
    assert fresh.position("another", 0) == -1


def test_positions_move_without_rows(audit: DeltaStore) -> None:
    audit.append(AUDIT.empty(), {app_id("t", 0): 9})
    assert (audit.position("t", 0), audit.scan().collect().height) == (9, 0)


def test_a_second_writer_of_the_same_partition_writes_nothing(audit: DeltaStore) -> None:
    peer = DeltaStore(audit.path.parents[1], AUDIT)
    peer.refresh()
    audit.append(noted("first"), {app_id("t", 0): 1})
    with pytest.raises(CommitFailedError):
        peer.append(noted("second"), {app_id("t", 0): 1})
    peer.refresh()
    assert peer.scan().collect()["detail"].to_list() == ["first"]


def test_a_second_writer_of_another_partition_is_not_disturbed(audit: DeltaStore) -> None:
    peer = DeltaStore(audit.path.parents[1], AUDIT)
    peer.refresh()
    audit.append(noted("first"), {app_id("t", 0): 1})
    peer.append(noted("second"), {app_id("t", 1): 1})
    audit.refresh()
    assert sorted(audit.scan().collect()["detail"]) == ["first", "second"]
    assert (audit.position("t", 0), audit.position("t", 1)) == (1, 1)
    assert (peer.position("t", 0), peer.position("t", 1)) == (1, 1)


def test_columns_may_come_in_any_order_and_no_other_type(audit: DeltaStore) -> None:
    audit.append(noted("a").select(reversed(AUDIT.polars_schema.names())), {})
    with pytest.raises(pl.exceptions.PolarsError):
        audit.append(noted("b").with_columns(rows=pl.lit("many")), {})
    assert audit.scan().collect()["detail"].to_list() == ["a"]


def test_history_is_checkpointed_and_compacted(audit: DeltaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "COMPACT_EVERY", 25)
    for number in range(50):
        audit.append(noted(str(number)), {app_id("t", 0): number})
    log = audit.path / "_delta_log"
    checkpoints = {int(path.name[:20]) for path in log.glob("*.checkpoint.parquet")}
    assert len(checkpoints) >= 2
    assert max(checkpoints) >= 30
    assert len(audit.handle.file_uris()) < 30
    fresh = DeltaStore(audit.path.parents[1], AUDIT)
    assert sorted(map(int, fresh.scan().collect()["detail"])) == list(range(50))
    assert fresh.position("t", 0) == 49


def test_a_handle_is_opened_anew_behind_each_checkpoint(audit: DeltaStore) -> None:
    """delta-rs commits the more slowly, the more commits a handle took in."""
    handles = []
    for number in range(45):
        assert audit.refresh() == number
        assert audit.position("t", 0) == number - 1
        handles.append(audit.handle)
        audit.append(noted(str(number)), {app_id("t", 0): number})
    assert [number for number in range(1, 45) if handles[number] is not handles[number - 1]] == [20, 40]


def test_days_of_a_few_files_are_not_written_again_by_the_stream(
    audit: DeltaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "COMPACT_EVERY", 39)
    for number in range(39):
        audit.append(noted(str(number), day=1 + number % 2), {})
    live = Counter(Path(file).parent.name for file in audit.handle.file_uris())
    assert live == {"date=2026-05-01": 1, "date=2026-05-02": 19}
    assert sorted(map(int, audit.scan().collect()["detail"])) == list(range(39))


def test_a_handle_older_than_the_log_commits_nothing_until_it_caught_up(lake: Lake) -> None:
    ingest, started, reader = (DeltaStore(lake.root, INGEST) for _ in range(3))
    for offset in range(3):
        ingest.append(INGEST.empty(), {app_id("t", 0): offset})
    for store_ in (started, reader):
        store_.refresh()
    log = ingest.path / "_delta_log"
    for offset in range(3, 45):
        _age(log)
        ingest.append(INGEST.empty(), {app_id("t", 0): offset})
    ours = f"{started.handle.version() + 1:020d}.json"
    assert not (log / ours).exists()  # the log no longer tells what happened since
    for positions in ({app_id("t", 0): 3}, {app_id("t", 1): 0}):
        with pytest.raises(DeltaError):
            started.append(INGEST.empty(), positions)
    assert not (log / ours).exists()
    assert DeltaStore(lake.root, INGEST).refresh() == ingest.handle.version() == 45
    assert reader.scan().collect().is_empty()  # an old snapshot is still read
    started.refresh()
    assert started.position("t", 0) == 44
    started.append(INGEST.empty(), {app_id("t", 1): 0})
    assert DeltaStore(lake.root, INGEST).position("t", 1) == 0


def _age(folder: Path) -> None:
    an_hour_ago = time.time() - 3600
    for path in folder.iterdir():
        os.utime(path, (an_hour_ago, an_hour_ago))


def test_a_reader_from_before_a_compaction_reads_on(audit: DeltaStore) -> None:
    for number in range(4):
        audit.append(noted(str(number)), {})
    before = DeltaStore(audit.path.parents[1], AUDIT)
    before.refresh()
    audit.compact()
    assert len(audit.handle.file_uris()) == 1
    assert before.scan().collect().height == 4


def in_no_order(rows: pl.DataFrame) -> list[str]:
    return sorted(map(repr, rows.rows()))


@pytest.mark.parametrize("folder", ["lake", "my lake"])
def test_partitions_are_read_as_a_filter_would_find_them(tmp_path: Path, folder: str) -> None:
    messages = simulated(400)
    made = make_lake(tmp_path / folder, messages[:150], messages[150:])
    for one in LANDED:
        opened = DeltaStore(made.root, one)
        whole = opened.scan().collect()
        days = whole[one.partition].unique().sort().to_list()
        assert len(days) > 1 or one is not SILVER
        for chosen in ([], days[:1], days[-2:], [*days, date(1999, 1, 1)]):
            found = opened.scan(chosen).collect()
            assert found.schema == one.polars_schema
            same = in_no_order(found) == in_no_order(whole.filter(pl.col(one.partition).is_in(chosen)))
            assert same, f"{one.name}: {len(chosen)} days"


def test_partitions_of_a_table_without_rows(audit: DeltaStore) -> None:
    assert audit.scan([date(2026, 5, 1)]).collect().equals(AUDIT.empty())


def test_what_landed_and_what_was_begun(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", simulated(60))
    lake.refresh()
    [topic_id] = rows(lake.root, TABLES[0])["topic_id"].unique()
    ends = rows(lake.root, TABLES[0]).group_by("kafka_partition").agg(pl.col("last_offset").max())
    assert {p: lake.landed(topic_id, p) for p in ends["kafka_partition"]} == dict(ends.iter_rows())
    assert lake.landings_begun() == lake.landings_done() == 0
    Feeder(lake).land(simulated(20))
    assert lake.landings_begun() == lake.landings_done() == 1
    lake.streamed()[0].append(TABLES[0].empty(), {store.LANDING_APP: 2})
    assert (lake.landings_begun(), lake.landings_done()) == (2, 1)


# Landings of several partitions at once.


def waits_for(held: AbstractContextManager[object], wanted: AbstractContextManager[object]) -> bool:
    """Whether the one is only got once the other is free again; it must be got then."""
    got = threading.Event()

    def take() -> None:
        with wanted:
            got.set()

    taker = threading.Thread(target=take)
    with held:
        taker.start()
        waited = not got.wait(0.5)
    assert got.wait(10)
    taker.join()
    return waited


def test_landings_of_one_partition_take_turns_and_others_do_not_wait(lake: Lake) -> None:
    assert waits_for(lake.partition_lock(0), lake.partition_lock(0))
    assert not waits_for(lake.partition_lock(0), lake.partition_lock(1))


def test_the_landing_lock_waits_for_every_landing_and_every_landing_for_it(lake: Lake) -> None:
    assert waits_for(lake.partition_lock(3), lake.landing_lock())
    assert waits_for(lake.landing_lock(), lake.partition_lock(3))
    assert waits_for(lake.landing_lock(), lake.partition_lock(7))
    assert waits_for(lake.landing_lock(), lake.landing_lock())


def test_a_landing_that_fails_leaves_no_lock(lake: Lake) -> None:
    with pytest.raises(_CrashError), lake.partition_lock(0):
        raise _CrashError
    with lake.landing_lock():
        pass
    assert {stat.S_IMODE(path.stat().st_mode) for path in lake.root.glob(".landing.lock*")} == {0o600}
