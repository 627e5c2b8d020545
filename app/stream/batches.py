"""A micro-batch, the messages that are decided and landed together: ``RawBatch → DecodedBatch → MaskedBatch``."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from time import perf_counter
from typing import Final, TypeVar

import polars as pl

from app.stream.transforms.mask import Masked, count_fields
from lake.errors import FULL_DISK, StepError, WardlakeError, kind_of

_MEND_DISK: Final = "free space, then start again"
_REPORT: Final = "start again, and report it if it happens again"

T = TypeVar("T")


@dataclass(frozen=True)
class RawBatch:
    """Messages of one topic as they were received, by partition and offset.

    ``messages``: ``row`` (UInt32, from 0), ``kafka_partition``, ``kafka_offset``, ``kafka_time`` (null where Kafka
    had none) and ``ingested_at``. ``payloads`` are in the same order; ``encrypted`` (Binary) is their encryption, under
    way on another thread. ``lag`` is how many messages were left to read when the batch was complete (None: not known).
    ``at_once`` says that it is to have landed when its flush returns.
    """

    topic: str
    topic_id: str
    messages: pl.DataFrame
    payloads: list[bytes | None]
    encrypted: "Future[pl.Series]"
    lag: int | None = None
    at_once: bool = True

    def last_offsets(self) -> dict[int, int]:
        """Partition → offset of its last message, in the order of partitions."""
        return dict(self.messages.group_by("kafka_partition").agg(pl.col("kafka_offset").max()).sort(pl.all()).rows())

    def with_coordinates(self, rows: pl.DataFrame) -> pl.DataFrame:
        """``rows`` (by ``row``) with the Kafka coordinates and times of their messages, in their order."""
        rows = rows if rows["row"].is_sorted() else rows.sort("row")
        return rows.hstack(self.messages.drop("row")[rows["row"]]).with_columns(
            topic=pl.lit(self.topic), topic_id=pl.lit(self.topic_id)
        )


@dataclass(frozen=True)
class DecodedBatch:
    """The valid ``events`` of a raw batch (``Event`` frame), and the ``failures`` with the rules that they broke.

    ``failures``: ``row`` and ``reasons``. ``unknown_fields``: per ``row``, how many fields were not in the contract.
    ``seconds``: time spent per step.
    """

    raw: RawBatch
    events: pl.DataFrame
    failures: pl.DataFrame
    unknown_fields: pl.DataFrame
    seconds: dict[str, float]


@dataclass(frozen=True)
class MaskedBatch:
    """A raw batch that is decided: ``masked`` rows for Silver, ``failures`` for the quarantine; ready to be landed.

    ``failures``, ``unknown_fields`` and ``seconds`` are those of ``DecodedBatch``.
    """

    raw: RawBatch
    masked: Masked
    failures: pl.DataFrame
    unknown_fields: pl.DataFrame
    seconds: dict[str, float]

    def silver_rows(self) -> pl.DataFrame:
        """The masked rows with their Kafka coordinates, in the order of the messages."""
        return self.raw.with_coordinates(self.masked.rows.drop("ingested_at"))

    def field_counts(self, fresh: pl.DataFrame) -> list[dict[str, object]]:
        """Counts per PHI field over the rows of the batch that are ``fresh``."""
        return count_fields(self.masked.fields.join(fresh, on="row", how="semi"))


class Stopwatch:
    """Seconds per lap."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._at = perf_counter()

    def lap(self, name: str) -> None:
        """Note the seconds since the last lap under ``name``."""
        now = perf_counter()
        self.seconds[name], self._at = now - self._at, now


def without_values_in_errors(step: str, batch: RawBatch, work: Callable[[], T]) -> T:
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
