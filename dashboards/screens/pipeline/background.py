"""Answers of others, which may take long: asked for in the background, so that no page waits for them."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from typing import Final, Generic, TypeVar

T = TypeVar("T")

PATIENCE: Final = 0.05
"""Seconds that a page waits for an answer that it has an older one of."""


class BackgroundCache(Generic[T]):
    """The last answer to a question, asked anew when somebody looks and it is older than ``every`` seconds.

    One question at a time; ``ask`` answers rather than raises. Any thread may look.
    """

    def __init__(self, ask: Callable[[], T], every: float) -> None:
        """Prepare to ask ``ask``."""
        self._ask, self._every = ask, every
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="wardlake-asked")
        self._asked: Future[T] | None = None
        self._last: tuple[float, T] | None = None

    def look(self, first: float) -> T | None:
        """The last answer; where there is none yet, the first one, or None if it takes longer than ``first`` s."""
        with self._lock:
            fresh = self._last is not None and time.monotonic() - self._last[0] < self._every
            if not fresh and self._asked is None:
                self._asked = self._worker.submit(self._ask)
            asked, last = self._asked, self._last
        if asked is not None:
            try:
                told = asked.result(PATIENCE if last else first)
            except Late:
                return last[1] if last else None
            with self._lock:
                if self._asked is asked:
                    self._asked, self._last = None, (time.monotonic(), told)
            return told
        return last[1] if last else None
