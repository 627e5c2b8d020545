"""Which hidden cells can be worked out from what is shown, by all sums together.

A sum with a single unknown is easy to see; a cell that several sums give away between them is not (a *bridge*: D.
Gusfield, A graph theoretic approach to statistical data security, SIAM J. Comput. 17, 1988). The hidden cells x solve
A x = b, with a row per split and coefficients of 1 and -1. A cell is safe when x can be moved along some n with
A n = 0 that is not 0 at the cell. A random such n is 0 only where all of them are, so projecting one random vector on
the null space of A answers for all cells at once. The surroundings of the cells in question are looked at first, as if
what lies further away were known: what can be moved even so is safe.

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
_MOST_STEPS: Final = 5000
_FAR: Final = 0.75
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

    def packed(self, rows: Flags) -> "Sums":
        """The entries of some rows, with rows and columns numbered without gaps."""
        entries = rows[self.row]
        columns = np.zeros(self.columns, dtype=np.bool_)
        columns[self.column[entries]] = True
        row, column = (np.cumsum(rows) - 1)[self.row[entries]], (np.cumsum(columns) - 1)[self.column[entries]]
        return Sums(row, column, self.sign[entries], int(rows.sum()), int(columns.sum()))

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
        self._free = np.zeros(len(stuck), dtype=np.bool_)
        self._draw = np.random.default_rng(_SEED)

    def exposed(self, sums: Sums, asked: Flags) -> Flags:
        """Which of the cells ``asked`` follow from the sums. ``sums``: those of hidden cells."""
        left = asked & ~self._safe
        # Cells further away count as known: what can be moved even so can be moved.
        self._move(sums.near(left))
        if (asked & ~self._safe).sum() == left.sum():
            self._move(sums.with_all_of(left))
        return asked & ~self._safe

    def _move(self, sums: Sums) -> None:
        moved = _projected(sums, self._draw.standard_normal(sums.columns))
        self._safe |= np.abs(moved) > _ZERO

    def stuck(self, sums: Sums, asked: Flags) -> Flags:
        """Which of the cells ``asked`` follow from the sums and from what is known to be 1 at least."""
        sums = sums.of_small_parts()
        here = np.zeros(sums.columns, dtype=np.bool_)
        here[sums.column] = True
        while True:
            left = asked & here & ~self._free
            sums = sums.with_all_of(left)
            moved = self._raised(sums)
            lifted = self._stuck & (moved > _ZERO)
            self._stuck &= ~lifted
            self._free |= np.abs(moved) > _ZERO
            if not lifted.any():
                return left & ~self._free

    def _raised(self, sums: Sums) -> Floats:
        """A random n with A n = 0 that is more than 0 at as many stuck cells as comes easily, and 0 at the others."""
        wanted = np.where(self._stuck, 1.0, _NOISE * self._draw.standard_normal(sums.columns))
        moved = _projected(sums, wanted)
        while (low := self._stuck & (moved < _ZERO) & (moved != 0)).any():
            moved[low] = 0
            # The others are as they should be.
            sums = sums.with_all_of(low)
            again = _projected(sums.of(~self._stuck | (moved != 0)), moved)
            moved[sums.column] = again[sums.column]
        return moved


def _projected(a: Sums, x: Floats) -> Floats:
    """The n with A n = 0 that is nearest to x; 0 where A has nothing, and NaN where it was not found."""
    inside = np.zeros(a.columns)
    inside[a.column] = x[a.column]
    return inside - a.transposed_times(_solve(a, a.times(inside)))


def _solve(a: Sums, right: Floats) -> Floats:
    """The y of A A' y = right: 0 where A has nothing, NaN in connected parts where it was not found."""
    y = np.zeros(a.rows)
    descent = _Descent(a, right)
    for _ in range(_MOST_STEPS):
        far = descent.far()
        if np.count_nonzero(far) <= _FAR * len(far):
            y[descent.rows] = descent.y
            descent.go_on_with(far)
            if not far.any():
                return y
        descent.step()
    y[descent.rows] = np.where(descent.far(), np.nan, descent.y)
    return y


class _Descent:
    """Conjugate gradients for A A' y = right, of each connected part of A for itself: most are small and soon there."""

    def __init__(self, a: Sums, right: Floats) -> None:
        part = a.parts()
        used = part < a.columns
        self._a = a.packed(used)
        self.rows = np.flatnonzero(used)
        _, self._part = np.unique(part[used], return_inverse=True)
        self.y, self._left = np.zeros(len(self.rows)), right[used]
        self._scale = np.bincount(self._a.row).astype(np.float64)
        self._way = self._left / self._scale
        self._length = self._by_part(self._left * self._way)
        self._enough = self._by_part(np.full(len(self.rows), _TOLERANCE**2))

    def far(self) -> Flags:
        """By row: whether its part is not there yet."""
        return (self._length > self._enough)[self._part]

    def step(self) -> None:
        turned = self._a.times(self._a.transposed_times(self._way))
        step = self._ratio(self._length, self._by_part(self._way * turned))
        self.y += step * self._way
        self._left -= step * turned
        scaled = self._left / self._scale
        length = self._by_part(self._left * scaled)
        self._way = scaled + self._ratio(length, self._length) * self._way
        self._length = length

    def go_on_with(self, rows: Flags) -> None:
        """Leave the other rows as they are; no part is divided."""
        parts = self._length > self._enough
        self._a, self._part = self._a.packed(rows), (np.cumsum(parts) - 1)[self._part[rows]]
        self._length, self._enough = self._length[parts], self._enough[parts]
        self.rows, self.y, self._scale = self.rows[rows], self.y[rows], self._scale[rows]
        self._left, self._way = self._left[rows], self._way[rows]

    def _by_part(self, values: Floats) -> Floats:
        return np.bincount(self._part, values).astype(np.float64)

    def _ratio(self, above: Floats, below: Floats) -> Floats:
        """By row; 0 in parts that are there, where both are next to nothing."""
        far = self._length > self._enough
        return np.divide(above, below, out=np.zeros_like(above), where=far)[self._part]
