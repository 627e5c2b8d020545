"""The Quix sink that lands micro-batches, one in the background while the next is being decided."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from quixstreams.sinks import BaseSink, SinkBackpressureError

from app.stream.batches import MaskedBatch
from app.stream.exactly_once_writer import Landed, PositionMoved
from app.stream.landing import Landing


class LandingSink(BaseSink):
    """Takes the micro-batch of a checkpoint; ``flush`` waits for the landing before it and begins its own.

    Writing is mostly not Python's work, so the next batch is decoded and masked meanwhile. The rows that the
    consumer hands on carry the offsets of the batch before them: what Kafka is told has landed.

    Guarantee: a batch lands whole or, after a crash or a lost partition, is landed again from the lake's
    position; it is never in the lake twice. A flush that a rebalance left behind runs to its end or fails without
    writing.
    """

    def __init__(self, landing: Landing, on_landed: Callable[[list[Landed], int | None], None]) -> None:
        super().__init__()
        self._landing = landing
        self._on_landed = on_landed
        self._pending: list[MaskedBatch] = []
        self._under_way: Future[None] | None = None
        self._lander = ThreadPoolExecutor(1, thread_name_prefix="land")
        self._one_at_a_time = threading.Lock()

    def setup(self) -> None:
        """Nothing to connect to: the lake is open already."""

    def add(self, value: Any, *_: Any, **__: Any) -> None:
        """Take one micro-batch into the checkpoint in hand."""
        self._pending.append(value)

    def flush(self) -> None:
        """Begin landing what is pending, after the landing before it.

        Raises what that one raised; ``SinkBackpressureError`` when another writer had moved a partition.
        """
        batches, self._pending = self._pending, []
        try:
            for batch in batches:
                with self._one_at_a_time:
                    self._wait()
                    self._under_way = self._lander.submit(self._land, batch)
                    if batch.raw.at_once:
                        self._wait()
        except PositionMoved:
            raise SinkBackpressureError(retry_after=0) from None

    def settle(self) -> None:
        """Wait until nothing is being landed. Raises what the landing raised."""
        with self._one_at_a_time:
            self._wait()

    def on_paused(self) -> None:
        """Drop what is pending."""
        self._pending = []

    def close(self) -> None:
        """Settle, then end the threads that land and compact."""
        try:
            self.settle()
        finally:
            self._lander.shutdown()
            self._landing.close()

    def _wait(self) -> None:
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()

    def _land(self, batch: MaskedBatch) -> None:
        self._on_landed(self._landing.land(batch), batch.raw.lag)
