"""The live feed by a clock of the test's own: one hospital, before and after, whatever interrupts it."""

from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.errors import UsageError
from producer.simulator.live_feed import Clock, LiveFeed, LiveState
from producer.simulator.simulator import Simulator

NOW: Final = 1_790_000_000.0
DAY: Final = 86_400
HOUR: Final = 3_600


class Watch:
    """A clock that goes on when somebody sleeps."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def sent(state: LiveState, watch: Watch, until: float) -> list[bytes]:
    """What a feed sends until the watch says ``until``."""
    blocks = LiveFeed(state, watch, watch.sleep).blocks()
    return [value for block in takewhile(lambda _: watch.now < until, blocks) for value in block.values]


def simulated(state: LiveState, until: int) -> list[bytes]:
    """The same hospital's messages before a moment, simulated in one go."""
    return [value for block in Simulator(state.settings).take(until) for value in block.values]


def test_the_history_ends_now_and_goes_on_by_the_clock() -> None:
    state = LiveState.create(seed=3, events=None, days=2, speed=1, now=NOW)
    watch = Watch(NOW)
    feed = LiveFeed(state, watch, watch.sleep)
    history = [value for block in feed.history() for value in block.values]
    assert history == simulated(state, int(NOW))
    assert 2 * DAY <= NOW - state.start < 3 * DAY
    hours = 6
    later = [
        value for block in takewhile(lambda _: watch.now < NOW + hours * HOUR, feed.blocks()) for value in block.values
    ]
    assert len(later) > 50
    assert history + later == simulated(state, int(NOW) + hours * HOUR)


def test_a_faster_feed_never_runs_ahead_of_the_clock() -> None:
    state = LiveState.create(seed=3, events=None, days=1, speed=100, now=NOW)
    assert state.clock.at(NOW) < NOW
    assert state.clock.at(NOW + HOUR) - state.clock.at(NOW) == pytest.approx(100 * HOUR)
    # After eight hours it has caught up, and goes on with the clock.
    assert state.clock.at(NOW + 8 * HOUR) == pytest.approx(NOW + 8 * HOUR)
    assert state.clock.at(NOW + 100 * HOUR) == NOW + 100 * HOUR


def test_a_restart_goes_on_where_the_feed_was(tmp_path: Path) -> None:
    path, watch, got = tmp_path / "feed.json", Watch(NOW), list[bytes]()
    state = LiveState.create(seed=11, events=None, days=1, speed=50, now=NOW)
    state.write(path)
    for stop in (NOW + 300, NOW + 900, NOW + 1_800):
        state = LiveState.read(path)
        feed = LiveFeed(state, watch, watch.sleep)
        for block in feed.blocks():
            got += block.values
            state = state.after(feed.sent)
            state.write(path)
            if watch.now >= stop:
                break
        watch.sleep(60)  # nobody sends for a minute
    assert got == simulated(state, int(state.clock.at(watch.now)) + DAY)[: len(got)]
    assert len(got) == state.sent > 500


def test_what_was_not_noted_is_sent_again_and_nothing_is_left_out() -> None:
    state = LiveState.create(seed=5, events=None, days=1, speed=50, now=NOW)
    first = sent(state, Watch(NOW), NOW + 600)
    again = sent(state.after(len(first) - 3), Watch(NOW + 700), NOW + 800)
    assert again[:3] == first[-3:]
    assert (first + again[3:]) == simulated(state, int(NOW))[: len(first) + len(again) - 3]


@given(speed=st.floats(1, 10_000), later=st.floats(0, 1e6), ahead=st.floats(0, 1e6))
def test_the_clock_waits_as_long_as_it_must(speed: float, later: float, ahead: float) -> None:
    clock = Clock(NOW - (speed - 1) * 1_000, NOW, speed)
    now = NOW + later
    until = clock.at(now) + ahead
    wait = clock.wait(until, now)
    assert wait >= 0
    assert clock.at(now + wait + 1e-3) >= until - 1e-3
    if wait > 1e-3:
        assert clock.at(now + wait - 1e-3) <= until + 1e-3


def test_the_length_of_the_history(subtests: pytest.Subtests) -> None:
    for events, days, length in [(None, None, 30), (None, 4, 4), (20_000, None, 33)]:
        with subtests.test(events=events):
            state = LiveState.create(seed=1, events=events, days=days, speed=1, now=NOW)
            assert length * DAY <= NOW - state.start < (length + 1) * DAY


def test_a_speed_that_cannot_be_kept_is_refused(subtests: pytest.Subtests) -> None:
    for speed in [0.5, 0, -1, 20_000, float("nan"), float("inf")]:
        with (
            subtests.test(speed=speed),
            pytest.raises(
                UsageError, match=r"the speed cannot be kept; got .*; expected 1 \(real time\) to 10,000 times"
            ),
        ):
            LiveState.create(seed=1, events=None, days=None, speed=speed, now=NOW)


@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"seed": 1}', '{"seed": 1, "start": 2, "clock": {}}'])
def test_a_state_that_cannot_be_read_is_refused(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "feed.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match=r"the state of the feed in .*feed\.json cannot be read; got .*; remove it"):
        LiveState.read(path)


def test_the_state_comes_back_as_it_was_written(tmp_path: Path) -> None:
    state = replace(LiveState.create(seed=9, events=50, days=None, speed=2.5, now=NOW), sent=17)
    state.write(tmp_path / "new" / "feed.json")
    assert LiveState.read(tmp_path / "new" / "feed.json") == state
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["feed.json"]


def test_a_simulator_is_either_taken_or_run() -> None:
    state = LiveState.create(seed=1, events=None, days=1, speed=1, now=NOW)
    simulator = Simulator(state.settings)
    list(simulator.take(state.start + 10))
    list(simulator.take(state.start + 20))
    with pytest.raises(UsageError, match="the simulator has run already; make a new Simulator"):
        list(simulator.blocks())
