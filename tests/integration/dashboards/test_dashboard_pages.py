"""The pages as their readers use them: filters, figures, whose they are, what is missing, what is old."""

import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from dashboards.main import PAGES
from dashboards.shared import data
from dashboards.shared.filters import PRESETS
from lake.disclosure.audience import Audience
from lake.storage.store import open_lake
from tests.support import golds
from tests.support.boards import Open, swap_to, text_of
from tests.support.lakes import KEY

pytest_plugins = ("tests.support.board_fixtures",)


def ask(lake: Path, sql: str, **parameters: Any) -> pl.DataFrame:
    build = data.find(lake, Audience.INTERNAL)
    assert isinstance(build, data.Build)
    return data.query(build.file, build.stamp, sql, parameters)


def charts(test: AppTest) -> int:
    return len(test.get("vega_lite_chart"))


def metrics(test: AppTest) -> dict[str, str]:
    return {found.label: str(found.value) for found in test.metric}


@pytest.mark.parametrize("page", [page.name for page in PAGES])
def test_a_page_opens_without_an_error(simulated_lake: Path, open_page: Open, page: str) -> None:
    test = open_page(simulated_lake, page)
    assert not test.exception
    assert not test.error
    assert "Gold build 1 built" in text_of(test)
    assert not [found for found in test.warning if "wardlake flow gold" in found.value]


@pytest.mark.parametrize("page", [page.name for page in PAGES if page.needs_gold])
def test_a_page_without_gold_says_what_to_do(empty_lake: Path, open_page: Open, page: str) -> None:
    test = open_page(empty_lake, page)
    assert not test.exception
    assert [found.value for found in test.info] == ["The lake holds no visits yet."]
    assert [found.value for found in test.code] == ["wardlake flow gold"]


@pytest.mark.parametrize("page", ["admissions", "diagnoses"])
@pytest.mark.parametrize("period", PRESETS)
def test_every_preset(simulated_lake: Path, open_page: Open, page: str, period: str) -> None:
    test = open_page(simulated_lake, page, period=period)
    assert not test.exception
    assert charts(test) == {"admissions": 7, "diagnoses": 5}[page]


@pytest.mark.parametrize("by", ["Daily", "Weekly", "Monthly"])
def test_admissions_by_day_week_and_month(simulated_lake: Path, open_page: Open, by: str) -> None:
    test = open_page(simulated_lake, "admissions", by=by)
    unit = {"Daily": "day", "Weekly": "week", "Monthly": "month"}[by]
    assert f"**Admissions per {unit}**" in text_of(test)
    assert charts(test) == 7 - (by == "Monthly")
    assert ("No month of this period is over yet." in text_of(test)) == (by == "Monthly")


def test_filters_are_kept_from_page_to_page(simulated_lake: Path, open_page: Open) -> None:
    test = open_page(simulated_lake, "admissions")
    test.selectbox(key="facility").select("Mercy Harbor").run()
    test.selectbox(key="department").select("Surgery").run()
    assert "Mercy Harbor, Surgery" in text_of(test)
    for page in ("sql", "diagnoses"):
        test.switch_page(f"screens/{page}/page.py").run()
    assert "By month of discharge, Mercy Harbor, Surgery." in text_of(test)
    assert test.selectbox(key="facility").value == "Mercy Harbor"


def test_a_filter_in_the_url_that_does_not_fit_is_told(simulated_lake: Path, open_page: Open) -> None:
    test = open_page(simulated_lake, "admissions", facility="Nowhere", department="Surgery", period="Yesterday")
    assert [found.value for found in test.warning] == [
        "The link named a period and a facility that is not in this data. The default is shown."
    ]
    assert test.selectbox(key="department").value == "Surgery"


def test_custom_dates_stand_in_the_url(simulated_lake: Path, open_page: Open) -> None:
    test = open_page(
        simulated_lake, "admissions", period="Custom dates", dates=["2026-01-20", "2026-02-01"], by="Daily"
    )
    assert not test.exception
    assert "20 Jan 2026 to 1 Feb 2026" in text_of(test)


TOTAL = """SELECT sum(discharges)::BIGINT FROM gold.admissions_totals
WHERE grain = 'month' AND department = '(all)' AND facility = $facility"""


def test_a_tile_shows_the_exact_sum(simulated_lake: Path, open_page: Open) -> None:
    for facility in ("Lakeside General", "Mercy Harbor"):
        total = ask(simulated_lake, TOTAL, facility=facility).item()
        test = open_page(simulated_lake, "admissions", facility=facility)
        assert metrics(test)["Discharges"] == f"{total:,}"


INTERNAL, PUBLIC = "Internal: exact figures.", "Public: counts of 1–10 hidden, others rounded to 5."  # noqa: RUF001
OPEN = "0.0.0.0"


@pytest.mark.parametrize("page", [page.name for page in PAGES])
def test_each_page_says_whose_figures_it_shows_in_one_line(simulated_lake: Path, open_page: Open, page: str) -> None:
    for address, note, other in (("127.0.0.1", INTERNAL, PUBLIC), (OPEN, PUBLIC, INTERNAL)):
        text = text_of(open_page(simulated_lake, page, address=address))
        assert text.count(note) == 1
        assert other not in text


