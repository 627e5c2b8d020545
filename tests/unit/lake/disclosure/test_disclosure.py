"""Small cells: what is hidden in plain cases, what goes with it, and that no figure of Gold was forgotten."""

import subprocess
import sys
from datetime import date
from typing import Any, Final

import numpy as np
import polars as pl
import pytest

from lake.disclosure import exposure
from lake.disclosure.cells import SMALL, Cells
from lake.disclosure.export import LEFT_OUT
from lake.disclosure.exposure import Sums, Watch
from lake.disclosure.suppression import DERIVED, MARK, NOT_OF_PEOPLE, suppress
from lake.gold.tables import GOLD, VIEWS, Table
from lake.gold.totals import ALL, KEYS, totals
from tests.support.disclosure_attacker import COUNTS
from tests.support.disclosure_hospital import START, Visit, gold

JANUARY: Final = date(2026, 1, 1)
PLAIN: Final = {
    "facility": "F0", "admit_department": "D0", "department": "D0", "admitted": START, "hour": 8,
    "discharged": None, "code": "C0", "treatment": "T0", "severity": "minor", "disposition": None, "doctor": "P0",
    "index": False, "readmitted": False,
}  # fmt: skip


def many(count: int, **changes: Any) -> list[Visit]:
    """So many visits that differ from the plain one in this."""
    return [Visit(**(PLAIN | changes))] * count


def hidden_of(*sizes: int, small_whole: bool = False) -> list[int]:
    """Sizes of the parts of one whole that are hidden."""
    cells, parts = Cells(), pl.DataFrame({"whole": 0, "part": range(len(sizes)), "people": sizes})
    level = cells.level(parts, ["whole", "part"], "people")
    whole = cells.total(["whole"], level)
    if small_whole:
        cells.sum(whole, cells.level(parts.with_columns(people=pl.lit(5)).head(1), ["whole"], "people"))
    hidden = cells.hidden()
    return [size for size, gone in zip(sizes, hidden.gather(level.cells["cell"]), strict=True) if gone]


# One whole and its parts.


@pytest.mark.parametrize(
    ("sizes", "hidden"),
    [
        ((11, 20, 30), []),
        ((0, 20, 30), []),
        ((5, 20, 30), [5, 20]),
        ((10, 11), [10, 11]),
        ((5, 6, 30), [5, 6]),
        ((5, 5, 30, 40), [5, 5, 30]),
        ((1, 1, 0, 30), [1, 1, 30]),
        ((5, 0, 0), [5]),
        ((0, 0), []),
        ((), []),
    ],
)
def test_a_hidden_part_has_company_that_makes_it_more_than_10(sizes: tuple[int, ...], hidden: list[int]) -> None:
    assert hidden_of(*sizes) == hidden


def test_a_hidden_whole_does_not_follow_from_its_parts() -> None:
    assert hidden_of(20, 30, small_whole=True) == [20]
    assert hidden_of(0, 30, small_whole=True) == [30]


def test_what_costs_least_is_hidden_first() -> None:
    cells = Cells()
    dear = cells.level(pl.DataFrame({"a": [0], "b": [0], "people": [20]}), ["a", "b"], "people", 2)
    cheap = cells.level(pl.DataFrame({"a": [0, 0], "b": [1, 2], "people": [5, 90]}), ["a", "b"], "people", 1)
    cells.total(["a"], dear, cheap, rank=3)
    hidden = cells.hidden()
    assert hidden.gather(cheap.cells["cell"]).to_list() == [True, True]
    assert hidden.gather(dear.cells["cell"]).to_list() == [False]


def test_a_part_that_is_all_of_its_whole_hides_it() -> None:
    cells = Cells()
    wide = cells.level(pl.DataFrame({"a": [0, 1], "people": [20, 5]}), ["a"], "people")
    narrow = cells.level(pl.DataFrame({"a": [0, 0], "b": [0, 1], "people": [20, 0]}), ["a", "b"], "people")
    everything = cells.total([], wide)
    cells.split(wide, narrow)
    hidden = cells.hidden()
    assert hidden.gather(wide.cells["cell"]).to_list() == [True, True]
    assert hidden.gather(narrow.cells["cell"]).to_list() == [True, False]
    assert hidden.gather(everything.cells["cell"]).to_list() == [False]


