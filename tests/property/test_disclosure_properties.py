"""Nobody who has all that may be shown can work out a hidden cell, and no small one is shown."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.disclosure import census
from lake.disclosure.cells import SMALL
from lake.disclosure.suppression import MARK, suppress
from lake.gold.totals import KEYS, totals
from tests.support.disclosure_attacker import COUNTS, Solver, determined, knowledge
from tests.support.disclosure_hospital import Shape, gold, visits

SHAPES = st.builds(
    Shape,
    visits=st.sampled_from([1, 5, 20, 60, 150]),
    facilities=st.integers(1, 2),
    departments=st.integers(1, 3),
    codes=st.integers(1, 4),
    treatments=st.integers(1, 3),
    doctors=st.integers(1, 3),
    days=st.sampled_from([1, 3, 5]),
    gaps=st.sampled_from([0.0, 0.1, 0.3]),
)
# The attacker's equations grow with the days: longer histories are for when there is time.
LONG = st.builds(
    Shape,
    visits=st.sampled_from([20, 60, 150, 400]),
    facilities=st.integers(1, 3),
    departments=st.integers(1, 3),
    codes=st.integers(1, 3),
    treatments=st.integers(1, 2),
    doctors=st.integers(1, 3),
    days=st.sampled_from([7, 9]),
    gaps=st.sampled_from([0.0, 0.1, 0.3]),
)
SEEDS = st.integers(0, 2**32)
FEWER = settings(max_examples=settings().max_examples // 3)  # what is wrong here is wrong nearly everywhere


@FEWER
@given(seed=SEEDS, shape=SHAPES)
def test_what_is_shown_is_true_and_not_small_and_what_is_hidden_is_named(seed: int, shape: Shape) -> None:
    tables = gold(visits(seed, shape))
    true = totals(tables)
    for name, frame in suppress(tables).items():
        both = frame.join(true[name], on=KEYS[name], suffix=" true")
        assert both.height == frame.height == true[name].height
        for figure in COUNTS[name]:
            assert both[figure].is_between(1, SMALL).sum() == 0, "a small cell is shown"
            hidden = both[figure].is_null() & both[f"{figure} true"].is_not_null()
            assert (both.filter(~hidden)[figure] == both.filter(~hidden)[f"{figure} true"]).all()
            named = both[MARK].fill_null("").str.split(", ").list.contains(figure)
            assert (hidden == named).all()
            assert (both.filter(hidden)[f"{figure} true"] > 0).all(), "a 0 is hidden"


@given(seed=SEEDS, shape=SHAPES)
def test_no_small_cell_can_be_worked_out(seed: int, shape: Shape) -> None:
    nothing_is_found(seed, shape)


@pytest.mark.slow
@given(seed=SEEDS, shape=LONG)
def test_no_small_cell_can_be_worked_out_from_a_longer_history(seed: int, shape: Shape) -> None:
    nothing_is_found(seed, shape)


def nothing_is_found(seed: int, shape: Shape) -> None:
    found = determined(knowledge(suppress(gold(visits(seed, shape)))))
    assert [key[:2] for key, value in found.items() if 1 <= value <= SMALL] == []


@FEWER
@given(seed=SEEDS, shape=SHAPES)
def test_the_same_gold_is_always_shown_the_same(seed: int, shape: Shape) -> None:
    tables = gold(visits(seed, shape))
    shuffled = {name: frame.sample(fraction=1, shuffle=True, seed=1) for name, frame in tables.items()}
    again = suppress(shuffled)
    for name, frame in suppress(tables).items():
        assert frame.equals(again[name]), name


# The attacker is worth his pay.


def test_hiding_small_cells_alone_would_not_do() -> None:
    naive = {
        name: frame.with_columns(
            pl.when(~pl.col(figure).is_between(1, SMALL)).then(figure).alias(figure) for figure in COUNTS[name]
        )
        for name, frame in totals(gold(visits(11, Shape(60, 1, 3, 3, 2, 2, 5, 0.1)))).items()
    }
    assert any(1 <= value <= SMALL for value in determined(knowledge(naive)).values())


def test_the_census_would_give_admissions_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(census, "tie", lambda *_: None)
    found = [determined(knowledge(suppress(gold(visits(seed, Shape(60, 1, 1, 1, 1, 1, 5, 0.0)))))) for seed in range(4)]
    assert any(1 <= value <= SMALL for cells in found for value in cells.values())


def test_the_solver_knows_what_is_settled() -> None:
    # x + y = 3, y = 1, z <= 5
    solver = Solver(np.array([[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1]]), np.array([3, 1, 5]))
    start = solver.values()
    assert start[:2].tolist() == [2, 1]
    assert [*solver.climb(0, 1), *solver.climb(0, -1)] == []
    reached = [found[2] for sign in (1, -1) for found in solver.climb(2, sign)]
    assert {float(value) for value in (start[2], *reached)} == {0.0, 5.0}