@pytest.mark.parametrize("page", ["admissions", "diagnoses", "kpis"])
def test_an_internal_page_is_exact_and_hides_nothing(small_lake: Path, open_page: Open, page: str) -> None:
    test = open_page(small_lake, page)
    assert not test.exception
    text = text_of(test).lower()
    assert "hidden" not in text
    assert "≈" not in text
    assert "≥" not in text


def numbers(test: AppTest) -> set[str]:
    """Counts in the tables of a page, and the figures of its tiles."""
    means = {"Average stay", "Mortality", "alos_days", "readmission_rate_30d", "mortality_rate", "occupancy_rate"}
    tables = (table.value for table in test.dataframe)
    cells = {str(cell) for table in tables for name in table if name not in means for cell in table[name]}
    return cells | set(metrics(test).values())


@pytest.mark.parametrize("asked", [None, "internal"])
def test_a_public_page_shows_no_exact_small_count(
    small_lake: Path, open_page: Open, monkeypatch: pytest.MonkeyPatch, asked: str | None
) -> None:
    """Whatever is asked: it listens to everybody, and nobody signs in."""
    if asked:
        monkeypatch.setenv("WARDLAKE_AUDIENCE", asked)
    small = {str(count) for count in range(1, 11)} | {f"{count}.0" for count in range(1, 11)}
    for page in ("admissions", "diagnoses", "kpis"):
        test = open_page(small_lake, page, address=OPEN)
        assert not test.exception
        assert PUBLIC in text_of(test)
        assert numbers(test) & small == set()
        counts = [found.value for found in test.metric if found.label in ("Admissions", "Discharges", "Deaths")]
        assert all(value == "hidden" or re.fullmatch(r"≈ [\d,]*[05]", value) for value in counts), counts


def test_public_figures_are_shown_where_they_are_asked_for(
    small_lake: Path, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARDLAKE_AUDIENCE", "public")
    assert PUBLIC in text_of(open_page(small_lake, "admissions"))


def test_behind_a_sign_in_figures_are_exact_wherever_it_listens(small_lake: Path, open_page: Open) -> None:
    user = {"is_logged_in": True, "email": "ada@example.org"}
    assert INTERNAL in text_of(open_page(small_lake, "admissions", secrets=AUTH, user=user, address=OPEN))


def test_one_facility_and_small_numbers(small_lake: Path, open_page: Open) -> None:
    test = open_page(small_lake, "admissions", by="Daily")
    assert not test.exception
    assert test.selectbox(key="facility").options == ["All facilities", "North"]


def test_a_diagnosis_in_exact_figures(small_lake: Path, open_page: Open) -> None:
    test = open_page(small_lake, "diagnoses", diagnosis="Pneumonia, unspecified organism (J18.9)")
    assert not test.exception
    assert "Treatments: Pneumonia, unspecified organism (J18.9)" in text_of(test)
    sums = ask(small_lake, "SELECT sum(admissions)::BIGINT, sum(deaths)::BIGINT FROM gold.diagnoses").row(0)
    assert (metrics(test)["Admissions"], metrics(test)["Deaths"]) == tuple(map(str, sums))


def test_figures_that_were_built_long_ago_are_told(
    simulated_lake: Path, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARDLAKE_DASHBOARD_STALE_HOURS", "0.0000001")
    [warning] = open_page(simulated_lake, "admissions").warning
    assert warning.value.startswith("These figures were built 0 hours ago. Run `wardlake flow gold`")


def test_a_newer_build_without_a_file_is_told(own_lake: Path, open_page: Open) -> None:
    golds.build(open_lake(own_lake, KEY), full=True)
    swap_to(own_lake, 1)
    [warning] = open_page(own_lake, "admissions").warning
    assert warning.value.startswith("Gold build 2 is published, these figures are of build 1.")


def test_sign_in_that_is_asked_for_but_not_configured_shows_nothing(
    simulated_lake: Path, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARDLAKE_DASHBOARD_AUTH", "true")
    for page in ("admissions", "sql"):
        test = open_page(simulated_lake, page)
        assert [found.value[:40] for found in test.error] == ["Sign-in is asked for (WARDLAKE_DASHBOARD"]
        assert not test.title
        assert not test.metric


AUTH = {"auth": {"client_id": "wardlake"}}


def test_whoever_is_not_signed_in_sees_a_button_only(simulated_lake: Path, open_page: Open) -> None:
    test = open_page(simulated_lake, "admissions", secrets=AUTH, user={"is_logged_in": False})
    assert [found.label for found in test.button] == ["Sign in"]
    assert not test.metric


def test_whoever_is_signed_in_sees_the_page_and_their_name(simulated_lake: Path, open_page: Open) -> None:
    test = open_page(
        simulated_lake, "admissions", secrets=AUTH, user={"is_logged_in": True, "email": "ada@example.org"}
    )
    assert test.metric
    assert "Signed in as ada@example.org" in text_of(test)
