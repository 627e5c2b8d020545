"""``gold_public.duckdb``: Gold in its public form (``lake.disclosure.rounding``).

It has the tables and views of ``wardlake.duckdb`` under the same names, so the same queries run over both. Like that
one (``lake.gold.duckdb_file``) it is a link to a build's own file; the last three are kept. An export makes it, and a
Gold build where a public dashboard is configured.
"""

from pathlib import Path
from typing import Final

import duckdb
from filelock import FileLock

from lake.disclosure.rounding import HIDDEN, SMALL, of_people, public
from lake.errors import LakeError, kind_of
from lake.gold import duckdb_file
from lake.gold.duckdb_file import BuildRow
from lake.gold.published import Published
from lake.gold.tables import GOLD, VIEWS, about, meanings
from lake.query import lake_sql

LINK: Final = "gold_public.duckdb"
LOCK: Final = ".gold_public.lock"
NAMES: Final = (*(table.name.removeprefix("gold/") for table in GOLD), *VIEWS)
"""Its tables."""

_KIND: Final = "gold_public"
_MARK: Final = f"names of the row's hidden figures: counts of 1 to {SMALL} people, and what is made of them"


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
        f"public Gold was not written to {path}",
        got=kind,
        expected="a lake that can be written, and room on the disk",
        next_move="the previous file stays in place; correct it, then run 'wardlake flow export' again",
    )


def _write(path: Path, root: Path, build: Published) -> None:
    gold = lake_sql.connect(root, build)
    try:
        with duckdb_file.new(path, BuildRow.of(build)) as connection:
            for name in NAMES:
                columns = ", ".join(f'"{column}"' for column in meanings(name))
                rows = public(name, lake_sql.query(gold, f"SELECT {columns} FROM gold.{name} ORDER BY ALL"))  # noqa: S608
                connection.from_arrow(rows.to_arrow()).create(f"gold.{name}")
                said = meanings(name) | ({HIDDEN: _MARK} if of_people(name) else {})
                duckdb_file.comment(connection, "TABLE", name, about(name), said)
    finally:
        gold.close()
