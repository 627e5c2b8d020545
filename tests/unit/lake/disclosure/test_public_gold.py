"""``gold_public.duckdb``: rounded, whole, swapped in at once, and closed to others."""

import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import polars as pl
import pytest

from app import settings
from app.jobs import build_gold as building
from lake.disclosure import public_gold
from lake.disclosure.public_gold import NAMES
from lake.disclosure.rounding import HIDDEN, of_people, public
from lake.errors import LakeError
from lake.gold import duckdb_file
from lake.gold.published import Published, last
from lake.gold.tables import COMPLIANCE
from tests.support.golds import build, published
from tests.support.lakes import KEY_TEXT, event, make_lake, simulated

NOW: Final = datetime(2026, 10, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with Gold and its public file; the tests of this module only read them."""
    lake = make_lake(tmp_path_factory.mktemp("public") / "lake", simulated(3000))
    build(lake)
    public_gold.write(lake.root, of(lake.root))
    return lake.root


def of(root: Path) -> Published:
    found = last(root)
    assert found is not None
    return found


def rows(root: Path, query: str) -> pl.DataFrame:
    found = public_gold.last(root)
    assert found is not None
    with duckdb.connect(str(found[1]), read_only=True) as connection:
        return connection.sql(query).pl()


@pytest.mark.parametrize("name", NAMES)
def test_it_is_the_public_form_of_the_same_table(root: Path, name: str) -> None:
    with duckdb.connect(str((root / duckdb_file.LINK).resolve()), read_only=True) as exact:
        expected = public(name, exact.sql(f"FROM gold.{name} ORDER BY ALL").pl())
    found = rows(root, f"FROM gold.{name}")
    assert found.height > 0 or name not in ("admissions_totals", "outcomes_totals", "compliance")
    assert found.select(expected.columns).equals(expected)
    assert (HIDDEN in found.columns) == of_people(name)


def test_what_counts_messages_is_as_in_gold(root: Path) -> None:
    keys = ["day", "policy"]
    assert rows(root, "FROM gold.compliance").sort(keys).equals(published(root, COMPLIANCE).sort(keys))


def test_it_says_which_build_it_is(root: Path) -> None:
    [row] = rows(root, "FROM gold.build").iter_rows(named=True)
    found = of(root)
    assert (row["build_id"], row["built_at"], row["timezone"]) == (found.build_id, found.built_at, found.timezone)
    assert (row["data_start"], row["data_end"]) == (found.data_start, found.data_end)


def test_every_column_has_its_meaning(root: Path) -> None:
    words = rows(root, "FROM gold.dictionary")
    assert set(words["table_name"]) == {*NAMES, "build"}
    assert words.filter(pl.col("meaning").is_null() | (pl.col("meaning") == "")).is_empty()
    tables = rows(root, "SELECT comment FROM duckdb_tables() WHERE schema_name = 'gold'")
    assert tables["comment"].null_count() == 0


def test_nobody_else_can_read_it(root: Path) -> None:
    assert stat.S_IMODE((root / public_gold.LINK).resolve().stat().st_mode) == 0o600
    assert (root / public_gold.LINK).readlink() == Path("gold_public-1.duckdb")


def test_it_is_made_once(root: Path) -> None:
    before = public_gold.path_of(root, 1).stat()
    assert public_gold.write(root, of(root)) == public_gold.path_of(root, 1)
    after = public_gold.path_of(root, 1).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_the_same_gold_gives_the_same_file(root: Path, tmp_path: Path) -> None:
    before = {name: rows(root, f"FROM gold.{name}") for name in NAMES}
    again = tmp_path / "again.duckdb"
    public_gold._write(again, root, of(root))
    with duckdb.connect(str(again), read_only=True) as connection:
        assert all(connection.sql(f"FROM gold.{name}").pl().equals(frame) for name, frame in before.items())


# Writing it.


def numbered(root: Path, build_id: int) -> Published:
    return Published(**{**vars(of(root)), "build_id": build_id})


@pytest.fixture
def small(tmp_path: Path) -> Path:
    lake = make_lake(tmp_path / "lake", simulated(60))
    build(lake)
    return lake.root


def test_before_there_is_one_there_is_none(small: Path) -> None:
    assert public_gold.last(small) is None


def test_the_last_three_are_kept_and_an_old_one_is_not_linked(small: Path) -> None:
    for build_id in (8, 9, 10, 11, 10):
        public_gold.write(small, numbered(small, build_id))
    assert sorted(path.name for path in small.glob("gold_public*")) == [
        "gold_public-10.duckdb", "gold_public-11.duckdb", "gold_public-9.duckdb", "gold_public.duckdb",
    ]  # fmt: skip
    assert public_gold.last(small) == (11, public_gold.path_of(small, 11).resolve())


def test_what_is_cut_short_leaves_the_one_before(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    public_gold.write(small, numbered(small, 1))

    def refuse(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(duckdb_file, "comment", refuse)
        with pytest.raises(LakeError, match=r"^public Gold was not written to .*; got a full disk; "):
            public_gold.write(small, numbered(small, 2))
    assert public_gold.last(small) == (1, public_gold.path_of(small, 1).resolve())
    assert not public_gold.path_of(small, 2).exists()
    assert public_gold.write(small, numbered(small, 2)) == public_gold.path_of(small, 2)
    assert public_gold.last(small) == (2, public_gold.path_of(small, 2).resolve())
    assert not list(small.glob(".gold_public-*"))


def test_gold_without_a_row_has_a_file_too(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", [(0, event(event_type="discharge"))])
    build(lake)
    public_gold.write(lake.root, of(lake.root))
    assert {name: rows(lake.root, f"FROM gold.{name}").height for name in NAMES if of_people(name)} == dict.fromkeys(
        filter(of_people, NAMES), 0
    )


def test_a_build_for_the_public_makes_it_and_makes_it_again_where_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = make_lake(tmp_path / "lake", simulated(60))
    monkeypatch.setenv("WARDLAKE_KEY", KEY_TEXT)
    assert building.build(settings.load(lake=lake.root)).kind == "full"
    assert public_gold.last(lake.root) is None, "an internal build does not pay for it"
    assert building.build(settings.load(lake=lake.root, audience="public")).kind == "unchanged"
    assert public_gold.last(lake.root) == (1, public_gold.path_of(lake.root, 1).resolve())
