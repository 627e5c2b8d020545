"""Starting and ending the process that runs an ad-hoc query. Imports nothing heavy, so it can be started first."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

_WORKER: Final = Path(__file__).with_name("worker.py")
_NEEDED: Final = ("SYSTEMROOT",)  # on Windows nothing starts without
_GROUP: Final = None if sys.platform == "win32" else 0


def start() -> "subprocess.Popen[bytes]":
    """A worker that waits for its query, without environment. Its imports run while its parent goes on.

    It is in a process group of its own: Ctrl-C reaches its parent, which ends it.
    """
    return subprocess.Popen(
        [sys.executable, "-I", str(_WORKER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={name: os.environ[name] for name in _NEEDED if name in os.environ},
        process_group=_GROUP,
    )


def end(worker: "subprocess.Popen[bytes]") -> bytes:
    """Kill the worker if it runs; what it had said by then and nobody has read."""
    worker.kill()
    try:
        said, _ = worker.communicate()
    except ValueError:  # all was read, its pipes are closed
        said = b""
    return said
