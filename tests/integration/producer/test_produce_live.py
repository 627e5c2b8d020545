"""``wardlake produce live`` as a process: killed, started again, and all of one hospital's messages in the topic."""

import json
import signal
import time
from pathlib import Path

from confluent_kafka.admin import AdminClient

from app import settings as configuration
from app.services import demo_address
from producer.simulator.live_feed import LiveState
from producer.simulator.simulator import Simulator
from tests.integration.producer.test_publisher import consumed
from tests.support.commands import Place

LIVE = ("produce", "live", "--days", "1", "--speed", "5000", "--state", "feed.json")


def test_a_killed_feed_goes_on_where_it_was(tmp_path: Path, broker: str, topic: str, admin: AdminClient) -> None:
    place = Place(tmp_path, {"WARDLAKE_KAFKA": broker, "WARDLAKE_TOPIC": topic})
    state, sent = tmp_path / "feed.json", 0
    for number, more in ((signal.SIGKILL, 1_000), (signal.SIGKILL, 60), (signal.SIGTERM, 60), (signal.SIGINT, 60)):
        with place.running(*LIVE) as feed:
            deadline = time.monotonic() + 120
            while not state.exists() or LiveState.read(state).sent < sent + more:
                assert feed.process.poll() is None, feed.lines[-1:]
                assert time.monotonic() < deadline, "the feed did not get on"
                time.sleep(0.05)
            code = feed.stop(number)
        assert code == (-signal.SIGKILL if number is signal.SIGKILL else 0)
        sent = LiveState.read(state).sent
    plan = LiveState.read(state)
    values = [value or b"" for part in consumed(broker, topic).values() for _, value in part]
    until = int(plan.clock.at(time.time()))
    expected = [value for block in Simulator(plan.settings).take(until) for value in block.values][: plan.sent]
    assert len(set(expected)) == plan.sent > 1_180
    # What a kill kept from being noted came twice; nothing is missing, and nothing is of another hospital.
    assert set(values) >= set(expected)
    assert len(values) - plan.sent < 200
    extra = set(values) - set(expected)
    later = {value for block in Simulator(plan.settings, skip=plan.sent).take(until) for value in block.values}
    assert extra <= later


def test_what_looks_at_a_demo_finds_its_broker(tmp_path: Path, broker: str) -> None:
    data = tmp_path / "data"
    assert configuration.load(find_demo=True, data=data).kafka is None
    with demo_address.announced(data, broker):
        assert configuration.load(find_demo=True, data=data).kafka == broker
        assert configuration.load(data=data).kafka is None, "only what looks at the lake looks for a demo"
        named = configuration.load(find_demo=True, data=data, kafka="other.example:9092")
        assert named.kafka == "other.example:9092", "a broker that is named is meant"
    assert configuration.load(find_demo=True, data=data).kafka is None


def test_what_a_killed_demo_left_behind_is_not_believed(tmp_path: Path) -> None:
    # Port 9 of the loopback: nobody listens there.
    for left in ('{"kafka": "127.0.0.1:9", "pid": 1}', "", "[]", '{"kafka": "nowhere"}', json.dumps({"kafka": 5})):
        (tmp_path / "demo.json").write_text(left)
        assert demo_address.broker_of(tmp_path) is None


def test_a_broken_state_is_one_line(tmp_path: Path, broker: str) -> None:
    (tmp_path / "feed.json").write_text("broken")
    ran = Place(tmp_path, {"WARDLAKE_KAFKA": broker}).run(*LIVE)
    assert ran.code == 2
    assert ran.err.startswith("wardlake: the state of the feed in")
    assert len(ran.err.splitlines()) == 1
