"""From a message's arrival in Kafka to Silver's rows in a reader's hands, at several rates.

``wardlake stream`` with its default settings, the built-in broker, a feed (``benchmarks.harness.load``) and a reader
(``benchmarks.harness.watch``) are processes of their own; so is each ``wardlake flow gold`` and ``wardlake flow
maintain``, which run over and over, without a pause, where they run beside.

The latency of a message is the time when the reader first held a snapshot of Silver with its row, less the message's
Kafka timestamp, which is when it was *due*: what the feed, the broker or the stream were held up is all in it. Every
Silver row of the window counts. A rate is not sustained when at its end the feed is more than a second late or Silver
more than five seconds of the feed behind; then it has no latency.
"""

import json
import math
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from app.services.broker import EmbeddedBroker
from app.services.child_process import spawn, stop
from benchmarks.harness.measure import TOPIC, in_a_process
from benchmarks.harness.result import Cell, Chart, Ratio, Result, console
from lake.contracts.tables import KAFKA_COORDINATES, SILVER
from lake.kafka import Kafka
from lake.security.encryption import LakeKey
from lake.storage import bronze, store
from producer.publisher import ensure_topic
from tests.support.commands import Place

RATES: Final = (500, 5_000, 20_000)
_AIMED_AT: Final = 5_000
_AIM_SECONDS: Final = 2
_FEED_LATE: Final = 1
_SILVER_BEHIND: Final = 5
_PATIENCE: Final = 120
_FLOWS: Final = ("gold", "maintain")


@dataclass(frozen=True)
class Load:
    """Events a second, for so many seconds that do not count and then so many that do."""

    rate: int
    warm_up: float
    seconds: float


@dataclass(frozen=True)
class Measured:
    """What one load came to. ``latencies`` in seconds; ``behind``: of Silver, at the feed's end, in seconds of feed.

    ``runs``: how often each flow ran beside.
    """

    achieved: float
    feed_late: float
    last_late: float
    behind: float
    latencies: pl.Series
    runs: dict[str, int]

    @property
    def sustained(self) -> bool:
        """Whether feed and Silver kept up."""
        return self.last_late <= _FEED_LATE and self.behind <= _SILVER_BEHIND

    def quantile(self, share: float) -> float:
        """Seconds within which this share of the messages was there; without end where the rate was not sustained."""
        found = self.latencies.quantile(share, "higher")
        return found if self.sustained and found is not None else math.inf


def run(seconds: float = 60, warm_up: float = 15, rates: Sequence[int] = RATES) -> Result:
    """Measure each rate alone, and with Gold and maintenance beside."""
    rows: list[list[Cell]] = []
    ratios: list[Ratio] = []
    for rate in rates:
        for flows in ((), _FLOWS):
            console.print(f"{rate:,} events/s, beside {' and '.join(flows) or 'nothing'}")
            measured = measure(Load(rate, warm_up, seconds), flows)
            rows.append(_row(rate, " and ".join(flows) or "nothing", measured))
            if flows and rate == _AIMED_AT:
                name = f"p99 at {rate:,} events/s beside Gold and maintenance, s"
                ratios.append(Ratio.at_most(name, measured.quantile(0.99), _AIM_SECONDS))
    return Result(
        "latency",
        f"From Kafka to queryable in Silver, {seconds:g} s at each rate",
        ["events/s", "beside", "sustained", "sent events/s", "p50 ms", "p95 ms", "p99 ms", "max ms", *_MORE],
        rows,
        ratios,
        [
            "Latency counts from when a message was due, to when another process held the snapshot that has its row.",
            "Gold runs and maintenance runs follow each other without a pause where they run at all.",
        ],
        Chart("line", "events/s", "p99 ms", color="beside", log=True),
    )


_MORE: Final = ("feed late, worst ms", "Silver behind at end, s", "Gold runs", "maintenance runs")


def _row(rate: int, beside: str, measured: Measured) -> list[Cell]:
    shares = (0.5, 0.95, 0.99, 1.0)
    latencies: list[Cell] = [1e3 * measured.quantile(share) if measured.sustained else None for share in shares]
    return [
        rate,
        beside,
        "yes" if measured.sustained else "not sustained",
        measured.achieved,
        *latencies,
        1e3 * measured.feed_late,
        measured.behind,
        *(measured.runs.get(flow, 0) for flow in _FLOWS),
    ]


