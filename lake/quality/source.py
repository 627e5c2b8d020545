"""The tables as the checks see them: one set of snapshots, and of each table the part that is to be checked."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Final, Literal

import polars as pl
from deltalake import DeltaTable

from lake.contracts.tables import (
    BRONZE,
    DERIVED,
    INCOMPLETE,
    INGEST,
    KAFKA_COORDINATES,
    LANDED,
    SILVER,
    STAYS,
    TABLES,
    VISITS,
    Table,
)
from lake.errors import LakeError
from lake.gold import published
from lake.gold.published import Published
from lake.gold.tables import GOLD
from lake.storage import table_swap
from lake.storage.store import DeltaStore, Lake, scan
from lake.storage.table_swap import REBUILD_APP

KNOWN: Final = {table.name: table for table in (*TABLES, *DERIVED, *GOLD)}
"""Every table of a lake, by name."""

PUBLISHED: Final = frozenset(table.name for table in (VISITS, STAYS, INCOMPLETE, *GOLD))
"""Tables that are read at the version of the published build."""

Part = Literal["all", "unread", "built"]
"""Which messages count: all, those that the last build has not read, those that it has."""

Positions = Mapping[tuple[str, int], int]


class NothingToCheckError(Exception):
    """There is nothing to check yet; the text says why, in words that may be shown."""


@dataclass(frozen=True)
class Source:
    """Snapshots that belong together, and the part of the landed tables that is looked at."""

    lake: Lake
    now: datetime
    dedup_key: Sequence[str]
    build: Published | None
    dimensions: Mapping[str, frozenset[str]] = field(default_factory=dict)
    part: Part = "all"
    _handles: dict[str, DeltaTable] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        lake: Lake,
        now: datetime,
        dedup_key: Sequence[str],
        dimensions: Mapping[str, frozenset[str]] = MappingProxyType({}),
    ) -> "Source":
        """The current snapshots, taken under the landing lock so that a running stream does not part them.

        ``dedup_key`` names Silver columns, ``dimensions`` the known values of some. Raises ``LakeError`` where a
        rebuild was cut short.
        """
        with lake.landing_lock():
            if table_swap.pending(lake.root):
                raise LakeError(
                    "a rebuild of this lake was cut short",
                    got="tables of which some are old and some new",
                    expected="a rebuild carried through",
                    next_move="run 'wardlake verify', which finishes it first",
                )
            lake.refresh()
            source = cls(lake, now, dedup_key, published.last(lake.root), dimensions)
        # A position is read from the log, which the stream clears after a minute; the store remembers what it read.
        source._read_up_to()
        with contextlib.suppress(NothingToCheckError):
            source.landed()
        return source

    def only(self, part: Part) -> "Source":
        """The same snapshots, with another part of the landed tables in view."""
        return replace(self, part=part)

    def handle(self, table: Table) -> DeltaTable:
        """The table's snapshot, of the published build where it is a part of one."""
        if table.name not in self._handles:
            self._handles[table.name] = self._opened(table)
        return self._handles[table.name]

    def whole(self, table: Table) -> pl.LazyFrame:
        """All rows of the table, as its contract has them; encrypted payloads are left unread (empty).

        Raises ``NothingToCheckError`` where there is no such table yet, or it is not of its schema.
        """
        handle = self.handle(table)
        if dict(stored_schema(handle)) != dict(table.polars_schema):
            raise NothingToCheckError(f"{table.name} is not of its schema")
        unread = [pl.lit(b"").alias("payload")] if "payload" in table.polars_schema else []
        return scan(handle, table).with_columns(unread)

    def rows(self, table: Table) -> pl.LazyFrame:
        """The rows of the part in view; of a table that no message lands in, all. Raises as ``whole`` does."""
        rows = self.whole(table)
        if table not in LANDED or self.part == "all":
            return rows
        read_up_to = self._read_up_to()
        if read_up_to is None and self.part == "built":
            raise NothingToCheckError("no build has read these events yet")
        if read_up_to is None:
            return rows
        offset = "last_offset" if table in (INGEST, BRONZE) else KAFKA_COORDINATES[2]
        read = _reached(read_up_to, offset)
        if self.part == "built":
            return rows.filter(read)
        # Says nothing that ``~read`` does not: it is what files are left out by, unopened.
        above = min((read_up_to.get(at, -1) for at in self._partitions()), default=-1)
        return rows.filter(pl.col(offset) > above, ~read)

    def landed(self) -> pl.Expr:
        """Whether the message at ``KAFKA_COORDINATES`` has landed in full; an interrupted landing does not count."""
        return _reached({(t, p): self._silver.position(t, p) for t, p in self._partitions()}, KAFKA_COORDINATES[2])

    def _read_up_to(self) -> Positions | None:
        """How far the last build has read; None where there is none, or Silver was made anew since."""
        rebuild = max(self._silver.position_of(REBUILD_APP), 0)
        return self.build.positions if self.build and self.build.rebuild == rebuild else None

    def _partitions(self) -> list[tuple[str, int]]:
        """(Topic id, partition) of all that has landed: it is in the books before it is in Silver."""
        return self.whole(INGEST).select(KAFKA_COORDINATES[:2]).unique().collect(engine="streaming").rows()

    @property
    def _silver(self) -> DeltaStore:
        return self.lake.store(SILVER)

    def _opened(self, table: Table) -> DeltaTable:
        if table.name in self.lake.stores:
            return self.lake.store(table).handle
        path = self.lake.root / table.name
        if table.name not in PUBLISHED:
            if not DeltaTable.is_deltatable(str(path)):
                raise NothingToCheckError(f"{table.name} does not exist yet")
            return DeltaTable(path)
        version = published.version(self.build, table.name)
        if version is None:
            raise NothingToCheckError(f"no build with {table.name} is published yet")
        return DeltaTable(path, version=version)


def stored_schema(handle: DeltaTable) -> pl.Schema:
    """Column → Polars dtype, as the Delta log has it."""
    return pl.scan_delta(handle).collect_schema()


def _reached(positions: Positions, offset: str) -> pl.Expr:
    """Whether a row's offset is at or below its partition's position."""
    return pl.any_horizontal(
        pl.lit(value=False),
        *(
            (pl.col(KAFKA_COORDINATES[0]) == topic_id)
            & (pl.col(KAFKA_COORDINATES[1]) == partition)
            & (pl.col(offset) <= last)
            for (topic_id, partition), last in positions.items()
        ),
    )
