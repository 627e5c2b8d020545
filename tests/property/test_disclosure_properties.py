"""Nobody who has all that may be shown can work out a hidden cell, and no small one is shown."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from lake.cells import SMALL
from lake.disclosure import MARK, Suppressed, suppress
from tests.property.disclosure_attacker import COUNTS, KEYS, Key, Solver, determined, knowledge
from tests.property.disclosure_hospital import Shape, gold, visits

SHAPES = st.builds(
    Shape,
    visits=st.sampled_from([1, 5, 20, 60, 150, 400]),
    facilities=st.integers(1, 2),
    departments=st.integers(1, 3),
    codes=st.integers(1, 4),
    treatments=st.integers(1, 3),
    doctors=st.integers(1, 3),
    days=st.sampled_from([1, 4, 9, 14]),
    gaps=st.sampled_from([0.0, 0.1, 0.3]),
)
SEEDS = st.integers(0, 2**32)


def rows(shown: Mapping[str, Suppressed]) -> dict[str, pl.DataFrame]:
    return {name: table.rows for name, table in shown.items()}


@given(seed=SEEDS, shape=SHAPES)
def test_no_cell_of_1_to_10_people_is_shown(seed: int, shape: Shape) -> None:
    for name, frame in rows(suppress(gold(visits(seed, shape)))).items():
        counts = frame.select(COUNTS[name]).unpivot()["value"]
        assert counts.is_between(1, SMALL).sum() == 0, name


@given(seed=SEEDS, shape=SHAPES)
def test_what_is_shown_is_true_and_what_is_hidden_is_named(seed: int, shape: Shape) -> None:
    tables = gold(visits(seed, shape))
    for name, frame in rows(suppress(tables)).items():
        if name == "arrivals":
            continue
        keys = list(KEYS[name])
        both = frame.join(tables[name], on=keys, suffix=" true", nulls_equal=True)
        assert both.height == frame.height == tables[name].height
        for figure in COUNTS[name]:
            hidden = both[figure].is_null()
            assert (both.filter(~hidden)[figure] == both.filter(~hidden)[f"{figure} true"]).all()
            named = both[MARK].fill_null("").str.split(", ").list.contains(figure)
            assert (hidden == named).all()
            if name != "occupancy":
                assert (both.filter(hidden)[f"{figure} true"] > 0).all(), "a 0 is hidden"


@given(seed=SEEDS, shape=SHAPES)
def test_no_hidden_cell_can_be_worked_out(seed: int, shape: Shape) -> None:
    tables = gold(visits(seed, shape))
    found = determined(knowledge(rows(suppress(tables))))
    assert [key[:2] for key, value in found.items() if breached(key, value)] == []


def breached(key: Key, value: int) -> bool:
    """A 0 may be known, and so may a large midnight count that is hidden for the sake of others only."""
    return value > 0 and (value <= SMALL or key[0] != "occupancy")


@given(seed=SEEDS, shape=SHAPES)
def test_the_same_gold_is_always_shown_the_same(seed: int, shape: Shape) -> None:
    tables = gold(visits(seed, shape))
    shuffled = {name: frame.sample(fraction=1, shuffle=True, seed=1) for name, frame in tables.items()}
    again = rows(suppress(shuffled))
    for name, frame in rows(suppress(tables)).items():
        assert frame.sort(KEYS[name]).equals(again[name].sort(KEYS[name])), name


# The attacker is worth his pay.


def shown(tables: Mapping[str, pl.DataFrame], name: str, **changes: Any) -> dict[str, pl.DataFrame]:
    """What is shown, with figures of one table put back."""
    frames = rows(suppress(tables))
    return frames | {name: frames[name].with_columns(**changes)}


SMALL_HOSPITAL = Shape(60, 1, 3, 3, 2, 2, 9, 0.1)


def test_hiding_small_cells_alone_would_not_do() -> None:
    tables = gold(visits(11, SMALL_HOSPITAL))
    naive = {
        name: frame.with_columns(
            pl.when(~pl.col(figure).is_between(1, SMALL)).then(figure).alias(figure) for figure in COUNTS[name]
        )
        for name, frame in (tables | {"arrivals": suppress(tables)["arrivals"].rows}).items()
    }
    assert any(1 <= value <= SMALL for value in determined(knowledge(naive)).values())


def test_the_census_beside_all_admissions_and_discharges_gives_one_away() -> None:
    given_away = []
    for seed in range(5):
        tables = gold(visits(seed, Shape(150, 1, 1, 1, 1, 1, 9, 0.0)))
        held = tables["occupancy"]["occupied_midnight"]
        found = determined(knowledge(shown(tables, "occupancy", occupied_midnight=held)))
        given_away += [key for key, value in found.items() if 1 <= value <= SMALL]
    assert {key[0] for key in given_away} >= {"admissions"}


def test_the_solver_knows_what_is_settled() -> None:
    # x + y = 3, y = 1, z <= 5
    solver = Solver(np.array([[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1]]), np.array([3, 1, 5]))
    start = solver.values()
    assert start[:2].tolist() == [2, 1]
    assert [*solver.climb(0, 1), *solver.climb(0, -1)] == []
    reached = [found[2] for sign in (1, -1) for found in solver.climb(2, sign)]
    assert {float(value) for value in (start[2], *reached)} == {0.0, 5.0}
