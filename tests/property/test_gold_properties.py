"""Every KPI of any history is what the oracle counts, to the last bit of every float, in any time zone."""

from collections import Counter
from datetime import datetime
from typing import Final

import polars as pl
from hypothesis import Phase, given, settings

from lake.contracts.tables import INCOMPLETE, STAYS, VISITS
from lake.gold.compute import kpis
from lake.gold.tables import ADMISSIONS, DOCTORS, KPIS, LENGTH_OF_STAY, OCCUPANCY, OUTCOMES
from tests.support.oracle.frames import differences, expected_gold, expected_lake
from tests.support.oracle.histories import History, histories

MANY: Final = settings(max_examples=max(40, settings.default.max_examples))


def gold(history: History) -> dict[str, pl.DataFrame]:
    """Our KPIs, of the oracle's visits and stays: a mistake in folding is not to show here."""
    tables = expected_lake(history.silver, history.stale_days)
    visits, stays = tables[VISITS.name], tables[STAYS.name]
    end = latest(history.silver)
    return kpis(visits, stays, history.staffed, history.timezone, earliest(visits), end, history.stale_days)


def expected(history: History) -> dict[str, pl.DataFrame]:
    return expected_gold(history.silver, history.timezone, history.staffed, history.stale_days)


def earliest(visits: pl.DataFrame) -> datetime | None:
    return min(visits["admitted_at"].to_list(), default=None)


def latest(silver: pl.DataFrame) -> datetime:
    return max(silver["event_time"].to_list())


@MANY
@given(histories())
def test_every_kpi_is_what_the_oracle_counts(history: History) -> None:
    ours, theirs = gold(history), expected(history)
    assert [text for name in theirs for text in differences(name, ours[name], theirs[name])] == []


@given(histories())
def test_the_tables_agree_with_each_other_and_with_the_visits(history: History) -> None:
    ours = gold(history)
    visits = expected_lake(history.silver, history.stale_days)[VISITS.name]
    gone = visits.drop_nulls("discharged_at")
    admissions, los, doctors = ours[ADMISSIONS.name], ours[LENGTH_OF_STAY.name], ours[DOCTORS.name]
    assert admissions["admissions"].sum() == visits.height
    assert admissions["discharges"].sum() == los["discharges"].sum() == gone.height
    assert ours[OUTCOMES.name]["discharges"].sum() == gone.height
    assert doctors["discharges"].sum() == gone["doctor_id"].count()
    assert (admissions["readmissions_30d"] <= admissions["index_discharges_30d"]).all()
    # Who is in a bed is in one bed: over all units the census of a day is at most the visits there are.
    census = ours[OCCUPANCY.name].group_by("day").agg(pl.col("occupied_midnight").sum())
    assert (census["occupied_midnight"] <= visits.height).all()


def test_nothing_gives_empty_tables() -> None:
    ours = kpis(VISITS.empty(), STAYS.empty(), None, "UTC", None, None, 60)
    assert {name: frame.schema for name, frame in ours.items()} == {t.name: t.polars_schema for t in KPIS}
    assert all(frame.is_empty() for frame in ours.values())


def seen(history: History) -> Counter[str]:
    """What of interest is in a history."""
    tables = expected_lake(history.silver, history.stale_days)
    found = Counter(flag for name in (VISITS.name, INCOMPLETE.name) for flag in tables[name]["flags"].explode())
    theirs = expected(history)
    found["index"] = theirs[ADMISSIONS.name]["index_discharges_30d"].sum()
    found["readmission"] = theirs[ADMISSIONS.name]["readmissions_30d"].sum()
    found["transfer"] = theirs[ADMISSIONS.name]["transfers_in"].sum()
    found["death"] = theirs[DOCTORS.name]["deaths"].sum()
    found["census"] = theirs[OCCUPANCY.name]["occupied_midnight"].sum()
    found["rate"] = theirs[OCCUPANCY.name]["occupancy_rate"].count()
    found["stale"] = tables[VISITS.name]["stale"].sum()
    found["unknown ending"] = tables[VISITS.name].filter(disposition="unknown").height
    return found


OF_INTEREST: Final = {
    "repeated_admission", "repeated_discharge", "transfer_before_admission", "transfer_after_discharge",
    "several_patients", "cancel_without_event", "cancelled", "no_admission", "discharge_before_admission",
    "index", "readmission", "transfer", "death", "census", "rate", "stale", "unknown ending",
}  # fmt: skip


def test_the_histories_that_are_drawn_have_everything_in_them() -> None:
    found: Counter[str] = Counter()

    @settings(max_examples=500, phases=[Phase.generate], derandomize=True, database=None)
    @given(histories())
    def look(history: History) -> None:
        found.update(seen(history))

    look()
    assert {what for what in OF_INTEREST if found[what] < 3} == set()
