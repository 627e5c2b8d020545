"""How cost grows with history: 1, 5, 10, 20 and 50 M events in the lake, of a hospital group that stays as it is.

The first million events are really landed, in full batches; the history before them is made in bulk
(``benchmarks.suites.bulk``), 60 days earlier for each million. At each size new events are landed through the stream's
own steps and ``Landing``, in-process and without Kafka; then Gold is built in full and refreshed after one more batch,
the dashboards' queries are asked over the whole time, and ``verify`` looks at every row. Each is a process of its own.
"""

import json
import resource
import statistics
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

from app import settings as configuration
from app.cli.produce import start_day
from app.jobs import build_gold, lake_session
from app.jobs.masking_audit import MEASURED
from app.jobs.verify import verify as verify_lake
from app.settings import Settings
from benchmarks.harness.measure import DAYS, Figures, in_a_process, size
from benchmarks.harness.result import Cell, Chart, Ratio, Result, console
from benchmarks.suites.bulk import FIRST, TOPIC_ID, Base, lander
from lake.contracts.tables import BUILDS, SILVER
from lake.gold import build as building
from lake.gold.staffed_beds import NONE
from lake.storage.store import DeltaStore, Lake
from producer.simulator.simulator import Simulator, SimulatorSettings

_TIMES: Final = (1, 5, 10, 20, 50)
_UNIT: Final = 1_000_000
_BATCHES: Final = 10
_VERIFIED_UP_TO: Final = 10 * _UNIT
_ROUNDS: Final = 5
_PARTITIONS: Final = 4
_FLAT: Final = 1.1


