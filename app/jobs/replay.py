"""Deciding again on what Bronze and the quarantine hold, under today's rules."""

import uuid
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from datetime import datetime

import polars as pl

from app.stream.batches import MaskedBatch
from app.stream.decide import Rules
from app.stream.exactly_once_writer import BatchWriter, Landed
from app.stream.landing import Landing
from app.stream.recovery import decide_again, recover
from app.stream.transforms.deduplicate import Deduplicated, deduplicate, key_columns
from lake.contracts.tables import INGEST, KAFKA_COORDINATES, QUARANTINE, SILVER, UTC
from lake.errors import StreamPositionError
from lake.security.masking_policy import Policy
from lake.storage import bronze, table_swap
from lake.storage.chunked_scan import chunks
from lake.storage.dedup_index import DedupIndex
from lake.storage.store import Lake


@dataclass(frozen=True)
class Replayed:
    """What a rebuild came to, in messages."""

    messages: int
    silver: int
    quarantined: int
    duplicates: int
    ignored: int


def replay(
    lake: Lake,
    rules: Rules,
    now: Callable[[], datetime],
    progress: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005
) -> Replayed:
    """Rebuild Silver, the quarantine and ``ops/ingest`` from Bronze by ``rules``; Bronze stays as it is.

    Messages are decided partition by partition, in the order of their offsets. The new tables are built next to the
    lake and swapped in at the end: until then, and after a crash before then, the old ones stay. The stream waits.
    """
    with lake.landing_lock():
        recover(BatchWriter(lake, rules, now))
        beside = table_swap.begin(lake, (QUARANTINE, INGEST, SILVER))
        total = bronze.total(lake)
        landed: list[Landed] = []
        # Closed before the table swap, which is not to meet a compaction of what it takes.
        with closing(Landing(beside, rules, now, kind="replay")) as landing:
            for messages in bronze.messages(lake):
                for batch in decide_again(lake, rules, messages):
                    for partition in batch.raw.last_offsets():
                        landing.expect(batch.raw.topic_id, partition)
                    landed += landing.land(batch)
                progress(sum(batch.messages for batch in landed), total)
        if (counted := sum(batch.messages for batch in landed)) != total:
            raise StreamPositionError(
                "the replay does not account for every message",
                got=f"{counted} of {total}",
                expected="all that Bronze holds",
                next_move="the old tables stay; please report it",
            )
        table_swap.commit(lake, {t.name: "overwrite" for t in (SILVER, QUARANTINE, INGEST)})
    return _sum(landed)


def replay_quarantine(lake: Lake, rules: Rules, now: Callable[[], datetime]) -> Replayed:
    """Try what is in quarantine again; what is valid now goes to Silver, or is counted if a duplicate is there.

    All of it becomes visible at once or, after a crash, not at all. Returns what the retried messages came to.
    """
    key, done, taken = key_columns(rules.dedup_key), list[Replayed](), list[pl.DataFrame]()
    with lake.landing_lock():
        recover(BatchWriter(lake, rules, now))
        index = DedupIndex(lake.store(SILVER), key)
        beside = table_swap.begin(lake, (QUARANTINE, INGEST, SILVER))
        for held in chunks(lake, QUARANTINE):
            settled = [held.filter(pl.col("resolved_at").is_not_null())]
            waiting = held.filter(pl.col("resolved_at").is_null())
            for messages in bronze.messages(lake, of=waiting):
                for batch in decide_again(lake, rules, messages):
                    rows = batch.silver_rows()
                    split = deduplicate(rows, pl.concat([index.known(rows), *taken]), key)
                    taken.append(split.fresh.select(*key, "content_hash"))
                    beside.store(SILVER).append(split.fresh, {})
                    beside.store(INGEST).append(_corrections(batch, split, rules.policy, now()), {})
                    tried = waiting.join(
                        batch.raw.with_coordinates(batch.raw.messages.select("row")), on=KAFKA_COORDINATES, how="semi"
                    )
                    settled.append(_settled(tried, batch, split, now()))
                    done.append(_retried(batch, split))
            # What Bronze no longer has stays in quarantine as it is.
            settled.append(waiting.join(pl.concat(settled), on=KAFKA_COORDINATES, how="anti"))
            beside.store(QUARANTINE).append(pl.concat(settled), {})
        if done:
            table_swap.commit(lake, {SILVER.name: "append", INGEST.name: "append", QUARANTINE.name: "overwrite"})
        else:
            table_swap.finish(lake)  # without a note, which clears away what was begun
    return _sum(done)


def _taken_in(batch: MaskedBatch, split: Deduplicated) -> pl.DataFrame:
    """The messages (``KAFKA_COORDINATES``) that did not fail: in Silver, duplicates, or ignored."""
    parts = [split.fresh, split.duplicates, batch.raw.with_coordinates(batch.ignored())]
    return pl.concat([part.select(KAFKA_COORDINATES) for part in parts]).unique()


def _settled(held: pl.DataFrame, batch: MaskedBatch, split: Deduplicated, now: datetime) -> pl.DataFrame:
    """Quarantine rows of a batch, with the time when those were resolved that did not fail this time."""
    resolved = _taken_in(batch, split).with_columns(settled=pl.lit(now).cast(UTC))
    return (
        held.join(resolved, on=KAFKA_COORDINATES, how="left")
        .with_columns(resolved_at=pl.coalesce("resolved_at", "settled"))
        .drop("settled")
    )


def _retried(batch: MaskedBatch, split: Deduplicated) -> Replayed:
    tried, silver = batch.raw.messages.height, split.fresh["row"].n_unique()
    known, ignored = split.duplicates.height, batch.ignored().height
    return Replayed(tried, silver, tried - silver - known - ignored, known, ignored)


def _corrections(batch: MaskedBatch, split: Deduplicated, policy: Policy, now: datetime) -> pl.DataFrame:
    """``ops/ingest`` rows that move messages out of the quarantine; none is counted again."""
    rows, ignored = [], batch.raw.with_coordinates(batch.ignored())
    for partition, last in batch.raw.last_offsets().items():
        mine = pl.col("kafka_partition") == partition
        fresh = split.fresh.filter(mine)
        silver = fresh["row"].n_unique()
        duplicates, passed_over = split.duplicates.filter(mine).height, ignored.filter(mine).height
        rows.append(
            {
                "batch_id": uuid.uuid4().hex,
                "kind": "quarantine_replay",
                "topic_id": batch.raw.topic_id,
                "kafka_partition": partition,
                "first_offset": batch.raw.messages.filter(kafka_partition=partition)["kafka_offset"].min(),
                "last_offset": last,
                "messages": 0,
                "silver": silver,
                "quarantined": -(silver + duplicates + passed_over),
                "duplicates": duplicates,
                "ignored": passed_over,
                "events": fresh.height,
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
    counted = {field.name: sum(getattr(part, field.name) for part in parts) for field in fields(Replayed)}
    return Replayed(**counted)
