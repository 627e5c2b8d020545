"""Which hidden cells can be worked out from what is shown, by all sums together.

A sum with a single unknown is easy to see; a cell that several sums give away between them is not (a *bridge*: D.
Gusfield, A graph theoretic approach to statistical data security, SIAM J. Comput. 17, 1988). The hidden cells x solve
A x = b, with a row per split and coefficients of 1 and -1. A cell is safe when x can be moved along some n with
A n = 0 that is not 0 at the cell. A random such n is 0 only where all of them are, so projecting one random vector on
the null space of A answers for all cells at once.

A hidden count is known to be 1 at least, so a hidden 1 can only be more. It is *stuck* until such an n is found that
raises it and lowers no stuck one. Not every such n is found, and they are looked for only where few cells hang
together: a cell that is called stuck may not be.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

Ints = np.ndarray[tuple[int], np.dtype[np.int64]]
Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]
Floats = np.ndarray[tuple[int], np.dtype[np.float64]]

_SEED: Final = 1988
_TOLERANCE: Final = 1e-9
_ZERO: Final = 1e-6
_STEPS: Final = 16
_MOST_STEPS: Final = 5000
_NEAR: Final = 5
_MANY: Final = 5_000
_NOISE: Final = 0.1


@dataclass(frozen=True)
class Sums:
    """Entries of A: row (split), column (cell) and 1 or -1; and how many rows and columns there are."""

    row: Ints
    column: Ints
    sign: Floats
    rows: int
    columns: int

    def where(self, entries: Flags) -> "Sums":
        """Some of the entries."""
        return Sums(self.row[entries], self.column[entries], self.sign[entries], self.rows, self.columns)

    def of(self, columns: Flags) -> "Sums":
        """The entries of some columns."""
        return self.where(columns[self.column])

    def near(self, columns: Flags) -> "Sums":
        """The entries of columns that are a few sums away from these at most."""
        reached = columns.copy()
        for _ in range(_NEAR):
            touched = np.zeros(self.rows, dtype=np.bool_)
            touched[self.row[reached[self.column]]] = True
            reached[self.column[touched[self.row]]] = True
        return self.of(reached)

    def with_all_of(self, columns: Flags) -> "Sums":
        """The entries of the connected parts in which these columns are."""
        part = self.parts()
        asked = np.zeros(self.columns + 1, dtype=np.bool_)
        asked[part[self.row[columns[self.column]]]] = True
        return self.where(asked[part[self.row]])

    def of_small_parts(self) -> "Sums":
        """The entries of connected parts of not too many columns."""
        part = self.parts()
        named = np.full(self.columns, self.columns)
        named[self.column] = part[self.row]
        return self.where(np.bincount(named, minlength=self.columns + 1)[part[self.row]] <= _MANY)

    def parts(self) -> Ints:
        """By row: the connected part that it is in, as the least column there; ``columns`` for rows without entry."""
        column = np.arange(self.columns)
        while True:
            row = np.full(self.rows, self.columns)
            np.minimum.at(row, self.row, column[self.column])
            least = column.copy()
            np.minimum.at(least, self.column, row[self.row])
            least = least[least]
            if (least == column).all():
                return row
            column = least

    def times(self, x: Floats) -> Floats:
        """A x."""
        return np.bincount(self.row, self.sign * x[self.column], self.rows).astype(np.float64)

    def transposed_times(self, y: Floats) -> Floats:
        """A' y."""
        return np.bincount(self.column, self.sign * y[self.row], self.columns).astype(np.float64)


class Watch:
    """Keeps which cells were found safe: hiding more cells takes nothing from it."""

    def __init__(self, stuck: Flags) -> None:
        """``stuck``: cells that are 1, as everybody knows at least."""
        self._stuck = stuck.copy()
        self._safe = np.zeros(len(stuck), dtype=np.bool_)
        self._draw = np.random.default_rng(_SEED)

    def exposed(self, sums: Sums, asked: Flags) -> Flags:
        """Which of the cells ``asked`` follow from the sums. ``sums``: those of hidden cells."""
        left = asked & ~self._safe
        if self._safe.any():
            # Cells further away count as known: what can be moved even so can be moved.
            self._move(sums.near(left))
            if (asked & ~self._safe).sum() < left.sum():
                return asked & ~self._safe
        self._move(sums.with_all_of(left))
        return asked & ~self._safe

    def _move(self, sums: Sums) -> None:
        moved = _projected(sums, self._draw.standard_normal(sums.columns))
        self._safe |= np.abs(moved) > _ZERO

    def stuck(self, sums: Sums, asked: Flags) -> Flags:
        """Which of the cells ``asked`` follow from the sums and from what is known to be 1 at least."""
        sums = sums.of_small_parts()
        moves = np.zeros(sums.columns, dtype=np.bool_)
        here = np.zeros(sums.columns, dtype=np.bool_)
        here[sums.column] = True
        while True:
            moved = self._raised(sums)
            lifted = self._stuck & (moved > _ZERO)
            self._stuck &= ~lifted
            moves |= np.abs(moved) > _ZERO
            sums = sums.with_all_of(asked & here & ~moves)
            if not lifted.any() or not len(sums.row):
                return asked & here & ~moves

    def _raised(self, sums: Sums) -> Floats:
        """A random n with A n = 0 that is more than 0 at as many stuck cells as comes easily, and 0 at the others."""
        held = np.zeros(sums.columns, dtype=np.bool_)
        moved = np.where(self._stuck, 1.0, _NOISE * self._draw.standard_normal(sums.columns))
        while True:
            moved = _projected(sums.of(~held), moved)
            low = self._stuck & ~held & (moved < _ZERO) & (moved != 0)
            if not low.any():
                return moved
            held |= low


