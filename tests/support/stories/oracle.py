"""What must become of each produced message, worked out in plain Python, and a lake held against it.

Written apart from the product: no Polars, no product step. A failing assertion shows places and counts only.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from app.jobs.verify import verify
from lake.contracts.event import FIELDS, ICD10_PATTERN, REQUIRED, VALUE_SETS
from lake.contracts.tables import BRONZE, INGEST, QUARANTINE, SILVER
from lake.storage import record_batch
from lake.storage.store import Lake

DEDUP_KEY = ("patient_id", "event_time")
Place = tuple[int, int]


@dataclass(frozen=True)
class Produced:
    """A message as the broker has it; ``key`` is None for one that breaks the contract."""

    place: Place
    value: bytes | None = field(repr=False)
    key: tuple[str, datetime] | None = field(repr=False)
    content: str = field(repr=False)
    kafka_key: bytes | None = field(default=None, repr=False)

    @classmethod
    def of(cls, partition: int, offset: int, value: bytes | None, kafka_key: bytes | None = None) -> "Produced":
        key = event_key(value)
        event = json.loads(value) | {"message_id": None} if key else {}
        return cls((partition, offset), value, key, json.dumps(event, sort_keys=True), kafka_key)


@dataclass(frozen=True)
class Outcome:
    """What a lake made of a topic: counts, and the keys in Silver."""

    messages: int
    silver: int
    quarantined: int
    duplicates: int
    keys: int


def event_key(value: bytes | None) -> tuple[str, datetime] | None:
    """(patient, instant) of a valid event, else None."""
    try:
        event = json.loads(value or b"")
    except ValueError:
        return None
    return (event["patient_id"], _instant(event)) if isinstance(event, dict) and _is_valid(event) else None


def _is_valid(event: dict[str, Any]) -> bool:
    known = {name: event.get(name) for name in FIELDS}
    if not all(value is None or isinstance(value, str) for value in known.values()):
        return False
    filled = {name: value for name, value in known.items() if value and value.strip()}
    return (
        all(name in filled for name in REQUIRED)
        and all(filled.get(name) in (None, *allowed) for name, allowed in VALUE_SETS.items())
        and re.match(ICD10_PATTERN, filled.get("diagnosis_code", "I10")) is not None
        and _instant(filled) is not None
    )


def _instant(event: dict[str, Any]) -> datetime | None:
    try:
        at = datetime.fromisoformat(event["event_time"])
    except ValueError:
        return None
    if at.tzinfo is None or not at.year >= 1900 or at > datetime.now(UTC) + timedelta(hours=24):
        return None
    return at.astimezone(UTC)


def check(lake: Lake, produced: Iterable[Produced], topic_id: str | None = None) -> Outcome:
    """Hold the lake against what was produced, message by message, and run ``verify``.

    ``topic_id`` names the stream where the lake holds several. Which of two exact duplicates in different partitions
    stands depends on which came first; all else is fixed.
    """
    lake.refresh()
    messages = list(produced)
    standing, held = (_places(lake, table, topic_id) for table in (SILVER, QUARANTINE))
    silver, quarantined, duplicates = _decided(messages, set(standing))
    _same(standing, silver, "silver")
    _same(held, quarantined, "quarantined")
    booked = _booked(lake, topic_id)
    assert booked["messages"] == Counter(m.place[0] for m in messages)
    assert booked["duplicates"] == Counter(place[0] for place in duplicates)
    assert len(messages) == len(silver) + len(quarantined) + len(duplicates)
    _bronze_is_whole(lake, messages, topic_id)
    verified(lake)
    return Outcome(len(messages), len(silver), len(quarantined), len(duplicates), _fingerprint(lake, topic_id))


def verified(lake: Lake) -> None:
    """Every check of ``verify`` holds."""
    broken = [(c.check, c.table, c.breaches, c.detail) for c in verify(lake, DEDUP_KEY) if not c.passed]
    assert broken == []


def _decided(messages: list[Produced], standing: set[Place]) -> tuple[set[Place], set[Place], set[Place]]:
    """The places that must be in Silver, in quarantine, and only counted."""
    silver, quarantined, duplicates = set(), {m.place for m in messages if m.key is None}, set()
    exact_duplicates = defaultdict(list)
    for message in messages:
        if message.key is not None:
            exact_duplicates[message.key].append(message)
    for group in exact_duplicates.values():
        first = _first(group, standing)
        silver.add(first.place)
        for other in group:
            if other is not first:
                (duplicates if other.content == first.content else quarantined).add(other.place)
    return silver, quarantined, duplicates


def _first(group: list[Produced], standing: set[Place]) -> Produced:
    """The duplicate that counts: the first of its partition; of several partitions, the one in Silver."""
    firsts = {m.place[0]: m for m in sorted(group, key=lambda m: m.place, reverse=True)}
    return next((m for m in firsts.values() if m.place in standing), group[0])


def _same(found: list[Place], expected: set[Place], table: str) -> None:
    wrong = {
        "rows": len(found) - len(expected),
        "twice": len(found) - len(set(found)),
        "lost": len(expected - set(found)),
        "strange": len(set(found) - expected),
    }
    assert not any(wrong.values()), f"{table}: {wrong}"


def _rows(lake: Lake, table: Any, topic_id: str | None) -> pl.LazyFrame:
    rows = lake.store(table).scan()
    return rows if topic_id is None else rows.filter(pl.col("topic_id") == topic_id)


def _places(lake: Lake, table: Any, topic_id: str | None) -> list[Place]:
    rows = _rows(lake, table, topic_id)
    if table is QUARANTINE:
        rows = rows.filter(pl.col("resolved_at").is_null())
    return rows.select("kafka_partition", "kafka_offset").collect().rows()


def _booked(lake: Lake, topic_id: str | None) -> dict[str, Counter[int]]:
    rows = _rows(lake, INGEST, topic_id).select("kafka_partition", "messages", "duplicates").collect().rows()
    booked: dict[str, Counter[int]] = {"messages": Counter(), "duplicates": Counter()}
    for partition, messages, duplicates in rows:
        booked["messages"][partition] += messages
        booked["duplicates"][partition] += duplicates
    return booked


def _bronze_is_whole(lake: Lake, messages: list[Produced], topic_id: str | None) -> None:
    rows = _rows(lake, BRONZE, topic_id).collect()
    opened = record_batch.opened(rows, lake.key).select("kafka_partition", "kafka_offset", "kafka_key", "value").rows()
    _same([(partition, offset) for partition, offset, _, _ in opened], {m.place for m in messages}, "bronze")
    sent = {m.place: (m.kafka_key, m.value) for m in messages}
    assert sum(sent[partition, offset] != (key, value) for partition, offset, key, value in opened) == 0
    assert int(rows["messages"].sum()) == len(opened)


def _fingerprint(lake: Lake, topic_id: str | None) -> int:
    """The same for two lakes with the same keys in Silver (and the same lake key)."""
    keys = _rows(lake, SILVER, topic_id).select("patient_key", "event_time").collect().rows()
    return hash(tuple(sorted(keys)))
