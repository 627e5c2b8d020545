"""``wardlake.duckdb``: what a plain DuckDB client finds in it, and how it is swapped."""

import os
from pathlib import Path

import duckdb
import pytest

from lake.gold import duckdb_file
from lake.gold.tables import GOLD, VIEWS, about, meanings, sql
from tests.support.golds import build, published
from tests.support.lakes import Feeder, event, make_lake, simulated


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lake = make_lake(tmp_path_factory.mktemp("gold") / "lake", simulated(2_000))
    build(lake)
    return lake.root


def opened(root: Path) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(os.path.realpath(root / duckdb_file.LINK), read_only=True)


def test_a_client_reads_the_figures_that_are_in_delta(root: Path) -> None:
    with opened(root) as client:
        for table in GOLD:
            query = f"SELECT * FROM {table.name.replace('/', '.')}"
            assert client.sql(query).pl().height == published(root, table).height > 0, table.name
        admissions = client.sql("SELECT sum(admissions) FROM gold.admissions").fetchall()
        assert admissions == client.sql("SELECT sum(admissions) FROM gold.admissions_weekly").fetchall()
        assert admissions == client.sql("SELECT sum(admissions) FROM gold.admissions_monthly").fetchall()
        assert admissions == client.sql("SELECT sum(admissions) FROM gold.arrivals").fetchall()


def test_no_patient_row_is_in_it(root: Path) -> None:
    with opened(root) as client:
        columns = client.sql("SELECT DISTINCT column_name FROM duckdb_columns() WHERE NOT internal").fetchall()
    assert not {"patient_key", "visit_key", "notes", "patient_name"} & {name for (name,) in columns}


def test_every_column_says_what_it_means(root: Path) -> None:
    with opened(root) as client:
        said = client.sql("SELECT table_name, column_name, meaning FROM gold.dictionary").fetchall()
        tables = client.sql("SELECT table_name, comment FROM duckdb_tables()").fetchall()
    assert all(meaning for _, _, meaning in said)
    assert {table for table, _, _ in said} == {name.name.removeprefix("gold/") for name in GOLD} | {*VIEWS, "build"}
    assert {name: said for name, said in tables if name != "build"} == {
        table.name.removeprefix("gold/"): about(table.name.removeprefix("gold/")) for table in GOLD
    }


def test_a_header_has_one_line_for_each_column_in_order(subtests: pytest.Subtests) -> None:
    for table in GOLD:
        with subtests.test(table=table):
            name = table.name.removeprefix("gold/")  # type: ignore[attr-defined]
            assert list(meanings(name)) == list(table.polars_schema)  # type: ignore[attr-defined]
            assert about(name).endswith(".") or about(name).endswith("out.")


def test_a_formula_names_its_source(subtests: pytest.Subtests) -> None:
    for name in ["admissions", "diagnoses", "length_of_stay", "occupancy", "doctors", "treatments"]:
        with subtests.test(name=name):
            assert "-- Source: " in sql(name)


def test_a_reader_keeps_its_figures_and_three_files_are_kept(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", [(0, event())])
    build(lake)
    with opened(lake.root) as reader:
        for number in range(2, 6):
            told = event(message_id=f"m-{number}", patient_id=f"P{number}", visit_id=f"V{number}")
            Feeder(lake).land([(0, told)])
            assert build(lake).build_id == number
        assert reader.sql("SELECT sum(admissions) FROM gold.admissions").fetchall() == [(1,)]
    names = sorted(path.name for path in lake.root.glob("*.duckdb"))
    assert names == ["gold-3.duckdb", "gold-4.duckdb", "gold-5.duckdb", "wardlake.duckdb"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in lake.root.glob("gold-*.duckdb"))
    with opened(lake.root) as reader:
        assert reader.sql("SELECT sum(admissions) FROM gold.admissions").fetchall() == [(5,)]


def test_a_file_that_is_lost_is_made_again(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", [(0, event())])
    build(lake)
    (lake.root / "gold-1.duckdb").unlink()
    assert build(lake).kind == "unchanged"
    with opened(lake.root) as reader:
        assert reader.sql("SELECT count(*) FROM gold.admissions").fetchall() == [(1,)]
