"""What the dashboards read: one build's file, read-only, whatever happens to it meanwhile."""

import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from dashboards.shared import data
from dashboards.shared.data import Build, Missing
from lake.disclosure import public_gold
from lake.disclosure.audience import Audience
from lake.gold.duckdb_file import LINK
from tests.support.boards import forget

pytest_plugins = ("tests.support.board_fixtures",)

COUNT = "SELECT count(*) AS n, sum(admissions)::BIGINT AS admissions FROM gold.admissions"


@pytest.fixture(autouse=True)
def _forgotten() -> Any:
    yield
    forget()


def found(lake: Path) -> Build:
    build = data.find(lake, Audience.INTERNAL)
    assert isinstance(build, Build), build
    return build


def ask(build: Build, sql: str, **parameters: Any) -> pl.DataFrame:
    return data.query(build.file, build.stamp, sql, parameters)


def test_the_build_is_told_in_its_own_time_zone(simulated_lake: Path) -> None:
    build = found(simulated_lake)
    assert build.build_id == 1
    assert str(build.first_day) == "2026-01-15"
    assert build.built_at.tzinfo is UTC
    assert build.local(datetime(2026, 1, 1, tzinfo=UTC)).tzname() == "UTC"


def test_parameters_are_bound(simulated_lake: Path) -> None:
    rows = ask(found(simulated_lake), "SELECT $name AS name, unnest($days) AS day", name="O’Brien; --", days=[1, 2])
    assert rows.rows() == [("O’Brien; --", 1), ("O’Brien; --", 2)]


@pytest.mark.parametrize(
    "sql",
    [
        "FROM read_csv('{root}/wardlake.json')",
        "FROM read_parquet('{root}/silver/visits/**/*.parquet')",
        "ATTACH '{root}/gold_public.duckdb'",
        "SET enable_external_access = true",
        "DELETE FROM gold.admissions",
        "COPY (SELECT 1) TO '{root}/copied.csv'",
    ],
)
def test_a_query_reads_nothing_else_and_writes_nothing(simulated_lake: Path, sql: str) -> None:
    with pytest.raises(duckdb.Error):
        ask(found(simulated_lake), sql.format(root=simulated_lake))


@pytest.mark.parametrize(
    ("broken", "what", "command"),
    [
        ("no lake", "There is no lake at", "wardlake demo"),
        ("no gold", "The lake has no Gold yet", "wardlake flow gold"),
        ("no file", "Gold build 1 has no DuckDB file", "wardlake flow gold"),
        ("not a database", "cannot be read", "wardlake flow gold --full"),
        ("a dead link", "cannot be read", "wardlake flow gold --full"),
    ],
)
def test_what_is_missing_is_said_with_the_next_move(own_lake: Path, broken: str, what: str, command: str) -> None:
    link = own_lake / LINK
    match broken:
        case "no lake":
            shutil.rmtree(own_lake)
        case "no gold":
            link.unlink()
            shutil.rmtree(own_lake / "ops" / "builds")
        case "no file":
            link.unlink()
        case "not a database":
            link.resolve().write_bytes(b"broken" * 1000)
        case "a dead link":
            link.resolve().unlink()
    missing = data.find(own_lake, Audience.INTERNAL)
    assert isinstance(missing, Missing)
    assert what in missing.what
    assert missing.command == command


def test_without_public_figures_it_says_how_to_make_them(own_lake: Path) -> None:
    assert isinstance(data.find(own_lake, Audience.PUBLIC), Build)
    (own_lake / public_gold.LINK).unlink()
    missing = data.find(own_lake, Audience.PUBLIC)
    assert isinstance(missing, Missing)
    assert (missing.what, missing.command) == ("Gold build 1 has no public figures yet.", "wardlake flow export")


def test_the_same_query_runs_over_exact_and_public_figures(simulated_lake: Path) -> None:
    exact, public = (ask(data.find(simulated_lake, audience), COUNT) for audience in Audience)  # type: ignore[arg-type]
    assert exact["admissions"][0] > public["admissions"][0] > 0
    assert public["admissions"][0] % 5 == 0


def test_a_lake_without_visits_has_nothing_to_show(empty_lake: Path) -> None:
    missing = data.find(empty_lake, Audience.INTERNAL)
    assert isinstance(missing, Missing)
    assert missing.what == "The lake holds no visits yet."


def swap(lake: Path, build_id: int) -> None:
    """Put another build in place, as ``lake.gold.duckdb_file`` does: a facility of the first one is gone."""
    link = lake / LINK
    new = lake / f"gold-{build_id}.duckdb"
    shutil.copy(link.resolve(), new)
    with duckdb.connect(str(new)) as connection:
        connection.execute("UPDATE gold.build SET build_id = ?", [build_id])
        connection.execute("DELETE FROM gold.admissions WHERE facility = 'Mercy Harbor'")
    aside = lake / ".link"
    aside.symlink_to(new.name)
    aside.replace(link)


def test_a_new_build_shows_at_once_and_the_old_one_can_go(own_lake: Path) -> None:
    before = found(own_lake)
    rows = ask(before, COUNT)
    swap(own_lake, 2)
    after = found(own_lake)
    assert after.build_id == 2
    assert ask(after, COUNT)["n"][0] < rows["n"][0]
    Path(before.file).unlink()
    assert ask(before, COUNT).equals(rows)


def test_another_lake_at_the_same_place_is_not_taken_for_the_old_one(own_lake: Path) -> None:
    before = ask(found(own_lake), COUNT)
    target = (own_lake / LINK).resolve()
    aside = target.with_name("aside.duckdb")
    shutil.copy(target, aside)
    with duckdb.connect(str(aside)) as connection:
        connection.execute("DELETE FROM gold.admissions WHERE facility = 'Mercy Harbor'")
    aside.replace(target)
    assert ask(found(own_lake), COUNT)["n"][0] < before["n"][0]


def test_ten_readers_see_whole_builds_while_files_are_swapped(own_lake: Path) -> None:
    whole = {1: ask(found(own_lake), COUNT).row(0)}
    swap(own_lake, 2)
    whole[2] = ask(found(own_lake), COUNT).row(0)
    wrong: list[object] = []
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            try:
                build = found(own_lake)
                seen = ask(build, f"{COUNT} -- {threading.get_ident()}").row(0)
                if seen != whole[min(build.build_id, 2)]:
                    wrong.append(seen)
            except Exception as error:  # told below: an exception in a thread fails no test
                wrong.append(error)

    readers = [threading.Thread(target=read) for _ in range(10)]
    for reader in readers:
        reader.start()
    for build_id in range(3, 13):
        swap(own_lake, build_id)
        (own_lake / f"gold-{build_id - 3}.duckdb").unlink(missing_ok=True)
    over.set()
    for reader in readers:
        reader.join()
    assert wrong == []
