"""Hiding small cells so that no other published figure gives them away.

A *cell* is one count of people: a figure of a table, or one that is not in a table but follows from those that are (a
total, the rest of a split). A *split* says that a whole is the sum of its parts. Cells of 1 to 10 are hidden; then,
until nothing changes, in each split

- no cell is hidden, or at least two are;
- the hidden parts of a whole that is shown come to more than 10 together.

0 is never hidden. Of each split the cells of the lowest rank are hidden first, and of these the smallest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from lake.exposure import Flags, Ints, Sums, Watch

SMALL: Final = 10
"""Cells of 1 to this many are not shown (CMS cell-size suppression policy)."""

_TRIES: Final = 8
_AT_ONCE: Final = 20

REST: Final = 0
"""Rank of cells that no table shows: to hide them costs nothing."""


def small(count: pl.Expr) -> pl.Expr:
    """Whether a count is one of 1 to 10."""
    return count.is_between(1, SMALL)


@dataclass(frozen=True)
class Level:
    """The cells of one figure at one grain. ``cells``: the key columns, ``value`` (Int64) and ``cell`` (its number)."""

    keys: tuple[str, ...]
    cells: pl.DataFrame

    def where(self, these: pl.Expr) -> "Level":
        """Some of the cells."""
        return Level(self.keys, self.cells.filter(these))

    def named(self, *keys: pl.Expr) -> "Level":
        """The same cells with other or more keys."""
        return Level(self.keys, self.cells.with_columns(*keys))


class Cells:
    """Cells and the splits that tie them together. Build it up, then ask ``hidden`` which are to be hidden."""

    def __init__(self) -> None:
        self._size = 0
        self._splits = 0
        self._cells: list[pl.DataFrame] = []
        self._wholes: list[pl.DataFrame] = []
        self._parts: list[pl.DataFrame] = []

    def level(self, frame: pl.DataFrame, keys: Sequence[str], figure: str, rank: int = 1) -> Level:
        """The cells of a table's column: one per row, which the key columns name."""
        # Sorted: of two cells that are alike, the same one is hidden whatever the order of the rows.
        return self._level(frame.sort(keys), keys, pl.col(figure), rank)

    def total(self, keys: Sequence[str], *parts: Level, rank: int = 1) -> Level:
        """The sums of levels by keys that they share, or by none, as wholes of them."""
        every = pl.concat([part.cells.select(*keys, "value") for part in parts])
        sums = every.group_by(*keys).agg(pl.col("value").sum()).sort(keys) if keys else every.sum()
        whole = self._level(sums, keys, pl.col("value"), rank)
        self.sum(whole, *parts)
        return whole

    def sum(self, whole: Level, *parts: Level) -> None:
        """Say that each whole is the sum of the parts that share its keys."""
        self._tie(whole, parts)

    def split(self, whole: Level, *parts: Level) -> Level:
        """Say that each whole is the sum of the parts that share its keys, and of a rest. Returns the rests."""
        wholes, found = self._tie(whole, parts)
        rest = pl.col("value") - pl.col("value_right").fill_null(0)
        sums = found.group_by("split").agg(pl.col("value").sum())
        rests = wholes.join(sums, on="split", how="left", maintain_order="left")
        left = self._level(rests, (*whole.keys, "split"), pl.max_horizontal(rest, 0), REST)
        self._parts.append(left.cells.select("split", "cell"))
        return Level(whole.keys, left.cells.drop("split"))

    def hidden(self) -> pl.Series:
        """By cell number: whether it is to be hidden (Boolean)."""
        cells, wholes, parts = pl.concat(self._cells), pl.concat(self._wholes), pl.concat(self._parts)
        value, rank = cells["value"].to_numpy(), cells["rank"].to_numpy()
        split = np.concatenate([wholes["split"].to_numpy(), parts["split"].to_numpy()])
        cell = np.concatenate([wholes["cell"].to_numpy(), parts["cell"].to_numpy()])
        whole = np.arange(len(cell)) < len(wholes)
        order = np.lexsort((cell, value[cell], rank[cell], split))
        ties = Ties(split[order], cell[order], whole[order], wholes["cell"].to_numpy(), rank)
        tiny = (value >= 1) & (value <= SMALL)
        hidden = tiny.copy()
        watch = Watch((value == 1) & (rank > REST))
        _close(hidden, value, ties)
        left, many = 0, 1
        while (told := watch.exposed(ties.sums(hidden), tiny)).any():
            many = 2 * many if told.sum() == left else 1
            left = int(told.sum())
            if not _hide_beside(told, hidden, value, ties, many):
                break
            _close(hidden, value, ties)
        for _ in range(_TRIES):
            if not _hide_beside(watch.stuck(ties.sums(hidden), tiny), hidden, value, ties, 1):
                break
            _close(hidden, value, ties)
        return pl.Series(hidden)

    def _level(self, frame: pl.DataFrame, keys: Sequence[str], value: pl.Expr, rank: int) -> Level:
        cells = frame.select(*keys, value=value.cast(pl.Int64), cell=pl.int_range(pl.len()) + self._size)
        self._size += cells.height
        self._cells.append(cells.select("value", rank=pl.lit(rank, pl.Int64)))
        return Level(tuple(keys), cells)

    def _tie(self, whole: Level, parts: Sequence[Level]) -> tuple[pl.DataFrame, pl.DataFrame]:
        """New splits of these wholes into these parts; returns both with their splits' numbers."""
        wholes = whole.cells.with_columns(split=pl.int_range(pl.len()) + self._splits)
        self._splits += wholes.height
        found = pl.concat([_share(wholes, whole.keys, part.cells) for part in parts])
        self._wholes.append(wholes.select("split", "cell"))
        self._parts.append(found.select("split", "cell"))
        return wholes, found


