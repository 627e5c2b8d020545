"""One ad-hoc query over the lake, in a separate process that can be ended at any moment, and audited."""

import io
import json
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import polars as pl

from lake.errors import QueryInterruptedError, UsageError
from lake.gold.tables import VIEWS, sql
from lake.query import views
from lake.query.adhoc import process
from lake.query.adhoc.limits import OVERRUN
from lake.query.column_descriptions import meanings
from lake.query.snapshots import snapshots
from lake.query.views import Table
from lake.storage import audit_log
from lake.storage.store import live_files

SECONDS: Final = 60.0
"""How long a query may take, unless said otherwise."""
ACTION: Final = "sql"

_GRACE: Final = 30.0
"""Seconds that the worker may take to start and to hand over, on top of the query's own time, which it keeps itself."""


def run(
    root: Path, text: str, *, seconds: float = SECONDS, worker: "subprocess.Popen[bytes] | None" = None
) -> pl.DataFrame:
    """The rows of one SELECT over the tables of the lake at ``root``.

    What reads a patient-level table is in ``ops/audit`` before its rows are returned, and what is refused, interrupted
    or too slow is too. ``worker`` is one that was started before, else one is started. Raises ``UsageError`` where the
    query is not one SELECT, has an error, reads anything but the tables, or needs too much time or memory;
    ``QueryInterruptedError`` on Ctrl-C; ``LakeError`` where the access cannot be written down. No error quotes a value
    of a row.
    """
    worker = worker or process.start()
    try:
        said, ended = _answer(worker, json.dumps(request_of(root, text, seconds)).encode(), seconds)
    finally:
        process.end(worker)
    admission, _, said = said.partition(b"\n")
    outcome, _, body = said.partition(b"\n")
    admitted = json.loads(admission or '{"audit": null}')
    came = {"kind": ended} if ended else json.loads(outcome)
    rows = pl.read_ipc(io.BytesIO(body)) if came["kind"] == "rows" else None
    if admitted["audit"] is not None:
        audit_log.append(root, ACTION, admitted["audit"], None if rows is None else rows.height)
    if rows is None:
        raise _refused(came["kind"], seconds, came.get("got"))
    return rows


def _answer(worker: "subprocess.Popen[bytes]", request: bytes, seconds: float) -> tuple[bytes, str | None]:
    """What the worker says, and why it was ended; None where it came to its own end."""
    try:
        said, _ = worker.communicate(request, timeout=seconds + _GRACE)
    except KeyboardInterrupt:
        return process.end(worker), "interrupted"
    except subprocess.TimeoutExpired:
        return process.end(worker), "time"
    if worker.returncode == OVERRUN:
        return said, "time"
    # One that a limit of memory ends says nothing: the system kills it, or a library aborts.
    return said, None if worker.returncode == 0 else "memory" if worker.returncode < 0 else "broken"


def request_of(root: Path, text: str, seconds: float) -> dict[str, Any]:
    """What the worker is asked: the query, and the tables of the lake as they are now."""
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


def _refused(kind: str, seconds: float, got: str | None) -> UsageError | QueryInterruptedError:
    if kind == "interrupted":
        return QueryInterruptedError()
    if kind == "time":
        got = f"no result after {seconds:g} s"
    what, expected, next_move = _REFUSALS[kind]
    return UsageError(what, got=got or _GOT.get(kind), expected=expected, next_move=next_move)


_GOT: Final = {"memory": "more than it may use"}
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
    "broken": ("the process of the query ended unexpectedly", None, "run it again, and report it if it ends again"),
    "memory": (
        "the query needs too much memory and was ended",
        "4 GB at most",
        "ask for less: a shorter period, fewer columns, a total",
    ),
}
"""Kind → what, expected, next move."""
