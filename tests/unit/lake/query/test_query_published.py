"""SQL sees a build of Gold whole, or not at all."""

from datetime import date
from pathlib import Path
from typing import Final

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake

from lake.contracts.tables import INCOMPLETE, STAYS, VISITS, Table
from lake.errors import LakeError
from lake.gold.published import last
from lake.gold.tables import ADMISSIONS, GOLD, OUTCOMES, VIEWS
from lake.query import lake_sql
from lake.storage.store import Lake
from tests.support.golds import build, published
from tests.support.lakes import Feeder, event, make_lake, simulated

BUILT: Final = (VISITS, STAYS, INCOMPLETE, *GOLD)


def sql_name(table: Table) -> str:
    return table.name.replace("/", ".")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = make_lake(tmp_path / "lake", simulated(300))
    build(made)
    return made


def half_build(lake: Lake, table: Table) -> None:
    """What a build that has not got to its end leaves: the table emptied."""
    write_deltalake(DeltaTable(lake.root / table.name), table.empty(), mode="overwrite")


def test_each_table_is_that_of_the_build(lake: Lake) -> None:
    for table in BUILT:
        shown = lake_sql.run(lake.root, f"FROM {sql_name(table)}")
        assert set(shown.columns) == set(table.polars_schema)
        assert shown.height == published(lake.root, table).height


def test_a_build_under_way_is_not_seen(lake: Lake) -> None:
    before = {table.name: lake_sql.run(lake.root, f"FROM {sql_name(table)}").height for table in BUILT}
    assert before[VISITS.name] > 0
    for table in BUILT:
        half_build(lake, table)
    assert {table.name: lake_sql.run(lake.root, f"FROM {sql_name(table)}").height for table in BUILT} == before
    assert lake_sql.run(lake.root, "SELECT sum(admissions) FROM gold.admissions_weekly").item() > 0


def test_silver_and_the_books_are_those_of_now(lake: Lake) -> None:
    counted = "SELECT (SELECT count(*) FROM silver.events), (SELECT sum(messages) FROM ops.ingest)"
    events, messages = lake_sql.run(lake.root, counted).row(0)
    Feeder(lake).land([(0, event(message_id="new", patient_id="MRN-new"))])
    assert lake_sql.run(lake.root, counted).row(0) == (events + 1, messages + 1)


def test_the_views_follow_from_the_published_tables(lake: Lake) -> None:
    months = lake_sql.run(lake.root, "SELECT sum(admissions)::BIGINT FROM gold.admissions_monthly").item()
    assert months == published(lake.root, ADMISSIONS)["admissions"].sum()
    for name in VIEWS:
        assert lake_sql.run(lake.root, f"FROM gold.{name}").width > 1


def test_an_open_connection_goes_on_with_its_build(lake: Lake) -> None:
    connection = lake_sql.connect(lake.root)
    text = "SELECT count(*), sum(admissions) FROM gold.admissions"
    before = lake_sql.query(connection, text).row(0)
    Feeder(lake).land([(0, event(message_id=f"n{n}", patient_id=f"MRN{n}", visit_id=f"V{n}")) for n in range(5)])
    build(lake)
    assert lake_sql.query(connection, text).row(0) == before
    assert lake_sql.run(lake.root, text).row(0) != before
    connection.close()


def test_a_connection_may_ask_for_a_build(lake: Lake) -> None:
    first = last(lake.root)
    Feeder(lake).land([(0, event(message_id="n", patient_id="MRN-n", visit_id="V-n"))])
    build(lake)
    connection = lake_sql.connect(lake.root, first)
    assert (
        lake_sql.query(connection, "FROM silver.visits").height
        == lake_sql.run(lake.root, "FROM silver.visits").height - 1
    )
    connection.close()


def test_before_the_first_build_is_published_there_is_no_gold(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", [(0, event())])
    shown = lake_sql.run(lake.root, "SHOW ALL TABLES")
    assert set(shown["schema"]) == {"silver", "ops"}
    row = {"month": date(2026, 3, 1), "facility": "N", "department": "S", "disposition": "home", "discharges": 1}
    write_deltalake(lake.root / OUTCOMES.name, pl.DataFrame([row], schema=OUTCOMES.polars_schema))
    assert set(lake_sql.run(lake.root, "SHOW ALL TABLES")["schema"]) == {"silver", "ops"}


def test_a_published_version_that_is_gone_is_one_clear_error(lake: Lake) -> None:
    for file in (lake.root / ADMISSIONS.name / "_delta_log").iterdir():
        file.unlink()
    with pytest.raises(LakeError, match=r"cannot be read; got \w+ in build 1; .*run 'wardlake flow gold', or"):
        lake_sql.connect(lake.root)
