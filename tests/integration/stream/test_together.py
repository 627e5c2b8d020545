"""Everything at once, under load: producer, stream, Gold builds, maintenance, dashboard readers and ad-hoc SQL.

``WARDLAKE_TOGETHER_MINUTES`` says for how long (10). Nobody may fail on a lock or a conflict, no reader may see a
half-built Gold, and in the end every message, commit and audit row is there, and the refreshed Gold is the full one.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb
import polars as pl
import pytest
from deltalake import DeltaTable

from lake.contracts.tables import AUDIT, INCOMPLETE, STAYS, VISITS
from lake.gold.duckdb_file import LINK
from lake.gold.published import last
from lake.gold.tables import GOLD
from lake.query import lake_sql
from lake.storage.store import scan
from tests.support import commands
from tests.support.commands import Place
from tests.support.lakes import rows

# Read before any test: the environment that tests see has no WARDLAKE_ variable.
SECONDS: Final = 60 * float(os.environ.get("WARDLAKE_TOGETHER_MINUTES", "10"))
RATE: Final = 2_000
PATIENT_LEVEL: Final = "SELECT event_type, count(*) AS events FROM silver.events GROUP BY ALL"
VISITS_SQL: Final = "SELECT count(*) AS visits, count(DISTINCT visit_key) AS keys FROM silver.visits"

# What holds between the tables of one build, and of no mix of two.
WHOLE: Final = """SELECT
    (SELECT sum(admissions)::BIGINT FROM gold.admissions) AS admissions,
    (SELECT sum(admissions)::BIGINT FROM gold.arrivals) AS arrivals,
    (SELECT sum(discharges)::BIGINT FROM gold.admissions) AS discharges,
    (SELECT sum(discharges)::BIGINT FROM gold.length_of_stay) AS stayed,
    (SELECT sum(discharges)::BIGINT FROM gold.outcomes) AS outcomes,
    (SELECT sum(index_discharges_30d)::BIGINT FROM gold.admissions) AS followed,
    (SELECT sum(messages)::BIGINT FROM gold.compliance) AS messages,
    (SELECT sum(silver + quarantined + duplicates)::BIGINT FROM gold.compliance) AS accounted"""


class Loop:
    """Something done again and again by a thread of its own, until told to stop."""

    def __init__(self, name: str, act: Callable[[], str | None]) -> None:
        self.name, self._act = name, act
        self.done, self.troubles = 0, list[str]()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                trouble = self._act()
            except Exception as error:  # whatever it is, it is a finding; its text may hold values
                trouble = f"{type(error).__name__} at line {_line(error)}"
            self.done += trouble is None
            if trouble is not None:
                self.troubles.append(trouble)

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(commands.SECONDS)


def _line(error: BaseException) -> int:
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return frame.tb_lineno if frame else 0


@contextmanager
def together(acts: dict[str, Callable[[], str | None]]) -> Iterator[dict[str, Loop]]:
    """All of these at once; they are at rest at the end."""
    loops = {name: Loop(name, act) for name, act in acts.items()}
    try:
        yield loops
    finally:
        for loop in loops.values():
            loop.stop()


@pytest.fixture
def place(tmp_path: Path, broker: str, topic: str, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(commands, "SECONDS", 900)  # with everything at work a command takes its time
    return Place(tmp_path, {"WARDLAKE_KAFKA": broker, "WARDLAKE_TOPIC": topic, "WARDLAKE_GROUP": topic})


@pytest.mark.slow
def test_everything_at_once(place: Place) -> None:
    root = place.folder / "data" / "lake"
    events = int(RATE * SECONDS)
    with place.running("stream") as stream:
        with place.running("produce", "simulate", "--events", str(events), "--rate", str(RATE)) as producer:
            stream.wait_for(lambda lines: any('"event": "landed"' in line for line in lines), "the stream landed")
            place.works("flow", "gold")
            with together(_everyone(place, root)) as loops:
                time.sleep(SECONDS)
            assert producer.process.wait(commands.SECONDS) == 0
        assert stream.process.poll() is None, f"the stream ended: {stream.lines[-1:]}"
        assert stream.stop(signal.SIGTERM) == 0, f"the stream failed: {stream.lines[-1:]}"
    assert {name: loop.troubles for name, loop in loops.items() if loop.troubles} == {}
    assert {name for name, loop in loops.items() if not loop.done} == set()
    place.works("stream", "--until-caught-up")
    assert place.look("status", "--json").json["messages"]["messages"] == events
    assert place.look("verify", "--json").json["passed"] is True
    patient_level = loops["sql on silver"].done + loops["sql on visits"].done
    assert rows(root, AUDIT).filter(action="sql").height == patient_level
    _the_refreshed_gold_is_the_full_one(place, root)


def _everyone(place: Place, root: Path) -> dict[str, Callable[[], str | None]]:
    def command(*arguments: str) -> Callable[[], str | None]:
        def act() -> str | None:
            ran = place.run(*arguments)
            return None if ran.code == 0 else f"exit {ran.code}: {ran.err.splitlines()[-1:]}"

        return act

    return {
        "gold": command("flow", "gold"),
        "maintain": command("flow", "maintain"),
        "dashboard": _watch(lambda: _in_file(root)),
        "another dashboard": _watch(lambda: _in_file(root)),
        "lake reader": _watch(lambda: lake_sql.run(root, WHOLE)),
        "sql on silver": command("sql", PATIENT_LEVEL, "--format", "json"),
        "sql on visits": command("sql", VISITS_SQL, "--format", "json"),
    }


def _in_file(root: Path) -> pl.DataFrame:
    """Look at Gold as a dashboard does."""
    connection = duckdb.connect(os.path.realpath(root / LINK), read_only=True)
    try:
        return connection.sql(WHOLE).pl()
    finally:
        connection.close()


def _watch(look: Callable[[], pl.DataFrame]) -> Callable[[], str | None]:
    """A reader who holds tables of Gold against each other, and against what it saw before."""
    seen = 0

    def act() -> str | None:
        nonlocal seen
        gold: dict[str, Any] = look().row(0, named=True)
        time.sleep(0.2)
        whole = (
            gold["admissions"] == gold["arrivals"]
            and gold["discharges"] == gold["stayed"] >= gold["outcomes"]
            and gold["discharges"] >= gold["followed"]
            and gold["messages"] == gold["accounted"]
        )
        older = gold["messages"] < seen
        seen = gold["messages"]
        if not whole:
            return f"half a build: {gold}"
        return "an older build than before" if older else None

    return act


def _the_refreshed_gold_is_the_full_one(place: Place, root: Path) -> None:
    place.works("flow", "gold")
    refreshed = _published(root)
    place.works("flow", "gold", "--full")
    full = _published(root)
    assert {name for name in full if not full[name].equals(refreshed[name])} == set()
    assert min(table.height for table in full.values()) > 0


def _published(root: Path) -> dict[str, pl.DataFrame]:
    """The published rows of every table that a build makes, in an order of their own."""
    build = last(root)
    assert build is not None
    tables = {table.name: table for table in (VISITS, STAYS, INCOMPLETE, *GOLD)}
    found = {}
    for name, table in tables.items():
        frame = scan(DeltaTable(root / name, version=build.versions[name]), table).collect()
        plain = [column for column, dtype in frame.schema.items() if not dtype.is_nested()]
        found[name] = frame.select(table.polars_schema.names()).sort(plain, nulls_last=True)
    return found