def test_the_rest_of_a_split_is_a_cell_too() -> None:
    cells = Cells()
    admitted = cells.level(pl.DataFrame({"a": [0], "people": [50]}), ["a"], "people")
    left = cells.level(pl.DataFrame({"a": [0], "people": [47]}), ["a"], "people")
    rest = cells.split(admitted, left)
    hidden = cells.hidden()
    assert rest.cells["value"].to_list() == [3]
    assert hidden.gather(left.cells["cell"]).to_list() == [True], "47 of 50 tells of the 3"


# Sums that cross: what no single one gives away.

BRIDGE: Final = np.array([[8, 8, 50, 60], [8, 8, 7, 60], [50, 60, 8, 8], [50, 60, 8, 8]])
"""Twice four cells that only their sums are known of, and the 7 between them."""


def hidden_in_square(people: "np.ndarray[Any, Any]", cells: Cells | None = None) -> "np.ndarray[Any, Any]":
    cells = cells or Cells()
    row, column = np.indices(people.shape)
    square = pl.DataFrame({"row": row.ravel(), "column": column.ravel(), "people": people.ravel()})
    level = cells.level(square, ["row", "column"], "people")
    for way in ("row", "column"):
        cells.total([way], level, rank=2)
    return cells.hidden().gather(level.cells["cell"]).to_numpy().reshape(people.shape)


