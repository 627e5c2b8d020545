"""Periods: counted back from the last day of the data, and compared with what came before."""

from datetime import date

import pytest

from dashboards.shared import filters
from dashboards.shared.filters import EVERYTHING, YEAR, Period, View
from lake.gold.totals import ALL

FIRST, LAST = date(2024, 2, 10), date(2026, 8, 5)


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("Last 7 days", date(2026, 7, 30)),
        ("Last 30 days", date(2026, 7, 7)),
        ("Last 90 days", date(2026, 5, 8)),
        ("Last 12 months", date(2025, 9, 1)),
        ("This year", date(2026, 1, 1)),
        ("All", FIRST),
    ],
)
def test_a_preset_ends_with_the_data(name: str, first: date) -> None:
    assert filters.preset(name, FIRST, LAST) == Period(first, LAST)


def test_every_preset_has_a_test_above() -> None:
    [marked] = test_a_preset_ends_with_the_data.pytestmark  # type: ignore[attr-defined]
    assert [name for name, _ in marked.args[1]] == list(filters.PRESETS)


def test_a_preset_does_not_begin_before_the_data() -> None:
    assert filters.preset("Last 90 days", date(2026, 8, 1), LAST) == Period(date(2026, 8, 1), LAST)


@pytest.mark.parametrize(
    ("first", "expected"),
    [(date(2025, 8, 1), EVERYTHING), (date(2025, 7, 31), YEAR), (LAST, EVERYTHING)],
)
def test_a_page_starts_with_all_of_up_to_13_months(first: date, expected: str) -> None:
    assert filters.default_preset(first, LAST) == expected


@pytest.mark.parametrize(
    ("period", "before"),
    [
        ((date(2026, 7, 7), date(2026, 8, 5)), (date(2026, 6, 7), date(2026, 7, 6))),  # 30 days
        ((date(2026, 6, 1), date(2026, 7, 31)), (date(2026, 4, 1), date(2026, 5, 31))),  # 2 months
        ((date(2025, 9, 1), date(2026, 8, 5)), (date(2024, 9, 1), date(2025, 8, 5))),  # a year that is not over
        ((date(2025, 9, 1), date(2026, 7, 31)), (date(2024, 9, 1), date(2025, 7, 31))),  # 11 months: a year back
        ((date(2023, 3, 1), date(2024, 2, 29)), (date(2022, 3, 1), date(2023, 2, 28))),  # a leap day
        ((date(2022, 9, 23), date(2026, 8, 5)), (date(2018, 9, 23), date(2022, 8, 5))),  # 4 years
    ],
)
def test_what_a_period_is_compared_with(period: tuple[date, date], before: tuple[date, date]) -> None:
    assert Period(*period).previous() == Period(*before)


@pytest.mark.parametrize(
    ("period", "inner"),
    [
        ((date(2026, 5, 8), date(2026, 8, 5)), (date(2026, 6, 1), date(2026, 7, 31))),
        ((date(2026, 6, 1), date(2026, 7, 31)), (date(2026, 6, 1), date(2026, 7, 31))),
    ],
)
def test_the_whole_months_in_a_period(period: tuple[date, date], inner: tuple[date, date]) -> None:
    assert Period(*period).inner_months == Period(*inner)


def test_a_month_cut_at_both_ends_has_no_whole_month() -> None:
    assert Period(date(2026, 7, 2), date(2026, 8, 30)).inner_months is None


def test_a_period_reads_as_people_write_it() -> None:
    assert str(Period(date(2026, 7, 1), date(2026, 8, 5))) == "1 Jul 2026 to 5 Aug 2026"
    assert str(Period(LAST, LAST)) == "5 Aug 2026"
    assert filters.month_text(LAST) == "Aug 2026"


@pytest.mark.parametrize(
    ("facility", "department", "place"),
    [(ALL, ALL, "all facilities"), ("North", ALL, "North"), ("North", "Surgery", "North, Surgery")],
)
def test_a_place_reads_as_people_write_it(facility: str, department: str, place: str) -> None:
    assert View(Period(LAST, LAST), facility, department).place == place
