"""A long history, made fast: what was really landed once is copied into earlier days, all four tables alike.

A copy has other places in the topic (lower offsets, so that the positions stay what they are), other patients and
visits, and times that lie so many days earlier. Payloads are opened and encrypted again in their new places. So the
law, the keys and the payloads hold, and ``verify`` can be held to it. What a copy does not have is the commits: each is
a handful of them, with files as ``maintain`` would leave them.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import polars as pl
from polars import selectors

from app.settings import Settings
from app.stream.batches import RawBatch
from app.stream.decide import decide
from app.stream.landing import Landing
from lake.contracts.tables import BRONZE, INGEST, KAFKA_COORDINATES, QUARANTINE, SILVER, Table
from lake.security import masking_policy
from lake.security.encryption import LakeKey, associated_data
from lake.storage.store import Lake

TOPIC_ID: Final = "bench"
FIRST: Final = 10**9
"""The first offset that is really landed; copies have the ones below it."""

_PSEUDONYMS: Final = ("patient_key", "visit_key")


def lander(lake: Lake, settings: Settings) -> Callable[[pl.DataFrame], None]:
    """What lands messages (``kafka_partition``, ``kafka_offset``, ``payload``) as the stream does, as one batch."""
    rules = masking_policy.load(settings.policy)
    landing = Landing(lake, rules, settings.dedup_key, lambda: datetime.now(UTC))
    for partition in range(4):
        landing.expect(TOPIC_ID, partition)

    def land(messages: pl.DataFrame) -> None:
        landing.land(decide(raw_batch(lake.key, messages), rules, lake.key))

    return land


def raw_batch(key: LakeKey, messages: pl.DataFrame) -> RawBatch:
    """Messages as the consumer hands them on: partition by partition, encrypted."""
    held = messages.sort("kafka_partition", maintain_order=True)
    payloads, now = held["payload"].to_list(), pl.lit(datetime.now(UTC)).cast(pl.Datetime("us", "UTC"))
    where = associated_data(TOPIC_ID, held["kafka_partition"], held["kafka_offset"])
    encrypted: Future[pl.Series] = Future()
    encrypted.set_result(pl.Series(key.encrypt(payloads, where), dtype=pl.Binary))
    frame = held.select(pl.int_range(pl.len(), dtype=pl.UInt32).alias("row"), "kafka_partition", "kafka_offset")
    return RawBatch(
        "healthcare.data", TOPIC_ID, frame.with_columns(kafka_time=now, ingested_at=now), payloads, encrypted
    )


@dataclass(frozen=True)
class Base:
    """What is copied: the ``messages`` first landed per partition, which span so many ``days``."""

    lake: Lake
    messages: dict[int, int]
    days: int

    def copy(self, number: int) -> None:
        """Append the copy ``number`` (from 1): the one that lies that many times ``days`` earlier."""
        for table in (SILVER, INGEST):
            self._append(table, self._moved(self._rows(table), number))
        for partition in self.messages:
            self._copy_messages(partition, number)

    def _copy_messages(self, partition: int, number: int) -> None:
        here = pl.col("kafka_partition") == partition
        landed = self._rows(BRONZE, here)
        opened = self.lake.key.decrypt(landed["payload"].to_list(), list(_places(landed)), landed["key_id"].to_list())
        moved = self._moved(landed.drop("payload"), number)
        bronze = moved.with_columns(
            payload=pl.Series(self.lake.key.encrypt(opened, _places(moved)), dtype=pl.Binary),
            key_id=pl.lit(self.lake.key.key_id),
        )
        failed = self._moved(self._rows(QUARANTINE, here), number).select(*KAFKA_COORDINATES, "reasons", "resolved_at")
        self._append(BRONZE, bronze)
        self._append(QUARANTINE, bronze.join(failed, on=KAFKA_COORDINATES))

    def _rows(self, table: Table, which: pl.Expr | None = None) -> pl.DataFrame:
        offset = "last_offset" if table is INGEST else "kafka_offset"
        end = pl.col("kafka_partition").replace_strict(self.messages, return_dtype=pl.Int64) + FIRST
        base = pl.col(offset).is_between(FIRST, end, closed="left")
        return self.lake.store(table).scan().filter(base if which is None else base & which).collect()

    def _moved(self, rows: pl.DataFrame, number: int) -> pl.DataFrame:
        below = number * pl.col("kafka_partition").replace_strict(self.messages, return_dtype=pl.Int64)
        earlier = pl.duration(days=number * self.days)
        return rows.with_columns(
            selectors.ends_with("_offset") - below,
            selectors.temporal() - earlier,
            *(_other(key, number) for key in _PSEUDONYMS if key in rows.columns),
        )

    def _append(self, table: Table, rows: pl.DataFrame) -> None:
        self.lake.store(table).append(rows.select(table.polars_schema.names()), {})


def _other(key: str, number: int) -> pl.Expr:
    """Pseudonyms of the copy ``number``, which stand in no other one and not in what is copied: those end otherwise."""
    return (f"{number:02x}" + pl.col(key).str.reverse().str.slice(2)).alias(key)


def _places(rows: pl.DataFrame) -> Iterator[bytes]:
    return iter(associated_data(TOPIC_ID, rows["kafka_partition"], rows["kafka_offset"]))
