"""The KPI page: its figures are Gold's, and filters apply or say that they do not."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from dashboards.screens.kpis import bed_occupancy, monthly, tables
from dashboards.screens.kpis.monthly import Months
from dashboards.shared import data
from dashboards.shared.data import Build
from dashboards.shared.figures import Figure, number
from dashboards.shared.filters import Period
from lake.disclosure import public_gold
from lake.disclosure.audience import Audience
from lake.gold import published
from lake.query import lake_sql
from tests.support import boards, golds, lakes
from tests.support.boards import Open

pytest_plugins = ("tests.support.board_fixtures",)

BEDS = "facility,department,staffed_beds,valid_from\n"


def busy() -> Iterator[bytes]:
    """70 days of two facilities with two departments: 12 admissions a day in each, for 3 days. So nothing is small.

    Half of the patients come back every 10 days, and one in eight dies.
    """
    start = datetime(2026, 5, 1, 8, tzinfo=UTC)
    units = product(("North", "South"), ("Medicine", "Surgery"))
    for unit, (facility, department) in enumerate(units):
        for day, nth in product(range(70), range(12)):
            patient = f"{unit}{nth:02}{day % 10 if nth < 6 else day:03}"
            visit = f"{unit}{nth:02}{day:03}"
            plain: dict[str, str | None] = {
                "patient_id": patient,
                "visit_id": visit,
                "facility": facility,
                "department": department,
                "doctor_id": f"D{unit}",
            }
            came = start + timedelta(days=day, minutes=nth)
            yield lakes.event(message_id=f"a{visit}", event_time=came.isoformat(), **plain)
            left = (came + timedelta(days=3)).isoformat()
            more = {"event_type": "discharge", "disposition": "expired" if nth > 5 and (day + nth) % 4 == 0 else "home"}
            yield lakes.event(message_id=f"d{visit}", event_time=left, **plain, **more)


@pytest.fixture(scope="session")
def busy_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of ``busy``, with 40 staffed beds per department."""
    root = tmp_path_factory.mktemp("busy") / "lake"
    lake = lakes.make_lake(root, [(number % 4, message) for number, message in enumerate(busy())])
    units = product(("North", "South"), ("Medicine", "Surgery"))
    beds = BEDS + "".join(f"{facility},{department},40,2000-01-01\n" for facility, department in units)
    golds.build(lake, reference=golds.beds(root.parent, beds), now=lambda: datetime.now(UTC))
    found = published.last(root)
    assert found is not None
    public_gold.write(root, found)
    return root


def tile(page: AppTest, label: str) -> str:
    return next(str(one.value) for one in page.metric if one.label == label)


def counted(page: AppTest) -> Months:
    """The months that the page says it rests on, from the data's own ends."""
    build = page.session_state["_build"]
    return monthly.months(page.session_state["_view"].period, Period(build.first_day, build.last_day))


def test_tiles_equal_gold(busy_lake: Path, open_page: Open) -> None:
    page = open_page(busy_lake, "kpis")
    months = counted(page)
    first, last = months.counted.first, months.counted.last
    assert months.followed == Period(date(2026, 5, 1), date(2026, 5, 31))
    gold = lake_sql.run(
        busy_lake,
        f"""SELECT sum(bed_days) / sum(discharges) AS alos,
            (SELECT sum(discharges) FROM gold.outcomes
             WHERE disposition = 'expired' AND month BETWEEN DATE '{first}' AND DATE '{last}') AS deaths,
            (SELECT sum(readmissions_30d) / sum(index_discharges_30d) FROM gold.admissions
             WHERE month = DATE '{first}') AS again,
            sum(discharges)::DOUBLE AS discharges
            FROM gold.length_of_stay WHERE month BETWEEN DATE '{first}' AND DATE '{last}'""",
    ).row(0, named=True)
    assert not page.exception
    assert tile(page, "30-day readmissions") == number(float(gold["again"]), "percent")
    assert tile(page, "Average length of stay") == number(gold["alos"], "days")
    assert tile(page, "In-hospital mortality") == number(float(gold["deaths"]) / gold["discharges"], "percent")


