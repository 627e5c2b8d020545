"""``wardlake stream`` at work: its log, its end by a signal, and the commands that look at what it landed."""

import json
import signal
from pathlib import Path

import pytest

from lake.contracts.event import OUTCOMES, PHI
from producer.sources.files import FileSource
from tests.support.commands import SAMPLE, Place, landed

LINE = {
    "event",
    "level",
    "timestamp",
    "batch_id",
    "topic_id",
    "offsets",
    "messages",
    "silver",
    "quarantined",
    "duplicates",
    "ignored",
    "events",
    "events_per_second",
    "lag",
    "seconds",
}


@pytest.fixture
def place(tmp_path: Path, broker: str, topic: str) -> Place:
    return Place(tmp_path, {"WARDLAKE_KAFKA": broker, "WARDLAKE_TOPIC": topic, "WARDLAKE_GROUP": topic})


def identifiers() -> set[str]:
    """Every identifier in the sample."""
    values = [json.loads(value) for block in FileSource(SAMPLE).blocks() for value in block.values]
    return {event[name] for event in values for name in (*PHI, "patient_id", "visit_id") if event.get(name)}


def test_a_signal_ends_it_when_the_batch_in_hand_has_landed(place: Place) -> None:
    beat = place.folder / "heartbeat"
    place = Place(place.folder, {**place.settings, "WARDLAKE_HEARTBEAT": str(beat)})
    place.works("produce", "file", SAMPLE)
    assert beat.exists(), "what sends has a heartbeat"
    lines: list[str] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        with place.running("stream", "--batch-messages", "100", "--batch-seconds", "0.05") as stream:
            beat.unlink(missing_ok=True)
            stream.wait_for(lambda lines: any('"landed"' in line for line in lines), "a batch had landed")
            stream.wait_for(lambda _: beat.exists(), "a heartbeat")
            assert stream.stop(number) == 0
            lines += stream.lines
        messages = place.look("status", "--json").json["messages"]["messages"]
        assert messages == sum(batch["messages"] for batch in landed(lines))
        assert place.look("verify", "--json").json["passed"] is True
        place.look("produce", "file", SAMPLE)

    batches = landed(lines)
    assert len(lines) == len(batches), "the log has lines of another kind"
    assert all(set(line) == LINE for line in batches)
    assert all(batch["messages"] == sum(batch[n] for n in OUTCOMES) for batch in batches)
    text = "\n".join(lines)
    assert [n for n, value in enumerate(sorted(identifiers())) if value in text] == []

    # Another start goes on where this one ended.
    place.works("stream", "--until-caught-up")
    status = place.look("status", "--json").json
    assert status["messages"] == {"messages": 3000, "silver": 970, "quarantined": 30, "duplicates": 2000, "ignored": 0}
    assert [row["lag"] for row in status["lag"]] == [0, 0, 0, 0]
    assert sum(row["landed"] + 1 for row in status["lag"]) == 3000 == sum(row["end"] for row in status["lag"])


def test_what_landed_can_be_looked_at_and_decided_again(place: Place) -> None:
    place.look("produce", "file", SAMPLE)
    place.works("stream", "--until-caught-up")
    held = place.look("quarantine", "list", "--json").json
    assert len(held) == 10
    assert {reason for row in held for reason in row["reasons"]} >= {"sex_not_allowed", "event_time_not_rfc3339"}
    again = place.look("quarantine", "replay", "--json").json
    assert again == {"messages": 10, "silver": 0, "quarantined": 10, "duplicates": 0, "ignored": 0}
    before = silver(place)
    rebuilt = place.look("replay", "--json").json
    assert rebuilt == {"messages": 1000, "silver": 970, "quarantined": 10, "duplicates": 20, "ignored": 0}
    assert silver(place) == before, "a replay under the same policy made other rows"
    assert place.look("verify", "--json").json["passed"] is True


def silver(place: Place) -> str:
    text = "SELECT * EXCLUDE (ingested_at) FROM silver.events ORDER BY kafka_partition, kafka_offset"
    return place.look("sql", text, "--format", "csv").out
