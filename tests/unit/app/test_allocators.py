"""The allocators' settings are those in force: asked of the allocators themselves, in a process of its own."""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

_COUNT = """
import ctypes, sys, threading
{first}
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.fopen.restype = ctypes.c_void_p
together = threading.Barrier(4)
def work():
    libc.malloc(1000)
    together.wait()
threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no arenas")
def test_threads_share_one_arena(tmp_path: Path) -> None:
    def arenas(first: str) -> int:
        told = tmp_path / "malloc.xml"
        subprocess.run([sys.executable, "-c", _COUNT.format(first=first), str(told)], check=True)
        return len(re.findall(r"<heap nr=", told.read_text()))

    assert arenas("import app") == 1
    assert arenas("") > 1  # what it would be


_JEMALLOC_TELLS = """
import os
import app
os.environ["_RJEM_MALLOC_CONF"] += ",stats_print:true"
import polars
polars.Series(["text"])
"""


@pytest.mark.skipif(
    platform.system() != "Linux" or platform.machine() != "x86_64", reason="elsewhere jemalloc may not know them all"
)
def test_polars_allocator_takes_every_setting() -> None:
    told = subprocess.run(
        [sys.executable, "-c", _JEMALLOC_TELLS],
        env={name: value for name, value in os.environ.items() if name != "_RJEM_MALLOC_CONF"},
        check=True,
        capture_output=True,
        text=True,
    ).stderr
    assert "<jemalloc>" not in told  # what it says of a setting that it does not take
    for setting in ("hpa: true", "cache_oblivious: false", "narenas: 1", "tcache_max: 4096", "dirty_decay_ms: 2000"):
        assert f"  opt.{setting}" in told
