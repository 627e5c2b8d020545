"""The four commits of a landing: a decided micro-batch becomes rows in Delta, each message once.

Guarantee: commits go Bronze, Quarantine, ops/ingest, Silver; each carries its partitions' new positions, and with
``dedup_scope=lake`` the landing's number in the lake, atomically with its rows. Per table, rows at or below its
position are trimmed and a table that has the batch already is passed over: to write a batch again completes it and
repeats nothing. A commit that fails may have been made all the same: who sees one fail starts again from the lake.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl
from deltalake.exceptions import CommitFailedError

from app.stream.batches import EVENT, MaskedBatch, Stopwatch, without_values_in_errors
from app.stream.decide import Rules
from app.stream.transforms.deduplicate import CONFLICT, MESSAGE, Deduplicated, deduplicate, key_columns
from lake.contracts.tables import BRONZE, INGEST, QUARANTINE, SILVER, UTC, Table
from lake.errors import WardlakeError
from lake.storage.dedup_index import DedupIndex
from lake.storage.store import LANDING_APP, DeltaStore, Lake, app_id

_INGEST: Final = INGEST.polars_schema


class PositionMoved(WardlakeError):  # noqa: N818 - an event, not a fault
    """Another writer landed messages of this partition; drop what is held and start again from the lake."""

    @classmethod
    def of(cls, partition: int) -> "PositionMoved":
        """That of one partition."""
        return cls(f"partition {partition} was landed by another writer", next_move="starting again from the lake")


@dataclass(frozen=True)
class Landed:
    """One landed batch of one partition, in messages; ``events`` are those in Silver."""

    batch_id: str
    topic_id: str
    partition: int
    first_offset: int
    last_offset: int
    messages: int
    silver: int
    quarantined: int
    duplicates: int
    ignored: int
    events: int
    seconds: dict[str, float]


class BatchWriter:
    """Writes decided micro-batches to a lake. Call under its landing lock; not thread-safe.

    ``now`` gives the time; it is called once per batch, for the batch's own record only. ``kind`` is what that record
    calls the work.
    """

    def __init__(self, lake: Lake, rules: Rules, now: Callable[[], datetime], kind: str = "stream") -> None:
        self.lake = lake
        self.rules = rules
        self._key = key_columns(rules.dedup_key)
        self._index = DedupIndex(lake.store(SILVER), self._key)
        self._now = now
        self._kind = kind

    def refresh(self) -> None:
        """Take in what others committed since."""
        self.lake.refresh()
        self._index.sync()

    def write(self, batch: MaskedBatch, number: int | None) -> list[Landed]:
        """Commit a batch as the lake's landing of this number, if any; returns what it came to, per partition.

        Raises ``PositionMoved`` when another writer was first, or a commit failed and may have been made all the same;
        ``StepError`` for any other trouble.
        """
        raw = batch.raw
        last = {app_id(raw.topic_id, partition): offset for partition, offset in raw.last_offsets().items()}
        if number is not None:
            last[LANDING_APP] = number
        return without_values_in_errors("land", raw, lambda: self._commit_unmoved(batch, last))

    def _commit_unmoved(self, batch: MaskedBatch, last: Mapping[str, int]) -> list[Landed]:
        try:
            return self._commit(batch, last)
        except CommitFailedError:
            raise PositionMoved.of(next(iter(batch.raw.last_offsets()))) from None

    def _commit(self, batch: MaskedBatch, last: Mapping[str, int]) -> list[Landed]:
        watch = Stopwatch()
        if BRONZE.name in self.lake.stores and batch.raw.bronze is not None:
            bronze = _unread(self.lake.store(BRONZE), batch.raw.bronze.result())
            watch.lap("encrypt")
            self._append(BRONZE, bronze, last)
        watch.lap("bronze")
        split = self._deduplicate(batch)
        watch.lap("deduplicate")
        quarantine = _quarantine_rows(batch, split.conflicts)
        if not quarantine.is_empty():
            self._append(QUARANTINE, trim(self.lake.store(QUARANTINE), quarantine), last)
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
        store = self.lake.store(table)
        behind = {app: offset for app, offset in last.items() if store.position_of(app) < offset}
        if behind:
            store.append(rows, behind, tidy=False)

    def _deduplicate(self, batch: MaskedBatch) -> Deduplicated:
        rows = trim(self.lake.store(SILVER), batch.silver_rows())
        known = self._index.known(rows)
        return deduplicate(rows, known, self._key)

    def _ingest_rows(
        self, batch: MaskedBatch, quarantine: pl.DataFrame, split: Deduplicated, seconds: Mapping[str, float]
    ) -> pl.DataFrame:
        raw, now, batch_id = batch.raw, self._now(), uuid.uuid4().hex
        silver = split.fresh.select(*EVENT, *MESSAGE)  # the rest is many times wider
        ignored = raw.with_coordinates(batch.ignored())
        rows = []
        for (partition,), messages in (
            trim(self.lake.store(INGEST), raw.with_coordinates(raw.messages.select("row")))
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
                    "silver": fresh["row"].n_unique(),
                    "quarantined": failed.height,
                    "duplicates": split.duplicates.filter(new).height,
                    "ignored": ignored.filter(new).height,
                    "events": fresh.height,
                    "unknown_fields": batch.unknown_fields.join(messages, on="row", how="semi")["unknown_fields"].sum(),
                    "rules": _rule_counts(failed),
                    "fields": batch.field_counts(fresh),
                    "seconds": [{"step": step, "seconds": spent} for step, spent in seconds.items()],
                    "policy": self.rules.policy.name,
                    "policy_fingerprint": self.rules.policy.fingerprint,
                    "ingested_at": now,
                    "ingest_date": now.date(),
                }
            )
        return pl.DataFrame(rows, schema=_INGEST)


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


def _unread(store: DeltaStore, bronze: pl.DataFrame) -> pl.DataFrame:
    """The record batches above the positions that Bronze has. Raises ``PositionMoved`` where one is within one."""
    ends = bronze.select("topic_id", "kafka_partition", "first_offset", "last_offset").iter_rows()
    above = []
    for topic_id, partition, first, last in ends:
        position = store.position(topic_id, partition)
        if first <= position < last:
            raise PositionMoved.of(partition)
        above.append(first > position)
    return bronze.filter(pl.Series(above, dtype=pl.Boolean))


def _quarantine_rows(batch: MaskedBatch, conflicts: pl.DataFrame) -> pl.DataFrame:
    broken = pl.concat([batch.failures, conflicts.select("row", reasons=pl.lit([CONFLICT], pl.List(pl.String)))])
    return batch.raw.with_coordinates(broken).with_columns(
        resolved_at=pl.lit(None, UTC), ingest_date=pl.col("ingested_at").dt.date()
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
        "ignored",
        "events",
        "batch_id",
    )
    return Landed(**{name: row[name] for name in names}, partition=row["kafka_partition"], seconds=seconds)  # type: ignore[arg-type]
