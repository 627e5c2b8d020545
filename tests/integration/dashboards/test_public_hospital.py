"""Public figures of a hospital of an ordinary size: what an analyst looks at first stays visible.

Small groups prove that nothing small is told (``tests/property``); they cannot show that not everything is hidden.
"""

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest

from lake.disclosure import public_gold
from lake.gold.totals import ALL
from producer.simulator.simulator import SimulatorSettings
from tests.support.boards import build
from tests.support.lakes import make_lake, messages_of

MONTHS = ["2026-02-01", "2026-03-01", "2026-04-01"]
"""Those that the 120 days have whole."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hospital group with about 125 admissions a day, for four months."""
    settings = SimulatorSettings(seed=11, events=72_000, days=120, start=datetime(2026, 1, 10, tzinfo=UTC))
    lake = make_lake(tmp_path_factory.mktemp("hospital") / "lake", messages_of(settings))
    build(lake)
    return lake.root


def hidden(root: Path, query: str, figure: str) -> float:
    """The share of rows in which a figure is hidden. Raises ``AssertionError`` where there are no rows."""
    found = public_gold.last(root)
    assert found is not None
    with duckdb.connect(str(found[1]), read_only=True) as connection:
        frame = connection.sql(query).pl()
    assert frame.height > 0
    return frame[figure].is_null().sum() / frame.height


@pytest.mark.parametrize("figure", ["admissions", "discharges"])
@pytest.mark.parametrize("facility", [f"facility = '{ALL}'", f"facility <> '{ALL}'"])
def test_no_month_of_all_or_of_a_facility_is_hidden(root: Path, facility: str, figure: str) -> None:
    months = ", ".join(f"DATE '{month}'" for month in MONTHS)
    whole = f"grain = 'month' AND department = '{ALL}' AND start IN ({months})"
    query = f"FROM gold.admissions_totals WHERE {whole} AND {facility}"
    assert hidden(root, query, figure) == 0


@pytest.mark.parametrize(("facility", "most"), [(f"facility = '{ALL}'", 0.0), (f"facility <> '{ALL}'", 0.1)])
def test_most_days_of_all_and_of_a_facility_are_shown(root: Path, facility: str, most: float) -> None:
    query = f"FROM gold.admissions_totals WHERE grain = 'day' AND department = '{ALL}' AND {facility}"
    assert hidden(root, query, "admissions") <= most


def test_most_months_of_the_common_diagnoses_are_shown(root: Path) -> None:
    common = f"""FROM gold.diagnoses WHERE diagnosis_code IN (
        SELECT diagnosis_code FROM gold.diagnoses WHERE diagnosis_code <> '{ALL}'
        GROUP BY ALL ORDER BY sum(admissions) DESC LIMIT 10)"""
    assert hidden(root, common, "admissions") <= 0.2


@pytest.mark.parametrize("table", ["occupancy", "length_of_stay", "outcomes"])
def test_what_all_together_came_to_is_shown_by_the_month(root: Path, table: str) -> None:
    figures = {"occupancy": "occupied_midnight", "length_of_stay": "discharges", "outcomes": "discharges"}
    found = public_gold.last(root)
    assert found is not None
    with duckdb.connect(str(found[1]), read_only=True) as connection:
        frame = connection.sql(f"FROM gold.{table}_totals WHERE facility = '{ALL}' AND department = '{ALL}'").pl()
    assert frame.height > 0
    assert frame.filter(pl.col(figures[table]).is_null()).height <= 0.2 * frame.height
