"""Which hidden cells can be worked out from what is shown, by all sums together.

A sum with a single unknown is easy to see; a cell that several sums give away between them is not (a *bridge*: D.
Gusfield, A graph theoretic approach to statistical data security, SIAM J. Comput. 17, 1988). The hidden cells x solve
A x = b, with a row per split and coefficients of 1 and -1. A cell is safe when x can be moved along some n with
A n = 0 that is not 0 at the cell. A random such n is 0 only where all of them are, so projecting one random vector on
the null space of A answers for all cells at once. The surroundings of the cells in question are looked at first, as if
what lies further away were known: what can be moved even so is safe.

A hidden count is known to be 1 at least, so a hidden 1 can only be more. It is *stuck* where no n with A n = 0 raises
it and lowers no other hidden 1. Any two such n add up to a third, so there is one that raises all that are not stuck,
and a linear program finds it. From there any other cell can be moved that the null space moves with the stuck at rest.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import highspy
import numpy as np

Ints = np.ndarray[tuple[int], np.dtype[np.int64]]
Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]
Floats = np.ndarray[tuple[int], np.dtype[np.float64]]

_SEED: Final = 1988
_TOLERANCE: Final = 1e-9
_ZERO: Final = 1e-6
_HALF: Final = 0.5
_MOST_STEPS: Final = 5000
_FAR: Final = 0.75
_NEAR: Final = 5


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
        return self._left(asked, self._safe, sums, self._move)

    def stuck(self, sums: Sums, asked: Flags) -> Flags:
        """Which of the cells ``asked`` follow from the sums and from what is known to be 1 at least."""
        here = np.zeros(sums.columns, dtype=np.bool_)
        here[sums.column] = True
        return self._left(asked & here, self._free, sums, self._lift)

    def _left(self, asked: Flags, found: Flags, sums: Sums, look: Callable[[Sums], None]) -> Flags:
        """Which of the cells ``asked`` are not ``found``, in place, by a look near them or, if that finds none, at all.

        Cells further away count as known: what can be moved even so can be moved. Too many may be left, never too few.
        """
        left = asked & ~found
        look(sums.near(left))
        if (asked & ~found).sum() == left.sum():
            look(sums.with_all_of(left))
        return asked & ~found

    def _move(self, sums: Sums) -> None:
        self._safe |= self._moved(sums)

    def _lift(self, sums: Sums) -> None:
        raised = _raised(sums, self._stuck)
        self._stuck &= ~raised
        self._free |= raised | self._moved(sums.of(~self._stuck))

    def _moved(self, sums: Sums) -> Flags:
        return np.abs(_projected(sums, self._draw.standard_normal(sums.columns))) > _ZERO


def _raised(a: Sums, ones: Flags) -> Flags:
    """Which of the cells that are 1 at least some n with A n = 0 raises that lowers none of them.

    At these n is t + r with 0 <= t <= 1 and 0 <= r, elsewhere it is anything. With n each multiple of it will do, so
    where the sum of all t is greatest, t is 1 or, where n must be 0, 0. None is raised where that was not found.
    """
    (rows, row), (columns, column) = (np.unique(numbers, return_inverse=True) for numbers in (a.row, a.column))
    one = ones[columns]
    count, more = len(columns), int(one.sum())
    # The r come after all n and t, with the entries of their t.
    twice = one[column]
    row, sign = np.append(row, row[twice]), np.append(a.sign, a.sign[twice])
    column = np.append(column, (count - 1 + np.cumsum(one))[column[twice]])
    order = np.argsort(column, kind="stable")
    free, held = np.full(count, highspy.kHighsInf), np.zeros(more)
    program = highspy.HighsLp()
    program.num_col_, program.num_row_ = count + more, len(rows)
    program.sense_ = highspy.ObjSense.kMaximize
    program.col_cost_ = np.append(one, held)
    program.col_lower_ = np.append(np.where(one, 0, -free), held)
    program.col_upper_ = np.append(np.where(one, 1, free), np.full(more, highspy.kHighsInf))
    program.row_lower_ = program.row_upper_ = np.zeros(len(rows))
    program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    program.a_matrix_.start_ = np.searchsorted(column[order], np.arange(count + more + 1))
    program.a_matrix_.index_, program.a_matrix_.value_ = row[order], sign[order]
    solver = _Solver()
    solver.passModel(program)
    solver.run()
    found = np.zeros(len(ones), dtype=np.bool_)
    if solver.getModelStatus() == highspy.HighsModelStatus.kOptimal:
        found[columns] = one & (np.asarray(solver.getSolution().col_value)[:count] > _HALF)
    return found


class _Solver(highspy.Highs):
    """Prints nothing: HiGHS 1.16 has a headline on stdout before it can be told not to."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def enableCallbacks(self) -> None:  # noqa: N802 - HiGHS's own, the first that its start calls
        self.silent()
        super().enableCallbacks()  # type: ignore[no-untyped-call]


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
