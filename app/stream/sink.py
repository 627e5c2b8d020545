"""The Quix sink that lands a checkpoint's micro-batch."""

import threading
from collections.abc import Callable
from typing import Any

from quixstreams.sinks import BaseSink, SinkBackpressureError

from app.stream.batch import MicroBatch
from app.stream.landing import Landed, Landing, PositionMoved


class LandingSink(BaseSink):
    """Collects the micro-batches of a checkpoint and lands them on ``flush``.

    Guarantee: a batch lands whole or, after a crash or a lost partition, is landed again from the lake's
    position; it is never in the lake twice. A flush that a rebalance left behind runs to its end or fails
    without writing, and the next one waits for it.
    """

    def __init__(self, landing: Landing, on_landed: Callable[[list[Landed]], None]) -> None:
        super().__init__()
        self._landing = landing
        self._on_landed = on_landed
        self._pending: list[MicroBatch] = []
        self._one_at_a_time = threading.Lock()

    def setup(self) -> None:
        """Nothing to connect to: the lake is open already."""

    def add(self, value: Any, *_place: Any, **_rest: Any) -> None:
        """Take one micro-batch into the checkpoint in hand."""
        self._pending.append(value)

    def flush(self) -> None:
        """Land what is pending. Raises ``SinkBackpressureError`` when another writer moved a partition."""
        batches, self._pending = self._pending, []
        for batch in batches:
            with self._one_at_a_time:
                try:
                    landed = self._landing.land(batch)
                except PositionMoved:
                    raise SinkBackpressureError(retry_after=0) from None
            self._on_landed(landed)

    def on_paused(self) -> None:
        """Drop what is pending."""
        self._pending = []
