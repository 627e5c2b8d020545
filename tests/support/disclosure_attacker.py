"""Somebody who has every public figure, knows every definition and the rounding rules, and wants a hidden count.

He writes down each sum that the definitions of Gold imply. Every count is an unknown whole number: a hidden one is 1
to 10, a 0 is 0, a rounded one is at most 2 away (15 may be 11 or 12 too), and one whose row is left out is 0 to 10. He
even knows which rows there could be. The sums are written here from the definitions, apart from ``lake.gold``.

A hidden count is safe where two solutions of *all* these sums differ in it. The truth is one; ``pinned`` searches the
other, and what it finds is checked sum by sum: a count that it does not call pinned is safe, whoever attacks.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from datetime import date, timedelta
from typing import Any, Final

import polars as pl

from lake.gold.totals import ALL

Key = tuple[Hashable, ...]

NO_INDEX: Final = ("expired", "ama", "transfer")
SEVERITIES: Final = ("minor", "moderate", "major", "extreme")
PLACE: Final = ("facility", "department")
FOLLOWED: Final = ("index_discharges_30d", "readmissions_30d")
FLOWS: Final = ("admissions", "discharges")
_MOVES: Final = (*FLOWS, "transfers_in", *FOLLOWED)
_ENDS: Final = ("discharges", "deaths")
_MOST: Final = 10**6
_STEPS: Final = 400
_NOISE: Final = 0.1
SMALL: Final = 10
Known = Callable[[int | None], tuple[int, int]]

# Table → what its counts are called here, its key columns, its counts. Tables that count the same share a name.
TABLES: Final[dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]]] = {
    "admissions": ("day", ("day", *PLACE), _MOVES),
    "admissions_weekly": ("week", ("week", *PLACE), _MOVES),
    "admissions_monthly": ("month", ("month", *PLACE), _MOVES),
    "admissions_totals": ("grain", ("grain", "start", *PLACE), FLOWS),
    "readmissions_totals": ("month", ("month", *PLACE), FOLLOWED),
    "occupancy": ("beds", ("day", *PLACE), ("occupied_midnight",)),
    "occupancy_totals": ("beds", ("day", *PLACE), ("occupied_midnight",)),
    "length_of_stay": ("month", ("month", *PLACE), ("discharges",)),
    "length_of_stay_totals": ("month", ("month", *PLACE), ("discharges",)),
    "outcomes": ("outcomes", ("month", *PLACE, "disposition"), ("discharges",)),
    "outcomes_totals": ("outcomes", ("month", *PLACE, "disposition"), ("discharges",)),
    "arrivals": ("arrivals", ("month", "weekday", "hour", *PLACE), ("admissions",)),
    "arrivals_totals": ("arrivals", ("month", "weekday", "hour", "facility"), ("admissions",)),
    "diagnoses": ("codes", ("month", "diagnosis_code"), ("admissions", *_ENDS, *SEVERITIES)),
    "diagnoses_totals": ("codes", ("month", "diagnosis_code"), ("admissions", *_ENDS, *SEVERITIES)),
    "treatments": ("treatments", ("month", "diagnosis_code", "treatment"), ("visits", *_ENDS)),
    "doctors": ("doctors", ("month", "doctor_id", "department"), (*_ENDS, *FOLLOWED)),
}


def cells(tables: Mapping[str, pl.DataFrame]) -> dict[Key, int | None]:
    """Every count in these tables by what it counts. The same count in two tables has to be the same in both."""
    found: dict[Key, int | None] = {}
    for table, (name, keys, counts) in TABLES.items():
        for row in tables[table].iter_rows(named=True):
            where = [row[key] for key in keys]
            of = where.pop(0) if name == "grain" else name
            if table == "arrivals_totals":
                where.append(ALL)
            for figure in counts:
                key = (of, figure, *where)
                assert found.setdefault(key, row[figure]) == row[figure], f"{table}.{figure} differs from another table"
    return found


def interval(value: int | None) -> tuple[int, int]:
    """What an exact count can be, from its public form."""
    if value is None:
        return 1, SMALL
    return (value - (4 if value == 15 else 2), value + 2) if value else (0, 0)


class Knowledge:
    """What is known of each count, and the sums that all of them have to keep to."""

    def __init__(self, public: Mapping[str, pl.DataFrame], exact: Mapping[str, pl.DataFrame], known: Known) -> None:
        """``exact``: only for which rows there are, and which counts are to be found out."""
        truth = cells(exact)
        self.bounds: dict[Key, tuple[int, int]] = dict.fromkeys(truth, (0, SMALL))
        self.bounds |= {key: known(value) for key, value in cells(public).items()}
        self.hidden = [key for key, value in truth.items() if value and value <= SMALL]
        self.sums: list[list[tuple[int, Key]]] = []
        self._by_figure: dict[Key, list[Key]] = defaultdict(list)
        for key in self.bounds:
            self._by_figure[key[:2]].append(key)
        self._rests: list[tuple[Key, int]] = []

    def cells(self, name: str, figure: str, met: Callable[..., bool] = lambda *_: True) -> list[Key]:
        """The cells of a figure whose keys meet a condition."""
        return [k for k in self._by_figure[name, figure] if met(*k[2:])]

    def has(self, key: Key) -> bool:
        """Whether there is such a cell."""
        return key in self.bounds

    def rest(self) -> Key:
        """Somebody that no table shows: at least nobody."""
        key = ("rest", len(self._rests))
        self._rests.append((key, len(self.sums)))
        self.bounds[key] = (0, _MOST)
        return key

    def equal(self, left: Iterable[Key], right: Iterable[Key]) -> None:
        """Both sides count the same people. A cell that is in no table is 0."""
        terms = [(1, key) for key in left] + [(-1, key) for key in right]
        self.sums.append([(sign, key) for sign, key in terms if key in self.bounds])

    def solution(self, exact: Mapping[str, pl.DataFrame]) -> dict[Key, int]:
        """The truth: exact counts, and the rests that follow from them. Checked against all that is known."""
        truth: dict[Key, int] = {key: value or 0 for key, value in cells(exact).items()}
        for key, number in self._rests:
            terms = self.sums[number]
            [sign] = [sign for sign, term in terms if term == key]
            truth[key] = -sign * sum(sign * truth.get(term, 0) for sign, term in terms if term != key)
        self.check(truth)
        return truth

    def check(self, found: Mapping[Key, int]) -> None:
        """That a solution is one."""
        assert all(low <= found[key] <= high for key, (low, high) in self.bounds.items()), "a count is out of bounds"
        assert all(sum(sign * found[key] for sign, key in terms) == 0 for terms in self.sums), "a sum does not hold"


def knowledge(
    public: Mapping[str, pl.DataFrame], exact: Mapping[str, pl.DataFrame], known: Known = interval
) -> Knowledge:
    """All that follows from the definitions. ``known``: what an exact count can be, from its public form."""
    k = Knowledge(public, exact, known)
    _totals(k)
    _times(k)
    _admissions(k)
    _discharges(k)
    _beds(k)
    return k


def _totals(k: Knowledge) -> None:
    """What counts all facilities, departments or diagnoses is the sum of each of them."""
    places = {
        ("beds", "occupied_midnight"): (3, 4),
        ("outcomes", "discharges"): (3, 4),
        ("arrivals", "admissions"): (5, 6),
    }
    places |= {(grain, flow): (3, 4) for grain in ("day", "week", "month") for flow in FLOWS}
    places |= {("month", figure): (3, 4) for figure in FOLLOWED}
    places |= {("codes", figure): (3,) for figure in ("admissions", *_ENDS, *SEVERITIES)}
    for figure, columns in places.items():
        for place in columns:
            for same in _grouped(k.cells(*figure), lambda c, at=place: (*c[:at], *c[at + 1 :])).values():
                whole, parts = ([c for c in same if (c[place] == ALL) is total] for total in (True, False))
                if whole and parts:  # arrivals have no totals by department
                    k.equal(whole, parts)


def _grouped(found: Iterable[Key], by: Callable[[Any], Key]) -> dict[Key, list[Key]]:
    groups: dict[Key, list[Key]] = {}
    for cell in found:
        groups.setdefault(by(cell), []).append(cell)
    return groups


def _week(day: date) -> date:
    return day - timedelta(day.weekday())


def _month(day: date) -> date:
    return day.replace(day=1)


def _times(k: Knowledge) -> None:
    """Days sum to weeks and months, and by weekday to hours."""
    for flow in _MOVES:
        days = k.cells("day", flow)
        for grain, start in (("week", _week), ("month", _month)):
            for (begin, *place), inside in _grouped(days, lambda d, s=start: (s(d[2]), *d[3:])).items():
                k.equal([(grain, flow, begin, *place)], inside)
    by_weekday = _grouped(k.cells("arrivals", "admissions"), lambda h: (*h[2:4], *h[5:]))
    for key, days in _grouped(
        k.cells("day", "admissions"), lambda d: (_month(d[2]), d[2].isoweekday(), *d[3:])
    ).items():
        if key[3] == ALL or key[2] != ALL:
            k.equal(days, by_weekday.get(key, []))


def _admissions(k: Knowledge) -> None:
    for month in {c[2] for c in k.cells("codes", "admissions")}:
        k.equal([("month", "admissions", month, ALL, ALL)], [_code("admissions", month), k.rest()])
    for _, _, *code in k.cells("codes", "admissions"):
        whole: dict[str, Key] = {figure: ("codes", figure, *code) for figure in ("admissions", *_ENDS, *SEVERITIES)}
        k.equal([whole["admissions"]], [*(whole[severity] for severity in SEVERITIES), k.rest()])
        k.equal([whole["admissions"]], [whole["discharges"], k.rest()])
        k.equal([whole["discharges"]], [whole["deaths"], k.rest()])
        if code[1] != ALL:
            _treated(k, tuple(code), whole)


def _code(figure: str, month: Hashable) -> Key:
    return ("codes", figure, month, ALL)


def _treated(k: Knowledge, code: Key, whole: Mapping[str, Key]) -> None:
    treated = k.cells("treatments", "visits", lambda m, c, t: (m, c) == code)
    parts = [{figure: ("treatments", figure, *t[2:]) for figure in ("visits", *_ENDS)} for t in treated]
    none: dict[str, Key] = {}
    for figure, of in (("visits", "admissions"), ("discharges", "discharges"), ("deaths", "deaths")):
        none[figure] = k.rest()
        k.equal([whole[of]], [*(part[figure] for part in parts), none[figure]])
    for part in (*parts, none):
        k.equal([part["visits"]], [part["discharges"], k.rest()])
        k.equal([part["discharges"]], [part["deaths"], k.rest()])


def _discharges(k: Knowledge) -> None:
    ended = _grouped(k.cells("outcomes", "discharges"), lambda c: c[2:5])
    for _, _, *unit in k.cells("month", "discharges"):
        left = ("month", "discharges", *unit)
        index, again = (("month", figure, *unit) for figure in FOLLOWED)
        here = ended.get(tuple(unit), [])
        k.equal([left], here)
        k.equal([cell for cell in here if cell[5] not in NO_INDEX], [index, k.rest()])
        k.equal([index], [again, k.rest()])
        if unit[1] == ALL != unit[2]:
            _doctors(k, tuple(unit), [cell for cell in here if cell[5] == "expired"])
    for grain in ("day", "week"):
        for _, _, *unit in k.cells(grain, "index_discharges_30d"):
            left, index, again = ((grain, figure, *unit) for figure in ("discharges", *FOLLOWED))
            k.equal([left], [index, k.rest()])
            k.equal([index], [again, k.rest()])
    codes = [_code("discharges", c[2]) for c in k.cells("codes", "discharges", lambda m, c: c == ALL)]
    k.equal(k.cells("month", "discharges", lambda m, f, u: (f, u) == (ALL, ALL)), [*codes, k.rest()])
    dead = k.cells("outcomes", "discharges", lambda m, f, u, d: (f, u, d) == (ALL, ALL, "expired"))
    k.equal(dead, [*(("codes", "deaths", *code[2:]) for code in codes), k.rest()])


def _doctors(k: Knowledge, unit: Key, dead: list[Key]) -> None:
    month, _, department = unit
    counts = (*_ENDS, *FOLLOWED)
    mine = k.cells("doctors", "discharges", lambda m, i, u: (m, u) == (month, department))
    parts = [{figure: ("doctors", figure, *d[2:]) for figure in counts} for d in mine]
    wholes: dict[str, list[Key]] = {figure: [("month", figure, *unit)] for figure in ("discharges", *FOLLOWED)}
    none: dict[str, Key] = {}
    for figure, whole in (wholes | {"deaths": dead}).items():
        none[figure] = k.rest()
        k.equal(whole, [*(part[figure] for part in parts), none[figure]])
    for part in (*parts, none):
        k.equal([part["discharges"]], [part["deaths"], part["index_discharges_30d"], k.rest()])
        k.equal([part["index_discharges_30d"]], [part["readmissions_30d"], k.rest()])


def _beds(k: Knowledge) -> None:
    """Patients at midnight: those of the day before, plus admissions, less discharges. Nobody changes facility."""
    beds = _grouped(k.cells("beds", "occupied_midnight", lambda d, f, u: u == ALL), lambda c: c[3:])
    for place, nights in beds.items():
        on = {night[2]: night for night in nights}
        for day, night in on.items():
            before = on.get(day - timedelta(1))  # type: ignore[operator]
            arrived, left = (("day", flow, day, *place) for flow in FLOWS)
            k.equal([*([before] if before else []), arrived], [night, left])


def pinned(k: Knowledge, truth: Mapping[Key, int], tries: int = 300) -> list[Key]:
    """The hidden counts that may be known for sure: those for which no other solution was found."""
    search = Search(k, truth, tries)
    left = dict.fromkeys(k.hidden)
    for key in k.hidden:
        if key in left and (other := search.other(key)):
            k.check(other)
            left = {one: None for one in left if other[one] == truth[one]}
    return list(left)


class Search:
    """Other solutions than a known one: change one count, then mend the sums one by one until all hold again."""

    def __init__(self, k: Knowledge, truth: Mapping[Key, int], tries: int) -> None:
        self._names = list(k.bounds)
        place = {key: number for number, key in enumerate(self._names)}
        self._truth = truth
        self._room = [(low - truth[key], high - truth[key]) for key, (low, high) in k.bounds.items()]
        self._sums = [[(sign, place[key]) for sign, key in terms] for terms in k.sums]
        self._of: list[list[tuple[int, int]]] = [[] for _ in self._names]
        for number, terms in enumerate(self._sums):
            for sign, one in terms:
                self._of[one].append((sign, number))
        self._place, self._tries, self._chance = place, tries, random.Random(0)

    def other(self, key: Key) -> dict[Key, int] | None:
        """A solution that differs from the known one in ``key``; None where none was found."""
        one = self._place[key]
        steps = sorted((step for step in (-1, 1, -2, 2, -4, 4) if self._fits(one, step)), key=abs)
        for _ in range(self._tries):
            for step in steps:
                if (moved := self._mended(one, step)) is not None:
                    return {name: self._truth[name] + moved.get(number, 0) for number, name in enumerate(self._names)}
        return None

    def _fits(self, one: int, change: int) -> bool:
        low, high = self._room[one]
        return low <= change <= high

    def _mended(self, first: int, step: int) -> dict[int, int] | None:
        moved, off = defaultdict[int, int](int), dict[int, int]()
        self._move(first, step, moved, off)
        last = first
        for _ in range(_STEPS):
            if not off:
                return moved
            number = self._chance.choice(list(off))
            way = 1 if off[number] < 0 else -1  # the sum has to go up or down
            can = [
                (self._worse(one, sign * way, off), self._chance.random(), sign * way, one)
                for sign, one in self._sums[number]
                if one not in (first, last) and self._fits(one, moved[one] + sign * way)
            ]
            if not can:
                return None
            _, _, change, last = min(can) if self._chance.random() > _NOISE else self._chance.choice(can)
            self._move(last, change, moved, off)
        return None

    def _worse(self, one: int, change: int, off: Mapping[int, int]) -> int:
        """By how much more the sums would be off."""
        return sum(abs(off.get(number, 0) + sign * change) - abs(off.get(number, 0)) for sign, number in self._of[one])

    def _move(self, one: int, change: int, moved: dict[int, int], off: dict[int, int]) -> None:
        moved[one] += change
        for sign, number in self._of[one]:
            left = off.pop(number, 0) + sign * change
            if left:
                off[number] = left
