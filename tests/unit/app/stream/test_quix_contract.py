"""What the stream overrides in Quix Streams, or reads of it, is there and takes what ours takes.

Quix keeps most of this private. When a test fails after an upgrade, adapt ``app/stream`` and run the crash stories.
What Quix does with it is held by ``tests/integration/stream/test_quix_run.py``.
"""

# First: it silences a warning of Authlib that importing Quix gives.
from app.stream.consumer import MicroBatchConsumer

# isort: split
import inspect
import logging
import tomllib
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
from confluent_kafka import KafkaError
from packaging.requirements import Requirement
from quixstreams import Application
from quixstreams.checkpointing import Checkpoint
from quixstreams.error_callbacks import default_on_processing_error
from quixstreams.internal_consumer import InternalConsumer
from quixstreams.models import MessageContext, Row
from quixstreams.processing import ProcessingContext
from quixstreams.sinks import BaseSink

from app.stream.collect_batches import PASSING, BatchLimits
from app.stream.run import StreamApplication
from app.stream.sink import LandingSink

PYPROJECT: Final = Path(__file__).resolve().parents[4] / "pyproject.toml"
OURS: Final = [(MicroBatchConsumer, InternalConsumer), (StreamApplication, Application), (LandingSink, BaseSink)]
OVERRIDDEN: Final = [
    (ours, quix, name)
    for ours, quix in OURS
    for name, value in vars(ours).items()
    if inspect.isfunction(value) and hasattr(quix, name) and name != "__init__"
]


def test_the_version_is_within_the_range_that_was_tested() -> None:
    project = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]
    [pinned] = [one for one in map(Requirement, project["dependencies"]) if one.name == "quixstreams"]
    assert str(pinned.specifier) == "<3.29,>=3.28", "the range moved: run the crash and rebalance stories"
    assert pinned.specifier.contains(version("quixstreams")), "installed Quix is outside the range: run `make`"


def test_quix_still_has_what_is_overridden() -> None:
    assert {f"{ours.__name__}.{name}" for ours, _, name in OVERRIDDEN} == {
        *(f"MicroBatchConsumer.{name}" for name in ("poll_row", "subscribe", "assign", "trigger_backpressure")),
        *(f"MicroBatchConsumer.{name}" for name in ("commit", "close", "_error_cb")),
        *(f"StreamApplication.{name}" for name in ("_get_internal_consumer", "_process_message", "stop")),
        *(f"LandingSink.{name}" for name in ("setup", "add", "flush", "on_paused")),
    }


def test_an_override_takes_what_quix_gives(subtests: pytest.Subtests) -> None:
    for ours, quix, name in OVERRIDDEN:
        with subtests.test(ours=ours):
            taken, given = (inspect.signature(getattr(one, name)).parameters for one in (ours, quix))
            if any(one.kind is one.VAR_KEYWORD for one in taken.values()):
                assert next(iter(given)) == next(iter(taken))
            else:
                assert list(taken) == list(given)


def test_no_name_of_ours_hides_one_of_quix() -> None:
    unused: Any = SimpleNamespace()
    group = ("127.0.0.1:1", "group", "earliest")
    limits = BatchLimits(1, 1)
    ours = MicroBatchConsumer(*group, topic="t", positions=unused, key=unused, limits=limits, now=unused, settle=unused)
    theirs = InternalConsumer(*group)
    assert vars(theirs).keys() <= vars(ours).keys()
    added = (vars(ours).keys() - vars(theirs).keys()) | {name for name in vars(MicroBatchConsumer) if name[:2] != "__"}
    allowed = {name for ours, _, name in OVERRIDDEN if ours is MicroBatchConsumer}
    assert added & set(dir(theirs)) == allowed


def test_what_is_used_of_the_consumer_is_there() -> None:
    used = ("consume", "assignment", "position", "pause", "resume", "get_watermark_offsets", "_subscribe")
    assert [name for name in used if not callable(getattr(InternalConsumer, name, None))] == []
    assert list(inspect.signature(ProcessingContext.store_offset).parameters) == [
        "self",
        "topic",
        "partition",
        "offset",
    ]


def test_an_interval_of_zero_expires_at_once() -> None:
    nothing: Any = None
    checkpoint = Checkpoint(0.0, nothing, nothing, nothing, nothing, nothing)
    assert checkpoint.expired(), "check commit_interval in run_stream"
    assert checkpoint.empty()


def test_a_failing_step_is_not_suppressed() -> None:
    logger = logging.getLogger("wardlake.test.silent")
    logger.disabled = True
    context = MessageContext(topic="t", partition=3, offset=9, size=5)
    row = Row(value="batch", key=None, timestamp=7, context=context, headers=None)
    assert (row.topic, row.partition, row.offset, row.value) == ("t", 3, 9, "batch"), "check MicroBatchConsumer._row"
    assert default_on_processing_error(ValueError(), row, logger) is False, "a failed batch would now be skipped"


def test_the_error_codes_that_pass_by_themselves_are_known() -> None:
    assert all(KafkaError(code).name() for code in PASSING)
    assert KafkaError._PARTITION_EOF not in PASSING
