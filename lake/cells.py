"""Hiding small cells so that no other published figure gives them away.

A *cell* is one count of people: a figure of a table, or one that is not in a table but follows from those that are (a
total, the rest of a split). A *split* says that a whole is the sum of its parts. Cells of 1 to 10 are hidden; then,
until nothing changes, in each split

- a whole that is shown has no hidden part, or at least two that come to more than 10 together;
- a whole that is hidden has a hidden part.

0 is never hidden. What is hidden first are rests, which no table shows, then the smallest parts: they cost least.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

SMALL: Final = 10
"""Cells of 1 to this many are not shown (CMS cell-size suppression policy)."""

_Ints = np.ndarray[tuple[int], np.dtype[np.int64]]
_Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]


def small(count: pl.Expr) -> pl.Expr:
    """Whether a count is one of 1 to 10."""
    return count.is_between(1, SMALL)


@dataclass(frozen=True)
class Level:
    """The cells of one figure at one grain. ``cells``: the key columns, ``value`` (Int64) and ``cell`` (its number)."""

    keys: tuple[str, ...]
    cells: pl.DataFrame


class Cells:
    """Cells and the splits that tie them together. Build it up, then ask ``hidden`` which are to be hidden."""

    def __init__(self) -> None:
        self._size = 0
        self._cells: list[pl.DataFrame] = []
        self._wholes: list[pl.Series] = []
        self._parts: list[pl.DataFrame] = []
        self._forced: list[pl.Series] = []

    def level(self, frame: pl.DataFrame, keys: Sequence[str], figure: str) -> Level:
        """The cells of a table's column: one per row, which the key columns name."""
        # Sorted: of two parts that are alike, the same one is hidden whatever the order of the rows.
        return self._level(frame.sort(keys), keys, pl.col(figure), virtual=False)

    def total(self, parts: Level, keys: Sequence[str]) -> Level:
        """The sums of a level by some of its keys, or by none, as wholes of it."""
        value = pl.col("value").sum()
        sums = parts.cells.group_by(*keys, maintain_order=True).agg(value) if keys else parts.cells.select(value)
        whole = self._level(sums, keys, pl.col("value"), virtual=True)
        self.split(whole, parts)
        return whole

    def split(self, whole: Level, *parts: Level) -> Level:
        """Say that each whole is the sum of the parts that share its keys, and of a rest. Returns the rests."""
        wholes = whole.cells.with_columns(split=pl.int_range(pl.len()) + sum(map(len, self._wholes)))
        found = pl.concat([_share(wholes, whole.keys, part.cells) for part in parts])
        rest = pl.col("value") - pl.col("value_right").fill_null(0)
        rests = wholes.join(found.group_by("split").agg(pl.col("value").sum()), on="split", how="left")
        left = self._level(rests, (*whole.keys, "split"), pl.max_horizontal(rest, 0), virtual=True)
        self._wholes.append(wholes["cell"])
        self._parts += [found.select("split", "cell"), left.cells.select("split", "cell")]
        return Level(whole.keys, left.cells.drop("split"))

    def force(self, level: Level, rows: pl.DataFrame) -> None:
        """Hide the cells of a level that ``rows`` (some of its key columns) name, but for those of 0."""
        self._forced.append(level.cells.join(rows, on=rows.columns, how="semi")["cell"])

    def hidden(self) -> pl.Series:
        """By cell number: whether it is to be hidden (Boolean)."""
        cells = pl.concat(self._cells)
        value, virtual = cells["value"].to_numpy(), cells["virtual"].to_numpy()
        hidden = (value >= 1) & (value <= SMALL)
        for forced in self._forced:
            hidden[forced.to_numpy()] |= value[forced.to_numpy()] > 0
        wholes = pl.concat(self._wholes).to_numpy()
        parts = pl.concat(self._parts)
        split, cell = parts["split"].to_numpy(), parts["cell"].to_numpy()
        order = np.lexsort((cell, value[cell], ~virtual[cell], split))
        _hide_what_gives_away(hidden, value, wholes, split[order], cell[order])
        return pl.Series(hidden)

    def _level(self, frame: pl.DataFrame, keys: Sequence[str], value: pl.Expr, *, virtual: bool) -> Level:
        cells = frame.select(*keys, value=value.cast(pl.Int64), cell=pl.int_range(pl.len()) + self._size)
        self._size += cells.height
        self._cells.append(cells.select("value", virtual=pl.lit(virtual)))
        return Level(tuple(keys), cells)


def _share(wholes: pl.DataFrame, keys: Sequence[str], parts: pl.DataFrame) -> pl.DataFrame:
    """The parts of each whole: split, cell, value."""
    named = wholes.select(*keys, "split")
    joined = named.join(parts, on=list(keys)) if keys else named.join(parts, how="cross")
    return joined.select("split", "cell", "value")


def _hide_what_gives_away(hidden: _Flags, value: _Ints, wholes: _Ints, split: _Ints, cell: _Ints) -> None:
    """Hide more cells, in place, until every split keeps to the rules. ``cell``: best to hide first, per split."""
    while True:
        covered = hidden[cell]
        count = np.bincount(split, weights=covered, minlength=len(wholes))
        people = np.bincount(split, weights=covered * value[cell], minlength=len(wholes))
        derivable = ~hidden[wholes] & (count > 0) & ((count < 2) | (people <= SMALL))
        empty = hidden[wholes] & (count == 0)
        open_parts = np.flatnonzero((derivable | empty)[split] & ~covered & (value[cell] > 0))
        mended, first = np.unique(split[open_parts], return_index=True)
        derivable[mended] = False
        more = np.concatenate([cell[open_parts[first]], wholes[derivable]])
        if not len(more):
            return
        hidden[more] = True
