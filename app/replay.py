"""Deciding again on what Bronze and the quarantine hold, under today's rules and policy."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from typing import Final

import polars as pl

from app.steps.deduplicate import Deduplicated, deduplicate, key_columns
from app.stream.batch import MicroBatch
from app.stream.landing import Landed, Landing, field_counts, silver_rows
from app.stream.steps import steps
from lake import takeover
from lake.dedup_index import DedupIndex
from lake.policy import Policy
from lake.sealing import places
from lake.store import Lake
from lake.tables import BRONZE, INGEST, PLACE, QUARANTINE, SILVER, UTC

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

    Messages are decided in the order they came in. The new tables are built beside and taken over at the end:
    until then, and after a crash before then, the old ones stand. The stream waits meanwhile.
    """
    with lake.landing_lock():
        takeover.finish(lake)
        lake.refresh()
        beside = takeover.begin(lake, (QUARANTINE, INGEST, SILVER))
        landing = Landing(beside, policy, dedup_key, now, kind="replay")
        total = int(lake.store(BRONZE).scan().select(pl.len()).collect().item())
        landed: list[Landed] = []
        for rows in _in_order_of_arrival(lake):
            for batch in _decided(lake, policy, rows):
                for partition in batch.last_offsets():
                    landing.expect(batch.topic_id, partition)
                landed += landing.land(batch)
            progress(sum(batch.messages for batch in landed), total)
        takeover.commit(lake, {t.name: "overwrite" for t in (SILVER, QUARANTINE, INGEST)})
    return _total(landed)


def replay_quarantine(lake: Lake, policy: Policy, dedup_key: Sequence[str], now: Callable[[], datetime]) -> Replayed:
    """Try what is in quarantine again; what is valid now goes to Silver, or is counted when its twin is there.

    All of it becomes visible at once or, after a crash, not at all. Returns what the retried messages came to.
    """
    with lake.landing_lock():
        takeover.finish(lake)
        lake.refresh()
        held = lake.store(QUARANTINE).scan().collect()
        batches = _decided(lake, policy, held.filter(pl.col("resolved_at").is_null()))
        if not batches:
            return Replayed(0, 0, 0, 0)
        rows = pl.concat([silver_rows(batch) for batch in batches])
        index = DedupIndex(lake.store(SILVER), key_columns(dedup_key))
        split = deduplicate(rows, index.known(rows["event_date"].unique().to_list()), key_columns(dedup_key))
        resolved = pl.concat([split.fresh, split.duplicates]).select(*PLACE, settled=pl.lit(now()).cast(UTC))
        settled = held.join(resolved, on=PLACE, how="left").with_columns(
            resolved_at=pl.coalesce("resolved_at", "settled")
        )
        beside = takeover.begin(lake, (QUARANTINE, INGEST, SILVER))
        beside.store(SILVER).append(split.fresh, {})
        beside.store(QUARANTINE).append(settled, {})
        beside.store(INGEST).append(_corrections(batches, split, policy, now()), {})
        takeover.commit(lake, {SILVER.name: "append", INGEST.name: "append", QUARANTINE.name: "overwrite"})
    tried = sum(batch.messages.height for batch in batches)
    taken, known = split.fresh.height, split.duplicates.height
    return Replayed(tried, taken, tried - taken - known, known)


def _decided(lake: Lake, policy: Policy, rows: pl.DataFrame) -> list[MicroBatch]:
    """Sealed rows as micro-batches, one per topic, taken through the stream's own steps."""
    work = steps(policy, lake.key)
    ordered = rows.sort("topic_id", "kafka_partition", "kafka_offset")
    return [
        reduce(lambda batch, step: step(batch), work, _opened(lake, part))
        for part in ordered.partition_by("topic_id", maintain_order=True)
    ]


def _opened(lake: Lake, rows: pl.DataFrame) -> MicroBatch:
    topic, topic_id, sealed = rows["topic"][0], rows["topic_id"][0], rows["payload"]
    future: Future[pl.Series] = Future()
    future.set_result(sealed)
    return MicroBatch(
        topic=topic,
        topic_id=topic_id,
        messages=rows.select("kafka_partition", "kafka_offset", "kafka_time", "ingested_at").with_row_index("row"),
        payloads=lake.key.unseal(sealed.to_list(), places(topic_id, rows["kafka_partition"], rows["kafka_offset"])),
        sealed=future,
    )


def _in_order_of_arrival(lake: Lake) -> Iterator[pl.DataFrame]:
    """Bronze in slices of about ``_SLICE_ROWS``, oldest ingest first; rows of one landing stay together."""
    bronze = lake.store(BRONZE)
    arrivals = bronze.scan().group_by("ingested_at").len().sort("ingested_at").collect()
    slices = arrivals.with_columns(slice=pl.col("len").cum_sum() // _SLICE_ROWS).group_by("slice", maintain_order=True)
    for low, high in (
        slices.agg(pl.col("ingested_at").min(), high=pl.col("ingested_at").max())
        .select("ingested_at", "high")
        .iter_rows()
    ):
        yield bronze.scan().filter(pl.col("ingested_at").is_between(low, high)).collect()


def _corrections(batches: Sequence[MicroBatch], split: Deduplicated, policy: Policy, now: datetime) -> pl.DataFrame:
    """``ops/ingest`` rows that move messages from quarantined to silver or duplicates; none is counted anew."""
    rows = []
    for batch in batches:
        for partition, last in batch.last_offsets().items():
            mine = (pl.col("topic_id") == batch.topic_id) & (pl.col("kafka_partition") == partition)
            fresh, duplicates = split.fresh.filter(mine), split.duplicates.filter(mine).height
            rows.append(
                {
                    "batch_id": uuid.uuid4().hex,
                    "kind": "quarantine_replay",
                    "topic_id": batch.topic_id,
                    "kafka_partition": partition,
                    "first_offset": batch.messages.filter(kafka_partition=partition)["kafka_offset"].min(),
                    "last_offset": last,
                    "messages": 0,
                    "silver": fresh.height,
                    "quarantined": -(fresh.height + duplicates),
                    "duplicates": duplicates,
                    "unknown_fields": 0,
                    "rules": [],
                    "fields": field_counts(batch, fresh),
                    "seconds": [],
                    "policy": policy.name,
                    "policy_fingerprint": policy.fingerprint,
                    "ingested_at": now,
                    "ingest_date": now.date(),
                }
            )
    return pl.DataFrame(rows, schema=INGEST.polars_schema)


def _total(landed: Sequence[Landed]) -> Replayed:
    return Replayed(
        messages=sum(batch.messages for batch in landed),
        silver=sum(batch.silver for batch in landed),
        quarantined=sum(batch.quarantined for batch in landed),
        duplicates=sum(batch.duplicates for batch in landed),
    )
