"""Histories small enough to count by hand, against both implementations: the oracle has to be right, too."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import polars as pl
import pytest

from lake.contracts.tables import INCOMPLETE, STAYS, VISITS
from lake.gold.compute import STAFFED_BEDS, kpis
from lake.gold.fold import fold
from lake.gold.tables import ADMISSIONS, DOCTORS, KPIS, LENGTH_OF_STAY, OCCUPANCY, OUTCOMES
from tests.support.oracle.frames import FOLDED, expected_gold, expected_lake
from tests.support.oracle.histories import silver_of

Event = dict[str, Any]
START: Final = datetime(2026, 3, 1, 8, tzinfo=UTC)
STAFFED: Final = [("North", "Surgery", 2, date(2026, 1, 1)), ("North", "Surgery", 4, date(2026, 3, 3))]


def at(hours: float, kind: str, *, visit: str = "a", patient: str = "1", **fields: str | None) -> Event:
    """An event so many hours after ``START``, in surgery unless said otherwise."""
    place = {"facility": "North", "department": "Surgery"}
    keys = {"visit_key": visit * 32, "patient_key": patient * 32}
    return place | keys | {"event_type": kind, "event_time": START + timedelta(hours=hours)} | fields


def silver(events: Sequence[Event]) -> pl.DataFrame:
    return silver_of([{"message_id": f"m-{number:02}"} | event for number, event in enumerate(events)])


def lakes(*events: Event, stale_days: int = 60) -> list[dict[str, pl.DataFrame]]:
    """Visits, stays and incomplete visits by both."""
    rows = silver(events)
    ours = dict(zip([table.name for table in FOLDED], fold(rows, stale_days), strict=True))
    return [ours, expected_lake(rows, stale_days)]


def golds(*events: Event, timezone: str = "UTC", stale_days: int = 60) -> list[dict[str, pl.DataFrame]]:
    """The KPIs by both."""
    rows, beds = silver(events), pl.DataFrame(STAFFED, schema=STAFFED_BEDS, orient="row")
    visits, stays, _ = fold(rows, stale_days)
    first, last = min(visits["admitted_at"].to_list()), max(rows["event_time"].to_list())
    ours = kpis(visits, stays, beds, timezone, first, last, stale_days)
    return [ours, expected_gold(rows, timezone, beds, stale_days)]


def test_a_cancel_takes_back_the_last_of_its_kind_that_still_stands() -> None:
    events = [
        at(0, "admit"), at(1, "transfer", department="A"), at(2, "transfer", department="B"),
        at(3, "cancel_transfer"), at(4, "cancel_transfer"), at(5, "transfer", department="C"),
        at(6, "discharge", disposition="home"), at(7, "cancel_discharge"), at(8, "cancel_discharge"),
    ]  # fmt: skip
    for tables in lakes(*events):
        [visit] = tables[VISITS.name].rows(named=True)
        assert (visit["department"], visit["discharged_at"], visit["disposition"]) == ("C", None, None)
        assert visit["flags"] == ["cancel_without_event"]
        stays = tables[STAYS.name].sort("from_time").select("department", "transfer_in", "ends_visit").rows()
        assert stays == [("Surgery", False, False), ("C", True, False)]


def test_a_history_that_is_no_visit_is_set_apart(subtests: pytest.Subtests) -> None:
    for events, flags in [
        ([at(0, "admit"), at(1, "update"), at(2, "cancel_admit")], ["cancelled"]),
        ([at(0, "admit"), at(1, "transfer"), at(2, "cancel_admit")], ["no_admission"]),
        ([at(0, "discharge"), at(1, "update")], ["no_admission"]),
        ([at(1, "admit"), at(0, "discharge")], ["discharge_before_admission"]),
        (
            [at(0, "update"), at(1, "cancel_admit", patient="2")],
            ["cancel_without_event", "no_admission", "several_patients"],
        ),
    ]:
        with subtests.test(events=events):
            for tables in lakes(*events):
                assert tables[INCOMPLETE.name]["flags"].to_list() == [flags]
                assert tables[VISITS.name].is_empty()
                assert tables[STAYS.name].is_empty()


def test_a_discharge_repeated_says_how_the_visit_ended_even_if_it_says_nothing() -> None:
    events = [at(0, "admit"), at(1, "discharge", disposition="home"), at(2, "discharge")]
    for tables in lakes(*events):
        assert tables[VISITS.name].select("disposition", "flags").rows() == [("unknown", ["repeated_discharge"])]


def test_lengths_of_stay() -> None:
    events = [at(0, "admit"), at(24, "discharge", disposition="home", doctor_id="DR1")]
    events += [at(0, "admit", visit="b"), at(60, "discharge", visit="b", disposition="expired", doctor_id="DR1")]
    for tables in golds(*events):
        [los] = tables[LENGTH_OF_STAY.name].rows(named=True)
        assert (los["discharges"], los["bed_days"], los["alos_days"], los["median_los_days"]) == (2, 3.5, 1.75, 1.75)
        [doctor] = tables[DOCTORS.name].rows(named=True)
        assert (doctor["deaths"], doctor["mortality_rate"], doctor["readmission_rate_30d"]) == (1, 0.5, None)


def test_the_census_is_taken_at_midnight() -> None:
    """One goes at the stroke of midnight of the second day, one is moved then, one comes and goes in a day."""
    events = [at(0, "admit"), at(40, "discharge", disposition="home")]
    events += [at(0, "admit", visit="b"), at(40, "transfer", visit="b", department="Medicine")]
    events += [at(1, "admit", visit="c"), at(2, "discharge", visit="c", disposition="home")]
    for tables in golds(*events):
        census = tables[OCCUPANCY.name].sort("day", "department").drop("facility", "month").rows()
        first, second, third = date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 3)
        assert census == [
            (first, "Medicine", 0, None, None),
            (first, "Surgery", 2, 2, 1.0),
            (second, "Medicine", 0, None, None),
            (second, "Surgery", 1, 2, 0.5),
            (third, "Medicine", 1, None, None),
            (third, "Surgery", 0, 4, 0.0),
        ]


def test_a_discharge_that_does_not_say_how_counts_as_unknown() -> None:
    events = [at(0, "admit"), at(24, "discharge"), at(30, "admit", visit="b")]
    for tables in lakes(*events):
        assert tables[VISITS.name].sort("visit_key")["disposition"].to_list() == ["unknown", None]
    for tables in golds(*events):
        assert tables[OUTCOMES.name].select("disposition", "discharges").rows() == [("unknown", 1)]


def test_an_open_visit_is_stale_so_many_days_after_its_last_event(subtests: pytest.Subtests) -> None:
    """One is open and silent, one is discharged and silent; a third one's event is the last of the data.

    An event that comes late makes it an open visit again.
    """
    for hours, is_stale in [(47, False), (48, True), (49, True)]:
        with subtests.test(hours=hours):
            events = [at(0, "admit"), at(0, "admit", visit="b"), at(1, "discharge", visit="b")]
            events += [at(hours, "admit", visit="c")]
            for tables in lakes(*events, stale_days=2):
                assert tables[VISITS.name].sort("visit_key")["stale"].to_list() == [is_stale, False, False]
            for tables in lakes(*events, at(hours - 40, "update"), stale_days=2):
                assert not tables[VISITS.name]["stale"].any()


def test_a_stale_visit_is_in_the_census_to_the_day_on_which_it_became_so() -> None:
    """Moved on the second of March, stale on the fourth; another patient comes on the seventh."""
    events = [at(0, "admit"), at(24, "transfer", department="Medicine"), at(144, "admit", visit="b")]
    for tables in golds(*events, stale_days=2):
        census = tables[OCCUPANCY.name].filter(department="Medicine").sort("day")
        assert census["occupied_midnight"].to_list() == [0, 1, 1, 1, 0, 0, 0]


def test_a_readmission_is_within_720_hours_of_a_discharge_that_counts(subtests: pytest.Subtests) -> None:
    for hours, ending, end, counted in [
        (720, "home", 720, (1, 1)),
        (720.001, "home", 721, (1, 0)),
        (700, "home", 719.999, (0, 0)),
        (0, "home", 720, (1, 0)),
        (24, "ama", 720, (0, 0)),
        (24, "transfer", 720, (0, 0)),
        (24, "hospice", 720, (1, 1)),
        (24, "other", 720, (1, 1)),
        (24, "unknown", 720, (1, 1)),
        (24, None, 720, (1, 1)),
    ]:
        with subtests.test(hours=hours):
            events = [at(0, "admit"), at(10, "discharge", disposition=ending)]
            events += [at(10 + hours, "admit", visit="b"), at(10 + end, "update", visit="b")]
            for tables in golds(*events):
                figures = tables[ADMISSIONS.name].select("index_discharges_30d", "readmissions_30d").sum().row(0)
                assert figures == counted


def test_thirty_days_are_720_hours_also_where_the_clocks_change() -> None:
    """In New York the 30 days after the first of March 2026 have 719 hours."""
    events = [at(0, "admit"), at(10, "discharge", disposition="home")]
    events += [at(729.5, "admit", visit="b"), at(730, "update", visit="b")]
    for tables in golds(*events, timezone="America/New_York"):
        assert tables[ADMISSIONS.name]["readmissions_30d"].sum() == 1


def test_an_hour_that_comes_twice_belongs_to_the_day_that_it_begins() -> None:
    """In Havana the first of November 2026 begins at 04:00 UTC, and its first hour comes twice."""
    hour = (datetime(2026, 11, 1, 4, tzinfo=UTC) - START) / timedelta(hours=1)
    events = [at(hour + 0.1, "admit"), at(hour + 0.2, "discharge", disposition="home")]
    events += [at(hour + 0.4, "admit", visit="b"), at(hour + 960, "update", visit="b")]
    for tables in golds(*events, timezone="America/Havana"):
        [row] = tables[ADMISSIONS.name].rows(named=True)
        assert (row["day"], row["admissions"], row["readmissions_30d"]) == (date(2026, 11, 1), 2, 1)


def test_every_kpi_table_has_a_row_in_a_history_with_everything() -> None:
    told = {"doctor_id": "DR1", "diagnosis_code": "I21.4", "treatment": "stent", "disposition": "home"}
    for tables in golds(at(0, "admit", **told), at(30, "discharge", **told)):
        assert [table.name for table in KPIS if tables[table.name].is_empty()] == []
