"""The pages as their readers use them: filters, figures, what is hidden, what is missing, what is old."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from dashboards.main import PAGES
from dashboards.shared import data
from dashboards.shared.filters import PRESETS
from lake.storage.store import open_lake
from tests.support import golds
from tests.support.boards import Open, swap_to, text_of
from tests.support.lakes import KEY

pytest_plugins = ("tests.support.board_fixtures",)


def ask(lake: Path, sql: str, **parameters: Any) -> pl.DataFrame:
    build = data.find(lake)
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


def test_a_tile_shows_the_sum_of_the_shown_file(simulated_lake: Path, open_page: Open) -> None:
    sql = """SELECT sum(discharges)::BIGINT AS sum, count(*) FILTER (discharges IS NULL) AS hidden
    FROM gold.admissions WHERE grain = 'month' AND department = '(all)' AND facility = $facility"""
    for facility in ("Lakeside General", "Mercy Harbor"):
        total, hidden = ask(simulated_lake, sql, facility=facility).row(0)
        test = open_page(simulated_lake, "admissions", facility=facility)
        expected = "hidden" if hidden and not total else f"≥ {total:,}" if hidden else f"{total:,}"
        assert metrics(test)["Discharges"] == expected


def test_one_facility_and_small_numbers(small_lake: Path, open_page: Open) -> None:
    test = open_page(small_lake, "admissions", by="Daily")
    assert not test.exception
    assert test.selectbox(key="facility").options == ["All facilities", "North"]
    assert "hidden figures. Counts of 1 to 10 people are hidden" in text_of(test)
    assert "Most are hidden: choose weekly or monthly above." in text_of(test)


def test_most_days_are_hidden_so_weeks_are_shown(small_lake: Path, open_page: Open) -> None:
    assert "**Admissions per day**" not in text_of(open_page(small_lake, "admissions"))


def test_diagnoses_of_one_facility_and_a_hidden_number_of_deaths(small_lake: Path, open_page: Open) -> None:
    test = open_page(small_lake, "diagnoses", diagnosis="Pneumonia, unspecified organism (J18.9)")
    assert not test.exception
    assert "Treatments: Pneumonia, unspecified organism (J18.9)" in text_of(test)
    assert "0" not in metrics(test).values()


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
