"""Footprint of Spark's stream while nothing comes: seconds until it runs, and memory after a while.

.spark/venv/bin/python -m benchmarks.spark.idle --bootstrap B --topic T --work DIR --out FILE
"""

import argparse
import time
from pathlib import Path

from benchmarks.spark.cost import resident_mb, write
from benchmarks.spark.session import session


def main() -> None:
    """Start a query on the topic's end, let it idle, and write what it takes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.spark.idle", description=__doc__)
    for name in ("--bootstrap", "--topic"):
        parser.add_argument(name, required=True)
    parser.add_argument("--seconds", type=float, default=30, help="how long it idles")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    started = time.perf_counter()
    spark = session(asked.work)
    source = spark.readStream.format("kafka").option("kafka.bootstrap.servers", asked.bootstrap)
    writer = source.option("subscribe", asked.topic).option("startingOffsets", "latest").load().writeStream
    checkpoint, table = str(asked.work / "checkpoint"), str(asked.work / "lake")
    query = writer.format("delta").option("checkpointLocation", checkpoint).start(table)
    while query.lastProgress is None:
        time.sleep(0.1)
    ready = time.perf_counter()
    time.sleep(asked.seconds)
    write(asked.out, {"start_seconds": ready - started, "resident_mb": resident_mb()})
    query.stop()
    spark.stop()


if __name__ == "__main__":
    main()
