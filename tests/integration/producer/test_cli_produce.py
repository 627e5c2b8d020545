"""``wardlake produce`` that is stopped: it says what was sent, sends nothing more, and the exit code tells why."""

import re
import signal
from pathlib import Path
from typing import Final

import pytest

from tests.integration.producer.test_publisher import consumed
from tests.support.commands import SAMPLE, Place, Running
from tests.support.prefects import until

SIGNALS: Final = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


@pytest.fixture
def place(tmp_path: Path, broker: str, topic: str) -> Place:
    heartbeat = str(tmp_path / "heartbeat")
    return Place(tmp_path, {"WARDLAKE_KAFKA": broker, "WARDLAKE_TOPIC": topic, "WARDLAKE_HEARTBEAT": heartbeat})


def stopped(running: Running, place: Place, number: signal.Signals) -> int:
    """Stop it in the midst of sending; its exit code."""
    until((place.folder / "heartbeat").exists, "the first message")
    return running.stop(number)


def delivered(place: Place, lines: list[str]) -> int:
    """How many messages the first line says were delivered: all that are in the topic."""
    found = re.fullmatch(r"interrupted: ([\d,]+) of ([\d,]+) messages delivered in [\d.]+ s", lines[0])
    assert found is not None, lines[0]
    assert found[1] == found[2]
    number = int(found[1].replace(",", ""))
    held = consumed(place.settings["WARDLAKE_KAFKA"], place.settings["WARDLAKE_TOPIC"])
    assert sum(map(len, held.values())) == number
    return number


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_files_after_the_one_that_was_interrupted_are_not_sent(place: Place, number: signal.Signals, code: int) -> None:
    second = place.folder / "second.csv"
    second.write_bytes(SAMPLE.read_bytes())
    with place.running("produce", "file", SAMPLE, second, "--rate", "100") as running:
        assert stopped(running, place, number) == code
    assert 0 < delivered(place, running.lines) < 1_000
    assert running.lines[1:] == ["not sent: the rest of sample_data.csv; second.csv"]


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_simulation_that_was_interrupted_says_what_was_sent(place: Place, number: signal.Signals, code: int) -> None:
    with place.running("produce", "simulate", "--events", "5000", "--rate", "100", "--truth", "truth") as running:
        assert stopped(running, place, number) == code
    assert 0 < delivered(place, running.lines) < 5_000
    assert len(running.lines) == 1
    assert not (place.folder / "truth").exists()
