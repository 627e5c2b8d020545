"""Somebody who has every published figure, knows every definition, and wants a hidden cell.

He writes down each sum that the definitions of Gold imply, with what is hidden as unknowns: whole numbers of people, at
least 1 where a 0 would have been shown. A cell is safe when two solutions of all these sums differ in it. The sums are
written here from the definitions, apart from ``lake.disclosure.suppression``.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

import numpy as np
import polars as pl

from lake.disclosure.suppression import MARK
from lake.gold.totals import ALL, KEYS

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
                    hidden = figure in (row.get(MARK) or "").split(", ")
                    self._learn(key, row[figure], least=1 if hidden else 0)

    def _learn(self, key: Key, value: int | None, least: int) -> None:
        """A figure that is hidden is not 0; one that is left out may be."""
        if value is None:
            self.unknown[key] = least
        else:
            self.known[key] = value

    def cells(self, name: str, figure: str, met: Callable[..., bool] = lambda *_: True) -> list[Key]:
        """The cells of a figure whose keys meet a condition."""
        return [k for k in (*self.known, *self.unknown) if k[:2] == (name, figure) and met(*k[2:])]

    def has(self, key: Key) -> bool:
        """Whether there is such a cell."""
        return key in self.known or key in self.unknown

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


_FLOWS: Final = ("admissions", "discharges")
COUNTS: Final = {
    "admissions": _FLOWS,
    "occupancy": ("occupied_midnight",),
    "length_of_stay": ("discharges",),
    "readmissions": ("index_discharges_30d", "readmissions_30d"),
    "outcomes": ("discharges",),
    "arrivals": ("admissions",),
    "diagnoses": ("admissions", "discharges", "deaths", *SEVERITIES),
    "treatments": ("visits", "discharges", "deaths"),
    "doctors": ("discharges", "deaths", "index_discharges_30d", "readmissions_30d"),
    # Exported only: views of what is shown.
    "admissions_weekly": _FLOWS,
    "admissions_monthly": (*_FLOWS, "index_discharges_30d", "readmissions_30d"),
}
PLACE: Final = ("facility", "department")


def knowledge(shown: Mapping[str, pl.DataFrame]) -> Knowledge:
    """All that follows from the definitions."""
    k = Knowledge(shown)
    _totals(k)
    _times(k)
    _admissions(k)
    _discharges(k)
    _beds(k)
    return k


def _totals(k: Knowledge) -> None:
    """What counts all facilities, departments or diagnoses is the sum of each of them."""
    for name, figure in [(table, count) for table in KEYS for count in COUNTS[table]]:
        cells = k.cells(name, figure)
        for place, column in enumerate(KEYS[name], start=2):
            if column not in (*PLACE, "diagnosis_code") or name in ("doctors", "treatments"):
                continue
            without = _grouped(cells, lambda c, at=place: (*c[:at], *c[at + 1 :]))
            for same in without.values():
                k.equal([c for c in same if c[place] == ALL], [c for c in same if c[place] != ALL])


def _grouped(cells: Iterable[Key], by: Callable[[Key], Key]) -> dict[Key, list[Key]]:
    groups: dict[Key, list[Key]] = {}
    for cell in cells:
        groups.setdefault(by(cell), []).append(cell)
    return groups


def _times(k: Knowledge) -> None:
    """Days sum to weeks and months, and by weekday to hours."""
    starts: dict[str, Callable[[Any], Any]] = {
        "week": lambda day: day - timedelta(day.weekday()),
        "month": lambda day: day.replace(day=1),
    }
    for flow in _FLOWS:
        days = k.cells("admissions", flow, lambda grain, *_: grain == "day")
        for grain, start in starts.items():
            for (begin, *place), inside in _grouped(days, lambda d, s=start: (s(d[3]), *d[4:])).items():
                k.equal([("admissions", flow, grain, begin, *place)], inside)
    arrived = k.cells("admissions", "admissions", lambda g, d, f, u: g == "day" and u == ALL)
    hours = k.cells("arrivals", "admissions")
    by_weekday = _grouped(hours, lambda h: (*h[2:4], h[5]))
    for (month, weekday, facility), days in _grouped(
        arrived,
        lambda d: (starts["month"](d[3]), d[3].isoweekday(), d[4]),  # type: ignore[attr-defined]
    ).items():
        k.equal(days, by_weekday.get((month, weekday, facility), []))


def _admissions(k: Knowledge) -> None:
    for month in {c[2] for c in k.cells("diagnoses", "admissions")}:
        k.equal([("admissions", "admissions", "month", month, ALL, ALL)], [_code("admissions", month), k.rest()])
    for _, _, *code in k.cells("diagnoses", "admissions"):
        whole: dict[str, Key] = {figure: ("diagnoses", figure, *code) for figure in COUNTS["diagnoses"]}
        k.equal([whole["admissions"]], [*(whole[severity] for severity in SEVERITIES), k.rest()])
        k.equal([whole["admissions"]], [whole["discharges"], k.rest()])
        k.equal([whole["discharges"]], [whole["deaths"], k.rest()])
        if code[1] != ALL:
            _treated(k, tuple(code), whole)


def _code(figure: str, month: Hashable) -> Key:
    return ("diagnoses", figure, month, ALL)


def _treated(k: Knowledge, code: Key, whole: Mapping[str, Key]) -> None:
    treated = k.cells("treatments", "visits", lambda m, c, t: (m, c) == code)
    none = {figure: k.rest() for figure in COUNTS["treatments"]}
    parts = [{figure: ("treatments", figure, *t[2:]) for figure in COUNTS["treatments"]} for t in treated]
    for part in (*parts, none):
        k.equal([part["visits"]], [part["discharges"], k.rest()])
        k.equal([part["discharges"]], [part["deaths"], k.rest()])
    for figure, of in (("visits", "admissions"), ("discharges", "discharges"), ("deaths", "deaths")):
        k.equal([whole[of]], [*(part[figure] for part in parts), none[figure]])


def _discharges(k: Knowledge) -> None:
    monthly = {c[3:]: c for c in k.cells("admissions", "discharges", lambda grain, *_: grain == "month")}
    stays = {c[2:]: c for c in k.cells("length_of_stay", "discharges")}
    ended = _grouped(k.cells("outcomes", "discharges"), lambda c: c[2:5])
    for unit, left in monthly.items():
        if unit in stays:
            k.equal([left], [stays[unit]])
        index, again = (("readmissions", figure, *unit) for figure in COUNTS["readmissions"])
        unknown, here = k.rest(), ended.get(unit, [])
        k.equal([left], [*here, unknown])
        k.equal([*(cell for cell in here if cell[5] not in NO_INDEX), unknown], [index, k.rest()])
        k.equal([index], [again, k.rest()])
        if unit[1] == ALL != unit[2]:
            _doctors(k, unit, [cell for cell in here if cell[5] == "expired"])
    codes = [_code("discharges", c[2]) for c in k.cells("diagnoses", "discharges", lambda m, c: c == ALL)]
    k.equal([cell for unit, cell in monthly.items() if unit[1:] == (ALL, ALL)], [*codes, k.rest()])
    dead = k.cells("outcomes", "discharges", lambda m, f, u, d: (f, u, d) == (ALL, ALL, "expired"))
    k.equal(dead, [*(("diagnoses", "deaths", *code[2:]) for code in codes), k.rest()])


def _doctors(k: Knowledge, unit: Key, dead: list[Key]) -> None:
    month, _, department = unit
    mine = k.cells("doctors", "discharges", lambda m, i, u: (m, u) == (month, department))
    parts = [{figure: ("doctors", figure, *d[2:]) for figure in COUNTS["doctors"]} for d in mine]
    none = {figure: k.rest() for figure in COUNTS["doctors"]}
    for part in (*parts, none):
        k.equal([part["discharges"]], [part["deaths"], part["index_discharges_30d"], k.rest()])
        k.equal([part["index_discharges_30d"]], [part["readmissions_30d"], k.rest()])
    wholes: dict[str, list[Key]] = {
        "discharges": [("admissions", "discharges", "month", *unit)],
        **{figure: [("readmissions", figure, *unit)] for figure in COUNTS["readmissions"]},
        "deaths": dead,
    }
    for figure, whole in wholes.items():
        k.equal(whole, [*(part[figure] for part in parts), none[figure]])


def _beds(k: Knowledge) -> None:
    """Patients at midnight: those of the day before, plus admissions, less discharges. Nobody changes facility."""
    beds = _grouped(k.cells("occupancy", "occupied_midnight", lambda d, f, u: u == ALL), lambda c: c[3:])
    for place, nights in beds.items():
        on = {night[2]: night for night in nights}
        for day, night in on.items():
            before = on.get(day - timedelta(1))  # type: ignore[operator]
            flows = [("admissions", flow, "day", day, *place) for flow in _FLOWS]
            arrived, left = ([flow] if k.has(flow) else [] for flow in flows)
            k.equal([*([before] if before else []), *arrived], [night, *left])


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
