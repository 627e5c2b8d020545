"""Running Spark's side from the project's own environment."""

import shutil
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.harness.measure import TOPIC, Figures, run_command
from lake.errors import UsageError
from lake.security import masking_policy

KEY: Final = bytes(32)
_PYTHON: Final = Path(__file__).resolve().parents[2] / ".spark" / "venv" / "bin" / "python"


def ingest(bootstrap: str, events: int, work: Path) -> Figures:
    """Stream what is on the topic into ``work/lake``; what it cost. Raises ``UsageError`` where Spark is not there."""
    rules = masking_policy.load("display")
    return _run(
        "ingest",
        *("--bootstrap", bootstrap, "--topic", TOPIC, "--events", events, "--key-hex", KEY.hex()),
        *("--policy", f"{rules.name}:{rules.fingerprint}", "--work", work),
    )


def gold(lake: Path, work: Path) -> Figures:
    """Build ``work/lake`` from the Silver of ``lake``; what it cost. Raises ``UsageError`` where Spark is not there."""
    return _run("gold", "--lake", lake, "--work", work)


def ingested(bootstrap: str, events: int) -> Figures:
    """``ingest`` into a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as work:
        return ingest(bootstrap, events, Path(work))


def idle(bootstrap: str) -> Figures:
    """A stream on an empty topic: how soon it runs, what it takes. Raises ``UsageError`` where Spark is not there."""
    with tempfile.TemporaryDirectory() as work:
        return _run("idle", "--bootstrap", bootstrap, "--topic", TOPIC, "--work", work)


def require() -> None:
    """Raise ``UsageError`` where Java or Spark's environment is missing."""
    for what, found, move in (
        ("Java", shutil.which("java"), "install Java 17 or newer"),
        ("Spark's environment", _PYTHON.exists(), "run 'make bench-spark'"),
    ):
        if not found:
            raise UsageError(f"{what} is missing", got="none", expected="Java 17 and .spark", next_move=move)


def _run(module: str, *arguments: object) -> Figures:
    require()
    return run_command([str(_PYTHON), "-m", f"benchmarks.spark.{module}", *map(str, arguments), "--out"])
