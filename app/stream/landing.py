"""Landing: decided micro-batches become Delta commits, each message exactly once, in one of three places.

Guarantee, at rest and after any crash: per partition, messages = silver + quarantined + duplicates.

* Commits go Bronze, Quarantine, ops/ingest, Silver; each carries its partitions' new positions and the landing's
  number, atomically with its rows. Silver comes last, so a landing that was cut short is known by Silver's number
  being behind Bronze's. Whoever lands, replays or opens the lake next completes it first, from Bronze: the whole
  batch, with the time of ingest that Bronze recorded, against the Silver that stood then, decided as before.
* Per table, rows at or below its position are trimmed, so what was committed before the crash is not repeated.
* Whoever works from an outdated position (a consumer that lost its partition, a flush left behind by a
  rebalance) fails, either here (``PositionMoved``) or in the Delta commit, and writes nothing.

Landings are one after the other in the whole lake (by a lock, and failing that by their number), and each looks at
the Silver of the one before it: exact duplicates are found whichever partitions and streams they came through.
"""

import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl
from deltalake.exceptions import CommitFailedError

from app.stream.batches import MaskedBatch, RawBatch, Stopwatch, without_values_in_errors
from app.stream.decide import decide
from app.stream.transforms.deduplicate import CONFLICT, Deduplicated, deduplicate, key_columns
from lake.contracts.tables import BRONZE, INGEST, QUARANTINE, SILVER, UTC, Table
from lake.errors import WardlakeError, kind_of
from lake.security.encryption import places
from lake.security.masking_policy import Policy
from lake.storage import table_swap
from lake.storage.dedup_index import DedupIndex
from lake.storage.store import COMPACT_EVERY, LANDING_APP, DeltaStore, Lake, app_id

logger = logging.getLogger(__name__)

_INGEST: Final = INGEST.polars_schema

Position = tuple[str, int]
"""A Kafka partition: topic id and partition number."""


class PositionMoved(WardlakeError):  # noqa: N818 - an event, not a fault
    """Another writer landed messages of this partition; drop what is held and start again from the lake."""


@dataclass(frozen=True)
class Landed:
    """One landed batch of one partition, in counts."""

    batch_id: str
    topic_id: str
    partition: int
    first_offset: int
    last_offset: int
    messages: int
    silver: int
    quarantined: int
    duplicates: int
    seconds: dict[str, float]


