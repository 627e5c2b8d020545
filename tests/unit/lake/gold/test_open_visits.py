"""Visits that nobody closed: discharges that do not say how they ended, and open visits of which nothing is heard."""

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from app.jobs.replay import replay_quarantine
from lake.contracts.tables import INGEST, QUARANTINE, SILVER, VISITS
from lake.gold.tables import OCCUPANCY, OUTCOMES
from lake.quality.declared_checks import declared
from lake.quality.run import run
from lake.storage.store import Lake
from tests.support.golds import build, different, published
from tests.support.lakes import (
    NOW,
    RULES,
    Feeder,
    Message,
    bronze_messages,
    event,
    make_lake,
    overwrite,
    quarantined,
    rows,
)


def sent(number: int, kind: str, time: str, visit: int = 1, **more: str) -> Message:
    """A message of one visit, 2026; every other visit is of the other partition."""
    fields = {
        "message_id": f"m-{number}",
        "event_type": kind,
        "event_time": f"2026-{time}:00+00:00",
        "patient_id": f"MRN{visit}",
        "visit_id": f"V{visit}",
    }
    return visit % 2, event(**(fields | more))


ADMITTED = [sent(1, "admit", "03-21T08:00")]
LATER = [sent(2, "admit", "04-09T08:00", 2)]  # of another month: no event touches that of the first visit
LATE_STILL_STALE = [sent(3, "update", "03-25T08:00")]
LATE = [sent(4, "transfer", "04-04T08:00", department="ICU")]
CLOSED = [sent(5, "discharge", "05-10T08:00"), sent(6, "update", "05-10T09:00", 2)]
STORY = (ADMITTED, LATER, LATE_STILL_STALE, LATE, CLOSED)
STALE_DAYS = 10


def stale(lake: Lake) -> list[bool]:
    """Of each visit by admission: whether it is stale."""
    return published(lake.root, VISITS).sort("admitted_at")["stale"].to_list()


def occupied(lake: Lake) -> dict[date, int]:
    """Day → patients at midnight, where there are any."""
    days = published(lake.root, OCCUPANCY).group_by("day").agg(pl.col("occupied_midnight").sum())
    return {day: count for day, count in days.sort("day").iter_rows() if count}


def one_a_day(first: date, last: date) -> dict[date, int]:
    return {first + timedelta(n): 1 for n in range((last - first).days + 1)}


@pytest.mark.slow
def test_refreshes_give_the_stale_visits_of_a_full_build(tmp_path: Path) -> None:
    """Each refresh against a full build: turned stale by time alone, a late event, then a discharge."""
    lake, timezone = make_lake(tmp_path / "lake"), "America/New_York"
    for landed, expected in enumerate([[False], [True, False], [True, False], [False, False], [False, False]], 1):
        Feeder(lake).land(STORY[landed - 1])
        assert build(lake, stale_days=STALE_DAYS, timezone=timezone).kind == ("full" if landed == 1 else "refresh")
        assert stale(lake) == expected
        whole = make_lake(tmp_path / str(landed), *STORY[:landed])
        build(whole, stale_days=STALE_DAYS, timezone=timezone)
        assert different(lake.root, whole.root) == []


def test_a_stale_visit_leaves_the_census_and_the_days_before_stay_as_they_were(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", ADMITTED, [sent(7, "update", "03-29T08:00", 9)])
    build(lake, stale_days=STALE_DAYS)
    admitted, ninth = date(2026, 3, 21), date(2026, 4, 9)
    assert occupied(lake) == one_a_day(admitted, date(2026, 3, 29))
    Feeder(lake).land(LATER)
    build(lake, stale_days=STALE_DAYS)
    assert occupied(lake) == one_a_day(admitted, date(2026, 3, 31)) | {ninth: 1}  # stale on the 31st at 8:00
    Feeder(lake).land(LATE)
    build(lake, stale_days=STALE_DAYS)
    assert occupied(lake) == one_a_day(admitted, ninth) | {ninth: 2}


def test_a_visit_that_turns_stale_leaves_others_of_its_month_alone(tmp_path: Path) -> None:
    messages = [sent(10 + n, "admit", f"03-{n + 1:02}T08:00", 10 + n) for n in range(10)]
    lake = make_lake(tmp_path / "lake", [*messages, sent(30, "admit", "05-13T20:00", 30)])
    build(lake, stale_days=70)
    assert stale(lake) == [True] * 4 + [False] * 7
    before = published(lake.root, VISITS)
    Feeder(lake).land([sent(31, "update", "05-14T20:00", 30)])
    assert build(lake, stale_days=70).kind == "refresh"
    assert stale(lake) == [True] * 5 + [False] * 6
    changed = published(lake.root, VISITS).drop("stale", "events", "last_event_at")
    assert changed.equals(before.drop("stale", "events", "last_event_at"))


def test_another_number_of_days_is_a_full_build(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", ADMITTED, LATER)
    build(lake)
    assert stale(lake) == [False, False]
    assert build(lake, stale_days=STALE_DAYS).kind == "full"
    assert stale(lake) == [True, False]
    assert build(lake, stale_days=STALE_DAYS).kind == "unchanged"


def test_stale_visits_are_counted_by_quality(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", ADMITTED, LATER)
    build(lake, stale_days=STALE_DAYS)
    checks = [check for check in declared() if check.name in ("stale visits", "occupied beds are of open visits")]
    found = {r.check: r for r in run(lake, NOW, dedup_key=["patient_key", "event_time"], checks=checks).results}
    assert found["stale visits"].observed == "1 of 2 rows (50.0 %)"
    assert (found["stale visits"].status, found["stale visits"].severity) == ("failed", "warning")
    assert found["occupied beds are of open visits"].status == "passed"


def test_a_discharge_that_was_refused_for_its_disposition_is_taken_in_and_closes_its_visit(tmp_path: Path) -> None:
    """Versions before this one quarantined it."""
    lake = make_lake(tmp_path / "lake", [sent(1, "admit", "03-01T08:00"), sent(2, "discharge", "03-04T08:00")])
    _refused(lake, offset=1)
    build(lake)
    assert published(lake.root, VISITS)["discharged_at"].to_list() == [None]
    done = replay_quarantine(lake, RULES, lambda: NOW)
    assert (done.messages, done.silver) == (1, 1)
    build(lake)
    [visit] = published(lake.root, VISITS).rows(named=True)
    assert (visit["los_days"], visit["disposition"]) == (3.0, "unknown")
    assert rows(lake.root, SILVER)["disposition"].to_list() == [None, None]
    assert published(lake.root, OUTCOMES).select("disposition", "discharges").rows() == [("unknown", 1)]


def _refused(lake: Lake, offset: int) -> None:
    """Have the message at ``offset`` be in quarantine, as if it had broken a rule that is no more."""
    that = pl.col("kafka_offset") == offset
    overwrite(lake.root, QUARANTINE, quarantined(bronze_messages(lake).filter(that), "disposition_missing"))
    overwrite(lake.root, SILVER, rows(lake.root, SILVER).filter(~that))
    overwrite(lake.root, INGEST, rows(lake.root, INGEST).with_columns(pl.col("silver", "events") - 1, quarantined=1))
    lake.refresh()
