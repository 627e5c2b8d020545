"""One ad-hoc query over the lake, in a process of its own that can be ended at any moment, and audited."""

import io
import json
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import polars as pl

from lake import audit, views
from lake.adhoc import process
from lake.adhoc.limits import OVERRUN
from lake.errors import QueryInterrupted, UsageError
from lake.gold.tables import VIEWS, sql
from lake.meanings import meanings
from lake.snapshots import snapshots
from lake.store import live_files
from lake.views import Table

SECONDS: Final = 60.0
"""How long a query may take, unless said otherwise."""
ACTION: Final = "sql"

_GRACE: Final = 10.0
"""Seconds that the worker may take to start and to hand over, on top of the query's own time, which it keeps itself."""


def run(
    root: Path, text: str, *, seconds: float = SECONDS, worker: "subprocess.Popen[bytes] | None" = None
) -> pl.DataFrame:
    """The rows of one SELECT over the tables of the lake at ``root``.

    What reads a patient-level table is in ``ops/audit`` before its rows are returned, and what is refused, interrupted
    or too slow is too. Raises ``UsageError`` where the query is not one SELECT, has an error, reads anything but the
    tables, or needs too much time or memory; ``QueryInterrupted`` on Ctrl-C; ``LakeError`` where the access cannot be
    written down. No error quotes a value of a row.
    """
    worker = worker or process.start()
    try:
        said, ended = _answer(worker, json.dumps(_request(root, text, seconds)).encode(), seconds)
    finally:
        process.end(worker)
    lines = said.split(b"\n", 2)
    admitted = json.loads(lines[0]) if len(lines) > 1 else {"audit": None}
    outcome = json.loads(lines[1]) if len(lines) > 2 and ended == 0 else {"kind": _kind_of(ended)}  # noqa: PLR2004
    rows = pl.read_ipc(io.BytesIO(lines[2])) if outcome["kind"] == "rows" else None
    if admitted["audit"] is not None:
        audit.append(root, ACTION, admitted["audit"], None if rows is None else rows.height)
    if rows is None:
        raise _refused(outcome["kind"], seconds, outcome.get("got"))
    return rows


def _answer(worker: "subprocess.Popen[bytes]", request: bytes, seconds: float) -> tuple[bytes, int | None]:
    """What the worker says, and its return code; None where the user interrupted it."""
    try:
        said, _ = worker.communicate(request, timeout=seconds + _GRACE)
    except KeyboardInterrupt:
        return process.end(worker), None
    except subprocess.TimeoutExpired:
        return process.end(worker), OVERRUN
    return said, worker.returncode


def _request(root: Path, text: str, seconds: float) -> dict[str, Any]:
    tables = [
        Table(
            schema,
            name,
            views.columns_of(table),
            tuple(table.metadata().partition_columns),
            tuple(live_files(table)),
        )
        for schema, of in snapshots(root).items()
        for name, table in of.items()
    ]
    return {
        "query": text,
        "seconds": seconds,
        "tables": [asdict(table) for table in tables],
        "views": {name: sql(name) for name in VIEWS},
        "meanings": list(meanings()),
    }


def _kind_of(ended: int | None) -> str:
    """Why a worker that did not come to its end was ended: a limit of memory says nothing itself."""
    if ended is None:
        return "interrupted"
    return "time" if ended == OVERRUN else "memory"


def _refused(kind: str, seconds: float, got: str | None) -> UsageError | QueryInterrupted:
    if kind == "interrupted":
        return QueryInterrupted("the query was interrupted", next_move="run it again, or ask for less")
    if kind == "time":
        got = f"no result after {seconds:g} s"
    what, expected, next_move = _REFUSALS[kind]
    return UsageError(what, got=got or "more than it may use", expected=expected, next_move=next_move)


_CANNOT: Final = "the query cannot be run"
_LIST: Final = "SHOW ALL TABLES lists what there is"
_REFUSALS: Final = {
    "statement": (
        "only a single SELECT is run here",
        "one SELECT (FROM, SUMMARIZE, DESCRIBE and SHOW count as one)",
        "the lake is written by the stream and the flows only",
    ),
    "syntax": (_CANNOT, None, _LIST),
    "query": (_CANNOT, None, _LIST),
    "file": (_CANNOT, "tables and views of the schemas silver, gold and ops only", _LIST),
    "time": (
        "the query took too long and was ended",
        "an answer within the time that --timeout allows",
        "ask for less (a shorter period, a total), or allow more seconds with --timeout",
    ),
    "memory": (
        "the query needs too much memory and was ended",
        "4 GB at most",
        "ask for less: a shorter period, fewer columns, a total",
    ),
}
"""Kind → what, expected, next move."""
