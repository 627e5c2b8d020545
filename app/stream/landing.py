"""Landing: decided micro-batches become Delta commits, each message exactly once, in one of three places.

Guarantee, at rest and after any crash: per partition, messages = silver + quarantined + duplicates.

* Commits go Bronze, Quarantine, ops/ingest, Silver; each carries its partitions' new positions, atomically with
  its rows. Silver comes last, so a landing that was cut short is known by Silver's position being behind, and
  the rows between the two are landed again, as one batch, and decided as they were before.
* Per table, rows at or below its position are trimmed, so what was committed before the crash is not repeated.
* Whoever works from an outdated position (a consumer that lost its partition, a flush left behind by a
  rebalance) fails, either here (``PositionMoved``) or in the Delta commit, and writes nothing.

What the guarantee asks of senders: twins share a partition (key = patient_id gives that) where several
consumers share the topic; within one consumer they may come from anywhere.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter

import polars as pl
from deltalake.exceptions import CommitFailedError

from app.steps.deduplicate import CONFLICT, Deduplicated, deduplicate, key_columns
from app.steps.mask import count_fields
from app.stream.batch import MicroBatch, no_values_in_errors
from lake import takeover
from lake.dedup_index import DedupIndex
from lake.errors import WardlakeError
from lake.policy import Policy
from lake.store import DeltaStore, Lake, app_id
from lake.tables import BRONZE, INGEST, QUARANTINE, SILVER

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

    def expect(self, topic_id: str, partition: int) -> int:
        """Start (again) from what the lake holds of a partition. Returns the last offset that landed whole."""
        self._expected[topic_id, partition] = self._lake.begun(topic_id, partition)
        return self._lake.landed(topic_id, partition)

    def land(self, batches: Sequence[MicroBatch]) -> list[Landed]:
        """Land one micro-batch per partition.

        Raises ``PositionMoved`` when another writer moved one of the partitions; nothing of it was written by
        this call from then on, and starting again from the lake completes it.
        """
        with self._lake.landing_lock():
            takeover.finish(self._lake)
            self._lake.refresh()
            self._index.sync()
            self._require_unmoved(batches)
            with no_values_in_errors("land", batches[0]):
                try:
                    landed = self._commit(batches)
                except CommitFailedError:
                    raise _moved(batches[0]) from None
        for batch in batches:
            place = batch.topic_id, batch.partition
            self._expected[place] = self._lake.begun(*place)
        return landed

    def _require_unmoved(self, batches: Sequence[MicroBatch]) -> None:
        for batch in batches:
            place = batch.topic_id, batch.partition
            if self._lake.begun(*place) != self._expected.get(place):
                raise _moved(batch)

    def _commit(self, batches: Sequence[MicroBatch]) -> list[Landed]:
        seconds: dict[str, float] = {}
        stopwatch = perf_counter()

        def lap(step: str) -> None:
            nonlocal stopwatch
            seconds[step] = perf_counter() - stopwatch
            stopwatch = perf_counter()

        last = {app_id(b.topic_id, b.partition): b.last_offset for b in batches}
        bronze = pl.concat([_bronze_rows(b, self._lake.key.key_id) for b in batches])
        lap("seal")
        if BRONZE.name in self._lake.stores:  # a rebuild reads Bronze and leaves it as it is
            self._append(BRONZE.name, trim(self._lake.store(BRONZE), bronze), last)
        lap("bronze")
        split = self._deduplicate(batches)
        lap("deduplicate")
        quarantine = _quarantine_rows(bronze, batches, split.conflicts)
        if not quarantine.is_empty():
            self._append(QUARANTINE.name, trim(self._lake.store(QUARANTINE), quarantine), last)
        lap("quarantine")
        batch_id = uuid.uuid4().hex
        ingest = self._ingest_rows(batch_id, batches, quarantine, split, seconds)
        self._append(INGEST.name, ingest, last)
        lap("ingest")
        silver = split.fresh
        self._append(SILVER.name, silver, last)
        self._index.add(silver)
        lap("silver")
        return [_landed(row, {**dict(batches[0].seconds), **seconds}) for row in ingest.iter_rows(named=True)]

    def _append(self, name: str, rows: pl.DataFrame, last: Mapping[str, int]) -> None:
        """Commit trimmed rows and the positions that move; nothing where the table is ahead already."""
        store = self._lake.stores[name]
        behind = {app: offset for app, offset in last.items() if _position(store, app) < offset}
        if behind:
            store.append(rows, behind)

    def _deduplicate(self, batches: Sequence[MicroBatch]) -> Deduplicated:
        rows = pl.concat([b.placed(b.masked.rows.drop("ingested_at")) for b in batches if b.masked is not None])
        rows = trim(self._lake.store(SILVER), rows)
        known = self._index.known(rows["event_date"].unique().to_list())
        return deduplicate(rows, known, self._key)

    def _ingest_rows(
        self,
        batch_id: str,
        batches: Sequence[MicroBatch],
        quarantine: pl.DataFrame,
        split: Deduplicated,
        seconds: Mapping[str, float],
    ) -> pl.DataFrame:
        rows = []
        for batch in batches:
            after = self._lake.store(INGEST).position(batch.topic_id, batch.partition)
            mine = (pl.col("topic_id") == batch.topic_id) & (pl.col("kafka_partition") == batch.partition)
            new = mine & (pl.col("kafka_offset") > after)
            messages = batch.messages.filter(pl.col("kafka_offset") > after)
            if messages.is_empty():
                continue
            failed, fresh = quarantine.filter(new), split.fresh.filter(new)
            rows.append(
                self._account(batch, messages, fresh)
                | {
                    "batch_id": batch_id,
                    "silver": fresh.height,
                    "quarantined": failed.height,
                    "duplicates": split.duplicates.filter(new).height,
                    "rules": _rule_counts(failed),
                    "seconds": [{"step": k, "seconds": v} for k, v in {**batch.seconds, **seconds}.items()],
                }
            )
        return pl.DataFrame(rows, schema=INGEST.polars_schema)

    def _account(self, batch: MicroBatch, messages: pl.DataFrame, fresh: pl.DataFrame) -> dict[str, object]:
        now = self._now()
        states = batch.masked.fields.join(fresh.select("row"), on="row", how="semi") if batch.masked else None
        return {
            "kind": self._kind,
            "topic_id": batch.topic_id,
            "kafka_partition": batch.partition,
            "first_offset": messages["kafka_offset"][0],
            "last_offset": messages["kafka_offset"][-1],
            "messages": messages.height,
            "unknown_fields": batch.unknown_fields.join(messages, on="row", how="semi")["unknown_fields"].sum(),
            "fields": count_fields(states) if states is not None else [],
            "policy": self._policy.name,
            "policy_fingerprint": self._policy.fingerprint,
            "ingested_at": now,
            "ingest_date": now.date(),
        }


def trim(store: DeltaStore, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows above the positions that the table already accounts for."""
    places = rows.select("topic_id", "kafka_partition").unique()
    at = places.with_columns(
        position=pl.Series([store.position(*place) for place in places.iter_rows()], dtype=pl.Int64)
    )
    kept = rows.join(at, on=["topic_id", "kafka_partition"], how="left", maintain_order="left")
    return kept.filter(pl.col("kafka_offset") > pl.col("position")).drop("position")


