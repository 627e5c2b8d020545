"""Ctrl-C and SIGTERM as a question that work asks between two steps, not as an exception in the midst of one.

An exception may be raised inside a library's own code, which swallows it or makes another of it (Polars was seen to do
both); what is asked between two steps always comes out where it should.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stop(threading.Event):
    """Set by the first signal, whose number it keeps; a second signal raises ``KeyboardInterrupt``."""

    number: int = 0

    def ask(self, number: int, _frame: FrameType | None) -> None:
        """Handle a signal."""
        if self.is_set():
            raise KeyboardInterrupt
        self.number = number
        self.set()


@contextmanager
def asked_to_stop() -> Iterator[Stop]:
    """What Ctrl-C and SIGTERM set while the block runs. To be used on the main thread."""
    stop = Stop()
    before = {number: signal.signal(number, stop.ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
