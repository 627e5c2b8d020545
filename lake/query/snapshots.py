"""The tables that SQL sees, each at the version to be read.

What a build of Gold makes (``silver.visits``, ``stays`` and ``incomplete``, and ``gold.*``) is read as of the last
published build, so nobody sees a build half done; the other tables as they are now. Bronze and the quarantine are not
among them.
"""

from pathlib import Path
from typing import Final

from deltalake import DeltaTable

from lake.contracts.tables import INCOMPLETE, STAYS, VISITS
from lake.errors import LakeError
from lake.gold import published
from lake.gold.published import Published
from lake.gold.tables import GOLD

SCHEMAS: Final = ("silver", "gold", "ops")

_BUILT: Final = frozenset(table.name for table in (VISITS, STAYS, INCOMPLETE, *GOLD))
_TRIES: Final = 5


def snapshots(root: Path, asked: Published | None = None) -> dict[str, dict[str, DeltaTable]]:
    """Schema → name → table, at the version to be read: that of ``asked`` (the last published build if None).

    Raises ``LakeError`` where a published table cannot be read.
    """
    build = asked or published.last(root)
    for left in reversed(range(_TRIES)):
        try:
            return {schema: _tables(root, schema, build) for schema in SCHEMAS}
        except Exception as error:
            # A build was published in between, or a log was tidied, between our listing and our reading of it.
            before, build, reason = build, published.last(root), type(error).__name__
            if build == before and left < _TRIES - 1:
                break
    raise LakeError(
        "the tables of the lake cannot be read",
        got=f"{reason} in build {build.build_id}" if build else reason,
        expected="every table at its published version",
        next_move="run 'wardlake flow gold', or restore the lake from a backup",
    )


def _tables(root: Path, schema: str, build: Published | None) -> dict[str, DeltaTable]:
    paths = (log.parent for log in sorted((root / schema).glob("*/_delta_log")))
    names = {path: f"{schema}/{path.name}" for path in paths}
    # The first build may be under way: until it is published, what it writes is not there yet.
    there = {path: name for path, name in names.items() if build or name not in _BUILT}
    return {path.name: DeltaTable(path, version=published.version(build, name)) for path, name in there.items()}
