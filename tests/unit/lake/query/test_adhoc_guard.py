"""``wardlake sql`` reads the tables of the lake and nothing else, and knows when patients' rows are among them."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import duckdb
import polars as pl
import pytest

from lake.contracts.tables import SILVER
from lake.query.adhoc import guard, schema_copy, worker
from lake.query.adhoc.run import request_of
from lake.query.views import Table
from lake.storage.store import DeltaStore
from tests.corpus import sql_attacks as corpus
from tests.support.golds import build
from tests.support.lakes import make_lake, simulated

Answer = tuple[pl.DataFrame, str | None]
"""Rows, and what is to be written down."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with Gold, and beside it what must not be read; the tests of this module only read it."""
    lake = make_lake(tmp_path_factory.mktemp("guarded") / "lake", simulated(400))
    build(lake)
    (lake.root.parent / "outside.csv").write_text("secret,word\nsesame,open\n")
    pl.DataFrame({"secret": ["sesame"]}).write_parquet(lake.root.parent / "outside.parquet")
    return lake.root


@pytest.fixture(scope="module")
def request_(root: Path) -> Mapping[str, Any]:
    return json.loads(json.dumps(request_of(root, "", 60)))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def ask(root: Path, request_: Mapping[str, Any]) -> Callable[[str], Answer]:
    """Run a query as the worker does, in this process."""
    [file, *_] = DeltaStore(root, SILVER).handle.file_uris()
    names = {
        "file": file.removeprefix("file://"),
        "root": str(root),
        "csv": str(root.parent / "outside.csv"),
        "parquet": str(root.parent / "outside.parquet"),
    }

    def asked(text: str) -> Answer:
        for name, path in names.items():
            text = text.replace(f"{{{name}}}", path)
        said: list[Mapping[str, Any]] = []
        try:
            rows = worker.answer({**request_, "query": text}, said.append)
        except guard.RefusedError as refused:
            refused.add_note(json.dumps(said))
            raise
        [admitted] = said
        return rows, admitted["audit"]

    return asked


def test_what_is_no_table_of_the_lake_is_refused(
    subtests: pytest.Subtests, root: Path, ask: Callable[[str], Answer]
) -> None:
    for text in corpus.READS:
        with subtests.test(text=text):
            before = {path: path.stat().st_mtime_ns for path in root.parent.rglob("*")}
            with pytest.raises(guard.RefusedError) as refused:
                ask(text)
            assert "sesame" not in refused.value.got
            assert "\n" not in refused.value.got
            assert {path: path.stat().st_mtime_ns for path in root.parent.rglob("*")} == before


def test_the_catalogue_can_be_asked_and_tells_no_path(
    subtests: pytest.Subtests, root: Path, ask: Callable[[str], Answer]
) -> None:
    for text in corpus.CATALOGUE:
        with subtests.test(text=text):
            rows, _ = ask(text)
            shown = rows.write_json()
            assert rows.width > 0
            for hidden in (str(root), str(root.parent), ".parquet'", str(Path.home()), "read_parquet(["):
                assert hidden not in shown


def test_a_query_of_patients_rows_is_written_down(subtests: pytest.Subtests, ask: Callable[[str], Answer]) -> None:
    for text in corpus.PERSONAL:
        with subtests.test(text=text):
            rows, audited = ask(text)
            assert rows.width > 0
            assert audited


def test_a_query_of_figures_is_not(subtests: pytest.Subtests, ask: Callable[[str], Answer]) -> None:
    for text in corpus.IMPERSONAL:
        with subtests.test(text=text):
            rows, audited = ask(text)
            assert rows.width > 0
            assert audited is None


def test_nothing_that_somebody_typed_is_written_down(subtests: pytest.Subtests, ask: Callable[[str], Answer]) -> None:
    for text in [*corpus.SPELT, *corpus.UNQUOTED]:
        with subtests.test(text=text):
            try:
                kept = ask(text)[1]
            except guard.RefusedError as refused:
                [said] = refused.__notes__
                kept = said
            assert kept
            assert [value for value in corpus.VALUES if value in kept] == []
            assert [digits for digits in ("6789", "1961") if digits in kept] == []


PROBES: Final = ("allowed_paths", "FROM ops.ingest", "gold.admissions_weekly")


@pytest.mark.slow
def test_no_function_that_duckdb_has_tells_a_path(root: Path, request_: Mapping[str, Any]) -> None:
    """Also one that a later DuckDB brings: alone, and with a table of the lake."""
    tables = [Table(**table) for table in request_["tables"]]
    copy = schema_copy.empty_copy(tables, request_["views"])
    opened = worker.opened([table for table in tables if table.name == "ingest"], request_["views"], None)
    names = {name for (name,) in copy.execute("SELECT function_name FROM duckdb_functions()").fetchall()}
    assert len(names) > 600
    told = []
    for name in sorted(name for name in names if name.isidentifier() and "sleep" not in name):
        for probe in PROBES:
            for text in (f"SELECT {name}('{probe}'), count(*) FROM ops.ingest", f"FROM {name}('{probe}')"):
                try:
                    reading = guard.check(copy, guard.parsed(copy, text), text)
                    shown = repr((opened if reading.tables else copy).execute(text).fetchall())
                except (guard.RefusedError, duckdb.Error) as error:
                    shown = str(error)
                told += [text] if str(root.parent) in shown else []
    assert told == []