def _position(store: DeltaStore, app: str) -> int:
    topic_id, _, partition = app.rpartition(":")
    return store.position(topic_id, int(partition))


def _moved(batch: MicroBatch) -> PositionMoved:
    return PositionMoved(
        f"partition {batch.partition} was landed by another writer",
        got=f"offset {batch.first_offset} held here",
        next_move="starting again from the lake",
    )


def _bronze_rows(batch: MicroBatch, key_id: str) -> pl.DataFrame:
    return batch.placed(batch.messages.select("row")).with_columns(
        payload=pl.Series(batch.sealed.result(), dtype=pl.Binary),
        key_id=pl.lit(key_id),
        ingest_date=pl.col("ingested_at").dt.date(),
    )


def _quarantine_rows(bronze: pl.DataFrame, batches: Sequence[MicroBatch], conflicts: pl.DataFrame) -> pl.DataFrame:
    failed = [b.placed(b.failures).select("topic_id", "kafka_partition", "kafka_offset", "reasons") for b in batches]
    failed.append(
        conflicts.select("topic_id", "kafka_partition", "kafka_offset", reasons=pl.lit([CONFLICT], pl.List(pl.String)))
    )
    return bronze.join(pl.concat(failed), on=["topic_id", "kafka_partition", "kafka_offset"], how="inner").with_columns(
        resolved_at=pl.lit(None, pl.Datetime("us", "UTC"))
    )


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
