"""Benchmarks at sizes that say nothing of speed: they work to the end."""

import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from benchmarks.harness.result import Result
from benchmarks.suites import footprint, history, ingest, latency, scale
from benchmarks.suites.latency import Load, Measured
from lake.contracts.tables import SILVER


def records(result: Result) -> list[dict[str, Any]]:
    """The rows by column."""
    return [dict(zip(result.columns, row, strict=True)) for row in result.rows]


def measured(*, last_late: float = 0, behind: float = 0) -> Measured:
    return Measured(
        achieved=100,
        feed_late=last_late,
        last_late=last_late,
        behind=behind,
        latencies=pl.Series([0.1, 0.2, 0.3, 0.4]),
        runs={},
    )


def test_a_rate_that_was_kept_has_the_latencies_of_its_messages() -> None:
    found = measured(last_late=0.9, behind=4.9)
    assert [found.quantile(share) for share in (0.5, 0.99, 1.0)] == [0.3, 0.4, 0.4]


@pytest.mark.parametrize("late", [measured(last_late=1.1), measured(behind=5.1)])
def test_a_rate_that_was_not_kept_has_no_latency(late: Measured) -> None:
    assert not late.sustained
    assert late.quantile(0.5) == math.inf


def test_a_row_is_seen_with_the_first_snapshot_that_covers_it(tmp_path: Path) -> None:
    seen = tmp_path / "seen.jsonl"
    seen.write_text(
        '{"seen": 1.0, "positions": {"0": 4}}\n'
        '{"seen": 2.0, "positions": {"0": 4, "1": 0}}\n'
        '{"seen": 3.0, "positions": {"0": 9, "1": 0}}\n'
        '{"seen": 4.0, "posi'
    )
    assert sorted(latency.first_seen(seen).iter_rows()) == [(0, 4, 1.0), (0, 9, 3.0), (1, 0, 2.0)]
    assert [latency.there(seen, until) for until in (0.5, 1.5, 2.5, math.inf)] == [0, 5, 6, 11]


@pytest.mark.slow
def test_ingest_that_is_repeated() -> None:
    """Stock Quix commits its offsets: under the same group its second run found nothing."""
    result = ingest.run(events=110_000, repeat=2)
    limit, ours, stock = records(result)
    assert all(one["events/s"] > 0 for one in (limit, ours, stock))
    assert ours["MB on disk"] > limit["MB on disk"] > stock["MB on disk"] > 0


@pytest.mark.slow
def test_latency() -> None:
    rate, seconds, warm_up = 200, 3, 8
    result = latency.run(seconds, warm_up, [rate])
    alone, beside = records(result)
    assert (alone["Gold runs"], alone["maintenance runs"]) == (0, 0)
    assert beside["Gold runs"] >= 1
    assert beside["maintenance runs"] >= 1
    for row in (alone, beside):
        assert row["sent events/s"] == pytest.approx(rate, rel=0.2)
        if row["sustained"] == "yes":
            assert 0 < row["p50 ms"] <= row["p95 ms"] <= row["p99 ms"] <= row["max ms"] < 1e3 * (seconds + warm_up) * 2


@pytest.mark.slow
def test_latency_is_that_of_all_rows_of_the_window() -> None:
    found = latency.measure(Load(rate=100, warm_up=5, seconds=4), ())
    # Of 400 messages that were due, about 2 % are duplicates and 1 % corrupt.
    assert 340 <= found.latencies.len() <= 400


@pytest.mark.slow
def test_scale() -> None:
    result = scale.run(3_000, days=3)
    first, second = records(result)
    # verify found nothing wrong with what was made in bulk: the run would have ended.
    assert second["verify s"] > 0
    assert 500 < first["events"] < 600
    assert 4.5 < second["events"] / first["events"] < 5.6
    assert all(row[column] > 0 for row in (first, second) for column in result.columns)


@pytest.mark.slow
def test_history_made_in_bulk_is_of_other_patients_and_visits(tmp_path: Path) -> None:
    site = scale.Site(tmp_path, 2_000, days=3, sizes=1)
    scale.begin(site, 1)
    silver = site.lake().store(SILVER).scan().select("patient_key", "visit_key").collect()
    for number in (1, 2, 3):
        scale.grow(site, number)
    grown = site.lake().store(SILVER).scan().select("patient_key", "visit_key").collect()
    assert grown.height == 4 * silver.height
    for key in silver.columns:
        assert grown[key].n_unique() == 4 * silver[key].n_unique()


@pytest.mark.browser
@pytest.mark.slow
def test_footprint() -> None:
    result = footprint.run(5)
    found = {row[""]: row for row in records(result)}
    assert found.keys() == {
        *("broker", "demo and stream", "feed", "dashboards", "Prefect server", "flows served", "flow run"),
        "whole stack",
    }
    whole = found.pop("whole stack")
    assert max(row["PSS peak MB"] for row in found.values()) < whole["PSS peak MB"] < whole["RSS peak MB"]


def test_history() -> None:
    result = history.run(30)
    assert [row["batches"] for row in records(result)] == [6, 30]
    assert all(row[column] > 0 for row in records(result) for column in result.columns)
