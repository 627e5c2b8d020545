"""Runs of the checks: what each stage looks at, what is skipped, what is kept, and what an error tells."""

import errno
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from unittest import mock

import polars as pl
import pytest
from deltalake import DeltaTable

from app.jobs import check_quality, replay
from app.settings import Settings, load
from lake.contracts.tables import BRONZE, INGEST, QUALITY, QUARANTINE, SILVER
from lake.errors import LakeError, StepError
from lake.quality.declared_checks import Check, declared
from lake.quality.run import Report, Stages, record, run
from lake.quality.source import Source
from lake.quality.table_checks import Volume
from lake.storage import record_batch
from lake.storage.store import DeltaStore, open_lake
from producer.simulator.simulator import SimulatorSettings
from tests.support import golds
from tests.support.lakes import (
    KEY,
    KEY_TEXT,
    NOW,
    RULES,
    TOPIC_ID,
    Feeder,
    bronze_messages,
    event,
    make_lake,
    messages_of,
    overwrite,
    plain,
    quarantined,
    rows,
    simulated,
    wardlake,
)

SECRET: Final = "Quentin Zuckerby"
ROW_CHECKS: Final = ("contract: silver/events", "masked forms", "coded values of events")


def checked(root: Path, stage: Stages = "all", checks: list[Check] | None = None) -> Report:
    key = ["patient_key", "event_time"]
    return run(open_lake(root), NOW, dedup_key=key, stages=stage, checks=checks)


def statuses(report: Report) -> dict[str, str]:
    return {result.check: result.status for result in report.results}


def failed(report: Report) -> set[str]:
    return {result.check for result in report.results if result.status == "failed"}


def observed(report: Report) -> dict[str, str]:
    return {result.check: result.observed for result in report.results}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "lake"


def settings(root: Path) -> Settings:
    return load(lake=root, data=root.parent, key=KEY_TEXT)


# What there is nothing to check of.


def test_an_empty_lake_passes_and_says_what_was_skipped(root: Path) -> None:
    make_lake(root)
    report = checked(root)
    assert report.passed
    assert set(statuses(report).values()) == {"passed", "skipped"}
    assert {name.partition(": ")[0] for name, status in statuses(report).items() if status == "passed"} == {"schema"}
    told = observed(report)
    assert told["schema: ops/builds"] == "ops/builds does not exist yet"
    assert told["contract: silver/visits"] == "no build with silver/visits is published yet"
    assert told["events have their visit"] == "no build has read these events yet"
    assert told["conservation"] == told["daily volume"] == told["messages are landing"] == "no row to check"


def test_a_lake_of_corrupt_messages_only_passes_with_a_warning(root: Path) -> None:
    make_lake(root, [(number % 4, b"not json") for number in range(120)])
    report = checked(root)
    assert report.passed
    assert failed(report) == {"quarantined share"}
    assert observed(report)["conservation"] == "120 messages in 4 partitions: 0 off"
    assert observed(report)["masked forms"] == "no row to check"


def test_few_rows_are_no_ground_for_a_rate(root: Path) -> None:
    make_lake(root, [(0, b"not json"), (0, event())])
    told = observed(checked(root))
    assert told["quarantined share"] == "too few rows: 2 of at least 100"
    assert told["nulls in clinical fields"] == "too few rows: 1 of at least 100"
    assert told["daily volume"] == "fewer than 7 complete days before the latest"


# The stages.


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake whose events Gold was built from."""
    root = tmp_path_factory.mktemp("quality") / "lake"
    golds.build(make_lake(root, simulated(300)))
    return root


@pytest.fixture
def feeder(template: Path, root: Path) -> Feeder:
    """What feeds a lake of this test's own, whose events Gold was built from."""
    # Linked, not copied: what Delta has written it does not change.
    shutil.copytree(template, root, copy_function=os.link)
    return Feeder(open_lake(root, KEY))


def spoil(root: Path, where: pl.Expr) -> None:
    """Put a name that is not masked into the rows that meet ``where``."""
    silver = rows(root, SILVER)
    assert silver.filter(where).height > 0
    name = pl.when(where).then(pl.lit(SECRET)).otherwise(pl.col("patient_name"))
    overwrite(root, SILVER, silver.with_columns(patient_name=name))


