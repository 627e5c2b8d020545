"""A micro-batch: the messages that are decided on and landed together."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Final, TypeVar

import polars as pl

from app.stream.transforms.mask import Masked
from lake.errors import FULL_DISK, StepError, WardlakeError, kind_of

_MEND_DISK: Final = "free space, then start again"
_REPORT: Final = "start again, and report it if it happens again"

Done = TypeVar("Done")


@dataclass(frozen=True)
class MicroBatch:
    """Messages of one topic, by partition and offset, and what the steps made of them so far.

    ``messages``: ``row`` (UInt32, from 0), ``kafka_partition``, ``kafka_offset``, ``kafka_time`` (null where Kafka
    had none) and ``ingested_at``. ``payloads`` are in the same order; ``encrypted``
    (Binary) is their encryption, under way on another thread. ``lag`` is how many messages were left to read when it
    was handed on (None: not known). ``at_once`` says that it is to have landed when its flush returns. ``seconds`` is
    time spent per step.
    """

    topic: str
    topic_id: str
    messages: pl.DataFrame
    payloads: list[bytes | None]
    encrypted: "Future[pl.Series]"
    lag: int | None = None
    at_once: bool = True
    events: pl.DataFrame = field(default_factory=pl.DataFrame)
    failures: pl.DataFrame = field(default_factory=pl.DataFrame)
    masked: Masked | None = None
    unknown_fields: pl.DataFrame = field(default_factory=pl.DataFrame)
    seconds: dict[str, float] = field(default_factory=dict)

    def last_offsets(self) -> dict[int, int]:
        """Partition → offset of its last message, in the order of partitions."""
        return dict(self.messages.group_by("kafka_partition").agg(pl.col("kafka_offset").max()).sort(pl.all()).rows())

    def placed(self, rows: pl.DataFrame) -> pl.DataFrame:
        """``rows`` (by ``row``) with where and when their messages came in, in the order of the messages."""
        rows = rows if rows["row"].is_sorted() else rows.sort("row")
        return rows.hstack(self.messages.drop("row")[rows["row"]]).with_columns(
            topic=pl.lit(self.topic), topic_id=pl.lit(self.topic_id)
        )


def timed(step: str, work: Callable[[MicroBatch], MicroBatch]) -> Callable[[MicroBatch], MicroBatch]:
    """``work``, with its seconds noted in the batch under the step's name.

    Raises ``StepError`` for any error in it, which tells where it happened and nothing of what was there.
    """

    def run(batch: MicroBatch) -> MicroBatch:
        start = perf_counter()
        done = without_values_in_errors(step, batch, lambda: work(batch))
        return replace(done, seconds={**done.seconds, step: perf_counter() - start})

    return run


def without_values_in_errors(step: str, batch: MicroBatch, work: Callable[[], Done]) -> Done:
    """The result of ``work``; any error of it that is not ours becomes a ``StepError`` without its text or chain."""
    try:
        return work()
    except WardlakeError:
        raise
    except (Exception, pl.exceptions.PanicException) as error:  # a panic of Polars is no Exception
        kind = kind_of(error)
    # Outside the handlers, or the original would be chained to it.
    raise StepError(
        f"the step {step} failed",
        got=f"{kind} in a batch that ends at offsets {batch.last_offsets()} by partition",
        next_move="nothing of this batch is lost: " + (_MEND_DISK if kind == FULL_DISK else _REPORT),
    )
