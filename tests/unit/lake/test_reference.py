"""The reference tables that come with Wardlake, and what the simulator says against them."""

import polars as pl
import pytest

from lake import reference
from lake.contracts.event import ICD10_PATTERN
from producer.simulator.diagnoses import DIAGNOSES
from producer.simulator.hospital import FACILITIES
from producer.simulator.towns import TOWNS


def test_codes_are_unique_and_of_the_contract_s_form() -> None:
    titles = reference.diagnosis_titles()
    assert titles.height > 90_000
    assert titles["code"].is_unique().all()
    # But for a new block, QA0, which the contract of 2024 does not know.
    assert set(titles.filter(~pl.col("code").str.contains(ICD10_PATTERN))["code"].str.head(3)) <= {"QA0"}
    assert titles["title"].str.len_chars().min() > 2


def test_the_simulator_s_diagnoses_bear_their_official_titles() -> None:
    titles = dict(reference.diagnosis_titles().iter_rows())
    assert {d.code: d.text for d in DIAGNOSES} == {d.code: titles[d.code] for d in DIAGNOSES}


def test_the_simulator_s_patients_live_in_real_places() -> None:
    for facility in FACILITIES:
        cities = pl.Series([city for city, _ in TOWNS[facility.state]])
        assert cities.n_unique() == 40
        assert reference.are_places(cities, pl.repeat(facility.state, 40, eager=True)).all()


def test_what_is_not_there_is_not_found() -> None:
    cities = pl.Series(["Springfield", "Jane Roe", None, "Springfield", ""])
    states = pl.Series(["IL", "IL", "IL", "ZZ", "IL"])
    assert reference.are_places(cities, states).to_list() == [True, False, False, False, False]
    titles = reference.titles_of(pl.Series(["I21.4", "Z99.ZZ", None, "", "zzz"]))
    assert titles.to_list() == ["Non-ST elevation (NSTEMI) myocardial infarction", None, None, None, None]


def test_two_spellings_of_a_place_are_one(subtests: pytest.Subtests) -> None:
    for one, other in [
        ("St. Louis", "Saint Louis"),
        ("O'Fallon", "O Fallon"),
        ("FT WORTH", "Fort Worth"),
        ("Cañon City", "Canon City"),
    ]:
        with subtests.test(one=one):
            [first, second] = reference.place_name(pl.Series([one, other]))
            assert first == second
