"""Flows give way to the stream: what is new lands in time, a Gold build may take a little longer."""

import os
from contextlib import suppress
from typing import Final

NICENESS: Final = 10


def give_way() -> None:
    """Lower this process's priority, and so that of its children, as ``nice`` does; nothing where it is lower already.

    On two cores with a Gold build always under way, batches otherwise wait for a core: see docs/benchmarks.md. No
    effect on Windows.
    """
    with suppress(AttributeError, OSError):
        if os.getpriority(os.PRIO_PROCESS, 0) < NICENESS:
            os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
