"""What ``wardlake status`` shows: table versions and sizes, and how far the lake is behind the topic."""

from typing import Final

import polars as pl
from confluent_kafka import KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from deltalake import DeltaTable

from app.stream.broker_offsets import end_offsets
from lake.contracts.tables import DERIVED
from lake.gold.tables import GOLD
from lake.kafka import Kafka
from lake.storage.store import DeltaStore, Lake

_SECONDS: Final = 3


def table_states(lake: Lake) -> list[dict[str, object]]:
    """Per table that is there: name, Delta version, live files, bytes and rows."""
    states: list[dict[str, object]] = []
    derived = (DeltaStore(lake.root, table) for table in (*DERIVED, *GOLD))
    there = (store for store in derived if DeltaTable.is_deltatable(str(store.path)))
    for store in (*lake.stores.values(), *there):
        files = store.files().select("size_bytes")
        states.append(
            {
                "table": store.table.name,
                "version": store.handle.version(),
                "files": files.height,
                "bytes": int(files["size_bytes"].sum()),
                "rows": int(store.scan().select(pl.len()).collect().item()),
            }
        )
    return states


def lag_by_partition(lake: Lake, kafka: Kafka, topic: str) -> list[dict[str, int]] | None:
    """Per partition: last landed offset, the topic's end and what is between; None without broker or topic."""
    admin = AdminClient(kafka.client())
    try:
        described = admin.describe_topics(TopicCollection([topic]), request_timeout=_SECONDS)[topic].result(_SECONDS)
        partitions = [partition.id for partition in described.partitions]
        asked = {TopicPartition(topic, partition): OffsetSpec.earliest() for partition in partitions}
        found = admin.list_offsets(asked, request_timeout=_SECONDS)
        starts = {tp.partition: future.result(_SECONDS).offset for tp, future in found.items()}
    except (KafkaException, TimeoutError):
        return None
    landed = {partition: lake.landed(str(described.topic_id), partition) for partition in partitions}
    ends = end_offsets(kafka, topic, {p: max(landed[p], starts[p]) for p in partitions})
    return [
        {"partition": p, "landed": landed[p], "end": ends[p], "lag": max(ends[p] - max(landed[p] + 1, starts[p]), 0)}
        for p in partitions
        if p in ends
    ]
