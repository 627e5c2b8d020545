"""Processes that a command starts for itself and that end with it: broker, Prefect server, flows, live feed."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"

if sys.platform == "win32":
    _WINDOWS_GROUP, _POSIX_GROUP = subprocess.CREATE_NEW_PROCESS_GROUP, None
else:
    _WINDOWS_GROUP, _POSIX_GROUP = 0, 0

# Runs between fork and the program, in the child: asks Linux to kill it when its parent dies, then becomes
# the program. A process of its own (13 ms) and not preexec_fn, which may deadlock in a threaded parent.
# 1 is PR_SET_PDEATHSIG, 9 is SIGKILL; the parent may have died before prctl, hence the second look.
_DIE_WITH_PARENT: Final = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() != int(sys.argv[1]):
    os._exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


def spawn(
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    *,
    log: Path | None = None,
    pass_fds: Sequence[int] = (),
    piped: bool = False,
) -> "subprocess.Popen[bytes]":
    """Start a program in a process group of its own: a Ctrl-C in the terminal reaches us and not it.

    On Linux it dies with this process, however that ends, provided that the main thread started it (the kernel
    watches the thread that forked, and any other thread may end first). What it prints goes to ``log`` or nowhere;
    with ``piped``, its errors go to the ``stderr`` of what is returned. It inherits the open files ``pass_fds`` (not on
    Windows).
    """
    command = list(command)
    if sys.platform == "linux" and threading.current_thread() is threading.main_thread():
        command = [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *command]
    with open(log or os.devnull, "ab") as output:  # noqa: PTH123 (os.devnull is no Path)
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE if piped else output,
            env=environment,
            pass_fds=pass_fds,
            creationflags=_WINDOWS_GROUP,
            process_group=_POSIX_GROUP,
        )


def stop(process: "subprocess.Popen[bytes]", seconds: float) -> None:
    """Ask the program to end; where it has not within ``seconds``, kill it and what it started.

    Harmless when it has ended.
    """
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def usual_or_free(port: int) -> int:
    """``port`` of the loopback, or where somebody listens there any free one."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        taken = probe.connect_ex((HOST, port)) == 0
    return free_port() if taken else port


def free_port() -> int:
    """A port of the loopback that nobody listens on at the moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
