"""A micro-batch: the messages of one Kafka partition that are decided on and landed together."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import perf_counter

import polars as pl

from app.steps.mask import Masked
from lake.errors import StepError, WardlakeError


@dataclass(frozen=True)
class MicroBatch:
    """Messages of one partition, in offset order, and what the steps made of them so far.

    ``messages``: ``row``, ``kafka_offset``, ``kafka_time`` (null where Kafka had none) and ``ingested_at``.
    ``sealed`` is the payloads' sealing, under way on another thread. ``seconds`` is time spent per step.
    """

    topic: str
    topic_id: str
    partition: int
    messages: pl.DataFrame
    payloads: list[bytes | None]
    sealed: "Future[list[bytes | None]]"
    events: pl.DataFrame = field(default_factory=pl.DataFrame)
    failures: pl.DataFrame = field(default_factory=pl.DataFrame)
    masked: Masked | None = None
    unknown_fields: pl.DataFrame = field(default_factory=pl.DataFrame)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def first_offset(self) -> int:
        """Offset of the first message."""
        return int(self.messages["kafka_offset"][0])

    @property
    def last_offset(self) -> int:
        """Offset of the last message."""
        return int(self.messages["kafka_offset"][-1])

    def placed(self, rows: pl.DataFrame) -> pl.DataFrame:
        """``rows`` (by ``row``) with where and when their messages came in, in offset order."""
        return self.messages.join(rows, on="row", how="inner", maintain_order="left").with_columns(
            topic=pl.lit(self.topic),
            topic_id=pl.lit(self.topic_id),
            kafka_partition=pl.lit(self.partition, pl.Int32),
        )


def timed(step: str, work: Callable[[MicroBatch], MicroBatch]) -> Callable[[MicroBatch], MicroBatch]:
    """``work``, with its seconds noted in the batch under the step's name.

    Raises ``StepError`` for any error in it, which tells where it happened and nothing of what was there.
    """

    def run(batch: MicroBatch) -> MicroBatch:
        start = perf_counter()
        with no_values_in_errors(step, batch):
            done = work(batch)
        return replace(done, seconds={**done.seconds, step: perf_counter() - start})

    return run


@contextmanager
def no_values_in_errors(step: str, batch: MicroBatch) -> Iterator[None]:
    """Turn any error that is not ours into a ``StepError`` without text or chain of the original."""
    kind = None
    try:
        yield
    except WardlakeError:
        raise
    except OSError as error:
        kind = f"{type(error).__name__} ({os.strerror(error.errno)})" if error.errno else type(error).__name__
    except Exception as error:
        kind = type(error).__name__
    if kind is not None:
        raise StepError(
            f"the step {step} failed at partition {batch.partition}",
            got=f"{kind} in offsets {batch.first_offset} to {batch.last_offset}",
            next_move="nothing of this batch is lost: start again, and report it if it happens again",
        )
