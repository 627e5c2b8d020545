"""What the stream overrides in Quix Streams, or relies on, is as it was when it was written.

Quix keeps most of this private, so a new version may change it without a word. When a test here fails after an
upgrade, compare Quix's code with what the message names, adapt ``app/stream``, run the crash stories, and only
then pin the new form here.
"""

# First: it silences a warning of Authlib that importing Quix gives.
from app.stream.consumer import _PASSING, MicroBatchConsumer

# isort: split
import inspect
import logging
import tomllib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import confluent_kafka
import pytest
from packaging.requirements import Requirement
from quixstreams import Application, runtracker
from quixstreams.checkpointing import Checkpoint
from quixstreams.error_callbacks import default_on_processing_error
from quixstreams.exceptions import PartitionAssignmentError
from quixstreams.internal_consumer import InternalConsumer
from quixstreams.kafka import BaseConsumer
from quixstreams.models import MessageContext, Row
from quixstreams.processing import ProcessingContext
from quixstreams.sinks import BaseSink, SinkBackpressureError, SinkManager

from app.stream.run import StreamApplication
from app.stream.sink import LandingSink

PYPROJECT: Final = Path(__file__).resolve().parents[4] / "pyproject.toml"

SIGNATURES: Final[list[tuple[Callable[..., Any], str, str]]] = [
    # What is overridden, the parameters it has at Quix, what of ours to look at again.
    (InternalConsumer.poll_row, "self, timeout, buffered", "MicroBatchConsumer.poll_row"),
    (InternalConsumer.subscribe, "self, topics, on_assign, on_revoke, on_lost", "MicroBatchConsumer.subscribe"),
    (InternalConsumer.assign, "self, partitions", "MicroBatchConsumer.assign"),
    (
        InternalConsumer.trigger_backpressure,
        "self, offsets_to_seek, resume_after",
        "MicroBatchConsumer.trigger_backpressure",
    ),
    (InternalConsumer._error_cb, "self, error", "MicroBatchConsumer._error_cb"),
    (InternalConsumer.close, "self", "MicroBatchConsumer.close"),
    (
        Application._get_internal_consumer,
        "self, on_error, extra_config_overrides",
        "StreamApplication._get_internal_consumer",
    ),
    (Application._process_message, "self, dataframe_composed", "StreamApplication._process_message"),
    (ProcessingContext.commit_checkpoint, "self, force, revoking", "when a micro-batch is landed"),
    (ProcessingContext.store_offset, "self, topic, partition, offset", "StreamApplication._process_message"),
    (BaseSink.add, "self, value, key, timestamp, headers, topic, partition, offset", "LandingSink.add"),
    (BaseSink.flush, "self", "LandingSink.flush"),
    (BaseSink.setup, "self", "LandingSink.setup"),
    (BaseConsumer.commit, "self, message, offsets, asynchronous", "MicroBatchConsumer.commit"),
    (BaseSink.on_paused, "self", "LandingSink.on_paused"),
    (SinkBackpressureError.__init__, "self, retry_after", "LandingSink.flush"),
    (Application.stop, "self, fail", "StreamApplication.stop; run_stream, --until-caught-up"),
    (default_on_processing_error, "exc, row, logger", "how a failing step ends the stream"),
]


def parameters(function: Callable[..., Any]) -> str:
    return ", ".join(inspect.signature(function).parameters)


def source(function: Callable[..., Any]) -> str:
    return inspect.getsource(function)


def in_order(text: str, *pieces: str) -> bool:
    """Whether the pieces stand in the text one after the other."""
    at = 0
    for piece in pieces:
        at = text.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    return True


def test_the_version_is_within_the_range_that_was_tested() -> None:
    project = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]
    [pinned] = [one for one in map(Requirement, project["dependencies"]) if one.name == "quixstreams"]
    assert str(pinned.specifier) == "<3.29,>=3.28", "the range moved: go through this whole file"
    assert pinned.specifier.contains(version("quixstreams")), "installed Quix is outside the range: run `make`"


@pytest.mark.parametrize(
    ("function", "expected", "look_at"), SIGNATURES, ids=lambda one: getattr(one, "__qualname__", "")
)
def test_a_signature_is_as_it_was(function: Callable[..., Any], expected: str, look_at: str) -> None:
    assert parameters(function) == expected, f"Quix changed {function.__qualname__}; check {look_at}"


OVERRIDDEN: Final = [
    (
        MicroBatchConsumer,
        InternalConsumer,
        {"poll_row", "subscribe", "assign", "trigger_backpressure", "commit", "close", "_error_cb"},
    ),
    (StreamApplication, Application, {"_get_internal_consumer", "_process_message", "stop"}),
    (LandingSink, BaseSink, {"setup", "add", "flush", "on_paused"}),
]


@pytest.mark.parametrize(("ours", "quix", "names"), OVERRIDDEN, ids=lambda one: getattr(one, "__name__", ""))
def test_what_is_overridden_is_still_there(ours: type, quix: type, names: set[str]) -> None:
    assert issubclass(ours, quix)
    assert names <= set(vars(ours)), "no longer overridden: take it out of this list"
    gone = sorted(name for name in names if not hasattr(quix, name))
    assert gone == [], f"Quix no longer has these, so ours are never called: {gone}"


def test_whatever_of_quix_is_overridden_is_in_the_list() -> None:
    for ours, quix, names in OVERRIDDEN:
        also = {name for name in vars(ours) if not name.startswith("__") and hasattr(quix, name)} - names
        assert also - {"_abc_impl"} == set(), f"{ours.__name__} overrides more of Quix: add it to the lists here"


