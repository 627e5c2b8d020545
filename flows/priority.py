"""Flows give way to the stream: what is new lands in time, a Gold build may take a little longer."""

import os
from contextlib import suppress
from typing import Final

NICENESS: Final = 10


def lower_priority(niceness: int = NICENESS) -> None:
    """Lower this process's priority, and so that of its children, as ``nice`` does; nothing where it is lower already.

    Where cores are few, the stream's batches would otherwise wait for one while Gold is built. No effect on Windows.
    """
    with suppress(AttributeError, OSError):
        if os.getpriority(os.PRIO_PROCESS, 0) < niceness:
            os.setpriority(os.PRIO_PROCESS, 0, niceness)
