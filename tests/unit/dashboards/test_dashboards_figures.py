"""Figures for people: what is hidden is never counted as 0, and a period is made of pieces that fit."""

from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.shared import figures
from dashboards.shared.definitions import Kind
from dashboards.shared.figures import Figure
from dashboards.shared.filters import Period

DATA = Period(date(2025, 12, 10), date(2026, 7, 5))


def rows(*found: tuple[str, int | None, str | None]) -> pl.DataFrame:
    schema = {"facility": pl.String, "admissions": pl.Int64, "suppressed": pl.String}
    return pl.DataFrame(found, schema=schema, orient="row")


@pytest.mark.parametrize(
    ("figure", "kind", "text"),
    [
        (Figure(1234), "count", "1,234"),
        (Figure(0), "count", "0"),
        (Figure(1234, hidden=2), "count", "≥ 1,234"),
        (Figure(None, hidden=1), "count", "hidden"),
        (Figure(None), "percent", "n/a"),
        (Figure(0.1234), "percent", "12.3 %"),
        (Figure(4.25), "days", "4.2 days"),
        (Figure(147.68), "mean", "147.7"),
    ],
)
def test_a_figure_reads_as_people_write_it(figure: Figure, kind: Kind, text: str) -> None:
    assert figure.text(kind) == text


def test_a_sum_counts_its_hidden_parts_and_is_not_0_because_of_them() -> None:
    found = rows(
        ("A", 12, None),
        ("A", None, "admissions"),
        ("B", None, "discharges, admissions"),
        ("C", 0, None),
        ("C", 30, "discharges"),
    )
    assert figures.summed(found, ["facility"], ["admissions"]).rows() == [("A", 12, 1), ("B", None, 1), ("C", 30, 0)]


def test_the_sum_of_no_rows_is_0() -> None:
    row = figures.summed(rows(), [], ["admissions"]).row(0, named=True)
    assert figures.figure(row, "admissions") == Figure(0)


def test_a_name_within_another_is_not_hidden_with_it() -> None:
    found = rows(("A", 12, "readmissions"))
    assert figures.summed(found, [], ["admissions"]).rows() == [(12, 0)]


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [
        (Figure(3), Figure(12), Figure(0.25)),
        (Figure(3, hidden=1), Figure(12), Figure(None, hidden=1)),
        (Figure(3), Figure(None, hidden=2), Figure(None, hidden=2)),
        (Figure(0), Figure(0), Figure(None)),
    ],
)
def test_a_rate_is_hidden_with_its_parts(part: Figure, whole: Figure, expected: Figure) -> None:
    assert figures.ratio(part, whole) == expected


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        (Figure(110), Figure(100), pytest.approx(0.1)),
        (Figure(110, hidden=1), Figure(100), None),
        (Figure(110), Figure(100, hidden=1), None),
        (Figure(110), Figure(0), None),
    ],
)
def test_only_exact_figures_are_compared(now: Figure, before: Figure, expected: Any) -> None:
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


@pytest.mark.parametrize(
    ("grain", "expected"),
    [
        ("day", [date(2026, 1, 31), date(2026, 2, 1), date(2026, 2, 2)]),
        ("week", [date(2026, 1, 26), date(2026, 2, 2)]),
        ("month", [date(2026, 1, 1), date(2026, 2, 1)]),
    ],
)
def test_what_a_period_touches(grain: str, expected: list[date]) -> None:
    assert figures.starts(Period(date(2026, 1, 31), date(2026, 2, 2)), grain) == expected


def test_what_comes_before_a_month() -> None:
    assert figures.before(date(2026, 2, 1), "month", 3) == [date(2025, 11, 1), date(2025, 12, 1), date(2026, 1, 1)]


@pytest.mark.parametrize(
    ("grain", "expected"), [("day", 364), ("week", 52), ("month", 12)], ids=["day", "week", "month"]
)
def test_a_year_back_meets_the_same_weekday(grain: str, expected: int) -> None:
    assert figures.steps(date(2025, 8, 1), date(2026, 8, 1), grain) == expected


def test_what_is_missing_is_0_and_what_is_hidden_is_a_gap() -> None:
    found = rows(("A", 12, None), ("C", None, "admissions"))
    full = figures.filled(found, {"facility": ["A", "B", "C"]}, ["admissions"])
    assert full.rows() == [("A", 12, None), ("B", 0, None), ("C", None, "admissions")]


def test_a_moving_average_is_of_shown_days_and_of_more_than_half_of_them() -> None:
    values = pl.DataFrame({"n": [None, None, None, 4, 4, 8, 8, None]}, schema={"n": pl.Float64})
    averages = values.select(figures.moving_average("n", "day"))["n"].to_list()
    assert averages == [None, None, None, None, None, None, 6.0, 6.0]