class Landing:
    """Lands micro-batches in a lake. One per process; not thread-safe.

    After every 100th landing, the 51st the first, small files are compacted, on a thread of its own: where batches are
    small, that takes as long as several landings.

    ``now`` gives the time; it is called once per landing, for the batch's own record only.
    """

    def __init__(
        self,
        lake: Lake,
        policy: Policy,
        dedup_key: Sequence[str],
        now: Callable[[], datetime],
        kind: str = "stream",
    ) -> None:
        self._lake = lake
        self._policy = policy
        self._key = key_columns(dedup_key)
        self._index = DedupIndex(lake.store(SILVER), self._key)
        self._now = now
        self._kind = kind
        self._expected: dict[Position, int] = {}
        self._tidier = ThreadPoolExecutor(1, thread_name_prefix="tidy")
        self._tidying: Future[None] | None = None

    def close(self) -> None:
        """Wait for the compaction under way, if there is one."""
        self._tidier.shutdown()

    def expect(self, topic_id: str, partition: int) -> int:
        """Start (again) from what the lake holds of a partition. Returns the last offset that landed."""
        with self._lake.landing_lock():
            self.recover()
            self._expected[topic_id, partition] = self._lake.landed(topic_id, partition)
        return self._expected[topic_id, partition]

    def land(self, batch: MaskedBatch) -> list[Landed]:
        """Land a micro-batch; returns what it came to, per partition.

        Raises ``PositionMoved`` when another writer moved one of its partitions, ``StepError`` for any other
        trouble. Starting again from the lake completes what was not written.
        """
        with self._lake.landing_lock():
            self.recover()
            last = batch.raw.last_offsets()
            for partition in last:
                if self._lake.landed(batch.raw.topic_id, partition) != self._expected.get(
                    (batch.raw.topic_id, partition)
                ):
                    raise _moved(partition)
            number = self._lake.landings_begun() + 1
            landed = self._fenced(batch, number)
        for partition, offset in last.items():
            self._expected[batch.raw.topic_id, partition] = offset
        # Halfway, so that a stream soon takes the memory that it will take: the first time loads 4 MB of code.
        due = number % COMPACT_EVERY == COMPACT_EVERY // 2
        if due and (self._tidying is None or self._tidying.done()):
            self._tidying = self._tidier.submit(self._tidy)
        return landed

    def _tidy(self) -> None:
        """Compact; what goes wrong is logged: landings go on, and the next time is the next try."""
        try:
            self._lake.tidy()
        except Exception as error:
            logger.warning("small files were not compacted: %s", kind_of(error))

    def recover(self) -> None:
        """Carry through what a crash cut short: a table swap, a landing. Call under the landing lock.

        Raises ``LakeError`` where the lake's key was rotated since it was opened.
        """
        self._lake.require_current_key()
        table_swap.finish(self._lake)
        self._lake.refresh()
        self._index.sync()
        if BRONZE.name in self._lake.stores and self._lake.landings_begun() > self._lake.landings_done():
            for batch in decided(self._lake, self._policy, self._cut_short()):
                self._fenced(batch, self._lake.landings_begun())

    def _cut_short(self) -> pl.DataFrame:
        """Bronze rows that Silver's positions do not cover: those of the one landing that was not finished."""
        bronze = self._lake.store(BRONZE).scan()
        ends = bronze.group_by("topic_id", "kafka_partition").agg(pl.col("kafka_offset").max()).collect()
        behind = [
            (pl.col("topic_id") == topic_id)
            & (pl.col("kafka_partition") == partition)
            & (pl.col("kafka_offset") > self._lake.landed(topic_id, partition))
            for topic_id, partition, end in ends.iter_rows()
            if end > self._lake.landed(topic_id, partition)
        ]
        return bronze.filter(pl.any_horizontal(pl.lit(value=False), *behind)).collect()

    def _fenced(self, batch: MaskedBatch, number: int) -> list[Landed]:
        raw = batch.raw
        last = {app_id(raw.topic_id, partition): offset for partition, offset in raw.last_offsets().items()}
        return without_values_in_errors("land", raw, lambda: self._commit_unmoved(batch, {**last, LANDING_APP: number}))

    def _commit_unmoved(self, batch: MaskedBatch, last: Mapping[str, int]) -> list[Landed]:
        try:
            return self._commit(batch, last)
        except CommitFailedError:
            raise _moved(next(iter(batch.raw.last_offsets()))) from None

    def _commit(self, batch: MaskedBatch, last: Mapping[str, int]) -> list[Landed]:
        watch = Stopwatch()
        bronze = _bronze_rows(batch.raw, self._lake.key.key_id)
        watch.lap("encrypt")
        if BRONZE.name in self._lake.stores:  # a rebuild reads Bronze and leaves it as it is
            self._append(BRONZE, trim(self._lake.store(BRONZE), bronze), last)
        watch.lap("bronze")
        split = self._deduplicate(batch)
        watch.lap("deduplicate")
        quarantine = _quarantine_rows(bronze, batch, split.conflicts)
        if not quarantine.is_empty():
            self._append(QUARANTINE, trim(self._lake.store(QUARANTINE), quarantine), last)
        watch.lap("quarantine")
        ingest = self._ingest_rows(batch, quarantine, split, {**batch.seconds, **watch.seconds})
        self._append(INGEST, ingest, last)
        watch.lap("ingest")
        self._append(SILVER, split.fresh, last)
        self._index.add(split.fresh)
        watch.lap("silver")
        return [_landed(row, {**batch.seconds, **watch.seconds}) for row in ingest.iter_rows(named=True)]

    def _append(self, table: Table, rows: pl.DataFrame, last: Mapping[str, int]) -> None:
        """Commit trimmed rows and the positions that move; nothing where the table is ahead already."""
        store = self._lake.store(table)
        behind = {app: offset for app, offset in last.items() if store.position_of(app) < offset}
        if behind:
            store.append(rows, behind, tidy=False)

    def _deduplicate(self, batch: MaskedBatch) -> Deduplicated:
        rows = trim(self._lake.store(SILVER), batch.silver_rows())
        known = self._index.known(rows)
        return deduplicate(rows, known, self._key)

    def _ingest_rows(
        self, batch: MaskedBatch, quarantine: pl.DataFrame, split: Deduplicated, seconds: Mapping[str, float]
    ) -> pl.DataFrame:
        raw, now, batch_id = batch.raw, self._now(), uuid.uuid4().hex
        silver = split.fresh.select("row", "kafka_partition", "kafka_offset")  # the rest is many times wider
        rows = []
        for (partition,), messages in (
            trim(self._lake.store(INGEST), raw.with_coordinates(raw.messages.select("row")))
            .partition_by("kafka_partition", as_dict=True)
            .items()
        ):
            new = (pl.col("kafka_partition") == partition) & (pl.col("kafka_offset") >= messages["kafka_offset"].min())
            failed, fresh = quarantine.filter(new), silver.filter(new)
            rows.append(
                {
                    "batch_id": batch_id,
                    "kind": self._kind,
                    "topic_id": raw.topic_id,
                    "kafka_partition": partition,
                    "first_offset": messages["kafka_offset"].min(),
                    "last_offset": messages["kafka_offset"].max(),
                    "messages": messages.height,
                    "silver": fresh.height,
                    "quarantined": failed.height,
                    "duplicates": split.duplicates.filter(new).height,
                    "unknown_fields": batch.unknown_fields.join(messages, on="row", how="semi")["unknown_fields"].sum(),
                    "rules": _rule_counts(failed),
                    "fields": batch.field_counts(fresh),
                    "seconds": [{"step": step, "seconds": spent} for step, spent in seconds.items()],
                    "policy": self._policy.name,
                    "policy_fingerprint": self._policy.fingerprint,
                    "ingested_at": now,
                    "ingest_date": now.date(),
                }
            )
        return pl.DataFrame(rows, schema=_INGEST)


