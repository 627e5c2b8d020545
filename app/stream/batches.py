"""A micro-batch, the messages that are decided and landed together: ``RawBatch → DecodedBatch → MaskedBatch``."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from typing import Final, TypeVar

import polars as pl

from app.stream.transforms.mask import Masked, count_fields
from lake.contracts.tables import UTC as UTC_TIME
from lake.errors import FULL_DISK, StepError, WardlakeError, kind_of
from lake.storage.record_batch import Messages

_MEND_DISK: Final = "free space, then start again"
_REPORT: Final = "start again, and report it if it happens again"

T = TypeVar("T")

EVENT: Final = ("row", "event_index")
"""What names an event within its batch: its message, and which of that message's events it is."""


@dataclass(frozen=True)
class RawBatch:
    """Messages of one topic as they were received, by partition and offset.

    ``messages``: ``row`` (UInt32, from 0), ``kafka_partition``, ``kafka_offset``, ``kafka_key`` (Binary) and
    ``ingested_at``. ``payloads`` are in the same order; ``bronze`` are the rows for Bronze, being encrypted on another
    thread (None: Bronze has them). ``lag`` is how many messages were left to read when the batch was complete (None:
    not known). ``at_once`` says that it is to have landed when its flush returns.
    """

    topic: str
    topic_id: str
    messages: pl.DataFrame
    payloads: list[bytes | None]
    bronze: "Future[pl.DataFrame] | None" = None
    lag: int | None = None
    at_once: bool = True

    @classmethod
    def of(
        cls,
        topic: str,
        topic_id: str,
        held: Mapping[int, Messages],
        now: datetime,
        bronze: "Future[pl.DataFrame] | None" = None,
        lag: int | None = None,
        *,
        at_once: bool = True,
    ) -> "RawBatch":
        """The messages held by partition, taken in ``now``."""
        parts = held.values()
        frame = pl.DataFrame(
            {
                "kafka_partition": [partition for partition, part in held.items() for _ in part.offsets],
                "kafka_offset": [offset for part in parts for offset in part.offsets],
                "kafka_key": [key for part in parts for key in part.keys],
            },
            schema={"kafka_partition": pl.Int32, "kafka_offset": pl.Int64, "kafka_key": pl.Binary},
        )
        return cls(
            topic=topic,
            topic_id=topic_id,
            messages=frame.with_row_index("row").with_columns(ingested_at=pl.lit(now.astimezone(UTC)).cast(UTC_TIME)),
            payloads=[value for part in parts for value in part.values],
            bronze=bronze,
            lag=lag,
            at_once=at_once,
        )

    def last_offsets(self) -> dict[int, int]:
        """Partition → offset of its last message, in the order of partitions."""
        return dict(self.messages.group_by("kafka_partition").agg(pl.col("kafka_offset").max()).sort(pl.all()).rows())

    def with_coordinates(self, rows: pl.DataFrame) -> pl.DataFrame:
        """``rows`` (by ``row``) with the Kafka coordinates and times of their messages, in their order."""
        rows = rows if rows["row"].is_sorted() else rows.sort("row", maintain_order=True)
        return rows.hstack(self.messages.drop("row", "kafka_key")[rows["row"]]).with_columns(
            topic=pl.lit(self.topic), topic_id=pl.lit(self.topic_id)
        )


@dataclass(frozen=True)
class DecodedBatch:
    """The ``events`` of a raw batch's valid messages (``Event`` frame), and the ``failures`` with the broken rules.

    ``failures``: ``row`` and ``reasons``; no event of such a message is among the events. A message with neither is
    ignored: it is well formed and holds no event. ``unknown_fields``: per ``row``, how many fields were not in the
    contract. ``seconds``: time spent per step.
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

    def ignored(self) -> pl.DataFrame:
        """``row`` of each message that holds no event and broke no rule."""
        rows = self.raw.messages.select("row")
        decided = pl.concat([self.masked.rows.select("row"), self.failures.select("row")])
        return rows.join(decided, on="row", how="anti")

    def field_counts(self, fresh: pl.DataFrame) -> list[dict[str, object]]:
        """Counts per PHI field over the rows of the batch that are ``fresh``."""
        return count_fields(self.masked.fields.join(fresh, on=EVENT, how="semi"))


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