def test_each_stage_has_its_own_checks_and_all_has_both(root: Path, feeder: Feeder) -> None:
    inputs, gold, both = (list(statuses(checked(root, stage))) for stage in ("inputs", "gold", "all"))
    assert inputs
    assert gold
    assert not set(inputs) & set(gold)
    assert both == [check.name for check in declared()]
    assert set(both) == {*inputs, *gold}


def test_before_a_build_only_messages_that_it_will_read_are_looked_at(root: Path, feeder: Feeder) -> None:
    nothing_new = observed(checked(root, "inputs"))
    assert {nothing_new[name] for name in ROW_CHECKS} == {"no row to check"}
    assert nothing_new["conservation"] == "no row to check"

    feeder.land([(2, event(message_id="new-1", patient_id="MRN7", visit_id="V7"))])
    news = observed(checked(root, "inputs"))
    assert news["contract: silver/events"] == "1 rows: none"
    assert news["conservation"] == "1 messages in 1 partitions: 0 off"
    assert news["silver rows have their message"] == "1 rows: 0 point nowhere"


def test_checks_outlast_the_log_that_they_began_with(root: Path, feeder: Feeder) -> None:
    """What a stream does to the log in a minute: the newest checkpoint stays and what came before it goes."""
    source = Source.of(open_lake(root), NOW, ["patient_key", "event_time"])
    events = source.only("built").rows(SILVER).select(pl.len()).collect().item()
    log = root / SILVER.name / "_delta_log"
    began_with = set(log.iterdir())
    feeder.land([(2, event(message_id="new-1", patient_id="MRN7", visit_id="V7"))])
    DeltaTable(root / SILVER.name).create_checkpoint()
    for path in began_with - {log / "_last_checkpoint"}:
        path.unlink()
    assert source.only("built").rows(SILVER).select(pl.len()).collect().item() == events > 0
    assert source.whole(SILVER).filter(source.landed()).select(pl.len()).collect().item() == events


def test_new_rows_that_are_broken_stop_a_build_and_old_ones_show_in_a_full_run(root: Path, feeder: Feeder) -> None:
    spoil(root, pl.col("kafka_offset") == 3)
    assert checked(root, "inputs").passed
    assert failed(checked(root)) >= {"masked forms"}

    feeder.lake.refresh()
    feeder.land([(2, event(message_id="new-1", patient_id="MRN7", visit_id="V7"))])
    spoil(root, pl.col("message_id") == "new-1")
    report = checked(root, "inputs")
    assert not report.passed
    assert failed(report) == {"masked forms"}


def test_a_new_partition_is_new_whatever_its_offsets(root: Path, feeder: Feeder) -> None:
    feeder.land([(9, event(message_id="new-1", patient_id="MRN7", visit_id="V7", diagnosis_code="X"))])
    feeder.land([(9, event(message_id="new-1", patient_id="MRN7", visit_id="V7"))])
    report = observed(checked(root, "inputs"))
    assert report["contract: bronze/events"] == "2 rows: none"
    assert report["contract: bronze/quarantine"] == "1 rows: none"
    assert report["contract: ops/ingest"] == "2 rows: none"


def test_a_new_twin_of_an_old_event_is_found(root: Path, feeder: Feeder) -> None:
    feeder.land([(2, event(message_id="new-1", patient_id="MRN7", visit_id="V7"))])
    silver = rows(root, SILVER)
    old = silver.row(0, named=True)
    new = pl.col("message_id") == "new-1"
    columns = ("patient_key", "event_time", "event_date")
    exact_duplicate = [pl.when(new).then(pl.lit(old[name])).otherwise(pl.col(name)).alias(name) for name in columns]
    overwrite(root, SILVER, silver.with_columns(exact_duplicate))
    assert failed(checked(root, "inputs")) == {"deduplication key"}


