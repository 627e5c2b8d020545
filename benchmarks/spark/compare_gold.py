"""Is it the same Gold? Spark's visits, stays and KPI tables held against Wardlake's, row by row.

``python -m benchmarks.spark.compare_gold [EVENTS]``, in the project's own environment. Exits 1 where something differs.
Sums are of whole microseconds on both sides; rates and averages may differ in the last of sixteen digits.
"""

import sys
import tempfile
from pathlib import Path
from typing import Final

import polars as pl
import polars.selectors as cs

from benchmarks.harness.measure import in_a_process
from benchmarks.harness.result import Result
from benchmarks.spark import contender
from lake.contracts.tables import Table
from lake.gold.fold import FOLDED
from lake.gold.tables import KPIS

_EVENTS: Final = 50_000
_DIGITS: Final = 12


def run(events: int) -> Result:
    """Build Gold over ``events`` simulated events with both and compare it."""
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch) / "spark"
        work.mkdir()
        for stage in ("make", "full"):
            in_a_process("benchmarks.suites.gold", stage, scratch, events, 1)
        ours = Path(scratch) / "1"
        contender.gold(ours, work)
        rows = [_compared(ours, work / "lake", table) for table in (*FOLDED, *KPIS)]
    return Result("same_gold", "Wardlake's Gold and Spark's", ["", "Wardlake", "Spark", "different"], rows)


def _compared(ours: Path, theirs: Path, table: Table) -> list[str | int]:
    """Rows on each side, and rows that only one of them has."""
    mine, other = (_rows(root, table) for root in (ours, theirs))
    names = mine.columns
    alone = [a.join(b, on=names, how="anti", nulls_equal=True).height for a, b in ((mine, other), (other, mine))]
    return [table.name, mine.height, other.height, sum(alone)]


def _rows(root: Path, table: Table) -> pl.DataFrame:
    """A table's rows by its contract, figures with a point rounded to what both can agree on."""
    rows = pl.read_delta(str(root / table.name)).select(table.polars_schema.names()).cast(table.polars_schema)
    return rows.with_columns(cs.float().round_sig_figs(_DIGITS), cs.by_dtype(pl.List(pl.String)).list.join("|"))


def main() -> None:
    """Print the comparison."""
    result = run(int(sys.argv[1]) if len(sys.argv) > 1 else _EVENTS)
    result.print()
    if any(row[-1] for row in result.rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
