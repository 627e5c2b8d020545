"""Small cells: what is hidden in plain cases, what goes with it, and that no figure of Gold was forgotten."""

from datetime import date
from typing import Any, Final

import polars as pl
import pytest

from lake import census
from lake.cells import SMALL, Cells
from lake.disclosure import DERIVED, LEFT_OUT, MARK, NOT_OF_PEOPLE, suppress
from lake.gold.tables import GOLD, VIEWS, Table
from tests.property.disclosure_attacker import COUNTS
from tests.property.disclosure_hospital import START, Visit, gold

JANUARY: Final = date(2026, 1, 1)
PLAIN: Final = {
    "facility": "F0", "admit_department": "D0", "department": "D0", "admitted": START, "hour": 8,
    "discharged": None, "code": "C0", "treatment": "T0", "severity": "minor", "disposition": None, "doctor": "P0",
    "index": False, "readmitted": False,
}  # fmt: skip


def many(count: int, **changes: Any) -> list[Visit]:
    """So many visits that differ from the plain one in this."""
    return [Visit(**(PLAIN | changes))] * count


def hidden_of(*sizes: int, whole_shown: bool = True) -> list[int]:
    """Sizes of the parts of one whole that are hidden beside the small ones."""
    cells, parts = Cells(), pl.DataFrame({"whole": 0, "part": range(len(sizes)), "people": sizes})
    level = cells.level(parts, ["whole", "part"], "people")
    whole = cells.total(level, ["whole"])
    if not whole_shown:
        cells.force(whole, pl.DataFrame({"whole": [0]}))
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
    assert hidden_of(20, 30, whole_shown=False) == [20]
    assert hidden_of(0, 30, whole_shown=False) == [30]


def test_a_part_that_is_all_of_its_whole_hides_it() -> None:
    cells = Cells()
    wide = cells.level(pl.DataFrame({"a": [0, 1], "people": [20, 5]}), ["a"], "people")
    narrow = cells.level(pl.DataFrame({"a": [0, 0], "b": [0, 1], "people": [20, 0]}), ["a", "b"], "people")
    everything = cells.total(wide, [])
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


# Whole tables.


def test_large_figures_stay_and_nothing_is_marked() -> None:
    shown = suppress(gold(many(40) + many(40, admitted=date(2026, 1, 27), hour=9, severity="major")))
    day = shown["admissions"].rows.row(0, named=True)
    assert (day["admissions"], day["discharges"], day[MARK]) == (40, 0, None)
    assert {name: table.hidden for name, table in shown.items() if table.hidden} == {}


def test_a_small_day_hides_another_day_and_not_the_week() -> None:
    days = [many(count, admitted=date(2026, 1, day)) for day, count in ((26, 5), (27, 40), (28, 60))]
    shown = suppress(gold([visit for day in days for visit in day]))
    assert shown["admissions"].rows.sort("day")["admissions"].to_list() == [None, None, 60]
    assert shown["admissions_weekly"].rows["admissions"].to_list() == [105]
    assert shown["admissions"].rows.sort("day")[MARK].to_list() == ["admissions", "admissions", None]
    assert shown["admissions"].hidden == 2


def test_a_week_across_months_is_hidden_with_its_part_of_either_month() -> None:
    visits = [
        *many(3, admitted=date(2026, 1, 31)),
        *many(50, admitted=date(2026, 2, 1)),
        *many(50, admitted=date(2026, 1, 20)),
        *many(60, admitted=date(2026, 1, 13)),
    ]
    weeks = suppress(gold(visits))["admissions_weekly"].rows
    assert dict(weeks.select("week", "admissions").iter_rows()) == {
        date(2026, 1, 12): 60,
        date(2026, 1, 19): None,
        date(2026, 1, 26): None,
    }


def test_what_is_derived_goes_with_its_cell_and_is_named() -> None:
    gone = {"discharged": date(2026, 1, 28), "disposition": "home", "index": True}
    dead = gone | {"disposition": "expired", "index": False}
    visits = [visit for doctor in ("P0", "P1", "P2") for visit in many(40, doctor=doctor, **gone)]
    visits += [visit for doctor in ("P0", "P1") for visit in many(6, doctor=doctor, **dead)]
    shown = suppress(gold(visits))["doctors"].rows.sort("doctor_id")
    assert shown["discharges"].to_list() == [46, 46, 40]
    assert shown["deaths"].to_list() == [None, None, 0]
    assert shown["mortality_rate"].to_list() == [None, None, 1.0]
    assert shown["alos_days"].null_count() == 0
    assert shown["readmissions_30d"].to_list() == [0, 0, 0]
    assert {"deaths", "mortality_rate"} <= set(str(shown[MARK][0]).split(", "))


def test_a_rate_that_was_not_there_is_not_called_hidden() -> None:
    tables = gold(many(40) + many(3, admit_department="D1", department="D1"))
    tables["occupancy"] = tables["occupancy"].with_columns(occupancy_rate=pl.lit(None, pl.Float64))
    shown = suppress(tables)["occupancy"].rows
    assert set(shown[MARK].drop_nulls()) == {"occupied_midnight"}
    assert shown["staffed_beds"].null_count() == 0


def test_arrivals_are_shown_by_hour_and_facility() -> None:
    shown = suppress(gold(many(40) + many(15, hour=20, admit_department="D1")))["arrivals"].rows
    assert shown.drop(MARK).rows() == [(JANUARY, 8, "F0", 40), (JANUARY, 20, "F0", 15)]


def test_compliance_counts_messages_and_is_shown_in_full() -> None:
    compliance = pl.DataFrame({"messages": [3]})
    shown = suppress(gold(many(40)) | {"compliance": compliance})["compliance"]
    assert (shown.rows.rows(), shown.hidden) == ([(3,)], 0)


def test_gold_without_a_row_is_shown_without_a_row() -> None:
    empty = {name: frame.clear() for name, frame in gold(many(1)).items()}
    assert {name: (table.rows.height, table.hidden) for name, table in suppress(empty).items()} == dict.fromkeys(
        COUNTS, (0, 0)
    )


# The census.


def beds(*counts: int) -> pl.DataFrame:
    departments = [f"D{number}" for number in range(len(counts))]
    return pl.DataFrame({"day": START, "facility": "F0", "department": departments, "occupied_midnight": counts})


@pytest.mark.parametrize(
    ("counts", "moving", "hidden"),
    [
        ((20, 30, 40), False, []),
        ((20, 30, 40), True, [20, 30]),
        ((5, 30, 40), False, [5, 30]),
        ((5, 5, 40), False, [5, 5, 40]),
        ((0, 30, 40), True, [30, 40]),
        ((0, 0, 30), True, [0, 0, 30]),
        ((3, 0, 2), False, [3, 0, 2]),
        ((0, 0), True, [0, 0]),
    ],
)
def test_a_midnight_count_leaves_the_facilitys_sum_open(
    counts: tuple[int, ...], moving: bool, hidden: list[int]
) -> None:
    flags = census.hide(beds(*counts), pl.Series(["F0"] if moving else [], dtype=pl.String))
    assert [count for count, flag in zip(counts, flags, strict=True) if flag] == hidden


def test_admissions_are_hidden_where_they_would_add_up_to_a_small_census() -> None:
    stayed = many(4, admitted=START, disposition="home", index=True)
    left = many(40, admitted=START, discharged=START, disposition="home", index=True)
    later = many(40, admitted=date(2026, 1, 27))
    shown = suppress(gold(stayed + left + later))["admissions"].rows.sort("day")
    assert shown["admissions"].to_list() == [None, None]


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
