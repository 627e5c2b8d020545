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
from itertools import islice
from typing import Final

import numpy as np
import polars as pl

from lake.disclosure.exposure import Flags, Ints, Sums, Watch

SMALL: Final = 10
"""Cells of 1 to this many are not shown (CMS cell-size suppression policy)."""

# What is hidden for one cell often helps the others, and a round takes seconds with years of days: so many of the cells
# that are told are helped in a round, or this share of them, each by twice as many cells where the round before left
# nearly as many told.
_AT_ONCE: Final = 20
_SHARE: Final = 0.2
_SLOW: Final = 0.9

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
        ties = Ties(cells["value"].to_numpy(), cells["rank"].to_numpy(), wholes, parts)
        tiny = (ties.value >= 1) & (ties.value <= SMALL)
        hidden = tiny.copy()
        watch = Watch((ties.value == 1) & (ties.rank > REST))
        _close(hidden, np.flatnonzero(hidden), ties)
        for look in (watch.exposed, watch.stuck):
            left, many = 0, 1
            while (told := look(ties.sums(hidden), tiny)).any():
                many = 2 * many if told.sum() >= _SLOW * left else 1
                left = int(told.sum())
                if not _hide_beside(told, hidden, ties, many):
                    break
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


class Ties:
    """Which cells are in which splits: entries sorted by split and, within it, best to hide first."""

    def __init__(self, value: Ints, rank: Ints, wholes: pl.DataFrame, parts: pl.DataFrame) -> None:
        """``wholes`` (of split 0, 1, and so on) and ``parts``: columns ``split`` and ``cell``."""
        both = pl.concat([wholes, parts])
        split, cell = both["split"].to_numpy(), both["cell"].to_numpy()
        order = np.lexsort((cell, value[cell], rank[cell], split))
        self.value, self.rank = value, rank
        self.split, self.cell, self.whole = split[order], cell[order], order < wholes.height
        self.wholes = wholes["cell"].to_numpy()
        self._splits = np.searchsorted(self.split, np.arange(wholes.height + 1))
        self._of_cells = np.argsort(self.cell, kind="stable")
        self._cells = np.searchsorted(self.cell[self._of_cells], np.arange(len(value) + 1))

    def sums(self, hidden: Flags) -> Sums:
        """The sums over the hidden cells."""
        these = hidden[self.cell]
        sign = np.where(self.whole[these], 1.0, -1.0)
        return Sums(self.split[these], self.cell[these], sign, len(self.wholes), len(hidden))

    def touched(self, cells: Ints) -> Ints:
        """The entries of all splits that one of these cells is in, sorted."""
        splits = np.unique(self.split[self._of_cells[_ranges(self._cells, cells)]])
        return _ranges(self._splits, splits)


def _ranges(begins: Ints, these: Ints) -> Ints:
    """The whole numbers of some ranges, each from where it begins to where the next one does."""
    ends = begins[these + 1]
    length = ends - begins[these]
    return np.arange(length.sum()) + np.repeat(ends - np.cumsum(length), length)


def _share(wholes: pl.DataFrame, keys: Sequence[str], parts: pl.DataFrame) -> pl.DataFrame:
    """The parts of each whole: split, cell, value."""
    named, parts = wholes.select(*keys, "split"), parts.select(*keys, "cell", "value")
    joined = named.join(parts, on=list(keys)) if keys else named.join(parts, how="cross")
    return joined.select("split", "cell", "value")


def _close(hidden: Flags, new: Ints, ties: Ties) -> None:
    """Hide more cells, in place, until every split keeps to the rules. ``new``: those hidden since it last did."""
    while len(new):
        entries = ties.touched(new)
        splits, split = np.unique(ties.split[entries], return_inverse=True)
        cell = ties.cell[entries]
        covered, value = hidden[cell], ties.value[cell]
        count = np.bincount(split, weights=covered)
        people = np.bincount(split, weights=np.where(covered & ~ties.whole[entries], value, 0))
        told = (count == 1) | (~hidden[ties.wholes[splits]] & (people <= SMALL))
        can = told[split] & ~covered & (value > 0)
        _, first = np.unique(split[can], return_index=True)
        new = cell[can][first]
        hidden[new] = True


def _hide_beside(told: Flags, hidden: Flags, ties: Ties, many: int) -> bool:
    """Hide so many cells, in place, as near as can be to each that is told; False where there is none to hide.

    Of a part of them at a time. Where all that hangs together is hidden, there is none to hide and no need: the true
    counts, doubled, keep to the same sums.
    """
    found = (_nearest(int(cell), hidden, ties, many) for cell in np.flatnonzero(told))
    more = [*islice(filter(len, found), max(_AT_ONCE, int(_SHARE * told.sum())))]
    if more:
        new = np.unique(np.concatenate(more))
        hidden[new] = True
        _close(hidden, new, ties)
    return bool(more)


def _nearest(cell: int, hidden: Flags, ties: Ties, many: int) -> Ints:
    """Of the cells that could be hidden, the cheapest of those that are the fewest sums away."""
    seen = np.zeros(len(hidden), dtype=np.bool_)
    front: Ints = np.array([cell])
    while len(front):
        near = np.unique(ties.cell[ties.touched(front)])
        near = near[ties.value[near] > 0]
        can = near[~hidden[near]]
        if len(can):
            best: Ints = can[np.lexsort((can, ties.value[can], ties.rank[can]))]
            return best[:many]
        front = near[~seen[near]]
        seen[front] = True
    return front
