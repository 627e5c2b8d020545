"""Produce, stream and verify as three separate processes, against ``wardlake broker`` and against any Kafka."""

import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.commands import SAMPLE, Place, landed

# What the sample file is made of.
SENT, SILVER, QUARANTINED, DUPLICATES = 1000, 970, 10, 20
COUNTS = {"messages": SENT, "silver": SILVER, "quarantined": QUARANTINED, "duplicates": DUPLICATES, "ignored": 0}


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def of_wardlake(tmp_path: Path) -> Iterator[Place]:
    """``wardlake broker`` at work, and a place whose settings name it."""
    port = free_port()
    with Place(tmp_path).running("broker", "--port", str(port)) as broker:
        broker.wait_for(lambda lines: any("broker ready at" in line for line in lines), "the broker was ready")
        yield Place(tmp_path, {"WARDLAKE_KAFKA": f"127.0.0.1:{port}"})
        assert broker.stop(signal.SIGTERM) == 0


@pytest.fixture
def of_another(tmp_path: Path, broker: str, topic: str) -> Place:
    """A place whose settings name a Kafka that is there anyway."""
    return Place(tmp_path, {"WARDLAKE_KAFKA": broker, "WARDLAKE_TOPIC": topic, "WARDLAKE_GROUP": topic})


@pytest.fixture(params=["of_wardlake", "of_another"])
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(request.param)
    return found


def test_the_sample_goes_through_and_is_verified(place: Place) -> None:
    said = place.works("produce", "file", SAMPLE)
    assert "published: 1,000 of 1,000 messages delivered" in said.err
    streamed = place.works("stream", "--until-caught-up")
    assert (said.out, streamed.out) == ("", "")
    batches = landed(streamed.err.splitlines())
    assert {name: sum(batch[name] for batch in batches) for name in COUNTS} == COUNTS
    assert batches[-1]["lag"] == 0
    assert place.works("verify").out.endswith("verified: every check holds\n")
    assert place.look("status", "--json").json["messages"] == COUNTS


def test_sending_it_again_adds_nothing_to_silver(of_another: Place) -> None:
    of_another.works("produce", "file", SAMPLE, SAMPLE)
    of_another.works("stream", "--until-caught-up", "--batch-messages", "700")
    counts = of_another.look("status", "--json").json["messages"]
    assert counts == {"messages": 2000, "silver": 970, "quarantined": 20, "duplicates": 1010, "ignored": 0}
    assert of_another.look("verify", "--json").json["passed"] is True


def test_a_stream_with_nothing_to_do_ends_at_once(of_another: Place) -> None:
    streamed = of_another.works("stream", "--until-caught-up")
    assert landed(streamed.err.splitlines()) == []
    assert of_another.look("verify", "--json").json["passed"] is True
