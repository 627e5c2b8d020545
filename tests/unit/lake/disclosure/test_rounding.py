"""The public form of Gold by example: what is hidden, what is rounded, and that no column was forgotten."""

from datetime import date
from typing import Any, Final

import polars as pl
import pytest

from lake.disclosure import audience, rounding
from lake.disclosure.audience import Audience
from lake.disclosure.rounding import FIGURES, HIDDEN, Amount, Mean, Median, Plain, Rate, public
from lake.gold.tables import GOLD, VIEWS, meanings
from tests.support.disclosure_hospital import gold, one_a_day, with_views

JANUARY: Final = date(2026, 1, 1)


def rounded(name: str, **row: Any) -> dict[str, Any]:
    [made] = public(name, pl.DataFrame([row])).iter_rows(named=True)
    return made


@pytest.mark.parametrize(
    ("exact", "public"),
    [
        (0, 0), (1, None), (5, None), (10, None), (11, 15), (12, 15), (13, 15), (17, 15), (18, 20), (22, 20), (23, 25),
        (1001, 1000), (1003, 1005),
    ],
)  # fmt: skip
def test_a_count(exact: int, public: int | None) -> None:
    assert pl.select(rounding.count(pl.lit(exact))).item() == public


@pytest.mark.parametrize(("exact", "public"), [(0.0, 0), (2.4, 0), (2.6, 5), (113.2, 115), (112.4, 110)])
def test_an_amount(exact: float, public: float) -> None:
    assert pl.select(rounding.amount(pl.lit(exact))).item() == public


STAY: Final = {"month": JANUARY, "facility": "F", "department": "D"}


def test_a_length_of_stay_is_of_rounded_sums() -> None:
    found = rounded("length_of_stay", **STAY, discharges=23, bed_days=113.2, alos_days=113.2 / 23, median_los_days=3.3)
    assert found == {
        **STAY, "discharges": 25, "bed_days": 115.0, "alos_days": 115 / 25, "median_los_days": 3.5, HIDDEN: None,
    }  # fmt: skip


def test_the_stays_of_1_to_10_people_are_left_out() -> None:
    row = {**STAY, "discharges": 10, "bed_days": 50.0, "alos_days": 5.0, "median_los_days": 3.0}
    assert public("length_of_stay", pl.DataFrame([row])).is_empty()


DOCTOR: Final = {"month": JANUARY, "doctor_id": "D1", "department": "D", "alos_days": 4.0}


def test_what_is_made_of_a_hidden_count_is_hidden_and_named() -> None:
    counts = {"discharges": 40, "deaths": 4, "index_discharges_30d": 9, "readmissions_30d": 0}
    found = rounded("doctors", **DOCTOR, **counts, readmission_rate_30d=0.0, mortality_rate=0.1)
    assert (found["discharges"], found["alos_days"], found["readmissions_30d"]) == (40, 4.0, 0)
    named = {"deaths", "index_discharges_30d", "readmission_rate_30d", "mortality_rate"}
    assert {name for name in found if found[name] is None} == named
    assert set(found[HIDDEN].split(", ")) == named


def test_a_rate_is_of_rounded_counts_and_0_stays_0() -> None:
    counts = {"discharges": 42, "deaths": 0, "index_discharges_30d": 38, "readmissions_30d": 12}
    found = rounded("doctors", **DOCTOR, **counts, readmission_rate_30d=12 / 38, mortality_rate=0.0)
    assert (found["readmission_rate_30d"], found["mortality_rate"], found[HIDDEN]) == (15 / 40, 0.0, None)


def test_a_rate_that_was_not_there_is_not_called_hidden() -> None:
    counts = {"discharges": 42, "deaths": 0, "index_discharges_30d": 0, "readmissions_30d": 0}
    found = rounded("doctors", **DOCTOR, **counts, readmission_rate_30d=None, mortality_rate=0.0)
    assert (found["readmission_rate_30d"], found[HIDDEN]) == (None, None)


def test_beds_are_no_people() -> None:
    day = {"day": JANUARY, "facility": "F", "department": "D", "month": JANUARY, "staffed_beds": 23}
    found = rounded("occupancy", **day, occupied_midnight=21, occupancy_rate=21 / 23)
    assert (found["staffed_beds"], found["occupied_midnight"], found["occupancy_rate"]) == (23, 20, 20 / 23)


def test_totals_are_rounded_from_exact_sums() -> None:
    visits = one_a_day(3) * 14
    exact = with_views(gold(visits))
    month = public("admissions_totals", exact["admissions_totals"]).filter(grain="month", facility="(all)")
    assert month["admissions"].to_list() == [40, 40], "42 of 14 a day, each of which is 15"


def test_a_table_of_messages_is_as_it_is() -> None:
    rows = pl.DataFrame({"day": [JANUARY], "policy": ["display"], "rule": ["ssn"], "invalid": [3]})
    assert public("compliance_rules", rows).equals(rows)


# Nothing was forgotten.


def test_every_table_and_view_is_declared() -> None:
    assert set(FIGURES) == {*(table.name.removeprefix("gold/") for table in GOLD), *VIEWS}


@pytest.mark.parametrize("name", FIGURES)
def test_every_column_is_declared_and_made_of_columns_that_are(name: str) -> None:
    assert set(FIGURES[name]) == set(meanings(name))
    for figure in FIGURES[name].values():
        match figure:
            case Amount(of) | Mean(of) | Median(of):
                assert FIGURES[name][of] is Plain.COUNT
            case Rate(part, whole):
                assert FIGURES[name][part] is Plain.COUNT
                assert FIGURES[name][whole] in (Plain.COUNT, Plain.NOT_OF_PEOPLE)


def test_a_column_that_is_not_declared_is_an_error() -> None:
    with pytest.raises(KeyError, match="patients"):
        public("outcomes", pl.DataFrame({"patients": [3]}))


# Whose figures.


@pytest.mark.parametrize("asked", [None, Audience.INTERNAL, Audience.PUBLIC])
@pytest.mark.parametrize(
    ("hosts", "signed_in", "most"),
    [
        (["127.0.0.1"], False, Audience.INTERNAL),
        (["localhost"], False, Audience.INTERNAL),
        (["::1"], False, Audience.INTERNAL),
        (["0.0.0.0"], True, Audience.INTERNAL),
        (["0.0.0.0"], False, Audience.PUBLIC),
        (["10.0.0.7"], False, Audience.PUBLIC),
        ([None], False, Audience.PUBLIC),
        (["127.0.0.1", "dash.example.org"], False, Audience.PUBLIC),  # behind a proxy
        (["127.0.0.1", "dash.example.org"], True, Audience.INTERNAL),
    ],
)
def test_whose_figures_dashboards_show(
    asked: Audience | None, hosts: list[str | None], signed_in: bool, most: Audience
) -> None:
    expected = Audience.PUBLIC if asked is Audience.PUBLIC else most
    assert audience.of_dashboards(asked, hosts, signed_in=signed_in) is expected


def test_an_export_is_public_unless_asked() -> None:
    assert [audience.of_export(asked) for asked in (None, *Audience)] == [
        Audience.PUBLIC, Audience.INTERNAL, Audience.PUBLIC,
    ]  # fmt: skip
