"""Gold of a lake in a test: building it in this process, reading what was published, and comparing two of them."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import polars as pl
from deltalake import DeltaTable

from app.jobs.masking_audit import measure_masking
from lake.contracts.tables import Table
from lake.gold import build as building
from lake.gold import staffed_beds
from lake.gold.build import Built
from lake.gold.fold import FOLDED
from lake.gold.published import last
from lake.gold.staffed_beds import NONE, StaffedBeds
from lake.gold.tables import GOLD
from lake.storage.store import Lake
from tests.support.lakes import NOW

DERIVED: Final[tuple[Table, ...]] = (*FOLDED, *GOLD)
BEDS: Final = "facility,department,staffed_beds,valid_from\nNorth,Surgery,4,2000-01-01\nNorth,Surgery,6,2026-03-10\n"


def beds(folder: Path, text: str = BEDS) -> StaffedBeds:
    """A reference table of staffed beds."""
    path = folder / "staffed_beds.csv"
    path.write_text(text)
    return staffed_beds.read(path, required=True)


def build(
    lake: Lake,
    *,
    full: bool = False,
    timezone: str = "UTC",
    stale_days: int = 60,
    reference: StaffedBeds = NONE,
    now: Callable[[], datetime] = lambda: NOW,
) -> Built:
    """Build the lake's Gold."""
    measure: building.Measure = lambda above: measure_masking(lake, above, timezone)  # noqa: E731
    return building.build(lake, building.BuildOptions(reference, timezone, stale_days, measure, now, full))


def published(root: Path, table: Table) -> pl.DataFrame:
    """A derived table as readers see it, its rows in order."""
    found = last(root)
    assert found is not None, "no build was published"
    return in_order(pl.scan_delta(DeltaTable(root / table.name, version=found.versions[table.name])).collect(), table)


def in_order(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    """The rows in an order of their own: by all columns that can be ordered."""
    plain = [name for name, dtype in table.polars_schema.items() if not dtype.is_nested()]
    return frame.select(table.polars_schema.names()).sort(plain, nulls_last=True)


def different(one: Path, other: Path, tables: Sequence[Table] = DERIVED) -> list[str]:
    """Names of the published tables that are not the same in two lakes, with how many rows each has."""
    found = []
    for table in tables:
        first, second = published(one, table), published(other, table)
        if not first.equals(second):
            found.append(f"{table.name}: {first.height} and {second.height} rows")
    return found
