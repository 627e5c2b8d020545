"""The bad-input corpus through a real broker, the stream and verify: nothing crashes, nothing is lost."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
import pytest
from confluent_kafka import Producer

from app import settings as configuration
from app.jobs.verify import verify
from app.stream.exactly_once_writer import Landed
from app.stream.run import run_stream
from app.stream.transforms.deduplicate import CONFLICT
from lake.contracts.tables import BRONZE, INGEST, QUARANTINE, SILVER
from lake.security.encryption import LakeKey
from lake.storage import store
from lake.storage.store import Lake
from tests.corpus.bad_input import CASES, NOW, PER_FIELD, Case, event
from tests.support.lakes import RULES

GOOD_EVERY: Final = 3
PARTITION: Final = 2


@pytest.fixture(autouse=True)
def _signals_as_they_were() -> Iterator[None]:
    """Quix takes over SIGINT and SIGTERM for good."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def own(case: Case, number: int) -> Case:
    """The case for a patient of its own, so that it is no other case's duplicate."""
    if case.payload is None:
        return case
    return case._replace(payload=case.payload.replace(b"MRN-100001", b"MRN-2%05d" % number))


def good(number: int) -> bytes:
    return event(message_id=f"good-{number}", patient_id=f"MRN-{number}", event_time="2024-02-01T10:00:00Z")


def mixed(cases: tuple[Case, ...]) -> list[tuple[bytes | None, list[str] | None]]:
    """Payloads and what must become of each: rules, none for Silver, None for a duplicate."""
    messages: list[tuple[bytes | None, list[str] | None]] = []
    for number, case in enumerate(own(case, number) for number, case in enumerate(cases)):
        messages.append((case.payload, sorted(case.rules)))
        if number % GOOD_EVERY == 0:
            messages.append((good(number), []))
    exact_duplicate = event(message_id="a exact duplicate", patient_id="MRN-0", event_time="2024-02-01T10:00:00Z")
    other = event(patient_id="MRN-0", event_time="2024-02-01T10:00:00Z", ward="elsewhere")
    return [*messages, (exact_duplicate, None), (other, [CONFLICT])]


@dataclass
class Outcome:
    lake: Lake
    landings: list[int]
    by_offset: dict[int, list[str]]


def streamed(
    broker: str, topic: str, folder: Path, messages: list[tuple[bytes | None, list[str] | None]], batch: int
) -> Outcome:
    """Publish the messages to one partition, run the stream until it is caught up, and read where each landed."""
    producer = Producer({"bootstrap.servers": broker, "log_level": 0, "message.max.bytes": 8_000_000})
    for payload, _ in messages:
        producer.produce(topic, value=payload, key=b"k", partition=PARTITION)
        producer.poll(0)
    assert producer.flush(30) == 0
    settings = configuration.load(
        data=folder,
        kafka=broker,
        topic=topic,
        group=topic,
        batch_messages=batch,
        batch_seconds=2.0 if batch > 1 else 0.05,
    )
    lake = store.create(settings.lake, LakeKey(bytes(range(32))))
    landings: list[int] = []

    def note(landed: list[Landed], _: int | None) -> None:
        landings.append(sum(one.messages for one in landed))

    run_stream(settings, lake, RULES, until_caught_up=True, on_landed=note, now=lambda: NOW)
    lake.refresh()
    silver = lake.store(SILVER).scan().select("kafka_offset", reasons=pl.lit([], pl.List(pl.String)))
    held = lake.store(QUARANTINE).scan().select("kafka_offset", pl.col("reasons").list.sort())
    rows = pl.concat([silver, held]).collect()
    assert rows["kafka_offset"].is_unique().all()
    return Outcome(lake, landings, dict(rows.iter_rows()))


@pytest.mark.parametrize(
    ("batch", "cases"), [(50_000, (*CASES, *PER_FIELD)), (1, CASES[::9])], ids=["one landing", "one message at a time"]
)
def test_every_message_lands_where_it_must_and_the_lake_verifies(
    broker: str, topic: str, tmp_path: Path, batch: int, cases: tuple[Case, ...]
) -> None:
    messages = mixed(cases)
    done = streamed(broker, topic, tmp_path, messages, batch)
    expected = {offset: rules for offset, (_, rules) in enumerate(messages) if rules is not None}
    wrong = [offset for offset in {*expected, *done.by_offset} if expected.get(offset) != done.by_offset.get(offset)]
    assert wrong == [], "offsets that did not land where they must"
    assert done.landings == ([len(messages)] if batch > 1 else [1] * len(messages))
    assert_books_agree(done.lake, len(messages), expected)
    assert [check.check for check in verify(done.lake, ("patient_id", "event_time")) if not check.passed] == []


def assert_books_agree(lake: Lake, messages: int, expected: dict[int, list[str]]) -> None:
    books = lake.store(INGEST).scan().select(pl.col("messages", "silver", "quarantined", "duplicates").sum()).collect()
    silver = sum(not rules for rules in expected.values())
    assert books.row(0) == (messages, silver, len(expected) - silver, 1)
    assert lake.store(BRONZE).scan().select(pl.col("messages").sum()).collect().item() == messages
    counted = lake.store(INGEST).scan().select(pl.col("rules").explode()).collect().unnest("rules").drop_nulls()
    by_rule = pl.Series([rule for rules in expected.values() for rule in rules]).value_counts(name="messages")
    by_rule.columns = ["rule", "messages"]
    total = counted.group_by("rule").agg(pl.col("messages").sum())
    assert dict(total.iter_rows()) == dict(by_rule.iter_rows())
