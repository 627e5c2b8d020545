"""A build of Gold: in full, by what is new, cut short, of another version, of a lake that has nothing."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake

from app.jobs import replay
from lake.contracts.tables import BUILDS, INCOMPLETE, SILVER, STAYS, VISITS
from lake.errors import LakeError, UsageError
from lake.gold import build as building
from lake.gold import duckdb_file, fold, replace_months, steps
from lake.gold.duckdb_session import SPILL
from lake.gold.published import last
from lake.gold.tables import COMPLIANCE, GOLD, OCCUPANCY
from lake.storage.store import DeltaStore, create
from tests.support.golds import DERIVED, beds, build, different, published
from tests.support.lakes import (
    KEY,
    NOW,
    RULES,
    Feeder,
    Message,
    event,
    make_lake,
    overwrite,
    rows,
    simulated,
)

SLOW = pytest.mark.slow


def told(number: int, kind: str, time: str, visit: int = 1, **more: str) -> Message:
    """A message of one visit."""
    fields = {
        "message_id": f"m-{number}",
        "event_type": kind,
        "event_time": f"2026-{time}:00+00:00",
        "patient_id": f"MRN{visit}",
        "visit_id": f"V{visit}",
    }
    return 0, event(**(fields | more))


ADMITTED = [told(1, "admit", "03-01T08:00"), told(2, "admit", "03-02T08:00", 2)]
MOVED = [
    told(3, "transfer", "03-03T08:00", department="ICU"),
    told(4, "discharge", "03-05T08:00", disposition="home", department="ICU"),
]
LATE = [told(5, "update", "03-01T09:00", diagnosis_code="I21.4", diagnosis="Heart attack")]
CANCELLED = [told(6, "cancel_admit", "03-02T09:00", 2), told(7, "admit", "04-20T09:00", 3)]


def test_a_lake_without_a_message_has_nothing_to_build_from(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"nothing to build Gold from; got .*; expected .*; run 'wardlake stream' first"
    ):
        build(create(tmp_path / "lake", KEY))
    assert last(tmp_path / "lake") is None


def test_a_lake_of_broken_messages_has_compliance_and_empty_tables(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", [(0, b"not json"), (1, b"")])
    assert build(lake).kind == "full"
    [figures] = published(lake.root, COMPLIANCE).to_dicts()
    assert (figures["messages"], figures["silver"], figures["quarantined"]) == (2, 0, 2)
    assert figures["masking_success_rate"] is None
    assert {rule["rule"] for rule in figures["rules"]} == {"not_json", "empty_message"}
    assert [published(lake.root, table).height for table in DERIVED if table is not COMPLIANCE] == [0] * 11
    Feeder(lake).land(ADMITTED)
    assert (build(lake).kind, published(lake.root, VISITS).height) == ("refresh", 2)


def test_a_refresh_takes_in_what_is_new_and_nothing_is_no_work(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", ADMITTED)
    first = build(lake)
    assert (first.build_id, first.kind, first.new_events) == (1, "full", 2)
    again = build(lake)
    assert (again.build_id, again.kind, again.new_events) == (1, "unchanged", 0)
    Feeder(lake).land(MOVED)
    second = build(lake)
    assert (second.build_id, second.kind, second.new_events) == (2, "refresh", 2)
    visit = published(lake.root, VISITS).filter(pl.col("discharged_at").is_not_null()).row(0, named=True)
    assert (visit["department"], visit["admit_department"], visit["los_days"]) == ("ICU", "Surgery", 4.0)


def test_only_touched_months_are_rebuilt(tmp_path: Path) -> None:
    lake = make_lake(
        tmp_path / "lake", [told(1, "admit", "01-01T08:00"), told(2, "discharge", "01-02T08:00", disposition="home")]
    )
    build(lake)
    Feeder(lake).land([told(3, "admit", "09-01T08:00", 2)])
    build(lake)
    Feeder(lake).land([told(4, "admit", "09-20T08:00", 3)])
    assert build(lake).months == 2  # September, and August: its discharges have 30 days of data after them by now


@pytest.mark.parametrize("timezone", [pytest.param("UTC", marks=SLOW), "America/New_York"])
def test_refreshes_give_what_a_full_build_gives(tmp_path: Path, timezone: str) -> None:
    reference = beds(tmp_path)
    whole = make_lake(tmp_path / "whole", ADMITTED, MOVED, LATE, CANCELLED)
    build(whole, timezone=timezone, reference=reference)
    step_by_step = make_lake(tmp_path / "steps")
    for messages in (ADMITTED, MOVED, LATE, CANCELLED):
        Feeder(step_by_step).land(messages)
        build(step_by_step, timezone=timezone, reference=reference)
    assert different(whole.root, step_by_step.root) == []
    assert published(whole.root, INCOMPLETE)["flags"].to_list() == [["cancelled"]]


def test_folded_in_parts_the_visits_are_the_same(tmp_path: Path) -> None:
    messages = simulated(1_000)
    whole, parts = (make_lake(tmp_path / name, messages) for name in ("whole", "parts"))
    build(whole)
    with mock.patch.object(fold, "_PART_EVENTS", 100):
        build(parts)
    assert different(whole.root, parts.root) == []
    assert not (parts.root / SPILL).exists()


@pytest.mark.parametrize(
    ("part_events", "sorted_rows"),
    [pytest.param(100, 500_000, marks=SLOW), pytest.param(10_000, 20, marks=SLOW), (100, 20)],
)
def test_refreshed_in_parts_the_visits_are_the_same(tmp_path: Path, part_events: int, sorted_rows: int) -> None:
    messages = simulated(1_000)
    whole, parts = make_lake(tmp_path / "whole", messages), make_lake(tmp_path / "parts", messages[:300])
    build(whole)
    with mock.patch.object(fold, "_PART_EVENTS", part_events), mock.patch.object(steps, "_SORTED_ROWS", sorted_rows):
        build(parts)
        Feeder(parts).land(messages[300:])
        assert build(parts).kind == "refresh"
    assert different(whole.root, parts.root) == []
    assert published(parts.root, VISITS)["visit_key"].is_unique().all()
    assert not (parts.root / SPILL).exists()


def test_cut_short_between_parts_the_next_build_makes_it_good(tmp_path: Path) -> None:
    messages = simulated(1_000)
    whole, parts = make_lake(tmp_path / "whole", messages), make_lake(tmp_path / "parts", messages[:300])
    build(whole)
    build(parts)
    before = published(parts.root, VISITS)
    Feeder(parts).land(messages[300:])
    failing = mock.patch.object(replace_months, "add", _failing_at(replace_months.add, 1))
    with mock.patch.object(fold, "_PART_EVENTS", 100), failing, pytest.raises(Crashed):
        build(parts)
    assert published(parts.root, VISITS).equals(before)
    assert build(parts).kind == "refresh"
    assert different(whole.root, parts.root) == []


def test_compaction_is_no_change(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", ADMITTED, MOVED, LATE)
    build(lake)
    for store in lake.streamed():
        store.refresh()
        store.compact()
    assert build(lake).kind == "unchanged"
    Feeder(lake).land(CANCELLED)
    assert build(lake).new_events == 2


def test_a_rebuild_of_silver_asks_for_a_full_build(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", ADMITTED, MOVED)
    build(lake)
    replay.replay(lake, RULES, lambda: NOW)
    assert build(lake).kind == "full"
    assert build(lake).kind == "unchanged"


def test_new_staffed_beds_or_another_time_zone_rebuild_every_month(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", ADMITTED)
    build(lake)
    assert published(lake.root, OCCUPANCY)["occupancy_rate"].null_count() == published(lake.root, OCCUPANCY).height
    reference = beds(tmp_path)
    assert build(lake, reference=reference).kind == "refresh"
    assert published(lake.root, OCCUPANCY)["staffed_beds"].unique().to_list() == [4]
    assert build(lake, reference=reference).kind == "unchanged"
    assert build(lake, reference=reference, timezone="Asia/Tokyo").kind == "full"


OFTEN = ("write 6", "publish")
"""Steps that are cut short each time; the others in test-all."""

STEPS: dict[str, Callable[[], object]] = {
    **{
        f"write {number}": lambda number=number: mock.patch.object(
            replace_months, "months", _failing_at(replace_months.months, number)
        )
        for number in (0, 2, 6, 10)
    },
    "file": lambda: mock.patch.object(duckdb_file, "write", _failing_at(duckdb_file.write, 0)),
    "publish": lambda: mock.patch.object(building, "_publish", _failing_at(building._publish, 0)),
    "swap": lambda: mock.patch.object(duckdb_file, "swap_in", _failing_at(duckdb_file.swap_in, 0)),
}


class Crashed(BaseException):
    """Nothing may handle it, as nothing handles a kill."""


def _failing_at(real: Callable[..., object], number: int) -> Callable[..., object]:
    calls = iter(range(1_000))

    def maybe(*arguments: object, **named: object) -> object:
        if next(calls) == number:
            raise Crashed
        return real(*arguments, **named)

    return maybe


@pytest.mark.parametrize("step", [pytest.param(step, marks=() if step in OFTEN else SLOW) for step in STEPS])
def test_cut_short_at_any_step_the_next_build_makes_it_good(tmp_path: Path, step: str) -> None:
    lake = make_lake(tmp_path / "lake", ADMITTED, MOVED)
    build(lake)
    before = {table.name: published(lake.root, table) for table in DERIVED}
    Feeder(lake).land(LATE)
    with STEPS[step](), pytest.raises(Crashed):  # type: ignore[attr-defined]
        build(lake)
    if step != "swap":
        assert all(published(lake.root, table).equals(before[table.name]) for table in DERIVED)
    Feeder(lake).land(CANCELLED)
    build(lake)
    whole = make_lake(tmp_path / "whole", ADMITTED, MOVED, LATE, CANCELLED)
    build(whole)
    assert different(lake.root, whole.root) == []
    assert (lake.root / duckdb_file.LINK).resolve().name == f"gold-{last(lake.root).build_id}.duckdb"  # type: ignore[union-attr]


def test_files_gone_since_a_crash_make_the_next_build_a_full_one(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", ADMITTED, MOVED)
    build(lake)
    Feeder(lake).land(LATE)
    with STEPS["publish"](), pytest.raises(Crashed):  # type: ignore[attr-defined]
        build(lake)
    for table in (VISITS, STAYS):
        DeltaTable(lake.root / table.name).vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert build(lake).kind == "full"
    whole = make_lake(tmp_path / "whole", ADMITTED, MOVED, LATE)
    build(whole)
    assert different(lake.root, whole.root) == []


@pytest.mark.parametrize(
    ("gold_format", "said"),
    [
        (
            0,
            r"built by an older version of Wardlake; got Gold format 0; expected format 2; set WARDLAKE_LAKE to a new",
        ),
        (99, r"built by a newer version of Wardlake; got Gold format 99; expected format 2; upgrade Wardlake"),
    ],
)
def test_gold_of_another_version_is_left_alone(tmp_path: Path, gold_format: int, said: str) -> None:
    lake = make_lake(tmp_path / "lake", ADMITTED)
    build(lake)
    overwrite(lake.root, BUILDS, rows(lake.root, BUILDS).with_columns(gold_format=pl.lit(gold_format, pl.Int32)))
    Feeder(lake).land(MOVED)
    for full in (False, True):
        with pytest.raises(LakeError, match=said):
            build(lake, full=full)
    found = last(lake.root)
    assert found is not None
    assert found.build_id == 1


def test_a_build_of_before_visits_could_be_stale_is_refused_in_the_same_words(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", ADMITTED)
    build(lake)
    older = rows(lake.root, BUILDS).drop("stale_visit_days").with_columns(gold_format=pl.lit(1, pl.Int32))
    write_deltalake(DeltaTable(lake.root / BUILDS.name), older, mode="overwrite", schema_mode="overwrite")
    with pytest.raises(LakeError, match="built by an older version of Wardlake; got Gold format 1"):
        build(lake)


def test_a_full_disk_is_one_line_and_leaves_the_old_gold(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", ADMITTED)
    build(lake)
    before = {table.name: published(lake.root, table) for table in DERIVED}
    Feeder(lake).land(MOVED)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with (
        mock.patch.object(duckdb_file, "write", side_effect=full),
        pytest.raises(LakeError, match=r"Gold was not built; got a full disk; .*the old Gold stands; free space"),
    ):
        build(lake)
    assert all(published(lake.root, table).equals(before[table.name]) for table in DERIVED)
    assert build(lake).kind == "refresh"


def test_two_builds_take_turns(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", ADMITTED)
    held = building.lock(lake.root)
    with held:
        other = building.lock(lake.root)
        with pytest.raises(TimeoutError):
            other.acquire(timeout=0.05)
    assert build(lake).kind == "full"


def test_every_table_keeps_to_its_contract(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", simulated(3_000))
    build(lake, reference=beds(tmp_path))
    for table in DERIVED:
        frame = published(lake.root, table)
        assert frame.schema == table.polars_schema
        assert table.schema.filter(frame)[1].counts() == {}, table.name
        assert frame.height > 0 or table is INCOMPLETE
    assert DeltaStore(lake.root, BUILDS).scan().collect().pipe(BUILDS.schema.filter)[1].counts() == {}


def test_each_commit_says_which_silver_it_read(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", ADMITTED)
    build(lake)
    for table in GOLD:
        [commit] = DeltaTable(lake.root / table.name).history(1)
        assert commit["wardlake.silver_version"] == str(rows(lake.root, BUILDS)["silver_version"].max())


def test_masking_that_is_broken_is_measured(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", [*ADMITTED, *MOVED])
    damaged = rows(lake.root, SILVER).with_columns(ssn=pl.when(pl.col("kafka_offset") == 1).then(pl.lit("123-45-6789")))
    overwrite(lake.root, SILVER, damaged)
    build(lake)
    [figures] = published(lake.root, COMPLIANCE).to_dicts()
    assert (figures["rows_scanned"], figures["rows_broken"], figures["masking_success_rate"]) == (4, 1, 0.75)