def test_occupancy_equals_gold(busy_lake: Path, open_page: Open) -> None:
    page = open_page(busy_lake, "kpis", period="Last 30 days")
    period = page.session_state["_view"].period
    rate = lake_sql.run(
        busy_lake,
        f"""SELECT sum(occupied_midnight) / sum(staffed_beds) FROM gold.occupancy
            WHERE day BETWEEN DATE '{period.first}' AND DATE '{period.last}'""",
    ).item()
    assert tile(page, "Bed occupancy") == number(float(rate), "percent")
    assert period.days == 30


@pytest.mark.parametrize("beds", ["Facilities", "Departments"])
def test_every_way_to_look_at_beds_and_rows(beds: str, busy_lake: Path, open_page: Open) -> None:
    rows = {"Facilities": "Facilities", "Departments": "Departments of each facility"}[beds]
    page = open_page(busy_lake, "kpis", beds=beds, rows=rows)
    assert not page.exception
    assert page.dataframe[0].value.shape[0] > 0
    assert "Bed occupancy, all facilities" in boards.text_of(page)


def test_a_facility_and_a_department(busy_lake: Path, open_page: Open) -> None:
    facility, department = lake_sql.run(
        busy_lake,
        "SELECT facility, department FROM gold.length_of_stay GROUP BY ALL ORDER BY sum(discharges) DESC",
    ).row(0)
    page = open_page(busy_lake, "kpis", facility=facility, department=department)
    text = boards.text_of(page)
    assert not page.exception
    assert f"Length of stay, {facility}, {department}" in text
    assert f"those of all, not of {facility}" in " ".join(info.value for info in page.info)
    doctors = page.dataframe[-1].value
    assert set(doctors["Department"]) == {department}


