"""Wardlake and Spark beside each other, on the same events, broker and cores. Opt-in: ``make bench-spark``.

Before the clock runs, both do 50,000 events and what they made of them is held against each other.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

from app.services.broker import EmbeddedBroker
from benchmarks.harness.measure import TOPIC, Figures, in_a_process, medians, publish
from benchmarks.harness.result import Chart, Ratio, Result, console
from benchmarks.spark import compare, compare_gold, contender
from benchmarks.suites.ingest import COLUMNS, rate, row
from lake.kafka import Kafka
from producer.publisher import ensure_topic

_COMPARED = 50_000
_TIMES = (1, 5, 20)
_CPU_SHARE = 0.2


def ingest(events: int, repeat: int) -> Result:
    """Kafka to landed Silver. Raises ``UsageError`` where Java or Spark is missing."""
    contender.require()
    _require_equal(compare.run(_COMPARED))
    with EmbeddedBroker() as broker:
        console.print(f"publishing {events:,} simulated events")
        publish(broker.bootstrap, events)
        runs: dict[str, Callable[[], Figures]] = {
            "wardlake": lambda: in_a_process("benchmarks.contenders.wardlake", broker.bootstrap, events),
            "Spark Structured Streaming": lambda: contender.ingested(broker.bootstrap, events),
        }
        found = medians(runs, repeat)
    ours, spark = found.values()
    return Result(
        "spark-ingest",
        f"Ingest of {events:,} events beside Spark, medians of {repeat}",
        COLUMNS,
        [row(name, figures) for name, figures in found.items()],
        [
            Ratio.at_least("wardlake / Spark, events/s", rate(ours) / rate(spark), 5),
            Ratio.at_most("wardlake / Spark, CPU per event", ours["cpu_us"] / spark["cpu_us"], _CPU_SHARE),
        ],
        [f"On {_COMPARED:,} events both made the same Bronze, quarantine and Silver, value by value."],
        chart=Chart("bar", "contender", "events/s"),
    )


def gold(events: int) -> Result:
    """Full builds of Gold at 1, 5 and 20 times ``events``. Raises ``UsageError`` where Java or Spark is missing."""
    contender.require()
    _require_equal(compare_gold.run(_COMPARED))
    rows, ratios = [], []
    with tempfile.TemporaryDirectory() as scratch:
        for times in _TIMES:
            console.print(f"building Gold over {times * events:,} events")
            in_a_process("benchmarks.suites.gold", "make", scratch, events, times)
            ours = in_a_process("benchmarks.suites.gold", "full", scratch, events, times)
            with tempfile.TemporaryDirectory() as work:
                spark = contender.gold(Path(scratch) / str(times), Path(work))
            ratio = spark["seconds"] / ours["seconds"]
            rows.append([times * events, ours["seconds"], spark["seconds"], ratio, ours["rss_mb"], spark["rss_mb"]])
            ratios.append(Ratio.at_least(f"Spark / wardlake, seconds at {times * events:,} events", ratio, 3))
    return Result(
        "spark-gold",
        "A full build of Gold beside Spark SQL",
        ["events", "wardlake s", "Spark s", "Spark / wardlake", "wardlake peak RSS MB", "Spark peak RSS MB"],
        rows,
        ratios,
        [
            f"On {_COMPARED:,} events both made the same visits, stays and KPI tables, row by row.",
            "Starting Spark does not count. Wardlake also keeps compliance, the build's books and the DuckDB file.",
        ],
        chart=Chart("line", "events", "Spark / wardlake"),
    )


def footprint() -> Result:
    """Start and memory of the JVM's part of such a stack while idle. Raises ``UsageError`` where Spark is missing."""
    with EmbeddedBroker() as broker:
        ensure_topic(Kafka(broker.bootstrap), TOPIC)
        spark = contender.idle(broker.bootstrap)
    kafka = in_a_process("benchmarks.spark.kafka_footprint")
    return Result(
        "spark-footprint",
        "The JVM stack, idle",
        ["", "until it answers s", "resident MB after a while"],
        [
            [name, figures["start_seconds"], figures["resident_mb"]]
            for name, figures in (("Spark, one stream", spark), ("Apache Kafka, one broker", kafka))
        ],
        notes=["Airflow and a BI server would come on top; they are not measured."],
    )


def _require_equal(result: Result) -> None:
    """End the run where the two did not do the same work."""
    result.print()
    if any(different for *_, different in result.rows):
        raise SystemExit("Spark did not do the same work: its figures would mean nothing")