def told(hidden: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Cells of a square that follow from the sums of its rows and columns."""
    row, column = np.nonzero(hidden)
    sums = np.vstack([row == n for n in range(len(hidden))] + [column == n for n in range(len(hidden))]).astype(float)
    _, strength, moves = np.linalg.svd(sums)
    free = moves[np.sum(strength > 1e-9) :]
    found = np.zeros(hidden.shape, dtype=bool)
    found[row, column] = np.abs(free).max(axis=0) < 1e-9
    return found


def test_a_bridge_between_hidden_cells_is_closed() -> None:
    hidden = hidden_in_square(BRIDGE)
    assert hidden[BRIDGE <= SMALL].all()
    assert not told(hidden)[BRIDGE <= SMALL].any()


def test_without_a_look_at_all_sums_together_a_bridge_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    for look in ("exposed", "stuck"):
        monkeypatch.setattr(Watch, look, lambda _self, _sums, asked: np.zeros_like(asked))
    hidden = hidden_in_square(BRIDGE)
    assert (hidden == (BRIDGE <= SMALL)).all(), "every row and column has at least two, of more than 10 together"
    assert np.argwhere(told(hidden)).tolist() == [[1, 2]]


def test_cells_that_nothing_can_help_do_not_keep_a_bridge_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Watch, "stuck", lambda _self, _sums, asked: np.zeros_like(asked))
    cells = Cells()
    cells.level(pl.DataFrame({"a": range(50), "people": 5}), ["a"], "people")  # in no sum: nothing is near them
    hidden = hidden_in_square(BRIDGE, cells)
    assert not told(hidden)[BRIDGE <= SMALL].any()


def test_where_no_answer_is_found_cells_count_as_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposure, "_MOST_STEPS", 1)
    assert hidden_in_square(BRIDGE).all()


def test_a_hidden_1_that_can_only_be_1_is_seen() -> None:
    # Rows: 1 and 12 of 13. Columns: 1 and 1 of 2, so both are 1 though each sum has two unknowns.
    people = np.array([[1, 12], [1, 12]])
    hidden = hidden_in_square(people)
    assert hidden.all()


def stuck(ones: list[bool]) -> list[bool]:
    """Which parts of one shown whole follow, all of them hidden and these of them 1."""
    count = len(ones)
    place = np.arange(count)
    sums = Sums(np.zeros(count, dtype=np.int64), place, np.full(count, -1.0), 1, count)
    return Watch(np.array(ones)).stuck(sums, np.ones(count, dtype=np.bool_)).tolist()


@pytest.mark.parametrize("count", [2, 10_000])
def test_where_all_parts_are_1_the_whole_tells_so_and_else_it_does_not(count: int) -> None:
    assert stuck([True] * count) == [True] * count
    assert stuck([True] * (count - 1) + [False]) == [False] * count


def test_where_the_linear_program_has_no_answer_cells_count_as_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposure._Solver, "run", lambda _: None)
    assert stuck([True, True, False, False]) == [True, True, False, False]


def test_the_solver_has_no_headline() -> None:
    """In a process of its own: HiGHS prints it once."""
    command = [sys.executable, "-c", "from lake.disclosure.exposure import _Solver; _Solver().run()"]
    ran = subprocess.run(command, capture_output=True, check=True)
    assert (ran.stdout, ran.stderr) == (b"", b"")


# Whole tables.


def shown(history: list[Visit], name: str, *figures: str, **keys: Any) -> list[Any]:
    """The figures of the rows with these keys, in order."""
    rows = suppress(gold(history))[name].filter(**keys).select(figures).rows()
    return [row[0] if len(figures) == 1 else row for row in rows]


UNIT: Final = {"facility": "F0", "department": "D0"}
EVERY: Final = {"facility": ALL, "department": ALL}


def test_large_figures_stay_and_nothing_is_marked() -> None:
    tables = suppress(gold(many(40) + many(40, admitted=date(2026, 1, 27), hour=9, severity="major")))
    first = tables["admissions"].filter(grain="day", **UNIT).row(0, named=True)
    assert (first["admissions"], first["discharges"], first[MARK]) == (40, 0, None)
    assert {name for name, table in tables.items() if table[MARK].count()} == set()


def test_totals_are_there_for_every_facility_and_department() -> None:
    history = many(40) + many(30, admit_department="D1") + many(20, facility="F1")
    assert shown(history, "admissions", "facility", "department", "admissions", grain="month") == [
        (ALL, ALL, 90), (ALL, "D0", 60), (ALL, "D1", 30), ("F0", ALL, 70), ("F0", "D0", 40), ("F0", "D1", 30),
        ("F1", ALL, 20), ("F1", "D0", 20),
    ]  # fmt: skip


def test_units_are_hidden_before_what_they_add_up_to() -> None:
    history = [
        visit
        for facility in ("F0", "F1", "F2")
        for department in ("D0", "D1", "D2")
        for visit in many(5, facility=facility, admit_department=department)
    ]
    assert shown(history, "admissions", "admissions", grain="day", **EVERY) == [45]
    for one in ({"facility": ALL}, {"department": ALL}):
        assert None not in shown(history, "admissions", "admissions", grain="day", **one)
    assert set(shown(history, "admissions", "admissions", grain="day", facility="F0", department="D0")) == {None}


def test_a_small_day_hides_another_day_and_not_the_week() -> None:
    days = [many(count, admitted=date(2026, 1, day)) for day, count in ((26, 5), (27, 40), (28, 60))]
    history = [visit for day in days for visit in day]
    assert shown(history, "admissions", "admissions", MARK, grain="day", **UNIT) == [
        (None, "admissions"),
        (None, "admissions"),
        (60, None),
    ]
    assert shown(history, "admissions", "admissions", grain="week", **UNIT) == [105]


def test_a_week_across_months_is_hidden_with_its_part_of_either_month() -> None:
    days = ((date(2026, 2, 28), 3), (date(2026, 3, 1), 50), (date(2026, 2, 17), 50), (date(2026, 2, 10), 60))
    history = [visit for day, count in days for visit in many(count, admitted=day)]
    weeks = shown(history, "admissions", "start", "admissions", grain="week", **UNIT)
    assert weeks[1:] == [(date(2026, 2, 16), None), (date(2026, 2, 23), None)]


def test_what_is_derived_goes_with_its_cell_and_is_named() -> None:
    gone = {"discharged": date(2026, 1, 28), "disposition": "home", "index": True}
    dead = gone | {"disposition": "expired", "index": False}
    history = [visit for doctor in ("P0", "P1", "P2") for visit in many(40, doctor=doctor, **gone)]
    history += [visit for doctor in ("P0", "P1") for visit in many(6, doctor=doctor, **dead)]
    doctors = suppress(gold(history))["doctors"].sort("doctor_id")
    assert doctors["discharges"].to_list() == [46, 46, 40]
    assert doctors["deaths"].to_list() == [None, None, 0]
    assert doctors["mortality_rate"].to_list() == [None, None, 1.0]
    assert doctors["alos_days"].null_count() == 0
    assert {"deaths", "mortality_rate"} <= set(str(doctors[MARK][0]).split(", "))


def test_a_rate_that_was_not_there_is_not_called_hidden() -> None:
    tables = gold(many(40) + many(3, admit_department="D1", department="D1"))
    tables["occupancy"] = tables["occupancy"].with_columns(occupancy_rate=pl.lit(None, pl.Float64), staffed_beds=None)
    beds = suppress(tables)["occupancy"]
    assert set(beds[MARK].drop_nulls()) == {"occupied_midnight"}


def test_averages_and_rates_of_totals_are_made_of_sums() -> None:
    tables = gold(many(40) + many(60, admit_department="D1"))
    tables["length_of_stay"] = pl.DataFrame(
        {"month": JANUARY, "facility": "F0", "department": ["D0", "D1"], "discharges": [20, 60],
         "bed_days": [40.0, 240.0], "alos_days": [2.0, 4.0], "median_los_days": [1.5, 3.0]}
    )  # fmt: skip
    tables["occupancy"] = tables["occupancy"].with_columns(staffed_beds=pl.lit(50, pl.Int64)).head(1)
    made = totals(tables)
    whole = made["length_of_stay"].filter(facility="F0", department=ALL)
    assert whole.select("discharges", "bed_days", "alos_days", "median_los_days").rows() == [(80, 280.0, 3.5, None)]
    [held] = made["occupancy"].filter(**EVERY)["occupied_midnight"]
    assert made["occupancy"].filter(**EVERY)["occupancy_rate"].to_list() == [held / 50]


def test_without_the_beds_of_one_unit_a_total_has_none() -> None:
    tables = gold(many(40) + many(60, admit_department="D1", department="D1"))
    beds = pl.when(pl.col("department") == "D0").then(50)
    made = totals(tables | {"occupancy": tables["occupancy"].with_columns(staffed_beds=beds.cast(pl.Int64))})
    rows = made["occupancy"].filter(day=START, facility="F0").sort("department")
    assert rows["staffed_beds"].to_list() == [None, 50, None]


def test_arrivals_are_shown_by_hour_and_facility() -> None:
    history = many(40) + many(15, hour=20, admit_department="D1")
    assert shown(history, "arrivals", "weekday", "hour", "admissions", facility="F0") == [(1, 8, 40), (1, 20, 15)]
    assert shown(history, "arrivals", "weekday", "hour", "admissions", facility=ALL) == [(1, 8, 40), (1, 20, 15)]


def test_all_diagnoses_have_a_row_of_their_own() -> None:
    history = many(40) + many(30, code="C1") + many(20, code=None)
    assert shown(history, "diagnoses", "diagnosis_code", "admissions") == [(ALL, 70), ("C0", 40), ("C1", 30)]


def test_gold_without_a_row_is_shown_without_a_row() -> None:
    empty = {name: frame.clear() for name, frame in gold(many(1)).items()}
    assert {name: rows.height for name, rows in suppress(empty).items()} == dict.fromkeys(KEYS, 0)


# The census.


def test_admissions_are_hidden_where_they_would_add_up_to_a_small_census() -> None:
    stayed = many(4, admitted=START, disposition="home", index=True)
    left = many(40, admitted=START, discharged=START, disposition="home", index=True)
    later = many(40, admitted=date(2026, 1, 27))
    history = stayed + left + later
    assert shown(history, "admissions", "admissions", "discharges", grain="day", **EVERY)[0] == (None, 40)


def test_a_large_census_leaves_admissions_and_discharges_shown() -> None:
    history = many(60) + many(30, discharged=date(2026, 1, 27), disposition="home", index=True)
    assert shown(history, "admissions", "admissions", "discharges", grain="day", **EVERY) == [(90, 0), (0, 30)]
    assert shown(history, "occupancy", "occupied_midnight", **EVERY) == [90, 60]


# Nothing was forgotten.


@pytest.mark.parametrize("table", GOLD, ids=lambda table: table.name)
def test_every_figure_of_gold_is_a_cell_or_derived_or_left_out(table: Table) -> None:
    name = table.name.removeprefix("gold/")
    if name in NOT_OF_PEOPLE:
        return
    keys = {*table.schema.primary_key(), "month", "diagnosis", "staffed_beds"}
    known = {*COUNTS[name], *DERIVED.get(name, {}), *LEFT_OUT.get(name, ())}
    assert set(table.polars_schema) - keys <= known


def test_every_view_of_gold_is_shown_in_one_way_or_another() -> None:
    assert set(VIEWS) <= {*COUNTS, *NOT_OF_PEOPLE}


def test_what_figures_are_derived_from_are_cells() -> None:
    for name, figures in DERIVED.items():
        assert {base for bases in figures.values() for base in bases} <= set(COUNTS[name])


def test_small_is_what_cms_calls_small() -> None:
    assert SMALL == 10
