"""Recovery: what a crash cut short is finished before anything else is landed, replayed or read with the key.

A landing that was cut short is known by Silver's number being behind Bronze's. Its batch is taken from Bronze, not from
Kafka: all rows that Silver's positions do not cover, with the time of ingest that Bronze recorded. They are decided
again as before, against the Silver that was there then, and what was committed before the crash is not repeated
(``exactly_once_writer``).
"""

from concurrent.futures import Future

import polars as pl

from app.stream.batches import MaskedBatch, RawBatch
from app.stream.decide import decide
from app.stream.exactly_once_writer import BatchWriter
from lake.contracts.tables import BRONZE
from lake.security.encryption import associated_data
from lake.security.masking_policy import Policy
from lake.storage import table_swap
from lake.storage.store import Lake


def recover(writer: BatchWriter) -> None:
    """Carry through what a crash cut short in the writer's lake: a table swap, a landing. Under the landing lock.

    Raises ``LakeError`` where the lake's key was rotated since it was opened.
    """
    lake = writer.lake
    lake.require_current_key()
    table_swap.finish(lake)
    writer.refresh()
    if BRONZE.name in lake.stores and lake.landings_begun() > lake.landings_done():
        for batch in decide_again(lake, writer.policy, _cut_short(lake)):
            writer.write(batch, lake.landings_begun())


def decide_again(lake: Lake, policy: Policy, rows: pl.DataFrame) -> list[MaskedBatch]:
    """Encrypted Bronze rows as micro-batches, one per topic, taken through the stream's own steps."""
    ordered = rows.sort("topic_id", "kafka_partition", "kafka_offset")
    return [
        decide(_raw(lake, part), policy, lake.key) for part in ordered.partition_by("topic_id", maintain_order=True)
    ]


def _raw(lake: Lake, rows: pl.DataFrame) -> RawBatch:
    topic, topic_id, encrypted = rows["topic"][0], rows["topic_id"][0], rows["payload"].to_list()
    where, key_ids = (
        list(associated_data(topic_id, rows["kafka_partition"], rows["kafka_offset"])),
        rows["key_id"].to_list(),
    )
    future: Future[pl.Series] = Future()
    # What is landed again names the key of today, so it is encrypted with it.
    future.set_result(pl.Series("payload", lake.key.renew(encrypted, where, key_ids), dtype=pl.Binary))
    return RawBatch(
        topic=topic,
        topic_id=topic_id,
        messages=rows.select("kafka_partition", "kafka_offset", "kafka_time", "ingested_at").with_row_index("row"),
        payloads=lake.key.decrypt(encrypted, where, key_ids),
        encrypted=future,
    )


def _cut_short(lake: Lake) -> pl.DataFrame:
    """Bronze rows that Silver's positions do not cover: those of the one landing that was not finished."""
    bronze = lake.store(BRONZE).scan()
    ends = bronze.group_by("topic_id", "kafka_partition").agg(pl.col("kafka_offset").max()).collect()
    behind = [
        (pl.col("topic_id") == topic_id)
        & (pl.col("kafka_partition") == partition)
        & (pl.col("kafka_offset") > lake.landed(topic_id, partition))
        for topic_id, partition, end in ends.iter_rows()
        if end > lake.landed(topic_id, partition)
    ]
    return bronze.filter(pl.any_horizontal(pl.lit(value=False), *behind)).collect()
