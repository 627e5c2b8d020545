"""Recovery: what a crash cut short is finished before anything else is landed, replayed or read with the key.

A landing that was cut short is known by Bronze's position in a partition being ahead of Silver's. Its messages are
taken from Bronze, not from Kafka: all that Silver's positions do not cover, with the time of ingest that Bronze
recorded. They are decided again as before, against the Silver that was there then, and what was committed before the
crash is not repeated (``exactly_once_writer``).
"""

from collections.abc import Sequence

import polars as pl

from app.stream.batches import MaskedBatch, RawBatch
from app.stream.decide import Rules, decide
from app.stream.exactly_once_writer import BatchWriter
from lake.contracts.tables import BRONZE, SILVER
from lake.storage import bronze, record_batch, table_swap
from lake.storage.store import Lake

Partition = tuple[str, int]
"""A Kafka partition: topic id and number."""


def recover(writer: BatchWriter, partitions: Sequence[Partition] | None = None) -> None:
    """Carry through what a crash cut short in the writer's lake: a table swap, and landings of these partitions.

    ``partitions`` None: of all, which needs the landing lock to be held alone, for a landing that goes on looks like
    one that was cut short. So it is too where the lake's numbered landings, which take turns, have one that has no end.
    Raises ``LakeError`` where the lake's key was rotated since it was opened.
    """
    lake = writer.lake
    lake.require_current_key()
    table_swap.finish(lake)
    writer.refresh()
    if BRONZE.name not in lake.stores:
        return
    turns = writer.rules.dedup_scope == "lake"
    if partitions is None or (turns and lake.landings_begun() > lake.landings_done()):
        partitions = list(bronze.ends(lake))
    messages = _cut_short(lake, partitions)
    for batch in decide_again(lake, writer.rules, messages):
        writer.write(batch, lake.landings_begun() or None)


def decide_again(lake: Lake, rules: Rules, messages: pl.DataFrame) -> list[MaskedBatch]:
    """Messages of Bronze (``record_batch.MESSAGES``) as micro-batches, one per topic, through the stream's steps."""
    ordered = messages.sort("topic_id", "kafka_partition", "kafka_offset")
    return [decide(_raw(part), rules, lake.key) for part in ordered.partition_by("topic_id", maintain_order=True)]


def _raw(messages: pl.DataFrame) -> RawBatch:
    return RawBatch(
        topic=messages["topic"][0],
        topic_id=messages["topic_id"][0],
        messages=messages.select("kafka_partition", "kafka_offset", "kafka_key", "ingested_at").with_row_index("row"),
        payloads=messages["value"].to_list(),
    )


def _cut_short(lake: Lake, partitions: Sequence[Partition]) -> pl.DataFrame:
    """The messages of Bronze that Silver's positions do not cover: those of landings that were not finished."""
    begun, done = lake.store(BRONZE), lake.store(SILVER)
    behind = {at: done.position(*at) for at in partitions if begun.position(*at) > done.position(*at)}
    if not behind:
        return pl.DataFrame(schema=record_batch.MESSAGES)

    def later(offset: str) -> pl.Expr:
        return pl.any_horizontal(
            (pl.col("topic_id") == topic_id) & (pl.col("kafka_partition") == partition) & (pl.col(offset) > last)
            for (topic_id, partition), last in behind.items()
        )

    rows = begun.scan().filter(later("last_offset")).collect()
    return record_batch.opened(rows, lake.key).filter(later("kafka_offset"))