def _projected(a: Sums, x: Floats) -> Floats:
    """The n with A n = 0 that is nearest to x, and 0 where A has nothing."""
    inside = np.zeros(a.columns)
    inside[a.column] = x[a.column]
    return inside - a.transposed_times(_solve(a, a.times(inside)))


def _solve(a: Sums, right: Floats) -> Floats:
    """The y of A A' y = right that is 0 where A has nothing."""
    y = np.zeros(a.rows)
    descent = _Descent(a, right)
    while descent.goes_on():
        descent.take_steps()
        y[descent.rows] = descent.y
        descent.drop_what_is_there()
    return y


class _Descent:
    """Conjugate gradients for A A' y = right, of each connected part of A for itself: most are small and soon there."""

    def __init__(self, a: Sums, right: Floats) -> None:
        part = a.parts()
        used = np.unique(a.row)
        self.rows = used[np.argsort(part[used], kind="stable")]
        place = np.zeros(a.rows, dtype=np.int64)
        place[self.rows] = np.arange(len(self.rows))
        self._row, self._column, self._sign = place[a.row], a.column, a.sign
        self._part = part[self.rows]
        self._scale = np.bincount(self._row, minlength=len(self.rows)).astype(np.float64)
        self.y = np.zeros(len(self.rows))
        self._left = right[self.rows]
        self._way = self._left / self._scale
        self._steps = 0
        self._index()
        self._length = self._by_part(self._left * self._way)
        self._enough = self._by_part(np.full(len(self.rows), _TOLERANCE**2))
        self.drop_what_is_there()

    def goes_on(self) -> bool:
        return len(self.rows) > 0 and self._steps < _MOST_STEPS

    def take_steps(self) -> None:
        for _ in range(_STEPS):
            across = np.add.reduceat(self._column_sign * self._way[self._column_row], self._columns)
            turned = np.add.reduceat(self._row_sign * across[self._row_column], self._rows)
            step = self._ratio(self._length, self._by_part(self._way * turned))
            self.y += step * self._way
            self._left = self._left - step * turned
            scaled = self._left / self._scale
            length = self._by_part(self._left * scaled)
            self._way = scaled + self._ratio(length, self._length) * self._way
            self._length = length
        self._steps += _STEPS

    def drop_what_is_there(self) -> None:
        """Go on with the parts that are not there yet."""
        parts = self._length > self._enough
        rows = parts[self._of_part]
        entries = rows[self._row]
        place = np.cumsum(rows) - 1
        self._row, self._column, self._sign = place[self._row[entries]], self._column[entries], self._sign[entries]
        self.rows, self._part, self._scale = self.rows[rows], self._part[rows], self._scale[rows]
        self.y, self._left, self._way = self.y[rows], self._left[rows], self._way[rows]
        self._length, self._enough = self._length[parts], self._enough[parts]
        self._index()

    def _index(self) -> None:
        """Entries by row and by column, and where each row, column and part of the rows begins."""
        _, column = np.unique(self._column, return_inverse=True)
        by_row, by_column = np.argsort(self._row, kind="stable"), np.argsort(column, kind="stable")
        self._row_column, self._row_sign = column[by_row], self._sign[by_row]
        self._column_row, self._column_sign = self._row[by_column], self._sign[by_column]
        self._rows, self._columns = _begins(self._row[by_row]), _begins(column[by_column])
        self._begins = _begins(self._part)
        _, self._of_part = np.unique(self._part, return_inverse=True)

    def _by_part(self, values: Floats) -> Floats:
        return np.add.reduceat(values, self._begins) if len(values) else values

    def _ratio(self, above: Floats, below: Floats) -> Floats:
        """By row; 0 in parts that are there, where both are next to nothing."""
        far = self._length > self._enough
        return np.divide(above, below, out=np.zeros_like(above), where=far)[self._of_part]


def _begins(sorted_: Ints) -> Ints:
    return np.flatnonzero(np.r_[True, sorted_[1:] != sorted_[:-1]][: len(sorted_)])
