"""Gold as files for BI tools: one Parquet and one CSV per table and view, and a manifest.

What is exported is a build's DuckDB file as it is: the public one (``lake.disclosure.public_gold``), or for an internal
export the exact one (``lake.gold.duckdb_file``).

Each export has a folder, ``build-<id>`` (``build-<id>-2`` and so on for the same build again). It is written
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

from lake.disclosure.audience import Audience
from lake.disclosure.public_gold import NAMES
from lake.disclosure.rounding import BASE, HIDDEN, LEAST, SMALL, of_people
from lake.gold.published import Published
from lake.query.spreadsheets import inert

LATEST: Final = "latest"
MANIFEST: Final = "manifest.json"
POLICY: Final = {
    "rule": f"counts of 1 to {SMALL} people are hidden, others rounded to {BASE} ({SMALL + 1} and {SMALL + 2} to "
    f"{LEAST}); rates and means are of rounded counts; a row without a count of more than {SMALL} is left out",
    "mark": f"a hidden figure is null (empty in CSV), and the row's column '{HIDDEN}' names it",
    "exact": [name for name in NAMES if not of_people(name)],
}

_KEPT: Final = 3
_NAME: Final = re.compile(r"build-(\d+)(?:-(\d+))?")


@dataclass(frozen=True)
class Exported:
    """One table or view of an export: rows, figures that are hidden, and its two files."""

    table: str
    rows: int
    hidden: int
    parquet: Path
    csv: Path


def read(file: Path) -> dict[str, pl.DataFrame]:
    """The tables and views of a build's DuckDB file by name, rows in order. CSV has no nested columns: they are not."""
    with duckdb.connect(str(file), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        frames = {name: connection.sql(f"FROM gold.{name} ORDER BY ALL").pl() for name in NAMES}
    return {
        name: rows.select(column for column in rows if not column.dtype.is_nested()) for name, rows in frames.items()
    }


def _hidden(rows: pl.DataFrame) -> int:
    return int(rows[HIDDEN].str.split(", ").list.len().sum()) if HIDDEN in rows.columns else 0


def write(
    folder: Path,
    build: Published,
    tables: Mapping[str, pl.DataFrame],
    audience: Audience,
    exported_at: datetime,
    before_it_shows: Callable[[int], None],
) -> list[Exported]:
    """Export ``tables`` (name → rows for ``audience``) of a build to ``folder``, and point ``latest`` at them.

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
            for name, rows in tables.items():
                _write(aside, name, rows)
            manifest = _manifest(build, tables, audience, exported_at)
            _save(aside / MANIFEST, json.dumps(manifest, indent=2).encode() + b"\n")
            before_it_shows(sum(rows.height for rows in tables.values()))
            made = aside.rename(folder / _next_name(folder, build.build_id))
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        _point_latest_at(made)
        for old in _exports(folder)[:-_KEPT]:
            shutil.rmtree(old)
    return [
        Exported(name, rows.height, _hidden(rows), made / f"{name}.parquet", made / f"{name}.csv")
        for name, rows in tables.items()
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


def _manifest(
    build: Published, tables: Mapping[str, pl.DataFrame], audience: Audience, exported_at: datetime
) -> dict[str, Any]:
    return {
        "build_id": build.build_id,
        "built_at": build.built_at.isoformat(),
        "exported_at": exported_at.isoformat(),
        "timezone": build.timezone,
        "data_start": build.data_start and build.data_start.isoformat(),
        "data_end": build.data_end and build.data_end.isoformat(),
        "audience": audience.value,
        "disclosure_control": POLICY if audience is Audience.PUBLIC else None,
        "tables": [
            {
                "table": name,
                "rows": rows.height,
                "hidden_figures": _hidden(rows),
                "columns": rows.columns,
                "files": [f"{name}.parquet", f"{name}.csv"],
            }
            for name, rows in tables.items()
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
