"""What landing a small batch costs after many: it must not grow with the number of batches.

Lands batches of simulated events in-process, without Kafka, so that only the lake's own cost is in the figure.
"""

import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from app.stream.batches import RawBatch
from app.stream.decide import Rules, decide
from app.stream.landing import Landing
from benchmarks.harness.result import Chart, Ratio, Result, console
from benchmarks.suites import bulk
from lake.security import masking_policy
from lake.security.encryption import LakeKey
from lake.storage import store
from producer.simulator.simulator import Simulator, SimulatorSettings

_MESSAGES = 20
_WINDOW = 500
_ENDS = (1_000, 5_000, 10_000, 20_000, 50_000)


def run(batches: int) -> Result:
    """Land ``batches`` batches of 20 messages: the cost and the log's size by window, and last over first."""
    window = min(_WINDOW, max(batches // 10, 1))
    costs: list[float] = []
    cpu: list[float] = []
    logs: dict[int, tuple[int, float]] = {}
    ends = sorted({min(2 * window, batches), *(end for end in _ENDS if 2 * window < end < batches), batches})
    with tempfile.TemporaryDirectory() as scratch:
        lake = store.create(Path(scratch) / "lake", LakeKey(bytes(32)))
        rules = Rules(masking_policy.load("display"), ("patient_id", "event_time"))
        landing = Landing(lake, rules, lambda: datetime.now(UTC))
        landing.expect(bulk.TOPIC_ID, 0)
        for number, payloads in enumerate(_batches(batches), 1):
            batch = decide(raw_batch(lake.key, number - 1, payloads), rules, lake.key)
            start, spent = time.perf_counter(), time.process_time()
            landing.land(batch)
            costs.append(time.perf_counter() - start)
            cpu.append(time.process_time() - spent)
            if number in ends:
                logs[number] = _logs(lake.root)
                console.print(f"{number:,} batches, the last: {statistics.median(costs[-window:]) * 1e3:.1f} ms median")
        landing.close()  # before its folder goes
    first, last = slice(window, 2 * window), slice(-window, None)
    took, worked = (statistics.fmean(spent[last]) / statistics.fmean(spent[first] or spent) for spent in (costs, cpu))
    return Result(
        "history",
        f"Landing a batch of {_MESSAGES} messages, {batches:,} batches",
        ["batches", "median ms", "mean ms", "CPU ms", "log files", "log MB"],
        [
            [end, *(1e3 * cost for cost in _costs(costs[end - window : end], cpu[end - window : end])), *logs[end]]
            for end in ends
        ],
        [
            Ratio.at_most("end / start, time", took, 1.3),
            Ratio.at_most("end / start, CPU", worked, 1.3),
        ],
        [f"Each row is of the {window} batches before, compactions beside them; the log is that of all tables."],
        chart=Chart("line", "batches", "mean ms"),
    )


def _logs(root: Path) -> tuple[int, float]:
    """Files in the tables' Delta logs, and their MB."""
    sizes = [file.stat().st_size for log in root.rglob("_delta_log") for file in log.iterdir()]
    return len(sizes), sum(sizes) / 1e6


def _costs(seconds: list[float], cpu: list[float]) -> tuple[float, float, float]:
    """Median and mean of the seconds, mean of the CPU seconds."""
    return statistics.median(seconds), statistics.fmean(seconds), statistics.fmean(cpu)


def _batches(count: int) -> list[list[bytes]]:
    settings = SimulatorSettings(events=count * _MESSAGES, days=60)
    values = [value for block in Simulator(settings).blocks() for value in block.values]
    return [values[at : at + _MESSAGES] for at in range(0, len(values), _MESSAGES)]


def raw_batch(key: LakeKey, number: int, payloads: list[bytes]) -> RawBatch:
    """The messages that follow ``number`` batches of them."""
    first = number * _MESSAGES
    messages = pl.DataFrame({"payload": payloads}, schema={"payload": pl.Binary})
    offsets = pl.int_range(first, first + pl.len()).alias("kafka_offset")
    return bulk.raw_batch(key, messages.with_columns(offsets, kafka_partition=pl.lit(0, pl.Int32)))