def test_after_a_rebuild_everything_is_new(root: Path, feeder: Feeder) -> None:
    replay.replay(feeder.lake, RULES, lambda: NOW)
    assert observed(checked(root, "inputs"))["contract: silver/events"] == f"{rows(root, SILVER).height} rows: none"
    assert observed(checked(root, "gold"))["events have their visit"] == "no build has read these events yet"
    assert failed(checked(root)) == set()


def test_what_a_quarantine_replay_took_in_breaks_no_law(root: Path) -> None:
    lake = make_lake(root, [(0, event()), (1, event(message_id="m-2", patient_id="MRN2"))])
    silver = rows(root, SILVER)
    overwrite(root, QUARANTINE, quarantined(bronze_messages(lake).tail(1), "department_missing"))
    overwrite(root, SILVER, silver.head(1))
    books = rows(root, INGEST)
    moved = pl.col("kafka_partition") == 1
    counts = {"silver": 0, "events": 0, "quarantined": 1}
    overwrite(
        root,
        INGEST,
        books.with_columns(pl.when(moved).then(n).otherwise(pl.col(name)).alias(name) for name, n in counts.items()),
    )
    assert observed(checked(root))["conservation"] == "2 messages in 2 partitions: 0 off"
    lake.refresh()
    replay.replay_quarantine(lake, RULES, lambda: NOW)
    report = checked(root)
    assert failed(report) == set()
    assert observed(report)["contract: silver/events"] == "2 rows: none"


def test_events_that_no_build_has_read_need_no_visit(root: Path, feeder: Feeder) -> None:
    before = observed(checked(root, "gold"))["events have their visit"]
    feeder.land([(2, event(message_id="new-1", patient_id="MRN7", visit_id="V7"))])
    report = checked(root, "gold")
    assert report.passed
    assert observed(report)["events have their visit"] == before


def test_a_landing_that_was_cut_short_breaks_no_law(root: Path) -> None:
    lake = make_lake(root, simulated(100))
    end = rows(root, BRONZE).filter(pl.col("kafka_partition") == 0)["last_offset"].max()
    more = record_batch.encrypted("t", TOPIC_ID, [(0, plain([event()], end + 1))], KEY, NOW)
    lake.store(BRONZE).append(more, {f"{TOPIC_ID}:0": end + 1})
    assert failed(checked(root)) == set()


# Volume.


def day_counts(root: Path, days: int) -> None:
    make_lake(root, messages_of(SimulatorSettings(seed=3, events=days * 20, days=days)))


@pytest.mark.parametrize(("days", "weekly"), [(12, False), (50, True)])
def test_a_day_is_held_against_its_weekday_where_there_are_enough_of_them(root: Path, days: int, weekly: bool) -> None:
    day_counts(root, days)
    silver = rows(root, SILVER)
    counts = dict(silver.group_by("event_date").len().iter_rows())
    latest = max(counts) - timedelta(days=1)
    step = timedelta(days=7 if weekly else 1)
    inside = [latest - number * step for number in range(1, 9 if weekly else 8)]
    values = sorted(counts.get(day, 0) for day in inside if day > min(counts))
    middle = len(values) // 2
    median = values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2
    told = observed(checked(root))["daily volume"]
    assert told == f"{counts[latest]:,} rows, {counts[latest] / median:.2f} times {median:g}"


def test_what_lies_ahead_of_the_clock_is_no_complete_day(root: Path) -> None:
    day_counts(root, 50)
    lake = open_lake(root)
    [check] = [check for check in declared() if isinstance(check.kind, Volume)]
    newest = rows(root, SILVER)["event_date"].max()
    early = datetime(2026, 2, 10, 12, tzinfo=UTC)
    assert isinstance(newest, type(early.date()))
    assert newest > early.date()
    counts = dict(rows(root, SILVER).group_by("event_date").len().iter_rows())
    report = run(lake, early, dedup_key=[], checks=[check])
    assert report.results[0].observed.startswith(f"{counts[early.date() - timedelta(days=1)]} rows")


# What is kept.


