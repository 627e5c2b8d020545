"""What ``wardlake status`` shows: table versions and sizes, and how far the lake is behind the topic."""

from typing import Final

import polars as pl
from confluent_kafka import KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from lake.store import Lake

_SECONDS: Final = 5


def table_states(lake: Lake) -> list[dict[str, object]]:
    """Per table: name, Delta version, live files, bytes and rows."""
    states: list[dict[str, object]] = []
    for name, store in lake.stores.items():
        files = pl.DataFrame(store.handle.get_add_actions(flatten=True)).select("size_bytes")
        states.append(
            {
                "table": name,
                "version": store.handle.version(),
                "files": files.height,
                "bytes": int(files["size_bytes"].sum()),
                "rows": int(store.scan().select(pl.len()).collect().item()),
            }
        )
    return states


def lag_by_partition(lake: Lake, admin: AdminClient | None, topic: str) -> list[dict[str, int]] | None:
    """Per partition: last landed offset, the topic's end and what is between; None without broker or topic."""
    if admin is None:
        return None
    try:
        described = admin.describe_topics(TopicCollection([topic]), request_timeout=_SECONDS)[topic].result(_SECONDS)
        partitions = [TopicPartition(topic, p.id) for p in described.partitions]
        ends = admin.list_offsets({tp: OffsetSpec.latest() for tp in partitions}, request_timeout=_SECONDS)
        starts = admin.list_offsets({tp: OffsetSpec.earliest() for tp in partitions}, request_timeout=_SECONDS)
        found = []
        for tp in partitions:
            landed = lake.landed(str(described.topic_id), tp.partition)
            start, end = starts[tp].result(_SECONDS).offset, ends[tp].result(_SECONDS).offset
            lag = max(end - max(landed + 1, start), 0)
            found.append({"partition": tp.partition, "landed": landed, "end": end, "lag": lag})
    except (KafkaException, TimeoutError):
        return None
    return found
