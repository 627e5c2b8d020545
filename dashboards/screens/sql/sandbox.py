"""SQL that somebody typed, over the dashboard's Gold: in an isolated, bounded subprocess.

The process (``dashboards.screens.sql.query_worker``) has one file open for reading, and can open no other; an empty
environment; a bound on its memory; and it is killed when its time is up. Whatever a query does, the page goes on after
that time.
"""

import io
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from lake.errors import UsageError
from lake.query.statement_redaction import HIDDEN

ROWS: Final = 10_000
SECONDS: Final = 10.0
CHARACTERS: Final = 10_000

_PROGRAM: Final = Path(__file__).with_name("query_worker.py")
_NEEDED: Final = ("SYSTEMROOT",)  # on Windows nothing starts without
_ENVIRONMENT: Final = {"POLARS_MAX_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"} | {
    n: os.environ[n] for n in _NEEDED if n in os.environ
}
AT_ONCE: Final = 2
_TURNS: Final = threading.BoundedSemaphore(AT_ONCE)
"""All sessions share the machine, and the pages are to stay quick."""


@dataclass(frozen=True)
class Answer:
    """Rows of a query. ``cut``: there are more; ``seconds``: how long it took, the start of its process included.

    ``kept``: the query without its constants, for the audit.
    """

    rows: pl.DataFrame
    cut: bool
    seconds: float
    kept: str


class QueryRefusedError(UsageError):
    """The query gave no rows. ``kept``: what the audit may keep of its text."""

    kept = HIDDEN


def run(file: str, text: str, *, rows: int = ROWS, seconds: float = SECONDS) -> Answer:
    """The first ``rows`` rows of one SELECT over the DuckDB file. Takes no longer than ``seconds``.

    Raises ``QueryRefusedError`` where there are none to give: not one SELECT, an error in it, too slow, too large. Its
    text quotes the query at most, never a value of a row.
    """
    if len(text) > CHARACTERS:
        raise _refused("long", seconds, f"{len(text):,} characters")
    started = time.monotonic()
    if not _TURNS.acquire(timeout=seconds):
        raise _refused("busy", seconds)
    try:
        left = seconds - (time.monotonic() - started)
        kept, said, body = _asked({"file": file, "text": text, "rows": rows, "seconds": seconds}, max(left, 0.0))
    finally:
        _TURNS.release()
    if said["kind"] != "rows":
        error = _refused(said["kind"], seconds, said.get("got"))
        error.kept = kept
        raise error
    return Answer(pl.read_ipc(io.BytesIO(body)), said["cut"], time.monotonic() - started, kept)


def _asked(request: dict[str, Any], seconds: float) -> tuple[str, dict[str, Any], bytes]:
    """What the process says to a request: what to keep of the query, the outcome, and the rows."""
    try:
        ran = subprocess.run(
            [sys.executable, "-I", str(_PROGRAM)],
            input=json.dumps(request).encode(),
            capture_output=True,
            env=_ENVIRONMENT,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as late:  # it is killed by now
        return _kept((late.stdout or b"").partition(b"\n")[0]), {"kind": "time"}, b""
    admission, _, rest = ran.stdout.partition(b"\n")
    # One that was cut down by a limit says nothing more.
    outcome, _, body = rest.partition(b"\n")
    said = json.loads(outcome or admission) if ran.returncode == 0 else {"kind": "memory"}
    return _kept(admission), said, body


def _kept(admission: bytes) -> str:
    """What the audit may keep of a query, where the process got as far as parsing it."""
    return str(json.loads(admission or b"{}").get("audit", HIDDEN))


def _refused(kind: str, seconds: float, got: str | None = None) -> QueryRefusedError:
    what, expected, next_move = _REFUSALS[kind]
    return QueryRefusedError(what.format(seconds=seconds), got=got, expected=expected or None, next_move=next_move)


_ADMIT: Final = "FROM gold.dictionary lists the tables and columns"
_REFUSALS: Final = {
    "statement": ("only a single SELECT is run here", "one SELECT (FROM, SUMMARIZE, DESCRIBE count as one)", _ADMIT),
    "query": ("the query cannot be run", "", _ADMIT),
    "file": ("files cannot be read here", "tables of the schema gold only", _ADMIT),
    "time": ("the query took longer than {seconds:g} s and was ended", "", "ask for less: a shorter period, a total"),
    "memory": ("the query needs too much memory and was ended", "", "ask for less: a shorter period, a total"),
    "size": ("the result is too large to show", "20 MB at most", "ask for fewer or shorter columns"),
    "column": ("a column is of a kind that cannot be shown", "", "CAST it to VARCHAR"),
    "long": ("the query is too long", f"{CHARACTERS:,} characters at most", "shorten it"),
    "gone": ("Gold has just been built anew", "", "run the query again"),
    "busy": ("other people's queries are running", "", "try again in a moment"),
}
"""Kind → what, expected, next move."""
