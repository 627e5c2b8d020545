"""Deciding again on what Bronze and the quarantine hold, under today's rules and policy."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

from app.stream.batches import MaskedBatch
from app.stream.exactly_once_writer import BatchWriter, Landed
from app.stream.landing import Landing
from app.stream.recovery import decide_again, recover
from app.stream.transforms.deduplicate import Deduplicated, deduplicate, key_columns
from lake.contracts.tables import BRONZE, INGEST, KAFKA_COORDINATES, QUARANTINE, SILVER, UTC
from lake.errors import StreamPositionError
from lake.security.masking_policy import Policy
from lake.storage import table_swap
from lake.storage.chunked_scan import at_once, chunks
from lake.storage.dedup_index import DedupIndex
from lake.storage.store import Lake

_SLICE_ROWS: Final = 50_000


@dataclass(frozen=True)
class Replayed:
    """What a rebuild came to, in messages."""

    messages: int
    silver: int
    quarantined: int
    duplicates: int


def replay(
    lake: Lake,
    policy: Policy,
    dedup_key: Sequence[str],
    now: Callable[[], datetime],
    progress: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005
) -> Replayed:
    """Rebuild Silver, the quarantine and ``ops/ingest`` from Bronze with ``policy``; Bronze stays as it is.

    Messages are decided partition by partition, in the order of their offsets. The new tables are built beside and
    taken over at the end: until then, and after a crash before then, the old ones stand. The stream waits meanwhile.
    """
    with lake.landing_lock():
        recover(BatchWriter(lake, policy, dedup_key, now))
        beside = table_swap.begin(lake, (QUARANTINE, INGEST, SILVER))
        total = int(lake.store(BRONZE).scan().select(pl.len()).collect().item())
        landed: list[Landed] = []
        # Closed before the table swap, which is not to meet a compaction of what it takes.
        with closing(Landing(beside, policy, dedup_key, now, kind="replay")) as landing:
            for rows in _in_order(lake):
                for batch in decide_again(lake, policy, rows):
                    for partition in batch.raw.last_offsets():
                        landing.expect(batch.raw.topic_id, partition)
                    landed += landing.land(batch)
                progress(sum(batch.messages for batch in landed), total)
        if (counted := sum(batch.messages for batch in landed)) != total:
            raise StreamPositionError(
                "the replay does not account for every message",
                got=f"{counted} of {total}",
                expected="all that Bronze holds",
                next_move="the old tables stand; please report it",
            )
        table_swap.commit(lake, {t.name: "overwrite" for t in (SILVER, QUARANTINE, INGEST)})
    return _sum(landed)


def replay_quarantine(lake: Lake, policy: Policy, dedup_key: Sequence[str], now: Callable[[], datetime]) -> Replayed:
    """Try what is in quarantine again; what is valid now goes to Silver, or is counted if a duplicate is there.

    All of it becomes visible at once or, after a crash, not at all. Returns what the retried messages came to.
    """
    key, done, taken = key_columns(dedup_key), list[Replayed](), list[pl.DataFrame]()
    with lake.landing_lock():
        recover(BatchWriter(lake, policy, dedup_key, now))
        index = DedupIndex(lake.store(SILVER), key)
        beside = table_swap.begin(lake, (QUARANTINE, INGEST, SILVER))
        for held in chunks(lake, QUARANTINE, most=_SLICE_ROWS):
            settled = held
            if batches := decide_again(lake, policy, held.filter(pl.col("resolved_at").is_null())):
                rows = pl.concat([batch.silver_rows() for batch in batches])
                split = deduplicate(rows, pl.concat([index.known(rows), *taken]), key)
                taken.append(split.fresh.select(*key, "content_hash"))
                beside.store(SILVER).append(split.fresh, {})
                beside.store(INGEST).append(_corrections(batches, split, policy, now()), {})
                settled = _settled(held, split, now())
                done.append(_retried(batches, split))
            beside.store(QUARANTINE).append(settled, {})
        if done:
            table_swap.commit(lake, {SILVER.name: "append", INGEST.name: "append", QUARANTINE.name: "overwrite"})
        else:
            table_swap.finish(lake)  # without a note, which clears away what was begun
    return _sum(done)


def _settled(held: pl.DataFrame, split: Deduplicated, now: datetime) -> pl.DataFrame:
    """Quarantine rows, with the time when those were resolved that are in Silver or counted as duplicates now."""
    resolved = pl.concat([split.fresh, split.duplicates]).select(*KAFKA_COORDINATES, settled=pl.lit(now).cast(UTC))
    return held.join(resolved, on=KAFKA_COORDINATES, how="left").with_columns(
        resolved_at=pl.coalesce("resolved_at", "settled")
    )


def _retried(batches: Sequence[MaskedBatch], split: Deduplicated) -> Replayed:
    tried, taken, known = (
        sum(batch.raw.messages.height for batch in batches),
        split.fresh.height,
        split.duplicates.height,
    )
    return Replayed(tried, taken, tried - taken - known, known)


def _in_order(lake: Lake) -> Iterator[pl.DataFrame]:
    """Bronze in slices of bounded size: topic by topic as they came into use, by partition and offset."""
    bronze, step = lake.store(BRONZE), at_once(lake, BRONZE, _SLICE_ROWS)
    ends = (
        bronze.scan()
        .group_by("topic_id", "kafka_partition")
        .agg(low=pl.col("kafka_offset").min(), high=pl.col("kafka_offset").max(), since=pl.col("ingested_at").min())
    )
    order = ends.with_columns(pl.col("since").min().over("topic_id")).sort("since", "topic_id", "kafka_partition")
    for topic_id, partition, low, high, _ in order.collect().iter_rows():
        for start in range(low, high + 1, step):
            rows = bronze.scan().filter(
                pl.col("topic_id") == topic_id,
                pl.col("kafka_partition") == partition,
                pl.col("kafka_offset").is_between(start, start + step - 1),
            )
            if (found := rows.collect()).height:
                yield found


def _corrections(batches: Sequence[MaskedBatch], split: Deduplicated, policy: Policy, now: datetime) -> pl.DataFrame:
    """``ops/ingest`` rows that move messages from quarantined to silver or duplicates; none is counted anew."""
    rows = []
    for batch in batches:
        for partition, last in batch.raw.last_offsets().items():
            mine = (pl.col("topic_id") == batch.raw.topic_id) & (pl.col("kafka_partition") == partition)
            fresh, duplicates = split.fresh.filter(mine), split.duplicates.filter(mine).height
            rows.append(
                {
                    "batch_id": uuid.uuid4().hex,
                    "kind": "quarantine_replay",
                    "topic_id": batch.raw.topic_id,
                    "kafka_partition": partition,
                    "first_offset": batch.raw.messages.filter(kafka_partition=partition)["kafka_offset"].min(),
                    "last_offset": last,
                    "messages": 0,
                    "silver": fresh.height,
                    "quarantined": -(fresh.height + duplicates),
                    "duplicates": duplicates,
                    "unknown_fields": 0,
                    "rules": [],
                    "fields": batch.field_counts(fresh),
                    "seconds": [],
                    "policy": policy.name,
                    "policy_fingerprint": policy.fingerprint,
                    "ingested_at": now,
                    "ingest_date": now.date(),
                }
            )
    return pl.DataFrame(rows, schema=INGEST.polars_schema)


def _sum(parts: Sequence[Replayed | Landed]) -> Replayed:
    return Replayed(
        messages=sum(part.messages for part in parts),
        silver=sum(part.silver for part in parts),
        quarantined=sum(part.quarantined for part in parts),
        duplicates=sum(part.duplicates for part in parts),
    )
