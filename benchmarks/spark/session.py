"""A tuned Spark session on this machine's cores, with Delta and Kafka.

``python -m benchmarks.spark.session`` fetches the jars into ``.spark/ivy`` by Spark's own resolution, once.
"""

import os
from pathlib import Path
from typing import Final

from pyspark.sql import SparkSession

HOME: Final = Path(__file__).resolve().parents[2] / ".spark"
_PACKAGES: Final = (
    "io.delta:delta-spark_4.2_2.13:4.4.0",
    "org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0",
)
_CORES: Final = os.cpu_count() or 1
_CONF: Final = {
    "spark.driver.memory": "4g",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
    "spark.sql.shuffle.partitions": str(_CORES),
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.hadoop.parquet.compression.codec.zstd.level": "1",
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    # Else each field would parse its message's JSON anew.
    "spark.sql.optimizer.enableJsonExpressionOptimization": "false",
    # Case is changed by the JVM, not by ICU, which is slower on plain text.
    "spark.sql.icu.caseMappings.enabled": "false",
    # A longer method is never compiled by the JVM; Spark then generates many short ones.
    "spark.sql.codegen.hugeMethodLimit": "8000",
    # A batch is held for a few seconds: to compress it costs more than it saves.
    "spark.sql.inMemoryColumnarStorage.compressed": "false",
    # Files of several dates are written side by side instead of after a sort.
    "spark.sql.maxConcurrentOutputFileWriters": "64",
    # The log of a table of this size is read in one task a core, not in fifty.
    "spark.databricks.delta.snapshotPartitions": str(_CORES),
    "spark.databricks.delta.optimizeWrite.enabled": "false",
    "spark.databricks.delta.autoCompact.enabled": "false",
}


def session(work: Path) -> SparkSession:
    """A session whose scratch files are in ``work``. Its jars must have been fetched."""
    jars = ",".join(map(str, sorted((HOME / "ivy" / "jars").glob("*.jar"))))
    return _built({"spark.jars": jars, "spark.local.dir": str(work), "spark.sql.warehouse.dir": str(work / "tables")})


def _built(more: dict[str, str]) -> SparkSession:
    builder = SparkSession.builder.master(f"local[{_CORES}]").appName("wardlake-benchmark")
    for name, value in (_CONF | more).items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


if __name__ == "__main__":
    _built({"spark.jars.packages": ",".join(_PACKAGES), "spark.jars.ivy": str(HOME / "ivy")}).stop()
