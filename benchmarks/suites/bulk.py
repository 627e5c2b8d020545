"""A long history, made fast: what was really landed once is copied into earlier days, all four tables alike.

A copy has other places in the topic (lower offsets, so that the positions stay what they are), other patients and
visits, and times that lie so many days earlier. Payloads are opened and encrypted again in their new places. So the
law, the keys and the payloads hold, and ``verify`` can be held to it. What a copy does not have is the commits: each is
a handful of them, with files as ``maintain`` would leave them.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import polars as pl
from polars import selectors

from app.settings import Settings
from app.stream.batches import RawBatch
from app.stream.decide import Rules, decide
from app.stream.landing import Landing
from lake.contracts.tables import BRONZE, INGEST, QUARANTINE, SILVER, Table
from lake.security import masking_policy
from lake.security.encryption import LakeKey
from lake.storage import record_batch
from lake.storage.record_batch import Messages
from lake.storage.store import Lake

TOPIC: Final = "healthcare.data"
TOPIC_ID: Final = "bench"
FIRST: Final = 10**9
"""The first offset that is really landed; copies have the ones below it."""

_PSEUDONYMS: Final = ("patient_key", "visit_key")


def lander(lake: Lake, settings: Settings) -> Callable[[pl.DataFrame], None]:
    """What lands messages (``kafka_partition``, ``kafka_offset``, ``payload``) as the stream does, as one batch."""
    rules = Rules(masking_policy.load(settings.policy), settings.dedup_key)
    landing = Landing(lake, rules, lambda: datetime.now(UTC))
    for partition in range(4):
        landing.expect(TOPIC_ID, partition)

    def land(messages: pl.DataFrame) -> None:
        landing.land(decide(raw_batch(lake.key, messages), rules, lake.key))

    return land


def raw_batch(key: LakeKey, messages: pl.DataFrame) -> RawBatch:
    """Messages as the consumer hands them on: partition by partition, encrypted."""
    now, held = datetime.now(UTC), {}
    for (partition,), part in sorted(messages.partition_by("kafka_partition", as_dict=True).items()):
        nothing = [None] * part.height
        times = [int(now.timestamp() * 1000)] * part.height
        offsets, values = part["kafka_offset"].to_list(), part["payload"].to_list()
        held[int(partition)] = Messages(offsets, times, nothing, nothing, values)
    bronze: Future[pl.DataFrame] = Future()
    bronze.set_result(record_batch.encrypted(TOPIC, TOPIC_ID, held.items(), key, now))
    return RawBatch.of(TOPIC, TOPIC_ID, held, now, bronze)


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
        self._append(QUARANTINE, self._moved(self._rows(QUARANTINE, here), number))
        below, earlier = number * self.messages[partition], timedelta(days=number * self.days)
        copies = []
        for row, messages in self._opened(self._rows(BRONZE, here)):
            moved = replace(messages, offsets=[offset - below for offset in messages.offsets])
            at = row["ingested_at"] - earlier
            copies.append(record_batch.encrypted(TOPIC, TOPIC_ID, [(partition, moved)], self.lake.key, at))
        self._append(BRONZE, pl.concat(copies))

    def _opened(self, rows: pl.DataFrame) -> Iterator[tuple[dict[str, Any], Messages]]:
        packed = record_batch.decrypted(rows, self.lake.key)
        return zip(rows.iter_rows(named=True), map(record_batch.unpack, packed), strict=True)

    def _rows(self, table: Table, which: pl.Expr | None = None) -> pl.DataFrame:
        offset = "last_offset" if table in (INGEST, BRONZE) else "kafka_offset"
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
