r"""Contender: Spark Structured Streaming from Kafka into Delta, doing the stream's work.

    .spark/venv/bin/python -m benchmarks.spark.ingest --bootstrap B --topic T --events N --key-hex K \
        --work DIR --out FILE

One query with one checkpoint. Each micro-batch is decoded, validated and masked once, kept in memory, and written to
``bronze/events`` (all messages, encrypted), ``bronze/quarantine`` and ``silver/events``; Delta skips what a repeated
batch wrote already (``txnAppId``, ``txnVersion``). The counts of ``ops/ingest`` are left out: Spark has that much less
to do.
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F  # noqa: N812

from benchmarks.spark.cost import Landings, size, write
from benchmarks.spark.keys import Key
from benchmarks.spark.masking import masked
from benchmarks.spark.session import session
from benchmarks.spark.validating import decoded, validated

_BATCH: Final = 200_000
_PLACE: Final = ("topic_id", "kafka_partition", "kafka_offset")
_BRONZE: Final = (*_PLACE, "topic", "kafka_time", "ingested_at", "key_id", "payload", "ingest_date")
_NOT_SILVER: Final = ("value", "reasons", "topic", "kafka_time")
_KEY: Final = ["patient_key", "event_time"]
_CONFLICT: Final = "duplicate_key_conflict"
_STATISTICS: Final = {
    "bronze/events": "kafka_partition,kafka_offset,ingested_at",
    "bronze/quarantine": "kafka_partition,kafka_offset,ingested_at",
    "silver/events": "event_time,kafka_partition,kafka_offset",
}
"""Table → the columns that its log has statistics of, as Wardlake's tables have."""


class Stream:
    """Lands micro-batches in the lake at ``root``. ``policy`` is the masking policy's name and fingerprint."""

    def __init__(self, spark: SparkSession, root: Path, key: Key, policy: tuple[str, str]) -> None:
        self._spark, self._root, self._key, self._policy = spark, root, key, policy

    def land(self, rows: DataFrame, number: int) -> int:
        """Write a micro-batch of Kafka rows; returns how many messages it held."""
        fields = validated(decoded(_taken_in(rows).crossJoin(self._now())))
        decided = masked(fields, self._key, *self._policy).persist(StorageLevel.MEMORY_ONLY)
        try:
            per_date = decided.groupBy(F.when(F.isnull("reasons"), F.col("event_date")).alias("day")).count().collect()
            with ThreadPoolExecutor(1) as beside:
                bronze = beside.submit(self._append, "bronze/events", self._encrypted_rows(decided), number)
                self._split(decided, [row["day"] for row in per_date if row["day"]], number)
                bronze.result()
            return sum(row["count"] for row in per_date)
        finally:
            decided.unpersist()

    def _now(self) -> DataFrame:
        """The time as a row: as a literal it would be part of the generated code, which is compiled anew for each."""
        return F.broadcast(self._spark.createDataFrame([(datetime.now(UTC),)], "ingested_at timestamp"))

    def _split(self, decided: DataFrame, dates: list[date], number: int) -> None:
        """Quarantine what failed and what contradicts Silver; append what is new to Silver."""
        valid = decided.where(F.isnull("reasons"))
        repeats = self._repeats(valid, dates).persist(StorageLevel.MEMORY_ONLY)
        try:
            place = ["kafka_partition", "kafka_offset"]
            conflicts = valid.join(F.broadcast(repeats.where(~F.col("exact_duplicate"))), place, "left_semi")
            failed = decided.where(F.isnotnull("reasons")).unionByName(
                conflicts.withColumn("reasons", F.array(F.lit(_CONFLICT)))
            )
            resolved = F.lit(None).cast("timestamp").alias("resolved_at")
            self._append("bronze/quarantine", self._encrypted_rows(failed, F.col("reasons"), resolved), number)
            fresh = valid.join(F.broadcast(repeats), place, "left_anti").drop(*_NOT_SILVER)
            self._append("silver/events", fresh, number)
        finally:
            repeats.unpersist()

    def _repeats(self, valid: DataFrame, dates: list[date]) -> DataFrame:
        """Places of the rows whose key came before, in Silver or in this batch, and whether the content is equal.

        Exact over all history and without state: the key holds the time, so a exact duplicate is in Silver's partition
        of that date.
        """
        of_key = Window.partitionBy(*_KEY).orderBy("kafka_partition", "kafka_offset")
        keys = valid.select("kafka_partition", "kafka_offset", *_KEY, "content_hash").withColumns(
            {"nth": F.row_number().over(of_key), "first": F.first("content_hash").over(of_key)}
        )
        judged = keys.join(self._known(dates), _KEY, "left").where((F.col("nth") > 1) | F.isnotnull("standing"))
        exact_duplicate = F.col("content_hash") == F.coalesce("standing", "first")
        return judged.select("kafka_partition", "kafka_offset", exact_duplicate.alias("exact_duplicate"))

    def _known(self, dates: list[date]) -> DataFrame:
        path = self._root / "silver/events"
        if not (path / "_delta_log").exists():
            return self._spark.createDataFrame([], "patient_key string, event_time timestamp, standing bigint")
        silver = self._spark.read.format("delta").load(str(path)).where(F.col("event_date").isin(dates))
        return silver.select(*_KEY, F.col("content_hash").alias("standing"))

    def _encrypted_rows(self, rows: DataFrame, *more: Column) -> DataFrame:
        encrypted = self._key.encrypted(F.col("value"), F.concat_ws(":", *_PLACE))
        told = {
            "payload": encrypted,
            "key_id": F.lit(self._key.key_id),
            "ingest_date": F.to_date("ingested_at"),
        }
        return rows.withColumns(told).select(*_BRONZE, *more)

    def _append(self, table: str, rows: DataFrame, number: int) -> None:
        silver = table == "silver/events"
        writer = rows.write.format("delta").mode("append").option("txnAppId", "wardlake").option("txnVersion", number)
        # What is encrypted does not compress: to try is wasted.
        (
            writer.option("compression", "zstd" if silver else "none")
            .option("delta.dataSkippingStatsColumns", _STATISTICS[table])
            .partitionBy("event_date" if silver else "ingest_date")
            .save(str(self._root / table))
        )


