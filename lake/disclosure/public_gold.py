"""``shown.duckdb``: Gold with small cells hidden and with totals, for whoever may not see single patients.

It is made of each build once, so dashboards, the SQL page and exports rest on one suppression and agree. Like
``wardlake.duckdb`` (``lake.gold.duckdb_file``) it is a link to a build's own file; the last three are kept. Counts of
messages and checks (compliance) are in it as they are in Gold.
"""

from pathlib import Path
from typing import Final

import duckdb
import polars as pl
from filelock import FileLock

from lake.disclosure.cells import SMALL
from lake.disclosure.suppression import MARK, NOT_OF_PEOPLE, suppress
from lake.errors import LakeError, kind_of
from lake.gold import duckdb_file
from lake.gold.published import Published
from lake.gold.tables import GOLD, VIEWS, about, meanings
from lake.gold.totals import ALL
from lake.query import lake_sql

LINK: Final = "shown.duckdb"
LOCK: Final = ".shown.lock"
_KIND: Final = "shown"

_ABOUT: Final = {
    "admissions": "Admissions and discharges of one day, week or month, facility and department.",
    "occupancy": about("occupancy"),
    "length_of_stay": about("length_of_stay"),
    "readmissions": "Discharges of one month that count for the readmission rate, by facility and department.",
    "outcomes": about("outcomes"),
    "arrivals": "Admissions of one month by weekday and hour, and by facility.",
    "diagnoses": about("diagnoses"),
    "treatments": about("treatments"),
    "doctors": about("doctors"),
    "build": "The build of Gold that all of this is from.",
    **{name: about(name) for name in NOT_OF_PEOPLE},
}
_MEANINGS: Final = {
    "grain": "day, week or month: how long the time is that a row counts",
    "start": "first day of that time; of a week the ISO Monday",
    "facility": f"hospital; {ALL} for all of them",
    "department": f"department; {ALL} for all of them",
    MARK: f"names of the row's hidden figures: of 1 to {SMALL} people, or ones that such a figure follows from",
    "build_id": "number of the build",
    "built_at": "when it was published, UTC",
    "timezone": "time zone of days, months and hours",
    "data_start": "time of the first event, UTC",
    "data_end": "time of the last event, UTC",
}
_OWN: Final[dict[str, dict[str, str]]] = {
    "occupancy": {
        "staffed_beds": "staffed beds in force; null where the reference table lacks those of a unit",
    },
    "diagnoses": {"diagnosis_code": f"{meanings('diagnoses')['diagnosis_code']}; {ALL} for all of them"},
    "length_of_stay": {"median_los_days": "median length of stay, in days; only of one department of one facility"},
    "readmissions": {
        "month": meanings("admissions_monthly")["month"],
        **{name: meanings("doctors")[name] for name in meanings("doctors") if name.endswith("30d")},
    },
}


def path_of(root: Path, build_id: int) -> Path:
    """Where a build's file is."""
    return root / f"{_KIND}-{build_id}.duckdb"


def last(root: Path) -> tuple[int, Path] | None:
    """The build that the link leads to, and its file; None where there is none. Open the file read-only."""
    link = root / LINK
    if not link.exists():
        return None
    path = link.resolve()
    return int(path.stem.removeprefix(f"{_KIND}-")), path


def write(root: Path, build: Published) -> Path:
    """Make a build's file unless it is there, point the link at it, and return its path.

    A reader sees the file before or this one, whole. Raises ``LakeError`` where Gold cannot be read or the file cannot
    be written; the file before stays then.
    """
    path = path_of(root, build.build_id)
    try:
        with FileLock(root / LOCK, mode=0o600):
            if not path.exists():
                _write(path, root, build)
            if (last(root) or (0, path))[0] < build.build_id:
                duckdb_file.swap_in(root, build.build_id, LINK, _KIND)
    except (OSError, duckdb.Error) as error:
        kind = kind_of(error)
    else:
        return path
    raise LakeError(
        f"Gold without small cells was not written to {path}",
        got=kind,
        expected="a lake that can be written, and room on the disk",
        next_move="the file before stands; mend it, then run 'wardlake flow gold' again",
    )


def meaning_of(table: str, column: str) -> str:
    """What a column of the file means."""
    if table in NOT_OF_PEOPLE:
        return meanings(table)[column]
    return _OWN.get(table, {}).get(column) or _MEANINGS.get(column) or meanings(table)[column]


def _write(path: Path, root: Path, build: Published) -> None:
    gold = _read(root, build)
    tables = suppress(gold) | {name: gold[name] for name in NOT_OF_PEOPLE} | {"build": _row_of(build)}
    with duckdb_file.new(path) as connection:
        for name, rows in tables.items():
            connection.from_arrow(rows.to_arrow()).create(f"gold.{name}")
            duckdb_file.comment(connection, "TABLE", name, _ABOUT[name], {c: meaning_of(name, c) for c in rows.columns})


def _read(root: Path, build: Published) -> dict[str, pl.DataFrame]:
    connection = lake_sql.connect(root, build)
    columns = {table.name.removeprefix("gold/"): ", ".join(table.polars_schema) for table in GOLD}
    columns |= {view: "*" for view in VIEWS if view in NOT_OF_PEOPLE}
    try:
        return {
            name: lake_sql.query(connection, f"FROM gold.{name} SELECT {listed} ORDER BY ALL")
            for name, listed in columns.items()
        }
    finally:
        connection.close()


def _row_of(build: Published) -> pl.DataFrame:
    at = pl.Datetime("us", "UTC")
    return pl.DataFrame(
        [(build.build_id, build.built_at, build.timezone, build.data_start, build.data_end)],
        schema={"build_id": pl.Int64, "built_at": at, "timezone": pl.String, "data_start": at, "data_end": at},
        orient="row",
    )
