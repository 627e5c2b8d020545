"""Any history folds to the visits, stays and incomplete visits that the oracle reads, whatever order it came in."""

import random

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.contracts.tables import SILVER
from lake.gold.fold import fold
from tests.support.oracle.frames import FOLDED, differences, expected_lake
from tests.support.oracle.histories import History, histories


def folded(silver: pl.DataFrame, stale_days: int = 60) -> dict[str, pl.DataFrame]:
    return {table.name: frame for table, frame in zip(FOLDED, fold(silver, stale_days), strict=True)}


def all_differences(ours: dict[str, pl.DataFrame], expected: dict[str, pl.DataFrame]) -> list[str]:
    return [text for name in expected for text in differences(name, ours[name], expected[name])]


@settings(max_examples=max(40, settings.default.max_examples))
@given(histories())
def test_a_history_folds_as_the_oracle_reads_it(history: History) -> None:
    ours, expected = (read(history.silver, history.stale_days) for read in (folded, expected_lake))
    assert all_differences(ours, expected) == []


@given(histories(), st.integers(0, 2**32))
def test_any_order_of_arrival_gives_the_same_visits(history: History, seed: int) -> None:
    places = list(range(history.silver.height))
    random.Random(seed).shuffle(places)
    assert all_differences(folded(history.silver[places]), folded(history.silver)) == []


@given(histories())
def test_no_event_is_lost_and_the_stays_of_a_visit_fill_its_time(history: History) -> None:
    """What must hold whatever the oracle says."""
    visits, stays, incomplete = fold(history.silver, history.stale_days)
    keys = [*visits["visit_key"], *incomplete["visit_key"]]
    assert sorted(keys) == sorted(set(history.silver["visit_key"]))
    assert visits["events"].sum() + incomplete["events"].sum() == history.silver.height
    for visit in visits.iter_rows(named=True):
        spans = stays.filter(visit_key=visit["visit_key"]).select("from_time", "to_time", "ends_visit").rows()
        assert min(begin for begin, _, _ in spans) == visit["admitted_at"]
        ends = [(end, last) for _, end, last in spans if last or end is None]
        assert ends == [(visit["discharged_at"], visit["discharged_at"] is not None)]
        inner = [end for _, end, last in spans if end is not None and not last]
        assert sorted([visit["admitted_at"], *inner]) == sorted(begin for begin, _, _ in spans)


def test_no_event_gives_no_visit() -> None:
    tables = folded(SILVER.empty())
    assert {table.name: tables[table.name].schema for table in FOLDED} == {t.name: t.polars_schema for t in FOLDED}
    assert all(frame.is_empty() for frame in tables.values())