def decided(lake: Lake, policy: Policy, rows: pl.DataFrame) -> list[MaskedBatch]:
    """Encrypted Bronze rows as micro-batches, one per topic, taken through the stream's own steps."""
    ordered = rows.sort("topic_id", "kafka_partition", "kafka_offset")
    return [
        decide(_raw(lake, part), policy, lake.key) for part in ordered.partition_by("topic_id", maintain_order=True)
    ]


def _raw(lake: Lake, rows: pl.DataFrame) -> RawBatch:
    topic, topic_id, encrypted = rows["topic"][0], rows["topic_id"][0], rows["payload"].to_list()
    where, key_ids = list(places(topic_id, rows["kafka_partition"], rows["kafka_offset"])), rows["key_id"].to_list()
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


def trim(store: DeltaStore, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows above the positions that the table already accounts for."""
    firsts = rows.group_by("topic_id", "kafka_partition").agg(pl.col("kafka_offset").min())
    positions = [store.position(topic_id, partition) for topic_id, partition, _ in firsts.iter_rows()]
    at = firsts.with_columns(position=pl.Series(positions, dtype=pl.Int64))
    if (at["kafka_offset"] > at["position"]).all():  # as ever but after a crash
        return rows
    where = rows.select("topic_id", "kafka_partition", "kafka_offset")
    held = where.join(at.drop("kafka_offset"), on=["topic_id", "kafka_partition"], how="left", maintain_order="left")
    return rows.filter(held["kafka_offset"] > held["position"])


def _moved(partition: int) -> PositionMoved:
    return PositionMoved(
        f"partition {partition} was landed by another writer", next_move="starting again from the lake"
    )


def _bronze_rows(batch: RawBatch, key_id: str) -> pl.DataFrame:
    return batch.with_coordinates(batch.messages.select("row")).with_columns(
        payload=batch.encrypted.result(),
        key_id=pl.lit(key_id),
        ingest_date=pl.col("ingested_at").dt.date(),
    )


def _quarantine_rows(bronze: pl.DataFrame, batch: MaskedBatch, conflicts: pl.DataFrame) -> pl.DataFrame:
    broken = pl.concat([batch.failures, conflicts.select("row", reasons=pl.lit([CONFLICT], pl.List(pl.String)))])
    return bronze.join(broken, on="row", how="inner").with_columns(resolved_at=pl.lit(None, UTC))


def _rule_counts(failed: pl.DataFrame) -> list[dict[str, object]]:
    counts = failed.select(pl.col("reasons").explode().alias("rule")).to_series().value_counts(name="messages")
    return counts.cast({"messages": pl.Int64}).sort("rule").to_dicts()


def _landed(row: Mapping[str, object], seconds: dict[str, float]) -> Landed:
    names = (
        "topic_id",
        "first_offset",
        "last_offset",
        "messages",
        "silver",
        "quarantined",
        "duplicates",
        "batch_id",
    )
    return Landed(**{name: row[name] for name in names}, partition=row["kafka_partition"], seconds=seconds)  # type: ignore[arg-type]
