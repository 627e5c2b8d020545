"""Exporting the published Gold to the folder that the settings name."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import duckdb
from polars.exceptions import PolarsError

from app.jobs.lake_session import open_without_key
from app.settings import Settings
from lake.disclosure import public_gold
from lake.disclosure.audience import Audience, of_export
from lake.disclosure.export import Exported, read, write
from lake.errors import LakeError, UsageError, kind_of
from lake.gold import duckdb_file, published
from lake.gold.tables import GOLD
from lake.storage import audit_log


def export(settings: Settings, progress: Callable[[str], None] = lambda _: None) -> list[Exported]:
    """Export Gold as last published; returns what was written, table by table.

    Public figures, unless the settings ask for internal ones. ``gold_public.duckdb`` is brought up to date in any case.
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
    audience = of_export(settings.audience)
    progress(f"rounding build {build.build_id} for the public")
    file = public_gold.write(lake.root, build)
    if audience is Audience.INTERNAL:
        file = duckdb_file.path_of(lake.root, build.build_id)
    try:
        tables = read(file)
        progress(f"writing {len(tables)} tables to {settings.export}")
        detail = f"Gold build {build.build_id}, {audience} figures, {len(tables)} tables to {settings.export}"
        written = partial(audit_log.append, lake.root, "export", detail)
        return write(settings.export, build, tables, audience, datetime.now(UTC), written)
    except (OSError, PolarsError, duckdb.Error) as error:
        reason = kind_of(error)
    raise LakeError(
        f"the export to {settings.export} failed",
        got=reason,
        expected="a folder that can be written, and room on the disk",
        next_move="mend it, or set WARDLAKE_EXPORT to another; the last export stands",
    )
