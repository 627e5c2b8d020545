"""What every page looks at: a period, a facility, a department. In the sidebar and in the URL, the same on all pages.

Periods are counted back from the last day of the data, in the build's time zone, not from today.
"""

import calendar
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, cast

import streamlit as st

from dashboards.shared import data
from dashboards.shared.data import Build
from lake.gold.totals import ALL

ALL_OF_THEM: Final = ("period", "facility", "department")
"""The filters. Their names are the widgets' keys, and stand in the URL; ``dates`` beside them for custom dates."""

CUSTOM: Final = "Custom dates"
EVERYTHING: Final = "All"
YEAR: Final = "Last 12 months"
_LONG: Final = 13
"""Months of data above which a page starts with the last 12."""

_HALF_A_YEAR: Final = 6
_VIEW: Final = "_view"
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class Period:
    """Days from ``first`` to ``last``, both included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """How many days there are."""
        return (self.last - self.first).days + 1

    @property
    def months(self) -> tuple[date, date]:
        """First days of the first and of the last month that the period touches."""
        return self.first.replace(day=1), self.last.replace(day=1)

    @property
    def whole_months(self) -> "Period":
        """The months that the period touches, whole."""
        first, last = self.months
        return Period(first, _month_end(last))

    @property
    def inner_months(self) -> "Period | None":
        """The whole months in it; None where there is none."""
        first = self.first if self.first.day == 1 else _months_before(self.first, -1)
        last = self.last if self.last == _month_end(self.last) else self.last.replace(day=1) - _DAY
        return Period(first, last) if first < last else None

    def previous(self) -> "Period":
        """What to compare it with: of more than half a year the same dates a year before, else as long just before.

        Just before a period of whole months come as many months.
        """
        first, last = self.months
        months = (last.year - first.year) * 12 + last.month - first.month + 1
        whole = self == self.whole_months
        if months > _HALF_A_YEAR:
            months = -(-months // 12) * 12
        elif not whole:
            return Period(self.first - self.days * _DAY, self.first - _DAY)
        end = _months_before(last, months)
        start = _in_month(_months_before(first, months), self.first.day)
        return Period(start, _month_end(end) if whole else _in_month(end, self.last.day))

    def __str__(self) -> str:
        return day_text(self.first) if self.first == self.last else f"{day_text(self.first)} to {day_text(self.last)}"


@dataclass(frozen=True)
class View:
    """What is looked at. ``facility`` and ``department`` are a name, or ``ALL``."""

    period: Period
    facility: str
    department: str

    @property
    def place(self) -> str:
        """The facility and department, for people."""
        named = [name for name in (self.facility, self.department) if name != ALL]
        return ", ".join(named) or "all facilities"


def day_text(day: date) -> str:
    """A day for people: 5 Aug 2026."""
    return f"{day.day} {day:%b %Y}"


def month_text(month: date) -> str:
    """A month for people: Aug 2026."""
    return f"{month:%b %Y}"


def _month_end(day: date) -> date:
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])


def _in_month(month: date, day: int) -> date:
    return month.replace(day=min(day, _month_end(month).day))


def _months_before(day: date, count: int) -> date:
    """First day of the month ``count`` months before that of ``day``."""
    months = day.year * 12 + day.month - 1 - count
    return date(months // 12, months % 12 + 1, 1)


PRESETS: Final[dict[str, Callable[[date, date], date]]] = {
    "Last 7 days": lambda _, last: last - 6 * _DAY,
    "Last 30 days": lambda _, last: last - 29 * _DAY,
    "Last 90 days": lambda _, last: last - 89 * _DAY,
    YEAR: lambda _, last: _months_before(last, 11),
    "This year": lambda _, last: last.replace(month=1, day=1),
    EVERYTHING: lambda first, _: first,
}
"""Name → first day, from the first and last day of the data. The last 12 months begin with a month."""


def preset(name: str, first: date, last: date) -> Period:
    """A period by its name, within the data."""
    return Period(max(first, PRESETS[name](first, last)), last)


def default_preset(first: date, last: date) -> str:
    """All of it, unless that is more than 13 months."""
    return YEAR if first < _months_before(last, _LONG - 1) else EVERYTHING


def sidebar(build: Build, applying: Collection[str] = ALL_OF_THEM) -> View:
    """Draw the filters; what they say is what ``current`` gives to this run's pages.

    Those that do not apply to a page are drawn without effect, and keep what was chosen.
    """
    asked = {key: st.query_params.get_all(key) for key in (*ALL_OF_THEM, "dates")}
    facilities, departments = places()
    with st.sidebar:
        period = _period(build)
        facility = _place("facility", facilities, "All facilities", "facility" in applying)
        department = _place("department", departments, "All departments", "department" in applying)
    _say_what_fell_back(asked)
    view = View(period, facility, department)
    st.session_state[_VIEW] = view
    return view


def current() -> View:
    """What is looked at in this run."""
    return cast("View", st.session_state[_VIEW])


def places() -> tuple[list[str], list[str]]:
    """Names of all facilities and of all departments in the data, in order."""
    found = data.rows("SELECT DISTINCT facility, department FROM gold.admissions_totals WHERE grain = 'month'")
    facilities, departments = (sorted(set(found[name]) - {ALL}) for name in ("facility", "department"))
    return facilities, departments


def _period(build: Build) -> Period:
    names = [*PRESETS, CUSTOM]
    start = names.index(default_preset(build.first_day, build.last_day))
    chosen = st.selectbox(
        "Period",
        names,
        index=start,
        key="period",
        bind="query-params",
        help=f"Counted back from the last day of the data, {day_text(build.last_day)}.",
    )
    if chosen != CUSTOM:
        return preset(chosen or EVERYTHING, build.first_day, build.last_day)
    around = preset("Last 90 days", build.first_day, build.last_day)
    dates = st.date_input(
        "Dates",
        (around.first, around.last),
        min_value=build.first_day,
        max_value=build.last_day,
        key="dates",
        bind="query-params",
        format="YYYY-MM-DD",
    )
    # While only the first day is chosen, the period goes on to the end of the data.
    return Period(dates[0], dates[-1] if len(dates) > 1 else build.last_day) if dates else around


def _place(key: str, names: list[str], all_of_them: str, applies: bool) -> str:
    chosen = st.selectbox(
        key.capitalize(),
        [ALL, *names],
        format_func=lambda name: all_of_them if name == ALL else name,
        key=key,
        bind="query-params",
        disabled=not applies,
        help=None if applies else "This page has no figures by " + key + ".",
    )
    return chosen if chosen and applies else ALL


def _say_what_fell_back(asked: dict[str, list[str]]) -> None:
    """Streamlit drops a value that does not fit from the URL; whoever followed a link is told."""
    dropped = [key for key, values in asked.items() if values and st.query_params.get_all(key) != values]
    if dropped:
        st.warning(f"The link named a {' and a '.join(dropped)} that is not in this data. The default is shown.")