def test_each_run_is_kept(root: Path) -> None:
    make_lake(root, simulated(100))
    first = check_quality.check(settings(root))
    second = check_quality.check(settings(root), stage="inputs")
    history = rows(root, QUALITY)
    assert history["run_id"].unique(maintain_order=False).sort().to_list() == sorted([first.run_id, second.run_id])
    for report in (first, second):
        kept = history.filter(pl.col("run_id") == report.run_id).sort("check")
        columns = ("check", "table", "severity", "status", "observed", "expected")
        told = [tuple(getattr(result, name) for name in columns) for result in report.results]
        assert kept.select(columns).rows() == sorted(told)
        assert kept["checked_at"].unique().to_list() == [report.checked_at]
    _, failure = QUALITY.schema.filter(history)
    assert failure.counts() == {}


def test_progress_names_the_checks(root: Path) -> None:
    make_lake(root)
    said: list[str] = []
    check_quality.check(settings(root), said.append, stage="gold")
    assert said == [check.name for check in declared() if check.stage == "gold"]


def test_the_key_that_is_set_is_the_one_that_is_checked(root: Path) -> None:
    make_lake(root, [(0, event())])
    silver = rows(root, SILVER)
    exact_duplicate = silver.with_columns(pl.col("kafka_offset") + 1, ward=pl.lit("W2"))
    overwrite(root, SILVER, pl.concat([silver, exact_duplicate]))
    wide = load(lake=root, data=root.parent, dedup_key="patient_id,event_time,ward")
    assert statuses(check_quality.check(settings(root)))["deduplication key"] == "failed"
    assert statuses(check_quality.check(wide))["deduplication key"] == "passed"


def test_the_kept_history_is_there_for_sql(root: Path) -> None:
    make_lake(root)
    check_quality.check(settings(root))
    ran = wardlake("sql", "--lake", root, "--format", "json", "SELECT count(*) AS checks FROM ops.quality")
    assert ran.json == [{"checks": len(declared())}]


# What goes wrong.


def test_where_there_is_no_lake(root: Path) -> None:
    with pytest.raises(LakeError, match="there is no lake at"):
        check_quality.check(settings(root))


def test_a_rebuild_that_was_cut_short_is_not_judged(root: Path) -> None:
    make_lake(root)
    (root / ".rebuild").mkdir()
    (root / ".rebuild" / "table_swap.json").write_text("{}")
    with pytest.raises(LakeError, match=r"a rebuild of this lake was cut short; .* run 'wardlake verify'"):
        checked(root)


def test_files_that_are_gone_are_an_error_that_tells_no_value(root: Path) -> None:
    make_lake(root, simulated(100))
    for folder in (root / SILVER.name).glob("event_date=*"):
        shutil.rmtree(folder)
    with pytest.raises(StepError) as raised:
        checked(root)
    text = str(raised.value)
    assert text.startswith("the quality check 'contract: silver/events' could not be carried out; got ")
    assert "event_date" not in text
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


def test_no_value_is_told(root: Path) -> None:
    make_lake(root, simulated(100))
    silver = rows(root, SILVER)
    texts = [name for name, dtype in silver.schema.items() if dtype == pl.String and name != "topic_id"]
    overwrite(root, SILVER, silver.with_columns(pl.lit(SECRET).alias(name) for name in texts))
    report = checked(root)
    assert not report.passed
    assert SECRET not in repr(report)


def test_a_lake_under_a_path_with_a_space(tmp_path: Path) -> None:
    root = tmp_path / "a lake"
    golds.build(make_lake(root, simulated(100)))
    assert failed(checked(root)) == set()


def test_the_store_of_the_history_is_made_when_it_is_needed(root: Path) -> None:
    make_lake(root)
    assert not (root / QUALITY.name).exists()
    check_quality.check(settings(root))
    assert DeltaStore(root, QUALITY).handle.version() == 1


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", [(0, event())])
    report = run(lake, NOW, dedup_key=["patient_key", "event_time"], stages="inputs")
    full = mock.patch.object(DeltaStore, "append", side_effect=OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    said = r"what the checks found cannot be written to ops/quality; got a full disk; .*; free space or mend the disk"
    with full, pytest.raises(LakeError, match=said):
        record(lake, report)
