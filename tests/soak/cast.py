"""Who is at work in a soak: the command line's own processes, and a reader that looks as the dashboards do."""

import http.client
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from app.services.child_process import HOST
from tests.soak.stage import Stage
from tests.soak.worker import Role, Worker
from tests.support.commands import ROOT, WARDLAKE

ROUND_SECONDS: Final = 60
"""How long a round of the simulator lasts; each has a seed of its own."""

NEEDS_GOLD: Final = ("export", "sql", "reader", "dashboard", "quality", "maintain", "verify")

_ANSWER_SECONDS: Final = 0.3
_QUERIES: Final = (
    "SELECT event_type, count(*) AS events FROM silver.events GROUP BY ALL",
    "SELECT department, sum(admissions) AS admissions FROM gold.admissions GROUP BY ALL",
    "SELECT count(*) AS visits, count(DISTINCT visit_key) AS keys FROM silver.visits",
    "SELECT sum(messages) AS messages, sum(silver + quarantined + duplicates + ignored) AS accounted FROM ops.ingest",
)


def cast(stage: Stage) -> list[Role]:
    """Every role, in the order of their first entrance."""
    beat = stage.folder / "producer.beat"
    return [
        _service("broker", _every(0.5, _broker_answers(stage)), "broker", "--port", str(stage.broker_port)),
        *(_service(name, _said('"event": "landed"'), "stream") for name in stage.streams),
        Role(
            "producer", lambda run: _simulate(stage, run), 0.0, _touched(beat), {"WARDLAKE_HEARTBEAT": str(beat)}
        ),
        _flow("gold", 20),
        _service("dashboard", _every(0.5, _healthy(stage)), "dashboard", "--port", str(stage.dashboard_port)),
        Role("reader", lambda _: [sys.executable, "-m", "tests.soak.reader", str(stage.lake)], None,
             _said('"event": "read"'), {"PYTHONPATH": str(ROOT)}),
        Role("sql", lambda run: wardlake("sql", _QUERIES[run % len(_QUERIES)], "--format", "json"), 8),
        Role("verify", lambda _: wardlake("verify", "--json"), 45),
        _flow("quality", 60),
        _flow("maintain", 60),
        _flow("export", 60),
    ]  # fmt: skip


def wardlake(*arguments: str) -> list[str]:
    """The command line of a command."""
    return [str(WARDLAKE), *arguments]


def _service(name: str, proof: Callable[[Worker], bool], *arguments: str) -> Role:
    return Role(name, lambda _: wardlake(*arguments), None, proof)


def _flow(name: str, rest: float) -> Role:
    return Role(name, lambda _: wardlake("flow", name), rest)


def _simulate(stage: Stage, run: int) -> list[str]:
    events = str(stage.rate * ROUND_SECONDS)
    return wardlake(
        "produce", "simulate", "--events", events, "--rate", str(stage.rate), "--seed", str(seed(stage, run))
    )


def seed(stage: Stage, run: int) -> int:
    """The simulator's seed in a run of the producer."""
    return stage.seed * 10_000 + run


def _said(words: str) -> Callable[[Worker], bool]:
    return lambda worker: any(words in line for line in worker.lines)


def _every(seconds: float, asked: Callable[[], bool]) -> Callable[[Worker], bool]:
    """``asked`` no oftener than this."""
    due = 0.0

    def proof(_: Worker) -> bool:
        nonlocal due
        if time.monotonic() < due:
            return False
        due = time.monotonic() + seconds
        return asked()

    return proof


def _touched(file: Path) -> Callable[[Worker], bool]:
    """Whether the heartbeat is newer than at the last look."""
    seen = 0

    def proof(_: Worker) -> bool:
        nonlocal seen
        before, seen = seen, file.stat().st_mtime_ns if file.exists() else 0
        return seen > before

    return proof


def _broker_answers(stage: Stage) -> Callable[[], bool]:
    def asked() -> bool:
        try:
            AdminClient({"bootstrap.servers": stage.bootstrap, "log_level": 0}).list_topics(timeout=_ANSWER_SECONDS)
        except KafkaException:
            return False
        return True

    return asked


def _healthy(stage: Stage) -> Callable[[], bool]:
    def asked() -> bool:
        connection = http.client.HTTPConnection(HOST, stage.dashboard_port, timeout=_ANSWER_SECONDS)
        try:
            connection.request("GET", "/_stcore/health")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return asked
