"""What the stream relies on in Quix's loop: a small application of Quix's own, and the order of what it calls."""

# First: it silences a warning of Authlib that importing Quix gives.
import app.stream  # noqa: F401

# isort: split
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from quixstreams import Application
from quixstreams.internal_consumer import InternalConsumer
from quixstreams.models import MessageContext, Row
from quixstreams.sinks import BaseSink, SinkBackpressureError

SESSION = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 1500}


class Run(Application):
    """Hands on two rows once it is assigned partitions, then stops; ``calls`` is what Quix did, in order."""

    def __init__(self, broker: str, topic: str, folder: Path) -> None:
        self.calls: list[str] = []
        self.name, self.rows = topic, [self.row(topic, offset) for offset in (0, 1)]
        self.at_end: Callable[[], None] = self.stop
        super().__init__(
            broker,
            consumer_group=topic,
            commit_interval=0.0,
            loglevel=None,
            state_dir=folder,
            use_changelog_topics=False,
        )

    @staticmethod
    def row(topic: str, offset: int) -> Row:
        context = MessageContext(topic=topic, partition=0, offset=offset, size=1)
        return Row(value="batch", key=None, timestamp=0, context=context, headers=None)

    def _get_internal_consumer(self, on_error: Any = None, extra_config_overrides: Any = None) -> InternalConsumer:
        run = self

        class Consumer(InternalConsumer):
            def poll_row(self, timeout: float | None = None, buffered: bool = False) -> Row | None:
                self.poll(0.05)
                if "assign" not in run.calls:
                    return None
                if not run.rows:
                    run.at_end()
                    return None
                run.calls.append("poll")
                return run.rows.pop(0)

            def assign(self, partitions: Any) -> None:
                run.calls.append("assign")
                super().assign(partitions)

            def commit(self, *_: Any, **__: Any) -> Any:
                run.calls.append("commit")
                return []

            def trigger_backpressure(self, offsets_to_seek: Any, resume_after: float) -> None:
                run.calls.append("backpressure")

        return Consumer(self._config.broker_address, self.name, "earliest", False, extra_config=SESSION)

    def flow(self, sink: BaseSink, step: Callable[[Any], Any] = lambda value: value) -> list[str]:
        self.dataframe(self.topic(self.name)).apply(step).sink(sink)
        self.run()
        return self.calls[self.calls.index("poll") :]


class Sink(BaseSink):
    def __init__(self, calls: list[str], error: BaseException | None = None) -> None:
        super().__init__()
        self.calls, self.error = calls, error

    def add(self, *_: Any, **__: Any) -> None:
        self.calls.append("add")

    def flush(self) -> None:
        self.calls.append("flush")
        if self.error is not None:
            raise self.error


@pytest.fixture
def run(broker: str, topic: str, tmp_path: Path) -> Run:
    return Run(broker, topic, tmp_path)


def test_each_row_is_flushed_then_committed_before_the_next_is_polled(run: Run) -> None:
    assert run.flow(Sink(run.calls)) == ["poll", "add", "flush", "commit"] * 2
    assert run.calls[0] == "assign", "partitions must come through our assign, which starts from the lake"


def test_backpressure_takes_the_place_of_the_commit(run: Run) -> None:
    assert run.flow(Sink(run.calls, SinkBackpressureError(0))) == ["poll", "add", "flush", "backpressure"] * 2


def test_a_failing_step_ends_the_run_without_a_flush_or_a_commit(run: Run) -> None:
    def fail(_: Any) -> Any:
        raise ValueError("a step failed")

    with pytest.raises(ValueError, match="a step failed"):
        run.flow(Sink(run.calls), fail)
    assert run.calls == ["assign", "poll"]


def test_a_failing_flush_ends_the_run_without_a_commit(run: Run) -> None:
    with pytest.raises(ValueError, match="a flush failed"):
        run.flow(Sink(run.calls, ValueError("a flush failed")))
    assert run.calls == ["assign", "poll", "add", "flush"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_a_stop(run: Run, number: signal.Signals) -> None:
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    run.at_end = lambda: os.kill(os.getpid(), number)
    try:
        assert run.flow(Sink(run.calls)) == ["poll", "add", "flush", "commit"] * 2
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