def test_without_staffed_beds_there_is_no_rate(
    small_lake: Path, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARDLAKE_DASHBOARD_STALE_HOURS", "0.0000001")
    page = open_page(small_lake, "kpis")
    assert not page.exception
    assert tile(page, "Bed occupancy") == "n/a"
    assert "There is no table of staffed beds" in boards.text_of(page)
    assert any("were built" in warning.value for warning in page.warning), "old Gold is told"


def test_public_tiles_are_rounded_ones(busy_lake: Path, open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = {one.label: str(one.value) for one in open_page(busy_lake, "kpis").metric}
    monkeypatch.setenv("WARDLAKE_AUDIENCE", "public")
    public = {one.label: str(one.value) for one in open_page(busy_lake, "kpis").metric}
    assert set(public) == set(exact)
    assert all(text.startswith("≈ ") for text in public.values())
    for name in ("Bed occupancy", "In-hospital mortality"):
        near, true = (float(text.strip("≈ %")) for text in (public[name], exact[name]))
        assert near == pytest.approx(true, rel=0.1)


def test_an_empty_lake_says_what_to_do(empty_lake: Path, open_page: Open) -> None:
    page = open_page(empty_lake, "kpis")
    assert not page.exception
    assert not page.metric
    assert page.info


DATA = Period(date(2024, 1, 10), date(2026, 8, 5))


def test_months_are_finished_and_followed() -> None:
    found = monthly.months(Period(date(2026, 5, 20), date(2026, 8, 5)), DATA)
    assert found.counted == Period(date(2026, 5, 1), date(2026, 7, 31))
    assert found.followed == Period(date(2026, 5, 1), date(2026, 6, 30))
    assert found.previous(DATA) == Months(
        Period(date(2026, 2, 1), date(2026, 4, 30)), Period(date(2026, 3, 1), date(2026, 4, 30))
    )


def test_a_month_that_is_not_over_counts_where_there_is_no_other() -> None:
    found = monthly.months(Period(date(2026, 8, 2), date(2026, 8, 5)), DATA)
    assert found == Months(Period(date(2026, 8, 1), date(2026, 8, 31)), None)
    assert monthly.months(DATA, DATA).counted.first == date(2024, 2, 1)
    assert monthly.months(DATA, DATA).previous(DATA) is None


STAYS = {"month": date(2026, 7, 1), "facility": "N", "department": "S"}


def frame(*rows: Mapping[str, Any], **types: Any) -> pl.DataFrame:
    return pl.DataFrame([STAYS | row for row in rows], schema_overrides=types)


@pytest.fixture
def shown_to(monkeypatch: pytest.MonkeyPatch) -> Callable[[Audience], None]:
    """Let the page's functions believe that they read figures for an audience."""

    def show(audience: Audience) -> None:
        moment = datetime(2026, 8, 6, tzinfo=UTC)
        build = Build("", (0, 0), 1, moment, "UTC", DATA.first, DATA.last, audience)
        monkeypatch.setattr(data, "current", lambda: build)

    return show


@pytest.mark.parametrize(
    ("audience", "deaths", "rates"),
    [(Audience.INTERNAL, [0, 12], [0.0, 0.24]), (Audience.PUBLIC, [None, 12], [None, 0.24])],
)
def test_no_row_of_deaths_is_0_and_of_public_rows_hidden(
    audience: Audience, deaths: list[Any], rates: list[Any], shown_to: Callable[[Audience], None]
) -> None:
    shown_to(audience)
    months = [{"month": date(2026, month, 1), "discharges": 50} for month in (5, 6)]
    found = monthly.mortality(frame(*months), frame({"month": date(2026, 6, 1), "deaths": 12}))
    assert found["deaths"].to_list() == deaths
    assert found["mortality_rate"].to_list() == rates


def test_a_length_of_stay_rests_on_rows_whose_days_are_known(shown_to: Callable[[Audience], None]) -> None:
    shown_to(Audience.PUBLIC)
    rows = frame({"discharges": 20, "alos_days": 3.0}, {"discharges": None, "alos_days": None}, alos_days=pl.Float64)
    found = monthly.with_stayed(rows)
    assert found.select(monthly.STAYED).rows() == [(60.0, 20), (0.0, 0)]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"occupied": 80, "beds": 100, "enough": True, "rounded": False, "without_beds": 0}, "80.0 %"),
        ({"occupied": 80, "beds": 100, "enough": True, "rounded": True, "without_beds": 0}, "≈ 80.0 %"),
        ({"occupied": 80, "beds": 100, "enough": False, "rounded": True, "without_beds": 0}, "hidden"),
        ({"occupied": 80, "beds": 90, "enough": True, "rounded": False, "without_beds": 1}, "n/a"),
        (None, "n/a"),
    ],
)
def test_mean_occupancy_says_what_it_knows(row: dict[str, Any] | None, text: str) -> None:
    assert bed_occupancy.mean(row).text("percent") == text


def test_few_cases_are_marked() -> None:
    few = {"discharges": Figure(24.0), "mortality_rate": Figure(0.25)}
    assert tables.care(few) == "fewer than 25 cases"
    assert tables.care(few | {"discharges": Figure(25.0)}) == ""
    assert tables.care({"discharges": Figure(24.0), "mortality_rate": Figure(None)}) == ""


def test_gaps_stay_gaps() -> None:
    rows = frame({"day": date(2026, 7, 1), "occupancy_rate": 0.5}, {"day": date(2026, 7, 3), "occupancy_rate": 0.7})
    found = bed_occupancy.gapless(rows, Period(date(2026, 7, 1), date(2026, 7, 3)), ["facility"])
    assert found["occupancy_rate"].to_list() == [0.5, None, 0.7]
    assert found["day"].to_list()[-1] - found["day"].to_list()[0] == timedelta(days=2)
