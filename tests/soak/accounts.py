"""The account of every message: what the broker took, held against what the lake has, row by row."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import polars as pl
from confluent_kafka import TopicCollection
from confluent_kafka.admin import AdminClient

from app.jobs.status import lag_by_partition
from lake.contracts.event import OUTCOMES
from lake.contracts.tables import BRONZE, EVENT_COORDINATES, INGEST, KAFKA_COORDINATES, QUARANTINE, SILVER
from lake.kafka import Kafka
from lake.storage.store import Lake, open_lake
from tests.soak.stage import PARTITIONS, Stage

_PARTITION: Final = ["topic_id", "kafka_partition"]
_KEY: Final = ["patient_key", "event_time"]


@dataclass(frozen=True)
class Generation:
    """A topic as it was when all of it had landed: its id, and per partition the broker's high watermark."""

    topic_id: str
    ends: dict[int, int]


@dataclass
class Account:
    """Messages by where they are. ``lost`` and ``duplicated`` are the sums of what ``findings`` tell."""

    events_in: int = 0
    silver: int = 0
    quarantined: int = 0
    duplicates: int = 0
    ignored: int = 0
    lost: int = 0
    duplicated: int = 0
    findings: list[str] = field(default_factory=list)


def drained(stage: Stage) -> Generation | None:
    """The topic's generation if all of it has landed, else None."""
    lag = lag_by_partition(open_lake(stage.lake), Kafka(stage.bootstrap), stage.topic)
    if lag is None or len(lag) < PARTITIONS or any(row["lag"] for row in lag):
        return None
    admin = AdminClient({"bootstrap.servers": stage.bootstrap, "log_level": 0})
    described = admin.describe_topics(TopicCollection([stage.topic]))[stage.topic].result(10)
    return Generation(str(described.topic_id), {row["partition"]: row["end"] for row in lag})


def judge(root: Path, generations: Sequence[Generation], *, whole: bool) -> Account:
    """Hold the lake against the broker's watermarks of each generation and partition.

    ``whole``: these generations are all that there were; rows of another are rows that nobody sent.
    """
    lake, account = open_lake(root), Account()
    ends = [
        {"topic_id": one.topic_id, "kafka_partition": partition, "end": end}
        for one in generations
        for partition, end in one.ends.items()
    ]
    schema = {"topic_id": pl.String, "kafka_partition": pl.Int32, "end": pl.Int64}
    known = pl.DataFrame(ends, schema=schema)
    frame = known.join(_counted(lake), on=_PARTITION, how="full" if whole else "left", coalesce=True).fill_null(0)
    for row in frame.sort(_PARTITION).iter_rows(named=True):
        _hold(account, row)
    twice = lake.store(SILVER).scan().group_by(_KEY).len().filter(pl.col("len") > 1).select(pl.len()).collect().item()
    _note(account, "duplicated", twice, "deduplication keys stand twice in Silver")
    return account


def _hold(account: Account, row: dict[str, int]) -> None:
    """One partition of one generation."""
    where = f"partition {row['kafka_partition']} of topic {row['topic_id']}"
    decided = sum(row[name] for name in OUTCOMES)
    account.events_in += row["end"]
    for name in OUTCOMES:
        setattr(account, name, getattr(account, name) + row[name])
    _note(account, "lost", row["end"] - min(row["bronze"], decided, row["messages"]), f"missing in {where}")
    _note(account, "duplicated", max(row["bronze"], decided, row["messages"]) - row["end"], f"too many in {where}")
    _note(account, "duplicated", row["bronze_twice"], f"record batches of messages that Bronze had, {where}")
    _note(account, "duplicated", row["silver_rows"] - row["silver_events"], f"events twice in Silver, {where}")
    _note(account, "duplicated", row["silver"] + row["held_rows"] - row["decided"], f"places decided twice, {where}")


def _note(account: Account, kind: str, number: int, what: str) -> None:
    if number > 0:
        setattr(account, kind, getattr(account, kind) + number)
        account.findings.append(f"{kind}: {number} {what}")


def _counted(lake: Lake) -> pl.DataFrame:
    """Per partition, messages and distinct places of each table, and the sums of the books."""
    batches = (
        lake.store(BRONZE).scan().select(*_PARTITION, "first_offset", "last_offset", pl.col("messages").alias("held"))
    )
    silver = lake.store(SILVER).scan().select(EVENT_COORDINATES)
    held = lake.store(QUARANTINE).scan().filter(pl.col("resolved_at").is_null()).select(KAFKA_COORDINATES)
    places = pl.col("kafka_offset").n_unique().cast(pl.Int64)
    rows = pl.len().cast(pl.Int64)
    first, last = (pl.col(f"{end}_offset").sort_by("first_offset", "last_offset") for end in ("first", "last"))
    again = (first <= last.cum_max().shift(1, fill_value=-1)).sum().cast(pl.Int64)
    parts = [
        batches.group_by(_PARTITION).agg(bronze=pl.col("held").sum(), bronze_twice=again),
        silver.group_by(_PARTITION).agg(
            silver=places,
            silver_rows=rows,
            silver_events=pl.struct("kafka_offset", "event_index").n_unique().cast(pl.Int64),
        ),
        held.group_by(_PARTITION).agg(quarantined=places, held_rows=rows),
        pl.concat([silver.select(KAFKA_COORDINATES), held]).group_by(_PARTITION).agg(decided=places),
        lake.store(INGEST).scan().group_by(_PARTITION).agg(pl.col("messages", "duplicates", "ignored").sum()),
    ]
    frame = parts[0].collect()
    for part in parts[1:]:
        frame = frame.join(part.collect(), on=_PARTITION, how="full", coalesce=True)
    return frame