def measure(load: Load, flows: Sequence[str]) -> Measured:
    """Put the load on a new lake with these flows beside."""
    with tempfile.TemporaryDirectory() as scratch, EmbeddedBroker() as broker:
        place = Place(Path(scratch), {"WARDLAKE_KAFKA": broker.bootstrap, "WARDLAKE_DATA": scratch})
        ensure_topic(Kafka(broker.bootstrap), TOPIC)
        lake, seen = Path(scratch) / "lake", Path(scratch) / "seen.jsonl"
        with place.running("stream") as stream:
            with _watching(lake, seen), _beside(place, flows, seen) as runs:
                fed = in_a_process("benchmarks.harness.load", broker.bootstrap, load.rate, load.warm_up + load.seconds)
                _wait_until_all_is_there(seen, int(fed["delivered"]))
            if code := stream.stop(signal.SIGTERM):
                raise SystemExit(f"the stream exited with {code}")
        first = fed["started"] + load.warm_up
        return Measured(
            achieved=fed["delivered"] / (fed["ended"] - fed["started"]),
            feed_late=fed["worst_late"],
            last_late=fed["last_late"],
            behind=(fed["delivered"] - there(seen, fed["ended"])) / load.rate,
            latencies=_latencies(lake, seen, first, first + load.seconds),
            runs={flow: len(ran.result()) for flow, ran in runs.items()},
        )


@contextmanager
def _watching(lake: Path, seen: Path) -> Iterator[None]:
    seen.touch()
    process = spawn([sys.executable, "-m", "benchmarks.harness.watch", str(lake), str(seen)])
    try:
        yield
        if process.poll() is not None:
            raise SystemExit(f"the reader ended with {process.returncode}")
    finally:
        stop(process, 5)


@contextmanager
def _beside(place: Place, flows: Sequence[str], seen: Path) -> Iterator[dict[str, "Future[list[float]]"]]:
    """Run the flows over and over within the block, from the first landing on; the seconds of each run after it."""
    over = threading.Event()
    with ThreadPoolExecutor(max(len(flows), 1)) as pool:
        try:
            yield {flow: pool.submit(_over_and_over, place, flow, seen, over) for flow in flows}
        finally:
            over.set()


def _over_and_over(place: Place, flow: str, seen: Path, over: threading.Event) -> list[float]:
    while not seen.stat().st_size and not over.wait(0.1):
        pass
    seconds = []
    while not over.is_set():
        began = time.perf_counter()
        place.works("flow", flow)
        seconds.append(time.perf_counter() - began)
    return seconds


def _wait_until_all_is_there(seen: Path, messages: int) -> None:
    deadline = time.monotonic() + _PATIENCE
    while there(seen, math.inf) < messages:
        if time.monotonic() > deadline:
            raise SystemExit(f"Silver did not come to hold {messages} messages within {_PATIENCE} s")
        time.sleep(0.1)


def there(seen: Path, until: float) -> int:
    """Messages whose fate a reader could see by then: the topic is new, so a partition's first offset is 0."""
    before = [line["positions"] for line in _lines(seen) if line["seen"] <= until]
    return sum(offset + 1 for offset in before[-1].values()) if before else 0


def _lines(seen: Path) -> list[dict[str, Any]]:
    whole, _, _ = seen.read_text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def _latencies(lake: Path, seen: Path, first: float, last: float) -> pl.Series:
    """Seconds for each Silver row whose message was due in the window."""
    opened = store.open_lake(lake, LakeKey.from_file(lake.parent / "lake.key"))
    due = pl.col("kafka_time").dt.epoch("us") / 1e6
    rows = (
        pl.concat(frame.select(*KAFKA_COORDINATES, due=due) for frame in bronze.messages(opened))
        .filter(pl.col("due").is_between(first, last, closed="left"))
        .join(opened.store(SILVER).scan().select(KAFKA_COORDINATES).collect(), on=KAFKA_COORDINATES, how="semi")
    )
    found = rows.sort("kafka_offset").join_asof(
        first_seen(seen), on="kafka_offset", by="kafka_partition", strategy="forward", check_sortedness=False
    )
    if found["seen"].has_nulls() or found.is_empty():
        raise SystemExit(f"{found['seen'].null_count()} of {found.height} rows were never seen")
    return found["seen"] - found["due"]


def first_seen(seen: Path) -> pl.DataFrame:
    """Partition, position, and when a reader first held it; in the order of positions."""
    moves = [(int(p), offset, line["seen"]) for line in _lines(seen) for p, offset in line["positions"].items()]
    schema = {"kafka_partition": pl.Int32, "kafka_offset": pl.Int64, "seen": pl.Float64}
    frame = pl.DataFrame(moves, schema=schema, orient="row")
    return frame.group_by("kafka_partition", "kafka_offset").agg(pl.col("seen").min()).sort("kafka_offset")
