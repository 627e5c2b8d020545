"""What landing a small batch costs after many: it must not grow with the number of batches.

Lands batches of simulated events in-process, without Kafka, so that only the lake's own cost is in the figure.
"""

import statistics
import tempfile
import time
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from functools import reduce
from pathlib import Path

import polars as pl

from app.stream.batch import MicroBatch
from app.stream.landing import Landing
from app.stream.steps import steps
from benchmarks.result import Ratio, Result, console
from lake import policy, store
from lake.sealing import LakeKey, places
from producer.simulator import Simulator, SimulatorSettings

_MESSAGES = 20
_WINDOW = 500


def run(batches: int) -> Result:
    """Land ``batches`` batches of 20 messages: the cost by window, and last over first."""
    window = min(_WINDOW, max(batches // 10, 1))
    costs: list[float] = []
    cpu: list[float] = []
    with tempfile.TemporaryDirectory() as scratch:
        lake = store.create(Path(scratch) / "lake", LakeKey(bytes(32)))
        rules = policy.load("display")
        work = steps(rules, lake.key)
        landing = Landing(lake, rules, ("patient_id", "event_time"), lambda: datetime.now(UTC))
        landing.expect("bench", 0)
        for number, payloads in enumerate(_batches(batches)):
            batch = reduce(lambda made, step: step(made), work, micro_batch(lake.key, number, payloads))
            start, spent = time.perf_counter(), time.process_time()
            landing.land(batch)
            costs.append(time.perf_counter() - start)
            cpu.append(time.process_time() - spent)
            if number % 1000 == 999:
                console.print(
                    f"{number + 1:,} batches, last 1,000: {statistics.median(costs[-1000:]) * 1e3:.1f} ms median, "
                    f"{statistics.fmean(cpu[-1000:]) * 1e3:.1f} ms of CPU"
                )
    first, last = slice(window, 2 * window), slice(-window, None)
    took, worked = (statistics.fmean(spent[last]) / statistics.fmean(spent[first] or spent) for spent in (costs, cpu))
    return Result(
        "history",
        f"Landing a batch of {_MESSAGES} messages, {batches:,} batches",
        ["window", "median ms", "mean ms", "CPU ms"],
        [
            [name, *(1e3 * cost for cost in _costs(costs[part], cpu[part]))]
            for name, part in (("start", first), ("end", last))
        ],
        [
            Ratio.at_most("end / start, time", took, 1.3),
            Ratio.at_most("end / start, CPU", worked, 1.3),
        ],
        [f"Each window is {window} batches, compactions included."],
    )


def _costs(seconds: list[float], cpu: list[float]) -> tuple[float, float, float]:
    """Median and mean of the seconds, mean of the CPU seconds."""
    return statistics.median(seconds), statistics.fmean(seconds), statistics.fmean(cpu)


def _batches(count: int) -> list[list[bytes]]:
    settings = SimulatorSettings(events=count * _MESSAGES, days=60)
    values = [value for block in Simulator(settings).blocks() for value in block.values]
    return [values[at : at + _MESSAGES] for at in range(0, len(values), _MESSAGES)]


def micro_batch(key: LakeKey, number: int, payloads: list[bytes]) -> MicroBatch:
    """The messages that follow ``number`` batches of them."""
    offsets = range(number * _MESSAGES, number * _MESSAGES + len(payloads))
    now = datetime.now(UTC) - timedelta(seconds=1)
    messages = pl.DataFrame({"kafka_offset": offsets}, schema={"kafka_offset": pl.Int64}).select(
        pl.int_range(pl.len(), dtype=pl.UInt32).alias("row"),
        pl.lit(0, pl.Int32).alias("kafka_partition"),
        "kafka_offset",
        kafka_time=pl.lit(now).cast(pl.Datetime("us", "UTC")),
        ingested_at=pl.lit(now).cast(pl.Datetime("us", "UTC")),
    )
    sealed: Future[pl.Series] = Future()
    sealed.set_result(pl.Series(key.seal(payloads, places("bench", [0] * len(payloads), offsets)), dtype=pl.Binary))
    return MicroBatch("healthcare.data", "bench", messages, list(payloads), sealed)
