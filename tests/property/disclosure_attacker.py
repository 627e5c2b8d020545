"""Somebody who has every published figure, knows every definition, and wants a hidden cell.

He writes down each sum that the definitions of Gold imply, with what is hidden as unknowns: whole numbers of people, at
least 1 where a 0 would have been shown. A cell is safe when two solutions of all these sums differ in it. The sums are
written here from the definitions, apart from ``lake.disclosure``.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
import polars as pl

Key = tuple[Hashable, ...]
Signed = tuple[int, Key]

NO_INDEX: Final = ("expired", "ama", "transfer")
SEVERITIES: Final = ("minor", "moderate", "major", "extreme")


class Knowledge:
    """What is published, and the sums it has to keep to."""

    def __init__(self, shown: Mapping[str, pl.DataFrame]) -> None:
        self.known: dict[Key, int] = {}
        self.unknown: dict[Key, int] = {}  # the least that it can be
        self.sums: list[list[Signed]] = []
        self._rests = 0
        for name, keys in KEYS.items():
            for row in shown[name].iter_rows(named=True):
                for figure in COUNTS[name]:
                    key = (name, figure, *(row[column] for column in keys))
                    self._learn(key, row[figure])

    def _learn(self, key: Key, value: int | None) -> None:
        if value is None:
            self.unknown[key] = 1
        else:
            self.known[key] = value

    def cells(self, name: str, figure: str, met: Callable[..., bool] = lambda *_: True) -> list[Key]:
        """The cells of a figure whose keys meet a condition."""
        return [k for k in (*self.known, *self.unknown) if k[:2] == (name, figure) and met(*k[2:])]

    def rest(self) -> Key:
        """Somebody that no table shows: at least nobody."""
        self._rests += 1
        key = ("rest", self._rests)
        self.unknown[key] = 0
        return key

    def equal(self, left: Iterable[Key], right: Iterable[Key]) -> None:
        """Both sides count the same people."""
        self.sums.append([(1, key) for key in left] + [(-1, key) for key in right])

    def matrix(self) -> tuple[list[Key], np.ndarray, np.ndarray, np.ndarray]:
        """Unknowns, their least values, and the sums as coefficients and right-hand sides."""
        names = list(self.unknown)
        place = {key: number for number, key in enumerate(names)}
        rows = np.zeros((len(self.sums), len(names)), dtype=np.int64)
        right = np.zeros(len(self.sums), dtype=np.int64)
        for number, terms in enumerate(self.sums):
            for sign, key in terms:
                if key in place:
                    rows[number, place[key]] += sign
                else:
                    right[number] -= sign * self.known[key]
        return names, np.array([self.unknown[key] for key in names], dtype=np.int64), rows, right


KEYS: Final = {
    "admissions": ("day", "facility", "department"),
    "admissions_weekly": ("week", "facility", "department"),
    "admissions_monthly": ("month", "facility", "department"),
    "arrivals": ("month", "hour", "facility"),
    "diagnoses": ("month", "diagnosis_code"),
    "treatments": ("month", "diagnosis_code", "treatment"),
    "outcomes": ("month", "facility", "department", "disposition"),
    "occupancy": ("day", "facility", "department"),
    "length_of_stay": ("month", "facility", "department"),
    "doctors": ("month", "doctor_id", "department"),
}
_FLOWS: Final = ("admissions", "discharges")
COUNTS: Final = {
    "admissions": _FLOWS,
    "admissions_weekly": _FLOWS,
    "admissions_monthly": (*_FLOWS, "index_discharges_30d", "readmissions_30d"),
    "arrivals": ("admissions",),
    "diagnoses": ("admissions", "discharges", "deaths", *SEVERITIES),
    "treatments": ("visits", "discharges", "deaths"),
    "outcomes": ("discharges",),
    "occupancy": ("occupied_midnight",),
    "length_of_stay": ("discharges",),
    "doctors": ("discharges", "deaths", "index_discharges_30d", "readmissions_30d"),
}


def knowledge(shown: Mapping[str, pl.DataFrame]) -> Knowledge:
    """All that follows from the definitions."""
    k = Knowledge(shown)
    for row in _open_days(shown["occupancy"]).iter_rows():
        k.unknown["occupancy", "occupied_midnight", *row] = 0
    _days(k)
    _admissions(k)
    _discharges(k)
    _beds(k)
    return k


def _open_days(occupancy: pl.DataFrame) -> pl.DataFrame:
    """Cells of facilities and days of which nothing is shown: there a 0 may be hidden too."""
    nothing = pl.col("occupied_midnight").is_null().all().over("day", "facility")
    return occupancy.filter(nothing).select(KEYS["occupancy"])


def _days(k: Knowledge) -> None:
    for flow in _FLOWS:
        for week in k.cells("admissions_weekly", flow):
            inside = lambda d, f, u, w=week: (d - timedelta(d.weekday()), f, u) == w[2:]  # noqa: E731
            k.equal([week], k.cells("admissions", flow, inside))
        for month in k.cells("admissions_monthly", flow):
            inside = lambda d, f, u, m=month: (d.replace(day=1), f, u) == m[2:]  # noqa: E731
            k.equal([month], k.cells("admissions", flow, inside))


def _admissions(k: Knowledge) -> None:
    monthly = k.cells("admissions_monthly", "admissions")
    for month, facility in {(m[2], m[3]) for m in monthly}:
        here = [m for m in monthly if m[2:4] == (month, facility)]
        k.equal(here, k.cells("arrivals", "admissions", lambda m, h, f, p=(month, facility): (m, f) == p))
    for month in {m[2] for m in monthly}:
        codes = k.cells("diagnoses", "admissions", lambda m, c, p=month: m == p)
        k.equal([m for m in monthly if m[2] == month], [*codes, k.rest()])
    for _, _, *code in k.cells("diagnoses", "admissions"):
        whole: dict[str, Key] = {figure: ("diagnoses", figure, *code) for figure in COUNTS["diagnoses"]}
        k.equal([whole["admissions"]], [*(whole[severity] for severity in SEVERITIES), k.rest()])
        k.equal([whole["admissions"]], [whole["discharges"], k.rest()])
        k.equal([whole["discharges"]], [whole["deaths"], k.rest()])
        treated = k.cells("treatments", "visits", lambda m, c, t, p=tuple(code): (m, c) == p)
        none = {figure: k.rest() for figure in COUNTS["treatments"]}
        parts = [{figure: ("treatments", figure, *t[2:]) for figure in COUNTS["treatments"]} for t in treated]
        for part in (*parts, none):
            k.equal([part["visits"]], [part["discharges"], k.rest()])
            k.equal([part["discharges"]], [part["deaths"], k.rest()])
        for figure, of in (("visits", "admissions"), ("discharges", "discharges"), ("deaths", "deaths")):
            k.equal([whole[of]], [*(part[figure] for part in parts), none[figure]])


def _discharges(k: Knowledge) -> None:
    units = k.cells("admissions_monthly", "discharges")
    for _, _, *unit in units:
        monthly = {figure: ("admissions_monthly", figure, *unit) for figure in COUNTS["admissions_monthly"]}
        if stays := k.cells("length_of_stay", "discharges", lambda *u, p=tuple(unit): u == p):
            k.equal([monthly["discharges"]], stays)
        ended = k.cells("outcomes", "discharges", lambda m, f, u, d, p=tuple(unit): (m, f, u) == p)
        unknown = k.rest()
        k.equal([monthly["discharges"]], [*ended, unknown])
        alive = [cell for cell in ended if cell[5] not in NO_INDEX]
        k.equal([*alive, unknown], [monthly["index_discharges_30d"], k.rest()])
        k.equal([monthly["index_discharges_30d"]], [monthly["readmissions_30d"], k.rest()])
    for month, department in {(u[2], u[4]) for u in units}:
        _doctors(k, month, department)
    codes = k.cells("diagnoses", "discharges")
    k.equal(units, [*codes, k.rest()])
    dead = k.cells("outcomes", "discharges", lambda m, f, u, d: d == "expired")
    k.equal(dead, [*(("diagnoses", "deaths", *c[2:]) for c in codes), k.rest()])


def _doctors(k: Knowledge, month: Any, department: Any) -> None:
    mine = k.cells("doctors", "discharges", lambda m, i, u: (m, u) == (month, department))
    parts = [{figure: ("doctors", figure, *d[2:]) for figure in COUNTS["doctors"]} for d in mine]
    none = {figure: k.rest() for figure in COUNTS["doctors"]}
    for part in (*parts, none):
        k.equal([part["discharges"]], [part["deaths"], part["index_discharges_30d"], k.rest()])
        k.equal([part["index_discharges_30d"]], [part["readmissions_30d"], k.rest()])
    here = lambda m, f, u: (m, u) == (month, department)  # noqa: E731
    for figure in ("discharges", "index_discharges_30d", "readmissions_30d"):
        k.equal(k.cells("admissions_monthly", figure, here), [*(part[figure] for part in parts), none[figure]])
    died = k.cells("outcomes", "discharges", lambda m, f, u, d: here(m, f, u) and d == "expired")
    k.equal(died, [*(part["deaths"] for part in parts), none["deaths"]])


def _beds(k: Knowledge) -> None:
    """Patients at midnight: those of the day before, plus admissions, less discharges. Nobody changes facility."""
    beds = k.cells("occupancy", "occupied_midnight")
    for facility in {b[3] for b in beds}:
        on: dict[date, list[Key]] = {}
        for bed in beds:
            if bed[3] == facility:
                on.setdefault(bed[2], []).append(bed)  # type: ignore[arg-type]
        for day, cells in on.items():
            here = lambda d, f, u, p=(day, facility): (d, f) == p  # noqa: E731
            before = on.get(day - timedelta(1), [])
            k.equal(
                [*before, *k.cells("admissions", "admissions", here)],
                [*cells, *k.cells("admissions", "discharges", here)],
            )


def determined(k: Knowledge) -> dict[Key, int]:
    """The hidden cells that every solution agrees on, and their value."""
    names, least, rows, right = k.matrix()
    if not names:
        return {}
    solver = Solver(rows, right - rows @ least)
    open_ = {number for number, key in enumerate(names) if key[0] != "rest"}
    low, high = solver.values(), solver.values()
    for number in sorted(open_):
        for sign in (1, -1):
            for found in solver.climb(number, sign):
                low, high = np.minimum(low, found), np.maximum(high, found)
                if high[number] - low[number] >= 1:
                    break
            if high[number] - low[number] >= 1:
                break
    return {names[n]: round(low[n] + least[n]) for n in sorted(open_) if high[n] - low[n] < 1}


class Solver:
    """Whole-number simplex: corners of {x ≥ 0 : rows · x = right}. Exact: fractions share one denominator."""

    def __init__(self, rows: np.ndarray, right: np.ndarray) -> None:
        sign = np.where(right < 0, -1, 1)
        self._width = rows.shape[1]
        body = np.hstack([rows * sign[:, None], np.eye(len(rows), dtype=np.int64), (right * sign)[:, None]])
        self._table, self._scale = body.astype(np.int64), 1
        self._basis = np.arange(len(rows)) + self._width
        cost = np.zeros(body.shape[1], dtype=np.int64)
        cost[self._width : -1] = 1
        for _ in self._walk(cost):
            pass
        self._drop_helpers()

    def values(self) -> np.ndarray:
        """The corner where it stands."""
        found = np.zeros(self._width)
        found[self._basis] = self._table[:, -1] / self._scale
        return found

    def climb(self, number: int, sign: int) -> Iterable[np.ndarray]:
        """Corners on the way to the greatest (sign 1) or least (-1) value of an unknown."""
        cost = np.zeros(self._table.shape[1], dtype=np.int64)
        cost[number] = -sign
        for unbounded in self._walk(cost):
            found = self.values()
            if unbounded:
                found[number] += sign
            yield found

    def _walk(self, cost: np.ndarray) -> Iterable[bool]:
        """Pivot (Bland's rule) while the cost falls; yields at each corner, True where there is no end to it."""
        while True:
            reduced = cost * self._scale - cost[self._basis] @ self._table
            entering = np.flatnonzero(reduced[:-1] < 0)
            if not len(entering):
                return
            column = int(entering[0])
            up = np.flatnonzero(self._table[:, column] > 0)
            if not len(up):
                yield True
                return
            ratio = self._table[up, -1] / self._table[up, column]
            best = up[ratio <= ratio.min() + 1e-12]
            self._pivot(int(best[np.argmin(self._basis[best])]), column)
            yield False

    def _pivot(self, row: int, column: int) -> None:
        pivot = self._table[row, column]
        kept = self._table[row].copy()
        self._table = (self._table * pivot - np.outer(self._table[:, column], kept)) // self._scale
        self._table[row] = kept
        self._scale = int(pivot)
        self._basis[row] = column
        if self._scale < 0:
            self._table, self._scale = -self._table, -self._scale
        assert np.abs(self._table).max() < 2**31, "the numbers grew beyond what is exact"

    def _drop_helpers(self) -> None:
        """Take the helper columns out; a helper still in use stands in a row that says nothing."""
        assert not self._table[self._basis >= self._width, -1].any(), "the published figures contradict each other"
        for row in np.flatnonzero(self._basis >= self._width):
            columns = np.flatnonzero(self._table[row, : self._width])
            if len(columns):
                self._pivot(int(row), int(columns[0]))
        used = self._basis < self._width
        columns = [*range(self._width), self._table.shape[1] - 1]
        self._table, self._basis = self._table[used][:, columns], self._basis[used]
