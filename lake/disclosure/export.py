"""Gold as files for BI tools: one Parquet and one CSV per table and view, and a manifest.

What is exported are the rows of a build's shown file (``lake.disclosure.public_gold``) that Gold has too: those without
totals.

An export is a folder of its own, ``build-<id>`` (``build-<id>-2`` and so on for the same build again). It is written
under another name and renamed when whole; then the link ``latest`` is moved to it. So a reader of ``latest`` sees one
export or the next, never a part. The last three are kept.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import polars as pl
from filelock import FileLock

from lake.disclosure.cells import SMALL
from lake.disclosure.suppression import MARK, NOT_OF_PEOPLE
from lake.gold.published import Published
from lake.gold.tables import GOLD, VIEWS
from lake.query.spreadsheets import inert

LATEST: Final = "latest"
MANIFEST: Final = "manifest.json"
POLICY: Final = {
    "rule": f"no figure of 1 to {SMALL} people, nor one that such a figure follows from; 0 is shown",
    "source": "CMS cell-size suppression policy, with complementary suppression",
    "mark": f"a hidden figure is null (empty in CSV), and the row's column '{MARK}' names it",
    "not_suppressed": list(NOT_OF_PEOPLE),
}
LEFT_OUT: Final = {
    "admissions": ("transfers_in", "index_discharges_30d", "readmissions_30d"),
    "admissions_weekly": ("transfers_in", "index_discharges_30d", "readmissions_30d"),
    "admissions_monthly": ("transfers_in",),
    "arrivals": ("department",),
}
"""Columns of Gold that are not shown: sums through them cross too many others (docs/privacy.md says how)."""

# What of the shown file a table of Gold is, where it is not all rows of the table of that name. '(all)' is a total.
_ROWS: Final = {
    "admissions": """SELECT start AS day, * EXCLUDE (grain, start, suppressed),
        date_trunc('month', start)::DATE AS month, suppressed
        FROM gold.admissions WHERE grain = 'day' AND facility <> '(all)' AND department <> '(all)'""",
    "admissions_weekly": """SELECT start AS week, * EXCLUDE (grain, start)
        FROM gold.admissions WHERE grain = 'week' AND facility <> '(all)' AND department <> '(all)'""",
    "admissions_monthly": """SELECT start AS month, a.* EXCLUDE (grain, start, suppressed), index_discharges_30d,
        readmissions_30d, nullif(concat_ws(', ', a.suppressed,
        if(index_discharges_30d IS NULL, 'index_discharges_30d', NULL),
        if(readmissions_30d IS NULL, 'readmissions_30d', NULL)), '') AS suppressed
        FROM gold.admissions AS a JOIN gold.readmissions AS r
        ON start = month AND a.facility = r.facility AND a.department = r.department
        WHERE grain = 'month' AND a.facility <> '(all)' AND a.department <> '(all)'""",
    "occupancy": """SELECT * EXCLUDE (suppressed), date_trunc('month', day)::DATE AS month, suppressed
        FROM gold.occupancy WHERE facility <> '(all)' AND department <> '(all)'""",
    "length_of_stay": "FROM gold.length_of_stay WHERE facility <> '(all)' AND department <> '(all)'",
    "outcomes": "FROM gold.outcomes WHERE facility <> '(all)' AND department <> '(all)'",
    "arrivals": "FROM gold.arrivals WHERE facility <> '(all)'",
    "diagnoses": "FROM gold.diagnoses WHERE diagnosis_code <> '(all)'",
    "compliance": "SELECT * EXCLUDE (fields, rules) FROM gold.compliance",  # they have views of their own
}
_KEPT: Final = 3
_NAME: Final = re.compile(r"build-(\d+)(?:-(\d+))?")


@dataclass(frozen=True)
class Suppressed:
    """A table as it may be shown, and how many of its figures (cells and what is derived from them) are hidden."""

    rows: pl.DataFrame
    hidden: int


@dataclass(frozen=True)
class Exported:
    """One table or view of an export: rows, figures that are hidden, and its two files."""

    table: str
    rows: int
    suppressed: int
    parquet: Path
    csv: Path


def read(shown: Path) -> dict[str, Suppressed]:
    """The tables and views of Gold, by name, as a build's shown file has them."""
    names = (*(table.name.removeprefix("gold/") for table in GOLD), *VIEWS)
    with duckdb.connect(str(shown), read_only=True) as connection:
        frames = {name: connection.sql(_ROWS.get(name, f"FROM gold.{name}")).pl() for name in names}
    return {name: Suppressed(rows, _hidden(rows)) for name, rows in frames.items()}


