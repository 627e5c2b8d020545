"""Contender: a full build of Gold by Spark SQL, from the Silver that Wardlake wrote, as Delta tables.

    .spark/venv/bin/python -m benchmarks.spark.gold --lake DIR --work DIR --out FILE

Visits, stays, incomplete visits and the eight KPI tables, by the same definitions (``sql/``), in UTC and without a
table of staffed beds. ``gold/compliance``, ``ops/builds`` and the DuckDB files are left out: Spark has less to do.
"""

import argparse
import time
from pathlib import Path
from typing import Final

from pyspark.sql import DataFrame, SparkSession

from benchmarks.spark.cost import cpu_seconds, peak_mb, size, write
from benchmarks.spark.session import session

_SQL: Final = Path(__file__).parent / "sql"
_FOLDED: Final = {"stays": "from_month", "visits": "admit_month", "incomplete": "first_month"}
"""Derived table → what it is partitioned by."""
_KPIS: Final = (
    *("admissions", "arrivals", "diagnoses", "treatments", "outcomes", "occupancy", "length_of_stay", "doctors"),
)


def build(spark: SparkSession, lake: Path, into: Path) -> None:
    """Write ``silver/stays``, ``silver/visits``, ``silver/incomplete`` and ``gold/*`` under ``into``."""
    _read(spark, lake / "silver/events", "events")
    for name in ("standing", "histories", "stays"):
        _kept(spark, name)
    for table, partition in _FOLDED.items():
        rows = spark.table("stays") if table == "stays" else _view(spark, table)
        _write(rows.drop("seq"), into / "silver" / table, partition)
    for table in _FOLDED:
        _read(spark, into / "silver" / table, table)
    for name in ("bounds", "local_visits", "local_stays", "index_discharges"):
        _kept(spark, name)
    for table in _KPIS:
        _write(_view(spark, table), into / "gold" / table, "month")


def _view(spark: SparkSession, name: str) -> DataFrame:
    """What ``sql/NAME.sql`` gives, as a view of that name."""
    rows = spark.sql((_SQL / f"{name}.sql").read_text("utf-8"))
    rows.createOrReplaceTempView(name)
    return rows


def _kept(spark: SparkSession, name: str) -> None:
    """``_view``, worked out now and once for all who read it.

    A checkpoint, not ``persist``: where a kept view is joined with one that came from it, Spark does not recognise it
    and works it out again.
    """
    rows = spark.sql((_SQL / f"{name}.sql").read_text("utf-8")).localCheckpoint()
    rows.createOrReplaceTempView(name)


def _write(rows: DataFrame, path: Path, partition: str) -> None:
    rows.write.format("delta").mode("overwrite").partitionBy(partition).save(str(path))


def _read(spark: SparkSession, path: Path, name: str) -> None:
    spark.read.format("delta").load(str(path)).createOrReplaceTempView(name)


def main() -> None:
    """Build, and write what it cost; starting Spark does not count."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.spark.gold", description=__doc__)
    for name in ("--lake", "--work", "--out"):
        parser.add_argument(name, type=Path, required=True)
    asked = parser.parse_args()
    started = time.perf_counter()
    spark = session(asked.work)
    ready, spent, into = time.perf_counter(), cpu_seconds(), asked.work / "lake"
    build(spark, asked.lake, into)
    figures = {
        "seconds": time.perf_counter() - ready,
        "cpu_seconds": cpu_seconds() - spent,
        "rss_mb": peak_mb(),
        "start_seconds": ready - started,
        "bytes_on_disk": size(into),
    }
    write(asked.out, figures)
    spark.stop()


if __name__ == "__main__":
    main()
