"""Small lakes made in this process, without Kafka, and the command line run in this process.

Messages go through the stream's own steps and ``Landing``, as ``app.jobs.replay`` takes them too.
"""

import contextlib
import io
import json
import logging
import os
import sys
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from unittest import mock

import polars as pl
import structlog
from deltalake import DeltaTable, write_deltalake

from app.cli import main
from app.stream.batches import RawBatch
from app.stream.decide import Rules, decide
from app.stream.exactly_once_writer import Landed
from app.stream.landing import Landing
from lake.contracts.tables import BRONZE, QUARANTINE, Table
from lake.contracts.tables import UTC as UTC_TIME
from lake.security import masking_policy as policies
from lake.security.encryption import LakeKey
from lake.storage import record_batch, store
from lake.storage.record_batch import Messages
from lake.storage.store import DeltaStore, Lake
from producer.simulator.simulator import Simulator, SimulatorSettings

KEY: Final = LakeKey(bytes(range(32)))
KEY_TEXT: Final = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
NOW: Final = datetime(2026, 10, 1, 12, tzinfo=UTC)
TOPIC_ID: Final = "AAAAAAAAAAAAAAAAAAAAAQ"
DEDUP_KEY: Final = ("patient_id", "event_time")
PARTITIONS: Final = 4
RULES: Final = Rules(policies.load("display"), DEDUP_KEY)

Message = tuple[int, bytes | None]
"""Partition and payload."""


def simulated(events: int, seed: int = 7) -> list[Message]:
    """A simulated hospital's messages, with exact duplicates and corrupt ones, by partition."""
    return messages_of(SimulatorSettings(seed=seed, events=events, duplicates=0.05, corrupt=0.05))


def messages_of(settings: SimulatorSettings) -> list[Message]:
    """The messages of a simulation, by partition."""
    return [
        (zlib.crc32(key or b"") % PARTITIONS, value)
        for block in Simulator(settings).blocks()
        for key, value in zip(block.keys, block.values, strict=True)
    ]


def event(**fields: str | None) -> bytes:
    """A valid event with some of its fields set."""
    plain = {
        "message_id": "m-1",
        "event_type": "admit",
        "event_time": "2026-03-01T08:00:00+00:00",
        "patient_id": "MRN0000001",
        "visit_id": "V-0000001",
        "facility": "North",
        "department": "Surgery",
    }
    return json.dumps(plain | fields).encode()


class Feeder:
    """Lands messages of one topic as the stream does, each partition's offsets in a row."""

    def __init__(self, lake: Lake, rules: Rules = RULES, topic_id: str = TOPIC_ID) -> None:
        self.lake = lake
        self._topic_id = topic_id
        self.rules = rules
        self._landing = Landing(lake, self.rules, lambda: NOW)

    def land(self, messages: Iterable[Message]) -> list[Landed]:
        """Land these as one micro-batch, above what the lake holds."""
        return self._landing.land(decide(self._raw(list(messages)), self.rules, self.lake.key))

    def close(self) -> None:
        """Wait for what goes on beside the landings."""
        self._landing.close()

    def _raw(self, messages: list[Message]) -> RawBatch:
        held = {
            partition: plain(
                [payload for at, payload in messages if at == partition],
                self._landing.expect(self._topic_id, partition) + 1,
            )
            for partition in sorted({at for at, _ in messages})
        }
        return raw_batch(self.lake, held, self._topic_id, NOW)


def plain(payloads: Sequence[bytes | None], first: int = 0, keys: Sequence[bytes | None] | None = None) -> Messages:
    """Messages of one partition from an offset on, without headers."""
    number, time = len(payloads), int(NOW.timestamp() * 1000)
    nothing = [None] * number
    return Messages(list(range(first, first + number)), [time] * number, list(keys or nothing), nothing, list(payloads))


def raw_batch(lake: Lake, held: Mapping[int, Messages], topic_id: str, at: datetime) -> RawBatch:
    """Messages by partition as the stream's raw batch, encrypted."""
    bronze: Future[pl.DataFrame] = Future()
    bronze.set_result(record_batch.encrypted("t", topic_id, held.items(), lake.key, at))
    return RawBatch.of("t", topic_id, held, at, bronze)


def make_lake(root: Path, *landings: Iterable[Message]) -> Lake:
    """A lake with these messages landed, one micro-batch after the other."""
    lake = store.create(root, KEY)
    feeder = Feeder(lake)
    for messages in landings:
        feeder.land(messages)
    return lake


def rows(root: Path, table: Table) -> pl.DataFrame:
    """All rows of a table, by place where it has one."""
    frame = DeltaStore(root, table).scan().collect()
    place = [
        name for name in ("kafka_partition", "kafka_offset", "first_offset", "event_index") if name in frame.columns
    ]
    return frame.sort(place) if len(place) > 1 else frame


def bronze_messages(lake: Lake) -> pl.DataFrame:
    """All messages of Bronze, opened, by place."""
    lake.refresh()
    return record_batch.opened(rows(lake.root, BRONZE), lake.key)


def quarantined(messages: pl.DataFrame, *reasons: str) -> pl.DataFrame:
    """Messages of Bronze (or rows with their place) as rows of the quarantine."""
    return messages.with_columns(
        reasons=pl.lit(list(reasons)), resolved_at=pl.lit(None, UTC_TIME), ingest_date=pl.col("ingested_at").dt.date()
    ).select(QUARANTINE.polars_schema.names())


def overwrite(root: Path, table: Table, frame: pl.DataFrame) -> None:
    """Replace all rows of a table."""
    frame = frame.select(table.polars_schema.names()).cast(dict(table.polars_schema))
    write_deltalake(DeltaTable(root / table.name), frame, mode="overwrite")


def age(root: Path) -> None:
    """Have every data file of a lake or table be two hours old."""
    then = time.time() - 2 * 3600
    for file in root.rglob("*.parquet"):
        os.utime(file, (then, then))


def forget_replaced(root: Path, table: Table) -> None:
    """Have a table's log no longer name what was replaced, as it is after ten minutes."""
    DeltaTable(root / table.name).alter.set_table_properties(
        {"delta.deletedFileRetentionDuration": "interval 0 seconds"}
    )
    DeltaTable(root / table.name).create_checkpoint()


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def wardlake(*arguments: str | Path) -> Ran:
    """Run the real command line in this process, error handling and all."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    argv = mock.patch.object(sys, "argv", ["wardlake", *map(str, arguments)])
    with argv, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _own_logging():
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Ran(code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _own_logging() -> Iterator[None]:
    """Let the command set up its log, and put back what was there."""
    root, names = logging.getLogger(), ("wardlake", "quixstreams")
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in names}
    root.handlers.clear()
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        for name in names:
            logging.getLogger(name).setLevel(levels[name])
        structlog.reset_defaults()
