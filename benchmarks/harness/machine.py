"""Where a figure was measured."""

import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import psutil

_LIBRARIES: Final = ("polars", "deltalake", "duckdb", "quixstreams", "confluent-kafka", "prefect", "streamlit")


def facts() -> dict[str, Any]:
    """The machine, its load before the run, the libraries and the commit."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "load": round(os.getloadavg()[0], 2),
        "os": platform.platform(terse=True),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in _LIBRARIES},
    }


def _cpu() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    """The commit of this tree, with a plus where files but the docs differ from it; empty outside of a checkout."""
    if shutil.which("git") is None:
        return ""
    git = ["git", "-C", str(Path(__file__).parents[2])]
    found = subprocess.run([*git, "describe", "--always"], capture_output=True, text=True, check=False)
    code = [*git, "diff", "--quiet", "HEAD", "--", ".", ":!docs"]  # where the run before may have written
    changed = found.stdout and subprocess.run(code, capture_output=True, check=False).returncode
    return found.stdout.strip() + ("+" if changed else "")