@dataclass(frozen=True)
class Ties:
    """Which cells are in which splits, sorted by split and, within it, best to hide first."""

    split: Ints
    cell: Ints
    whole: Flags
    wholes: Ints
    rank: Ints

    def sums(self, hidden: Flags) -> Sums:
        """The sums over the hidden cells."""
        these = hidden[self.cell]
        sign = np.where(self.whole[these], 1.0, -1.0)
        return Sums(self.split[these], self.cell[these], sign, len(self.wholes), len(hidden))


def _share(wholes: pl.DataFrame, keys: Sequence[str], parts: pl.DataFrame) -> pl.DataFrame:
    """The parts of each whole: split, cell, value."""
    named, parts = wholes.select(*keys, "split"), parts.select(*keys, "cell", "value")
    joined = named.join(parts, on=list(keys)) if keys else named.join(parts, how="cross")
    return joined.select("split", "cell", "value")


def _close(hidden: Flags, value: Ints, ties: Ties) -> None:
    """Hide more cells, in place, until every split keeps to the rules."""
    splits = len(ties.wholes)
    while True:
        covered = hidden[ties.cell]
        count = np.bincount(ties.split, weights=covered, minlength=splits)
        parts = np.where(covered & ~ties.whole, value[ties.cell], 0)
        people = np.bincount(ties.split, weights=parts, minlength=splits)
        told = (count == 1) | (~hidden[ties.wholes] & (count > 0) & (people <= SMALL))
        can = told[ties.split] & ~covered & (value[ties.cell] > 0)
        if not can.any():
            return
        hidden[_cheapest(can, ties.split, ties)] = True


def _cheapest(can: Flags, group: Ints, ties: Ties) -> Ints:
    """Per group of entries, the cell that is best to hide of those that can be."""
    entries = np.flatnonzero(can)
    _, first = np.unique(group[entries], return_index=True)
    return ties.cell[entries[first]]


def _hide_beside(told: Flags, hidden: Flags, value: Ints, ties: Ties, many: int) -> bool:
    """Hide so many cells, in place, as near as can be to each that is told; False where there is none to hide.

    Of few at a time: what is hidden for one often helps the others.
    """
    more = [_nearest(cell, hidden, value, ties, many) for cell in np.flatnonzero(told)[:_AT_ONCE]]
    hidden[[cell for cells in more for cell in cells]] = True
    return any(map(len, more))


def _nearest(cell: int, hidden: Flags, value: Ints, ties: Ties, many: int) -> Ints:
    """Of the cells that could be hidden, the cheapest of those that are the fewest sums away."""
    reached, before = np.zeros(len(hidden), dtype=np.bool_), 0
    reached[cell] = True
    there = value[ties.cell] > 0
    while before < (before := int(np.count_nonzero(reached))):
        splits = np.zeros(len(ties.wholes), dtype=np.bool_)
        splits[ties.split[reached[ties.cell]]] = True
        near = ties.cell[splits[ties.split] & there]
        can = np.unique(near[~hidden[near]])
        if len(can):
            return can[np.lexsort((can, value[can], ties.rank[can]))[:many]]
        reached[near] = True
    return np.zeros(0, dtype=np.int64)
