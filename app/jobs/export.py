"""Exporting the published Gold to the folder that the settings name."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from polars.exceptions import PolarsError

from app.jobs.lake_session import open_without_key
from app.settings import Settings
from lake.disclosure import public_gold
from lake.disclosure.export import Exported, read, write
from lake.errors import LakeError, UsageError, kind_of
from lake.gold import published
from lake.gold.tables import GOLD
from lake.storage import audit_log


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
    tables = read(public_gold.write(lake.root, build))
    progress(f"writing {len(tables)} tables to {settings.export}")
    detail = f"Gold build {build.build_id}, {len(tables)} tables to {settings.export}"
    try:
        return write(
            settings.export, build, tables, datetime.now(UTC), partial(audit_log.append, lake.root, "export", detail)
        )
    except (OSError, PolarsError) as error:
        reason = kind_of(error)
    raise LakeError(
        f"the export to {settings.export} failed",
        got=reason,
        expected="a folder that can be written, and room on the disk",
        next_move="mend it, or set WARDLAKE_EXPORT to another; the last export stands",
    )
