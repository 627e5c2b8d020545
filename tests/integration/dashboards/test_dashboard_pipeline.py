"""The pipeline page: what landed, how far behind it is, what the books say; and it waits for nobody."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Final

import polars as pl
import pytest
from confluent_kafka import Producer

from dashboards.screens.pipeline import broker_offsets as brokers
from dashboards.screens.pipeline import figures, prefect_runs
from dashboards.screens.pipeline.background import BackgroundCache
from dashboards.screens.pipeline.broker_offsets import Ends
from dashboards.screens.pipeline.components import ago
from dashboards.screens.pipeline.queries import Watched
from lake.contracts.tables import QUALITY
from lake.quality import run as quality
from lake.storage.store import open_lake
from tests.support import lakes
from tests.support.boards import Open, text_of

pytest_plugins = ("tests.support.board_fixtures",)

NOBODY: Final = "127.0.0.1:1"
NOW: Final = datetime(2026, 10, 1, 12, 0, 7, tzinfo=UTC)


@pytest.fixture
def landing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> lakes.Feeder:
    """A new lake without Gold, to land messages in just now."""
    monkeypatch.setattr(lakes, "NOW", datetime.now(UTC))
    monkeypatch.setenv("WARDLAKE_KAFKA", NOBODY)
    return lakes.Feeder(lakes.make_lake(tmp_path / "lake"))


def some(count: int) -> list[lakes.Message]:
    return [(0, lakes.event(message_id=f"m{n}", visit_id=f"v{n}", patient_id=f"p{n}")) for n in range(count)]


def tile(page: Any, label: str) -> str:
    return next(str(one.value) for one in page.metric if one.label == label)


def table(page: Any, column: str) -> pl.DataFrame:
    """The table that has this column."""
    frames = [pl.from_pandas(one.value) for one in page.dataframe]
    return next(frame for frame in frames if column in frame.columns)


def test_what_lands_is_seen_without_gold_broker_or_prefect(open_page: Open, landing: lakes.Feeder) -> None:
    landing.land(some(120))
    page = open_page(landing.lake.root, "pipeline")
    assert not page.exception
    assert tile(page, "Events per second") == "2.0"
    assert tile(page, "Last landed").endswith("s ago")
    assert tile(page, "Lag") == "unknown"
    assert tile(page, "Gold built") == "never"
    assert tile(page, "Failed checks") == "none run"
    assert f"No broker answers at {NOBODY}" in text_of(page)
    assert "`wardlake flow gold` builds it" in text_of(page)
    assert "`PREFECT_API_URL`" in text_of(page)
    assert table(page, "p95_ms")["batches"].unique().to_list() == [1]
    sizes = {row["table"]: row for row in table(page, "bytes").iter_rows(named=True)}
    assert sizes["silver/events"]["rows"] == 120
    assert sizes["bronze/events"]["rows"] < 120  # record batches
    assert sizes["silver/events"]["version"] == 1


def test_a_secured_broker_is_not_asked(
    open_page: Open, landing: lakes.Feeder, broker: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"KAFKA": broker, "TOPIC": topic, "KAFKA_SECURITY_PROTOCOL": "ssl"}.items():
        monkeypatch.setenv(f"WARDLAKE_{name}", value)
    page = open_page(landing.lake.root, "pipeline")
    assert tile(page, "Lag") == "unknown"
    assert "The broker is secured, and the dashboards have no access to it" in text_of(page)


def test_what_lands_later_is_seen_at_the_next_look(landing: lakes.Feeder) -> None:
    watched = Watched(landing.lake.root)
    now = datetime.now(UTC)
    assert watched.look(now).last_landed is None
    landing.land(some(3))
    assert watched.look(now).last_landed is None  # everybody shares a look of some seconds
    later = watched.look(now + timedelta(seconds=5))
    assert later.last_landed == lakes.NOW
    assert later.batches["messages"].sum() == 3


def test_the_books_of_a_lake_with_gold(open_page: Open, own_lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDLAKE_KAFKA", NOBODY)
    lake = open_lake(own_lake)
    report = quality.run(lake, datetime.now(UTC), dedup_key=("patient_key", "event_time"))
    quality.record(lake, report)
    page = open_page(own_lake, "pipeline")
    failed = [one for one in report.results if one.status == "failed"]
    assert tile(page, "Failed checks") == f"{len(failed)} of {len(report.results)}"
    shown = table(page, "observed")
    assert shown["status"].to_list()[: len(failed)] == ["failed"] * len(failed)
    assert set(shown["check"]) == {one.check for one in report.results}
    assert table(page, "build_id")["kind"].to_list() == ["full"]
    assert tile(page, "Gold built").endswith("ago")
    assert tile(page, "Events per second") == "0.0"
    assert "No batch has landed in the last 15 minutes" in text_of(page)


def test_without_a_lake_it_says_how_to_get_one(open_page: Open, tmp_path: Path) -> None:
    page = open_page(tmp_path / "none", "pipeline")
    assert not page.exception
    assert "wardlake demo" in text_of(page)


def test_lag_is_what_the_topic_has_and_the_lake_has_not(landing: lakes.Feeder, broker: str, topic: str) -> None:
    producer = Producer({"bootstrap.servers": broker, "log_level": 0})
    for number in range(7):
        producer.produce(topic, b"x", partition=number % 2)
    assert producer.flush(10) == 0
    ends = brokers.ends(broker, topic)
    assert ends is not None
    watched = Watched(landing.lake.root)
    found = figures.lag(ends, watched.landed(ends.topic_id, sorted(ends.starts)))
    assert found["lag"].to_list() == [4, 3, 0, 0]
    assert found["landed"].to_list() == [None] * 4
    assert brokers.ends(broker, f"{topic}.absent") is None


def test_lag_by_hand() -> None:
    ends = Ends("id", starts={0: 0, 1: 50, 2: 0, 3: 0}, ends={0: 10, 1: 60, 2: 5})
    found = figures.lag(ends, {0: 3, 1: -1, 2: 6})
    # What retention took away before it landed is no lag; the lake was asked later than the broker.
    assert found.rows() == [(0, 3, 10, 6), (1, None, 60, 10), (2, 6, 7, 0), (3, None, None, None)]


def test_throughput_has_every_bin_and_ends_before_the_one_under_way() -> None:
    moments = [NOW - timedelta(seconds=back) for back in (3, 8, 12, 20, 5000)]
    batches = pl.DataFrame({"ingested_at": moments, "messages": [9, 20, 30, 50, 1]})
    found = figures.throughput(batches.cast({"ingested_at": pl.Datetime("us", "UTC")}), NOW)
    assert found.height == 90
    assert found["time"].is_sorted()
    assert found["time"][-1] == datetime(2026, 10, 1, 11, 59, 50, tzinfo=UTC)
    assert found["events_per_second"].to_list()[-3:] == [0.0, 5.0, 5.0]
    assert found["events_per_second"].sum() == 10
    assert figures.rate(batches, NOW) == 109 / 60


def test_batch_times_count_a_landing_of_many_partitions_once() -> None:
    def steps(one: float, two: float) -> list[dict[str, Any]]:
        return [{"step": "mask", "seconds": one}, {"step": "bronze", "seconds": two}]

    batches = pl.DataFrame({"batch_id": ["a", "a", "b"], "seconds": [steps(0.1, 0.2)] * 2 + [steps(0.3, 0.2)]})
    found = figures.batch_times(batches).with_columns(pl.col(pl.Float64).round(6))
    assert found.rows() == [("mask", 200, 290, 2), ("bronze", 200, 200, 2), ("together", 400, 490, 2)]
    assert figures.batch_times(batches.clear()).is_empty()


def test_only_the_last_quality_run_counts() -> None:
    names = ["run_id", "check", "table", "severity", "status", "observed", "expected", "checked_at", "date"]
    rows = [
        ("old", "a", "t", "error", "failed", "", "", NOW - timedelta(days=1), NOW.date()),
        ("new", "a", "t", "error", "passed", "", "", NOW, NOW.date()),
        ("new", "b", "t", "error", "failed", "", "", NOW, NOW.date()),
    ]
    checks = pl.DataFrame(rows, schema={name: QUALITY.polars_schema[name] for name in names}, orient="row")
    assert figures.last_run(checks)["check"].to_list() == ["b", "a"]
    assert figures.last_run(checks.clear()).is_empty()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s ago"), (119, "119 s ago"), (120, "2 min ago"), (7_200, "2 h ago"), (172_800, "2 days ago")],
)
def test_how_long_ago(seconds: int, text: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == text
    assert ago(None, NOW) == "never"


def test_a_page_waits_for_no_answer_that_takes_long() -> None:
    asked, go = [], threading.Event()

    def slowly() -> int:
        asked.append(1)
        go.wait(10)
        return len(asked)

    question = BackgroundCache(slowly, every=0.0)
    assert question.look(0.01) is None
    assert question.look(0.01) is None  # and it is asked once
    go.set()
    assert question.look(5) == 1
    go.clear()
    started = time.monotonic()
    assert question.look(5) == 1  # an older answer will do meanwhile
    assert time.monotonic() - started < 1
    go.set()
    assert len(asked) == 2


@contextmanager
def prefect(answers: dict[str, Any]) -> Iterator[str]:
    """A server that answers as Prefect's does (tests/e2e/test_demo.py asks a real one)."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps(answers.get(self.path, {})).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/api"
        finally:
            server.shutdown()
            serving.join()


RUN: Final = {
    "flow_id": "f",
    "state_name": "Completed",
    "start_time": "2026-11-25T02:10:17.123456Z",
    "total_run_time": 1.5,
}


def test_flow_runs_are_those_that_prefect_tells(
    open_page: Open, landing: lakes.Feeder, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {"/api/flow_runs/filter": [RUN], "/api/flows/filter": [{"id": "f", "name": "gold"}]}
    with prefect(answers) as api:
        monkeypatch.setenv("PREFECT_API_URL", api)
        shown = table(open_page(landing.lake.root, "pipeline"), "flow")
    assert shown.select("flow", "state", "seconds").rows() == [("gold", "Completed", 1.5)]
    assert shown["started"][0].isoformat() == "2026-11-25T02:10:17.123456+00:00"


@pytest.mark.parametrize("answers", [{}, {"/api/flow_runs/filter": [{}]}, {"/api/flow_runs/filter": "no"}])
def test_what_is_no_answer_of_prefect_is_none(answers: dict[str, Any]) -> None:
    with prefect(answers) as api:
        assert prefect_runs.runs(api) is None or answers == {}
    assert prefect_runs.runs(api) is None
    assert prefect_runs.runs("file:///etc/passwd") is None
