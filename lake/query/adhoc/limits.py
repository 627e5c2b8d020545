"""Bounds on a process that runs one query: time, memory, and that it does not outlive who started it."""

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Final

OVERRUN: Final = -signal.SIGALRM if sys.platform != "win32" else None
"""What a process returns that ran out of time; on Windows nobody ends it but its parent."""
_DIE_WITH_PARENT: Final = 1  # PR_SET_PDEATHSIG


def confine(seconds: float, bytes_: int, nice: int = 0) -> None:
    """Bound this process: it is killed after ``seconds``, whatever it is doing, and with its parent.

    ``bytes_`` of address space at most (Linux); where memory runs out all the same, this process goes first.
    """
    if sys.platform == "win32":
        return
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    os.nice(nice)
    if sys.platform == "linux":
        import ctypes
        import resource

        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        bytes_ = bytes_ if hard == resource.RLIM_INFINITY else min(bytes_, hard)
        resource.setrlimit(resource.RLIMIT_AS, (bytes_, bytes_))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(OSError):  # not every container lets it
            Path("/proc/self/oom_score_adj").write_text("1000")
