"""The published build: which version of each derived table belongs to it.

A build writes its tables one after the other; appending its row to ``ops/builds`` publishes them all at once. Readers
take the tables at the versions of the last row, so none sees a build half done, nor one that a crash cut short.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
from deltalake import DeltaTable

from lake.contracts.tables import BUILDS
from lake.storage.store import DeltaStore


@dataclass(frozen=True)
class Published:
    """The last build. ``versions``: table name → Delta version; ``positions``: (topic id, partition) → last offset."""

    build_id: int
    kind: str
    built_at: datetime
    gold_format: int
    timezone: str
    rebuild: int
    positions: dict[tuple[str, int], int]
    versions: dict[str, int]
    staffed_beds: str | None
    stale_visit_days: int
    data_start: datetime | None
    data_end: datetime | None


def last(root: Path) -> Published | None:
    """The last published build of the lake at ``root``; None where there is none yet."""
    if not DeltaTable.is_deltatable(str(root / BUILDS.name)):
        return None
    builds = DeltaStore(root, BUILDS).scan()
    rows = builds.filter(pl.col("build_id") == pl.col("build_id").max()).collect()
    return _read(rows.row(0, named=True)) if rows.height else None


def version(build: Published | None, table: str) -> int | None:
    """The version at which to read a table; None for its current one."""
    return None if build is None else build.versions.get(table)


def _read(row: dict[str, Any]) -> Published:
    return Published(
        build_id=row["build_id"],
        kind=row["kind"],
        built_at=row["built_at"],
        gold_format=row["gold_format"],
        timezone=row["timezone"],
        rebuild=row["rebuild"],
        positions={(p["topic_id"], p["kafka_partition"]): p["kafka_offset"] for p in row["positions"]},
        versions={t["table"]: t["version"] for t in row["tables"]},
        staffed_beds=row["staffed_beds"],
        stale_visit_days=row.get("stale_visit_days", 0),  # formats before 2 do not have it, and are not built on
        data_start=row["data_start"],
        data_end=row["data_end"],
    )
