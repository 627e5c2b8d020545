"""``ops/audit``: who touched patient-derived data, when and how.

An access is written before its result is shown, so what cannot be written down is not shown.
"""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl
from deltalake.exceptions import DeltaError

from lake.contracts.tables import AUDIT
from lake.errors import LakeError, kind_of
from lake.storage.store import DeltaStore

_TRIES: Final = 5


def append(root: Path, action: str, detail: str, rows: int | None = None, who: str | None = None) -> None:
    """Add a row to ``ops/audit`` of the lake at ``root``, now: by ``who``, or if None the user of this process.

    ``detail`` must hold no patient value (of a query: ``lake.query.statement_redaction.blanked``); ``rows`` is what was
    seen or written, None where that is not known. Rows appended by many processes at once all land. Raises
    ``LakeError`` where the row cannot be written.
    """
    now = datetime.now(UTC)
    row = {
        "audited_at": now,
        "who": who or user(),
        "action": action,
        "detail": detail,
        "rows": rows,
        "date": now.date(),
    }
    frame, reason = pl.DataFrame([row], schema=AUDIT.polars_schema), ""
    for _ in range(_TRIES):
        try:
            if reason and _is_there(root, frame):
                return
            DeltaStore(root, AUDIT).append(frame, {})
        except DeltaError as error:  # another was first, or tidied the log; or it was written, and the answer was lost
            reason = kind_of(error)
        except Exception as error:
            reason = kind_of(error)
            break
        else:
            return
    raise LakeError(
        "the access cannot be written to ops/audit, so nothing is shown",
        got=reason,
        expected=f"a table that {user()} may write, and room on the disk",
        next_move=f"mend {root / AUDIT.name} and run it again",
    )


def _is_there(root: Path, row: pl.DataFrame) -> bool:
    found = DeltaStore(root, AUDIT).scan(row["date"].to_list())
    return not found.collect().join(row, on=row.columns, how="semi", nulls_equal=True).is_empty()


def user() -> str:
    """The operating system's name of who runs this process; ``uid N`` where it has none."""
    try:
        import pwd
    except ImportError:  # Windows
        return os.environ.get("USERNAME") or "unknown"
    try:
        # Not getpass: it believes the environment first.
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
