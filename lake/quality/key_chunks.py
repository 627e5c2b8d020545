"""Taking a table's keys in turns, so that holding each against all the others needs bounded memory.

A turn is a condition that equal keys meet together. Where the files are laid out along a part of the key (an offset, a
day) a turn is a range of it, and reads only the files that hold it; elsewhere it is a bucket of the key's hash.
"""

from collections.abc import Callable, Sequence
from typing import Final

import polars as pl

TURN_ROWS: Final = 1_000_000


def total(turns: Sequence[pl.Expr], question: Callable[[pl.Expr], pl.LazyFrame]) -> int:
    """The sum of the answers (one integer each) to a question that is asked of one turn after the other."""
    return sum(int(question(turn).collect(engine="streaming").item() or 0) for turn in turns)


def by_hash(key: Sequence[str], rows: int) -> list[pl.Expr]:
    """Turns of about ``TURN_ROWS`` rows, by the hash of the key."""
    turns = -(-rows // TURN_ROWS)
    return [pl.struct(key).hash() % turns == number for number in range(turns)]


def by_offset(rows: pl.LazyFrame, column: str, count: int) -> list[pl.Expr]:
    """Turns of about ``TURN_ROWS`` of the ``count`` rows, by ranges of offsets, of which few are left out."""
    low, high = rows.select(low=pl.col(column).min(), high=pl.col(column).max()).collect(engine="streaming").row(0)
    turns = -(-count // TURN_ROWS)
    width = (high - low) // turns + 1
    return [pl.col(column).is_between(low + width * n, low + width * (n + 1) - 1) for n in range(turns)]


def by_day(rows: pl.LazyFrame, column: str) -> list[pl.Expr]:
    """Turns of days in a row that have about ``TURN_ROWS`` rows together, or of one day that has more."""
    days = rows.group_by(column).len().sort(column).collect(engine="streaming")
    turn = ((pl.col("len").cum_sum() - pl.col("len")) // TURN_ROWS).alias("turn")
    ranges = days.group_by(turn).agg(first=pl.col(column).min(), last=pl.col(column).max())
    return [pl.col(column).is_between(first, last) for first, last in ranges.select("first", "last").iter_rows()]
