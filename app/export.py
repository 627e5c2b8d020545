"""Exporting the published Gold to the folder that the settings name."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import polars as pl
from polars.exceptions import PolarsError

from app.opening import open_without_key
from app.settings import Settings
from lake import audit, query
from lake.disclosure import Suppressed, suppress
from lake.errors import LakeError, UsageError
from lake.export import Exported, write
from lake.gold import published
from lake.gold.published import Published
from lake.gold.tables import GOLD, VIEWS

_COLUMNS: Final = {
    **{table.name.removeprefix("gold/"): ", ".join(table.polars_schema) for table in GOLD},
    **dict.fromkeys(VIEWS, "*"),
}


def export(settings: Settings, progress: Callable[[str], None] = lambda _: None) -> list[Exported]:
    """Export Gold as last published, small cells hidden; returns what was written, table by table.

    Leaves a row in ``ops/audit`` before the files can be seen. Raises ``UsageError`` where there is no Gold yet,
    ``LakeError`` where the access cannot be written down or the folder cannot be written; the last export stays then.
    """
    lake = open_without_key(settings)
    build = published.last(lake.root)
    if build is None or not {table.name for table in GOLD} <= build.versions.keys():
        raise UsageError(
            "there is no Gold to export",
            got=f"no build in {lake.root}" if build is None else f"build {build.build_id}, which lacks a table",
            expected="a published build",
            next_move="run 'wardlake flow gold' first",
        )
    progress(f"hiding small cells of build {build.build_id}")
    shown = {name: _flat(table) for name, table in suppress(_read(lake.root, build)).items()}
    progress(f"writing {len(shown)} tables to {settings.export}")
    detail = f"Gold build {build.build_id}, {len(shown)} tables to {settings.export}"
    try:
        return write(
            settings.export, build, shown, datetime.now(UTC), partial(audit.append, lake.root, "export", detail)
        )
    except (OSError, PolarsError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
    raise LakeError(
        f"the export to {settings.export} failed",
        got=reason,
        expected="a folder that can be written, and room on the disk",
        next_move="mend it, or set WARDLAKE_EXPORT to another; the last export stands",
    )


def _read(root: Path, build: Published) -> dict[str, pl.DataFrame]:
    connection = query.connect(root, build)
    try:
        return {
            name: query.query(connection, f"FROM gold.{name} SELECT {columns} ORDER BY ALL")
            for name, columns in _COLUMNS.items()
        }
    finally:
        connection.close()


def _flat(table: Suppressed) -> Suppressed:
    """Without nested columns: those of compliance have views of their own."""
    nested = [name for name, dtype in table.rows.schema.items() if dtype.is_nested()]
    return Suppressed(table.rows.drop(nested), table.hidden)