def test_no_private_name_of_ours_hides_one_of_quix() -> None:
    added = {name for name in vars(MicroBatchConsumer) if name.startswith("_") and not name.startswith("__")}
    theirs = set(dir(InternalConsumer)) | set(dir(BaseConsumer))
    assert added & theirs == {"_error_cb"}, "rename ours in app/stream/consumer.py: Quix would call it"


def test_the_attributes_that_are_read_are_set() -> None:
    read = ("_process_message", "_processing_context", "_run_tracker", "_consumer", "_config")
    text = source(Application)
    assert [name for name in read if f"self.{name}" not in text] == [], "check StreamApplication"
    assert "self._message_consumed" in source(runtracker), "check StreamApplication._process_message: idle polls"


def test_the_loop_processes_then_commits_then_looks_whether_to_stop() -> None:
    loop = source(Application._run_dataframe)
    assert in_order(
        loop, "consumer.subscribe(", "while run_tracker.running", "process_message(", "commit_checkpoint()"
    ), "check that each micro-batch is a checkpoint of its own (commit_interval=0)"
    assert in_order(loop, "while run_tracker.running", "commit_checkpoint(force=True)"), "check the end of the stream"
    assert "consumer.poll_row(" in source(Application._process_message), "check MicroBatchConsumer.poll_row"


def test_a_signal_before_the_loop_is_a_stop_that_the_loop_forgets() -> None:
    assert "self.stop()" in source(Application._on_sigterm), "check StreamApplication.stop: SIGTERM no longer calls it"
    assert "self.stop()" in source(Application._on_sigint), "check StreamApplication.stop: Ctrl-C no longer calls it"
    assert in_order(source(Application._run_dataframe), "set_as_running()", "while run_tracker.running"), (
        "a stop before the loop may hold by itself now: take StreamApplication.stop out if it does"
    )
    assert "self.running = True" in source(runtracker.RunTracker.set_as_running), "the same"


def test_a_checkpoint_flushes_the_sinks_before_it_commits_offsets() -> None:
    assert in_order(source(ProcessingContext.commit_checkpoint), "self.checkpoint.expired()", "self.checkpoint.commit(")
    commit = source(Checkpoint.commit)
    assert in_order(commit, "sink.flush()", "except SinkBackpressureError", "self._consumer.commit("), (
        "offsets may now be committed before the lake has the rows: check the order in Checkpoint.commit"
    )
    assert in_order(commit, "except SinkBackpressureError", "trigger_backpressure(", "return", "self._consumer.commit(")


def test_an_interval_of_zero_expires_at_once() -> None:
    nothing: Any = None
    checkpoint = Checkpoint(0.0, nothing, nothing, nothing, nothing, nothing)
    assert checkpoint.expired(), "check commit_interval in run_stream"
    assert checkpoint.empty()


def test_a_revoke_commits_in_a_thread_and_a_failed_application_does_not_commit() -> None:
    assert in_order(
        source(Application._on_revoke), "if self._failed", "else:", "commit_checkpoint(force=True, revoking=True)"
    )
    assert "Thread(target=" in source(Checkpoint._flush_sink_bounded), (
        "check LandingSink: a flush that a rebalance left behind"
    )


def test_assignment_goes_through_our_assign_and_its_errors_come_wrapped() -> None:
    assert "self._consumer.assign(" in source(Application._assign_partitions) + source(Application._on_assign), (
        "Quix no longer calls assign on a rebalance: check MicroBatchConsumer.assign, which starts from the lake"
    )
    assert issubclass(PartitionAssignmentError, Exception), "check the except clause in run_stream"


def test_a_failing_step_is_not_suppressed() -> None:
    logger = logging.getLogger("wardlake.test.silent")
    logger.disabled = True
    context = MessageContext(topic="t", partition=0, offset=1, size=1)
    row = Row(value=None, key=None, timestamp=0, context=context, headers=None)
    assert default_on_processing_error(ValueError(), row, logger) is False, "a failed batch would now be skipped"


def test_a_row_takes_what_a_micro_batch_is_handed_on_in() -> None:
    context = MessageContext(topic="t", partition=3, offset=9, size=5)
    row = Row(value="batch", key=None, timestamp=7, context=context, headers=None)
    assert (row.topic, row.partition, row.offset, row.value) == ("t", 3, 9, "batch"), "check MicroBatchConsumer._row"


def test_the_sink_is_one_that_quix_takes() -> None:
    sink = LandingSink(landing=None, on_landed=lambda landed, lag: None)  # type: ignore[arg-type]
    manager = SinkManager()
    manager.register(sink)
    manager.start_sinks()
    sink.add("batch", None, 0, None, "t", 0, 1)
    sink.on_paused()
    sink.flush()
    assert manager.sinks == [sink]
    assert not inspect.isabstract(LandingSink)


def test_what_is_used_of_the_consumer_is_there() -> None:
    used = (
        "consume",
        "assignment",
        "position",
        "pause",
        "resume",
        "seek",
        "get_watermark_offsets",
        "commit",
        "_subscribe",
    )
    assert [name for name in used if not callable(getattr(InternalConsumer, name, None))] == [], "check app/stream"


def test_the_error_codes_that_pass_by_themselves_are_known() -> None:
    assert all(confluent_kafka.KafkaError(code).name() for code in _PASSING)
    assert confluent_kafka.KafkaError._PARTITION_EOF not in _PASSING
