"""``wardlake stream --workers``: several processes of one group as one command, with one log and one end."""

import signal
import time
from itertools import count
from pathlib import Path

import psutil
import pytest

from app.jobs.lake_session import open_with_key
from app.settings import Settings
from lake.contracts.tables import SILVER
from lake.storage.store import DeltaStore, app_id
from tests.support.commands import SAMPLE, SECONDS, Place, Running, landed
from tests.support.lakes import KEY_TEXT
from tests.support.stories.feed import publish, read_back
from tests.support.stories.oracle import check

COUNTS = ("messages", "silver", "quarantined", "duplicates")


@pytest.fixture
def place(tmp_path: Path, broker: str, topic: str) -> Place:
    kafka = {"WARDLAKE_KAFKA": broker, "WARDLAKE_TOPIC": topic, "WARDLAKE_GROUP": topic}
    return Place(tmp_path, {**kafka, "WARDLAKE_KEY": KEY_TEXT, "WARDLAKE_WORKERS": "2"})


def lag(place: Place) -> int:
    return sum(row["lag"] for row in place.look("status", "--json").json["lag"])


def workers_of(command: Running) -> list[psutil.Process]:
    """The processes of the command that run the stream by now, the first to be started first."""
    children = psutil.Process(command.process.pid).children()
    return sorted((one for one in children if "stream" in one.cmdline()), key=psutil.Process.create_time)


def test_two_workers_land_everything_once_and_say_once_what_is_wrong(place: Place) -> None:
    place.look("produce", "file", SAMPLE)
    batches = landed(place.works("stream", "--until-caught-up").err.splitlines())
    counts = {name: sum(batch[name] for batch in batches) for name in COUNTS}
    assert counts == {"messages": 1000, "silver": 970, "quarantined": 10, "duplicates": 20}
    assert {batch["worker"] for batch in batches} <= {1, 2}
    assert place.look("verify", "--json").json["passed"] is True

    # What the command finds in order, and each worker does not.
    lake = place.folder / "data" / "lake"
    DeltaStore(lake, SILVER).append(SILVER.empty(), {app_id(batches[0]["topic_id"], 2): 99_999})
    ran = place.run("stream", "--until-caught-up")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("wardlake: the lake is ahead of partition 2 of topic ")
    assert ran.err.count("\n") == 1


def test_one_that_is_killed_is_started_again_and_a_signal_ends_all(place: Place, broker: str, topic: str) -> None:
    beat = place.folder / "heartbeat"
    place = Place(place.folder, {**place.settings, "WARDLAKE_HEARTBEAT": str(beat)})
    seeds = count(61)

    def both_land(since: int) -> None:
        """Events flow until each worker has landed some."""
        deadline = time.monotonic() + SECONDS
        while {line["worker"] for line in landed(stream.lines[since:])} != {1, 2}:
            assert time.monotonic() < deadline, f"one lands nothing: {stream.lines[-1:]}"
            publish(broker, topic, 150, next(seeds))
            time.sleep(0.3)

    with place.running("stream", "--batch-messages", "40") as stream:
        both_land(0)
        victim, other = workers_of(stream)
        victim.kill()
        stream.wait_for(lambda lines: any("worker 1 died (signal 9)" in line for line in lines), "it saw the death")
        both_land(len(stream.lines))
        stream.wait_for(lambda _: lag(place) == 0, "all had landed")
        assert time.time() - beat.stat().st_mtime < 10
        everyone = workers_of(stream)
        assert other in everyone
        assert victim not in everyone
        assert stream.stop(signal.SIGTERM) == 0
    assert not any(one.is_running() for one in everyone)
    check(open_with_key(Settings(data=place.folder / "data", key=KEY_TEXT)), read_back(broker, topic))


def test_workers_die_with_a_command_that_is_killed(place: Place) -> None:
    with place.running("stream") as stream:
        stream.wait_for(lambda _: len(workers_of(stream)) == 2, "the workers ran")
        everyone = workers_of(stream)
        stream.process.kill()
        _, alive = psutil.wait_procs(everyone, timeout=SECONDS)
        assert alive == []