def _taken_in(rows: DataFrame) -> DataFrame:
    """Kafka's columns by the lake's names. Spark does not tell a topic's id; its name stands for it."""
    return rows.select(
        "value",
        "topic",
        F.col("topic").alias("topic_id"),
        F.col("partition").alias("kafka_partition"),
        F.col("offset").alias("kafka_offset"),
        F.col("timestamp").alias("kafka_time"),
    )


def main() -> None:
    """Stream until caught up with what the broker says is there."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.spark.ingest", description=__doc__)
    for name in ("--bootstrap", "--topic", "--key-hex"):
        parser.add_argument(name, required=True)
    parser.add_argument("--events", type=int, required=True, help="how many are on the topic")
    parser.add_argument("--batch", type=int, default=_BATCH, help="messages of a micro-batch")
    parser.add_argument("--policy", default="display:0000000000000000", help="name:fingerprint")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    landings = Landings()
    name, _, fingerprint = asked.policy.partition(":")
    spark, root = session(asked.work), asked.work / "lake"
    stream = Stream(spark, root, Key(bytes.fromhex(asked.key_hex)), (name, fingerprint))
    source = spark.readStream.format("kafka").options(
        **{
            "kafka.bootstrap.servers": asked.bootstrap,
            "subscribe": asked.topic,
            "startingOffsets": "earliest",
            "maxOffsetsPerTrigger": min(asked.batch, asked.events // 4),
        }
    )
    query = (
        source.load()
        .coalesce(spark.sparkContext.defaultParallelism)
        .writeStream.foreachBatch(lambda rows, number: landings.note(stream.land(rows, number)))
        .option("checkpointLocation", str(asked.work / "checkpoint"))
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()
    figures = landings.figures() | {"bytes_on_disk": size(root)}
    tables = {table: size(root / table) for table in _STATISTICS}
    write(asked.out, figures, tables=tables, landings=landings.rows())
    spark.stop()


if __name__ == "__main__":
    main()