def _hidden(rows: pl.DataFrame) -> int:
    return int(rows[MARK].str.split(", ").list.len().sum()) if MARK in rows.columns else 0


def write(
    folder: Path,
    build: Published,
    tables: Mapping[str, Suppressed],
    exported_at: datetime,
    before_it_shows: Callable[[int], None],
) -> list[Exported]:
    """Export ``tables`` (name → rows as they may be shown) of a build to ``folder``, and point ``latest`` at them.

    ``before_it_shows`` is called with the number of rows when all is written and nothing can be seen yet; what it
    raises ends the export, and the one before it stays. Folders have mode 0700, files 0600. Two exports at once follow
    each other. Raises ``OSError`` where the folder cannot be written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with FileLock(folder / ".export.lock", mode=0o600):
        aside = folder / ".unfinished"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(mode=0o700)
        try:
            for name, table in tables.items():
                _write(aside, name, table.rows)
            _save(aside / MANIFEST, json.dumps(_manifest(build, tables, exported_at), indent=2).encode() + b"\n")
            before_it_shows(sum(table.rows.height for table in tables.values()))
            made = aside.rename(folder / _next_name(folder, build.build_id))
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        _point_latest_at(made)
        for old in _exports(folder)[:-_KEPT]:
            shutil.rmtree(old)
    return [
        Exported(name, table.rows.height, table.hidden, made / f"{name}.parquet", made / f"{name}.csv")
        for name, table in tables.items()
    ]


def _write(folder: Path, name: str, rows: pl.DataFrame) -> None:
    for suffix in ("parquet", "csv"):
        path = folder / f"{name}.{suffix}"
        _save(path, b"")  # its mode, before anything is in it
        if suffix == "parquet":
            rows.write_parquet(path, compression="zstd")
        else:
            inert(rows).write_csv(path)


def _save(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def _manifest(build: Published, tables: Mapping[str, Suppressed], exported_at: datetime) -> dict[str, Any]:
    return {
        "build_id": build.build_id,
        "built_at": build.built_at.isoformat(),
        "exported_at": exported_at.isoformat(),
        "timezone": build.timezone,
        "data_start": build.data_start and build.data_start.isoformat(),
        "data_end": build.data_end and build.data_end.isoformat(),
        "suppression": POLICY,
        "tables": [
            {
                "table": name,
                "rows": table.rows.height,
                "suppressed_cells": table.hidden,
                "columns": table.rows.columns,
                "left_out": list(LEFT_OUT.get(name, ())),
                "files": [f"{name}.parquet", f"{name}.csv"],
            }
            for name, table in tables.items()
        ],
    }


def _exports(folder: Path) -> list[Path]:
    """The finished exports, oldest first."""
    found = {path: _NAME.fullmatch(path.name) for path in folder.iterdir() if path.is_dir() and not path.is_symlink()}
    numbers = {path: (int(match[1]), int(match[2] or 1)) for path, match in found.items() if match}
    return sorted(numbers, key=numbers.__getitem__)


def _next_name(folder: Path, build_id: int) -> str:
    names = {path.name for path in _exports(folder)}
    name, number = f"build-{build_id}", 1
    while name in names:
        number += 1
        name = f"build-{build_id}-{number}"
    return name


def _point_latest_at(export: Path) -> None:
    aside = export.parent / f".{LATEST}"
    aside.unlink(missing_ok=True)
    aside.symlink_to(export.name)
    aside.replace(export.parent / LATEST)
