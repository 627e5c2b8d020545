"""Figures for people: what is hidden is never counted as 0, and a period is made of pieces that fit."""

from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.shared import figures
from dashboards.shared.figures import Figure
from dashboards.shared.filters import Period

DATA = Period(date(2025, 12, 10), date(2026, 7, 5))


def rows(*found: tuple[str, int | None]) -> pl.DataFrame:
    return pl.DataFrame(found, schema={"facility": pl.String, "admissions": pl.Int64}, orient="row")


def test_a_figure_reads_as_people_write_it(subtests: pytest.Subtests) -> None:
    for figure, kind, text in [
        (Figure(1234), "count", "1,234"),
        (Figure(0), "count", "0"),
        (Figure(1235, rounded=True), "count", "≈ 1,235"),
        (Figure(None, rounded=True), "count", "hidden"),
        (Figure(None), "percent", "n/a"),
        (Figure(0.1234), "percent", "12.3 %"),
        (Figure(4.25), "days", "4.2 days"),
        (Figure(147.68), "mean", "147.7"),
    ]:
        with subtests.test(figure=figure):
            assert figure.text(kind) == text


def test_in_a_sum_a_hidden_part_counts_as_5_and_one_of_hidden_parts_only_is_hidden() -> None:
    found = rows(("A", 15), ("A", None), ("B", None), ("B", None), ("C", 0), ("C", 30))
    assert figures.summed(found, ["facility"], ["admissions"]).rows() == [("A", 20), ("B", None), ("C", 30)]


def test_the_sum_of_no_rows_is_0_and_of_no_public_rows_hidden() -> None:
    row = figures.summed(rows(), [], ["admissions"]).row(0, named=True)
    assert figures.figure(row, "admissions", rounded=False) == Figure(0)
    assert figures.figure(row, "admissions", rounded=True) == Figure(None, rounded=True)


def test_a_rate_is_hidden_with_its_parts_and_of_few_people(subtests: pytest.Subtests) -> None:
    for part, whole, expected in [
        (Figure(3), Figure(12), Figure(0.25)),
        (Figure(3), Figure(4), Figure(0.75)),
        (Figure(0), Figure(0), Figure(None)),
        (Figure(5, rounded=True), Figure(20, rounded=True), Figure(0.25, rounded=True)),
        (Figure(5, rounded=True), Figure(10, rounded=True), Figure(None, rounded=True)),
        (Figure(None, rounded=True), Figure(20, rounded=True), Figure(None, rounded=True)),
    ]:
        with subtests.test(part=part):
            assert figures.ratio(part, whole) == expected


def test_what_is_not_known_is_not_compared(subtests: pytest.Subtests) -> None:
    for now, before, expected in [
        (Figure(110), Figure(100), pytest.approx(0.1)),
        (Figure(None, rounded=True), Figure(100), None),
        (Figure(110), Figure(None, rounded=True), None),
        (Figure(110), Figure(0), None),
    ]:
        with subtests.test(now=now):
            assert figures.change(now, before) == expected


def days_of(cover: pl.DataFrame) -> list[date]:
    """All days of the pieces that are in the data."""
    pieces = [Period(start, figures.ends(start, grain)) for grain, start in cover.iter_rows()]
    days = [piece.first + timedelta(days=n) for piece in pieces for n in range(piece.days)]
    return sorted(day for day in days if DATA.first <= day <= DATA.last)


@given(st.dates(DATA.first, DATA.last), st.dates(DATA.first, DATA.last))
def test_a_period_is_covered_once_and_nothing_beside_it(one: date, other: date) -> None:
    period = Period(min(one, other), max(one, other))
    expected = [period.first + timedelta(days=n) for n in range(period.days)]
    assert days_of(figures.cover(period, DATA)) == expected


def test_the_whole_data_is_covered_by_months() -> None:
    cover = figures.cover(DATA, DATA)
    assert cover["grain"].unique().to_list() == ["month"]
    assert cover.height == 8


def test_a_period_is_covered_by_the_coarsest_pieces() -> None:
    cover = figures.cover(Period(date(2026, 1, 25), date(2026, 3, 10)), DATA)
    assert cover["grain"].value_counts().sort("grain").rows() == [("day", 10), ("month", 1), ("week", 1)]


def test_what_a_period_touches(subtests: pytest.Subtests) -> None:
    for grain, expected in [
        ("day", [date(2026, 1, 31), date(2026, 2, 1), date(2026, 2, 2)]),
        ("week", [date(2026, 1, 26), date(2026, 2, 2)]),
        ("month", [date(2026, 1, 1), date(2026, 2, 1)]),
    ]:
        with subtests.test(grain=grain):
            assert figures.starts(Period(date(2026, 1, 31), date(2026, 2, 2)), grain) == expected


def test_what_comes_before_a_month() -> None:
    assert figures.before(date(2026, 2, 1), "month", 3) == [date(2025, 11, 1), date(2025, 12, 1), date(2026, 1, 1)]


def test_a_year_back_meets_the_same_weekday(subtests: pytest.Subtests) -> None:
    for grain, expected in [("day", 364), ("week", 52), ("month", 12)]:
        with subtests.test(grain=grain):
            assert figures.steps(date(2025, 8, 1), date(2026, 8, 1), grain) == expected


def test_what_is_missing_is_0_and_of_public_rows_a_gap() -> None:
    axes = {"facility": ["A", "B", "C"]}
    exact = figures.filled(rows(("A", 12), ("C", 3)), axes, ["admissions"], rounded=False)
    assert exact.rows() == [("A", 12), ("B", 0), ("C", 3)]
    public = figures.filled(rows(("A", 15), ("C", None)), axes, ["admissions"], rounded=True)
    assert public.rows() == [("A", 15), ("B", None), ("C", None)]


def test_a_moving_average_is_of_known_days_and_of_more_than_half_of_them() -> None:
    values = pl.DataFrame({"n": [None, None, None, 4, 4, 8, 8, None]}, schema={"n": pl.Float64})
    averages = values.select(figures.moving_average("n", "day"))["n"].to_list()
    assert averages == [None, None, None, None, None, None, 6.0, 6.0]
