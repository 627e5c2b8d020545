"""``wardlake flow daily`` with a broker: on nothing, on rubbish, twice, beside a feed, killed wherever it can be."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest
from confluent_kafka import Producer

from app.settings import load
from lake.gold.fold import FOLDED
from lake.gold.published import last
from lake.gold.tables import COMPLIANCE, KPIS
from lake.storage.store import exists
from tests.support.commands import SECONDS, Place
from tests.support.golds import build, different, published
from tests.support.lakes import KEY_TEXT, Message, event, make_lake, simulated

STEPS: Final = ["sync the stream", "validate tables", "build Gold", "check Gold", "export Gold"]
EVENTS: Final = 600
NOWHERE: Final = "127.0.0.1:1"

# The real command, which ends itself with SIGKILL where it would tell of the text that it is given.
KILLED: Final = """
import os, signal, sys
from app.cli import main
from flows.definitions import Run

carry_out, at = Run.carry_out, sys.argv[1]

def told(text):
    if text.startswith(at):
        os.kill(os.getpid(), signal.SIGKILL)

Run.carry_out = lambda self, step, progress, detail: carry_out(self, step, told, told)
sys.argv = ["wardlake", "flow", "daily"]
main()
"""


def send(broker: str, topic: str, messages: Iterable[Message]) -> None:
    """Put messages into the partitions that they are of."""
    producer = Producer({"bootstrap.servers": broker, "log_level": 0})
    for partition, payload in messages:
        producer.produce(topic, payload, partition=partition)
    assert producer.flush(30) == 0


@pytest.fixture
def place(tmp_path: Path, broker: str, topic: str) -> Place:
    return Place(
        tmp_path,
        {"WARDLAKE_KAFKA": broker, "WARDLAKE_TOPIC": topic, "WARDLAKE_GROUP": topic, "WARDLAKE_KEY": KEY_TEXT},
    )


def lake(place: Place) -> Path:
    return place.folder / "data" / "lake"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lake of a run that nothing disturbed."""
    root = tmp_path_factory.mktemp("undisturbed") / "lake"
    build(make_lake(root, simulated(EVENTS)))
    return root


def test_an_empty_topic_is_a_clear_outcome_and_no_failure(place: Place) -> None:
    ran = place.works("flow", "daily")
    assert ran.out.splitlines()[-1] == "nothing has landed yet: nothing was built"
    assert last(lake(place)) is None


def test_no_broker_is_one_line_and_no_lake(tmp_path: Path) -> None:
    ran = Place(tmp_path, {"WARDLAKE_KAFKA": NOWHERE}).run("flow", "daily")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.splitlines()[-1].startswith(f"wardlake: no Kafka broker answers at {NOWHERE}; got ")
    assert not exists(tmp_path / "data" / "lake")


def test_a_day_and_the_next(place: Place, broker: str, topic: str, undisturbed: Path) -> None:
    send(broker, topic, simulated(EVENTS))
    first, again = place.works("flow", "daily", "--json").json, place.works("flow", "daily", "--json").json
    for run in (first, again):
        assert [step["step"] for step in run["steps"]] == STEPS
        assert (run["passed"], run["message"]) == (True, "Gold is up to date, checked and exported")
    assert first["steps"][0]["result"]["messages"] == EVENTS
    assert again["steps"][0]["result"]["messages"] == 0
    assert [run["steps"][2]["result"]["kind"] for run in (first, again)] == ["full", "unchanged"]
    assert different(undisturbed, lake(place), (*FOLDED, *KPIS)) == []


def test_only_corrupt_messages(place: Place, broker: str, topic: str) -> None:
    send(broker, topic, [(0, b"not json"), (1, b"{}"), (2, event(event_type="x")), (3, None)])
    run = place.works("flow", "daily", "--json").json
    assert [step["step"] for step in run["steps"]] == STEPS
    figures = published(lake(place), COMPLIANCE)
    assert figures.select("messages", "silver", "quarantined", "duplicates").row(0) == (4, 0, 4, 0)


@pytest.fixture
def restless(broker: str, topic: str) -> Iterator[threading.Event]:
    """A feed that never rests."""
    enough = threading.Event()

    def feed() -> None:
        number = 0
        while not enough.wait(0.02):
            number += 1
            fresh = {"message_id": f"m-{number}", "visit_id": f"V-{number}", "patient_id": f"MRN{number}"}
            send(broker, topic, [(number % 4, event(**fresh))])

    thread = threading.Thread(target=feed)
    thread.start()
    yield enough
    enough.set()
    thread.join()


@pytest.mark.slow
def test_a_feed_that_never_rests_does_not_keep_it(place: Place, broker: str, topic: str, restless: object) -> None:
    send(broker, topic, simulated(EVENTS))
    with place.running("stream") as stream:
        stream.wait_for(bool, "the first landing")
        assert place.works("flow", "daily", "--json").json["passed"] is True


def killed(place: Place, at: str) -> int:
    """Run the flow and have it killed at this point; its exit code."""
    command = [sys.executable, "-c", KILLED, at]
    ran = subprocess.run(
        command, cwd=place.folder, env=place.environment, capture_output=True, check=False, timeout=SECONDS
    )
    return ran.returncode


def kill_and_run_again(place: Place, broker: str, topic: str, points: Sequence[str], undisturbed: Path) -> None:
    """Killed at each point in turn, then left alone, it comes to what a run comes to that nothing disturbed."""
    send(broker, topic, simulated(EVENTS))
    for at in points:
        assert killed(place, at) == -signal.SIGKILL, at
    ran = place.works("flow", "daily", "--json").json
    assert ran["message"] == "Gold is up to date, checked and exported"
    assert different(undisturbed, lake(place), (*FOLDED, *KPIS)) == []
    assert load(data=place.folder / "data").export.exists()


@pytest.mark.slow
def test_killed_at_each_step(place: Place, broker: str, topic: str, undisturbed: Path) -> None:
    kill_and_run_again(place, broker, topic, STEPS, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize(
    "at",
    [
        f"{EVENTS:,} messages landed",
        "sync the stream:",
        "validate tables:",
        *(f"building {step}" for step in ("read", "visits", "kpis", "compliance")),
        "build Gold:",
        "check Gold:",
        "rounding build",
        "writing",
        "export Gold:",
    ],
)
def test_killed_within_a_step(place: Place, broker: str, topic: str, at: str, undisturbed: Path) -> None:
    kill_and_run_again(place, broker, topic, [at], undisturbed)