def run(events: int, days: int = DAYS) -> Result:
    """Measure at up to ``events`` events; a fifth of them is the first size where that is less than a million.

    ``days`` is what the first size spans.
    """
    unit = min(_UNIT, max(events // 5, 1))
    sizes = [times for times in _TIMES if times * unit <= events]
    rows, cpu = [], []
    with tempfile.TemporaryDirectory() as scratch:
        site = Site(Path(scratch), unit, days, len(sizes))
        _stage(site, "begin", 1)
        for before, times in zip([1, *sizes], sizes, strict=False):
            console.print(f"at {times * unit:,} events")
            found = _measured(site, before, times)
            cpu.append(found["ingest"]["cpu_us"])
            rows.append(_row(found))
    return Result(
        "scale",
        f"Cost by history, {site.batch:,} messages in a batch",
        [*_INGEST, *_VERIFY, *_GOLD, "dashboard queries ms", "log files", "log MB", "GB on disk"],
        rows,
        [Ratio.at_most("ingest, CPU per event, worst size / smallest", max(cpu) / cpu[0], _FLAT)],
        [
            f"Ingest: {_BATCHES} batches of new events after one that does not count.",
            "Gold in full: without a look at stored masking; the refresh has it.",
            f"Made in bulk: all but the first {unit:,} events and the new ones.",
            "The dashboards' queries: six that fill the KPI and compliance pages, over the whole time, in turn.",
        ],
        chart=Chart("line", "events", "ingest CPU µs/event"),
    )


_INGEST: Final = ("events", "open s", "ingest CPU µs/event", "ingest µs/event", "ingest peak MB")
_VERIFY: Final = ("verify s", "verify µs/event", "verify peak MB")
_GOLD: Final = ("Gold full s", "Gold refresh s", "Gold peak MB")


def _measured(site: "Site", before: int, times: int) -> dict[str, Figures]:
    """Figures by stage at ``times`` units of history, when it was ``before`` units."""
    for number in range(before, times):
        _stage(site, "grow", number)
    stages = [
        "ingest",
        "full",
        "refresh",
        "ask",
        *(["verify"] if times * site.unit <= _VERIFIED_UP_TO else []),
        "weigh",
    ]
    return {stage: _stage(site, stage, times) for stage in stages}


def _row(found: dict[str, Figures]) -> list[Cell]:
    ingest, verify, weight = found["ingest"], found.get("verify"), found["weigh"]
    return [
        *(ingest[name] for name in ("events", "open_s", "cpu_us", "wall_us", "rss_mb")),
        *((verify["seconds"], verify["us"], verify["rss_mb"]) if verify else (None, None, None)),
        found["full"]["seconds"],
        found["refresh"]["seconds"],
        found["full"]["rss_mb"],
        found["ask"]["seconds"] * 1e3,
        *(weight[name] for name in ("log_files", "log_mb", "gb")),
    ]


def _stage(site: "Site", stage: str, number: int) -> Figures:
    return in_a_process("benchmarks.suites.scale", stage, site.folder, site.unit, site.days, site.sizes, number)


@dataclass(frozen=True)
class Site:
    """A scratch folder with a lake and the messages that go into it: the first ``unit``, then some at each size.

    ``unit`` messages span ``days``.
    """

    folder: Path
    unit: int
    days: int
    sizes: int

    @property
    def batch(self) -> int:
        """Messages in a batch: the default of the settings, or less where there are not that many."""
        return min(self.settings.batch_messages, max(self.unit // 50, 1))

    @property
    def events(self) -> int:
        """Messages that are simulated: at each size one batch to warm up, ten that count, one to refresh Gold by."""
        return self.unit + self.sizes * (_BATCHES + 2) * self.batch

    @property
    def settings(self) -> Settings:
        """Settings of the lake."""
        return configuration.load(data=self.folder)

    def lake(self) -> Lake:
        """The lake, opened or made."""
        return lake_session.open_or_create(self.settings)

    @property
    def messages(self) -> Path:
        """The simulated messages by place, in the order in which they come."""
        return self.folder / "messages.parquet"

    def next(self, lake: Lake, count: int) -> pl.DataFrame:
        """The next messages that have not landed."""
        landed = {partition: lake.landed(TOPIC_ID, partition) for partition in range(_PARTITIONS)}
        position = pl.col("kafka_partition").replace_strict(landed, return_dtype=pl.Int64)
        return pl.scan_parquet(self.messages).filter(pl.col("kafka_offset") > position).head(count).collect()


def begin(site: Site, _: int) -> Figures:
    """Simulate the messages and land the first ``unit`` of them."""
    days = round(site.days * site.events / site.unit)
    simulated = Simulator(SimulatorSettings(events=site.events, days=days, start=start_day(site.events, days))).blocks()
    pairs = [pair for block in simulated for pair in block.pairs()]
    partitions = [zlib.crc32(key or b"") % _PARTITIONS for key, _ in pairs]
    schema = {"kafka_partition": pl.Int32, "payload": pl.Binary}
    pl.DataFrame([partitions, [value for _, value in pairs]], schema=schema).select(
        "kafka_partition",
        (FIRST + pl.int_range(pl.len()).over("kafka_partition")).alias("kafka_offset"),
        "payload",
    ).write_parquet(site.messages)
    lake = site.lake()
    land = lander(lake, site.settings)
    for batch in site.next(lake, site.unit).iter_slices(site.batch):
        land(batch)
    return {}


def grow(site: Site, number: int) -> Figures:
    """Add one more unit of history, before what there is."""
    counts = pl.scan_parquet(site.messages).head(site.unit).group_by("kafka_partition").len().collect()
    Base(site.lake(), dict(counts.rows()), site.days).copy(number)
    return {}


def ingest(site: Site, _: int) -> Figures:
    """Open the lake, land a batch that does not count, and ten that do."""
    began = time.perf_counter()
    lake = site.lake()
    land = lander(lake, site.settings)
    opened = time.perf_counter() - began
    events = lake.store(SILVER).handle.count()
    first, *batches = site.next(lake, site.batch * (_BATCHES + 1)).iter_slices(site.batch)
    land(first)
    wall, cpu = time.perf_counter(), time.process_time()
    for batch in batches:
        land(batch)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    count = sum(batch.height for batch in batches)
    return {"events": events, "open_s": opened, "cpu_us": cpu / count * 1e6, "wall_us": wall / count * 1e6}


def full(site: Site, _: int) -> Figures:
    """Build Gold from scratch, without a look at stored masking: that costs each event the same, as ``verify`` does."""
    lake, nothing = lake_session.open_with_key(site.settings), pl.DataFrame(schema=MEASURED)
    zone, stale_days = site.settings.timezone, site.settings.stale_visit_days
    asked = building.BuildOptions(NONE, zone, stale_days, lambda _: nothing, lambda: datetime.now(UTC), full=True)
    return _timed(lambda: building.build(lake, asked))


def refresh(site: Site, _: int) -> Figures:
    """Bring Gold up to date after one more batch, as ``wardlake flow gold`` does."""
    lake = site.lake()
    lander(lake, site.settings)(site.next(lake, site.batch))
    figures = _timed(lambda: build_gold.build(site.settings))
    if (kind := DeltaStore(lake.root, BUILDS).scan().sort("build_id").select("kind").collect()[-1, 0]) != "refresh":
        raise SystemExit(f"Gold was not refreshed: {kind}")
    return figures


def verify(site: Site, _: int) -> Figures:
    """Verify the lake; ends the run where it finds a breach."""
    lake = lake_session.open_with_key(site.settings)
    events = lake.store(SILVER).handle.count()
    began = time.perf_counter()
    checks = verify_lake(lake, site.settings.dedup_key)
    seconds = time.perf_counter() - began
    if broken := [check.check for check in checks if not check.passed]:
        raise SystemExit(f"verify found breaches: {', '.join(broken)}")
    return {"seconds": seconds, "us": seconds / events * 1e6}


def ask(site: Site, _: int) -> Figures:
    """Median seconds of the dashboards' queries over all of Gold, nothing cached but the opened file."""
    # Not at the top: Streamlit would be in the memory of every other stage.
    from dashboards.screens.compliance import queries
    from dashboards.screens.kpis import bed_occupancy, monthly
    from dashboards.shared import data
    from lake.disclosure.audience import Audience

    months = (monthly.STAYS, monthly.READMISSIONS, monthly.DEATHS, monthly.DOCTORS)
    build = data.find(site.settings.lake, Audience.INTERNAL)
    if not isinstance(build, data.Build):
        raise SystemExit(build.what)
    taken = []
    for _ in range(_ROUNDS):
        data.query.clear()
        began = time.perf_counter()
        for sql in (bed_occupancy.DAYS, *months, queries.DAYS):
            data.query(build.file, build.stamp, sql, {"first": build.first_day, "last": build.last_day})
        taken.append(time.perf_counter() - began)
    return {"seconds": statistics.median(taken)}


def weigh(site: Site, _: int) -> Figures:
    """Size of the lake and of its Delta logs."""
    root = site.settings.lake
    logs = [file.stat().st_size for log in root.rglob("_delta_log") for file in log.iterdir()]
    return {"log_files": len(logs), "log_mb": sum(logs) / 1e6, "gb": size(root) / 1e9}


def _timed(work: Callable[[], Any]) -> Figures:
    began = time.perf_counter()
    work()
    return {"seconds": time.perf_counter() - began}


_STAGES: Final = {each.__name__: each for each in (begin, grow, ingest, full, refresh, ask, verify, weigh)}


def main(stage: str, folder: str, *rest: str) -> None:
    """Take a stage, in a process of its own so that its peak memory is its own, and write what it cost."""
    *plan, number, out = rest
    figures = _STAGES[stage](Site(Path(folder), *map(int, plan)), int(number))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    Path(out).write_text(json.dumps(figures | {"rss_mb": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:])
