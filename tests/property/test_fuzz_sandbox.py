"""SQL put together at random from all that DuckDB has: it writes nothing, reads nothing outside, shows no path.

And what the audit keeps of it has none of its constants.
"""

import io
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import duckdb
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.screens.sql import query_worker
from lake.query import lake_sql
from lake.query.adhoc import guard, schema_copy, worker
from lake.query.adhoc.run import request_of
from lake.query.views import Table
from tests.support.fuzzing import FUZZ
from tests.support.lakes import make_lake, simulated

pytestmark = pytest.mark.slow

SECRET: Final = "CANARY-4711"
OUTSIDE: Final = (SECRET.encode(), b"root:x:0", b"PATH=", b"event_date=", b"part-0000")
"""What is in files, the environment and paths of files, and in no answer."""
TYPED: Final = re.compile(r"Smith|\d{5}")
"""What somebody typed into a query, and what the audit does not keep."""

NAMES_ONLY: Final = {"schema", "search_path"}
"""Settings that say where names are looked up first; nothing that is not there anyway."""

COUNT: Final = {"lake": "SELECT count(*) FROM silver.events", "gold": "SELECT count(*) FROM gold.days"}

with duckdb.connect() as _catalogue:
    FUNCTIONS: Final = sorted(
        {
            name
            for (name,) in _catalogue.sql("SELECT function_name FROM duckdb_functions()").fetchall()
            if name.isidentifier()
        }
    )
    SETTINGS: Final = sorted(name for (name,) in _catalogue.sql("SELECT name FROM duckdb_settings()").fetchall())
    KEYWORDS: Final = [word for (word,) in _catalogue.sql("SELECT keyword_name FROM duckdb_keywords()").fetchall()]


def written(rows: pl.DataFrame) -> bytes:
    """Rows as bytes in which any text stands as it is, whatever the kind of column."""
    buffer = io.BytesIO()
    rows.write_ipc(buffer, compression="uncompressed")
    return buffer.getvalue()


class Pen:
    """Two sandboxes in one folder, with what they must not see beside them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        make_lake(folder / "lake", simulated(30))
        pl.DataFrame({"secret": [SECRET]}).write_parquet(folder / "part.parquet")
        (folder / "part.csv").write_text(f"secret\n{SECRET}\n")
        (folder / "part.json").write_text(f'[{{"secret": "{SECRET}"}}]')
        with duckdb.connect(str(folder / "raw.duckdb")) as raw:
            raw.execute(f"CREATE TABLE raw AS SELECT '{SECRET}' AS secret")
        with duckdb.connect(str(folder / "public.duckdb")) as gold:
            gold.execute("CREATE SCHEMA gold; CREATE TABLE gold.days AS FROM range(50) AS t(day)")
        self.request = json.loads(json.dumps(request_of(folder / "lake", "", 60)))
        self.lake = lake_sql.connect(folder / "lake")
        self.gold = query_worker.opened(str(folder / "public.duckdb"))
        tables, views = [Table(**table) for table in self.request["tables"]], self.request["views"]
        copy = schema_copy.empty_copy(tables, views)
        schema_copy.lock(copy)
        self.doors = [
            (copy, worker.opened(tables, views, None)),
            (query_worker.copied(self.gold), self.gold),
        ]
        self.before, self.counts = self.files(), self.count()

    def files(self) -> dict[str, tuple[int, int]]:
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in found}

    def count(self) -> tuple[int, int]:
        lake, gold = self.lake.sql(COUNT["lake"]).fetchall(), self.gold.sql(COUNT["gold"]).fetchall()
        return lake[0][0], gold[0][0]

    def say(self, text: str) -> bytes:
        """All that the two say to a statement: rows, or why there are none. ``kept``: what the audit keeps of it."""
        self.kept: list[object] = []
        try:
            rows = written(worker.answer({**self.request, "query": text}, lambda said: self.kept.append(said["audit"])))
        except guard.RefusedError as error:
            rows = error.got.encode()
        said, found = query_worker.answer(self.gold, text, 100, self.kept.append)
        return rows + str(said).encode() + (b"" if found is None else written(found))

    def say_quickly(self, text: str) -> bytes:
        """The same by the same rules, on connections that stay open."""
        said = b""
        for copy, tables in self.doors:
            try:
                reading = guard.check(copy, guard.parsed(copy, text), text)
                said += repr((tables if reading.tables else copy).execute(text).fetchall()).encode()
            except (guard.RefusedError, duckdb.Error) as error:
                said += str(error).encode()
        return said

    def close(self) -> None:
        for connection in {self.lake, *itertools.chain(*self.doors)}:
            connection.close()


@pytest.fixture(scope="module")
def pen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pen]:
    made = Pen(tmp_path_factory.mktemp("pen"))
    yield made
    made.close()


PATHS: Final = [
    *("part.parquet", "part.csv", "part.json", "raw.duckdb", "*", "**", "../*", "lake/wardlake.json", "out.csv"),
    *("lake/bronze/events/**/*.parquet", "lake/bronze/events", "/etc/passwd", "/proc/self/environ", "file:part.csv"),
    *("/dev/stdin", "http://127.0.0.1:1/x.csv", "s3://b/x", "https://127.0.0.1:1", "duckdb:raw.duckdb", "pipe:ls |"),
]
_PATH: Final = st.sampled_from(["{folder}/" + path if path[0].isalpha() else path for path in PATHS] + PATHS).map(
    lambda path: f"'{path}'"
)
_SPELT: Final = [
    *("'John Smith'", "$$Smith$$", "E'Smith'", "900-55-4711", "900554711", "1961-04-23", "9.00554711e8", '"J Smith"'),
    *("'O'Smith'", "\u2018John Smith\u2019", "DATE '1961-04-23'", "x'900554711a'", "/* John Smith */ 1", "a900554711"),
]
_VALUE: Final = st.one_of(
    _PATH,
    st.sampled_from(_SPELT),
    st.sampled_from(["1", "NULL", "true", "['part.csv']", "{'a': 1}", "day", "*", "'FROM ''part.csv'''"]),
)
_CALL: Final = st.builds(
    lambda name, values, named: f"{name}({', '.join([*values, *named])})",
    st.sampled_from(FUNCTIONS),
    st.lists(_VALUE, max_size=3),
    st.lists(st.sampled_from(["filename = true", "hive_partitioning = true", "all_varchar = true"]), max_size=1),
)
_FROM: Final = st.one_of(
    _CALL,
    _CALL,
    _PATH,
    st.sampled_from(["gold.days", "silver.events", "bronze.events", "raw.raw", "duckdb_settings()"]),
)
_SELECT: Final = st.one_of(
    st.builds("FROM {}".format, _FROM),
    st.builds("SELECT {} FROM {}".format, st.one_of(st.just("*"), _CALL), _FROM),
    st.builds("SELECT {}".format, _CALL),
    st.builds("WITH a AS ({}) FROM a".format, st.builds("FROM {}".format, _FROM)),
    st.builds("SELECT (SELECT COLUMNS(*)::VARCHAR FROM {} LIMIT 1)".format, _FROM),
    st.builds("SELECT * FROM query('FROM {}')".format, _FROM.map(lambda text: text.replace("'", "''"))),
    st.builds("SELECT * FROM query_table({})".format, _PATH),
    st.builds("FROM gold.days POSITIONAL JOIN {}".format, _FROM),
    st.builds("SUMMARIZE {}".format, _FROM),
    st.builds("DESCRIBE {}".format, _FROM),
    st.builds("PIVOT {} ON day".format, _FROM),
)
_ANYTHING: Final = st.one_of(
    st.builds("COPY ({}) TO {}".format, _SELECT, _PATH),
    st.builds("COPY gold.days FROM {}".format, _PATH),
    st.builds("ATTACH {} AS x".format, _PATH),
    st.builds("EXPORT DATABASE {}".format, _PATH),
    st.builds("IMPORT DATABASE {}".format, _PATH),
    st.builds("{} {}".format, st.sampled_from(["INSTALL", "LOAD", "FORCE INSTALL"]), _PATH),
    st.builds("SET {} = {}".format, st.sampled_from(SETTINGS), _VALUE),
    st.builds("RESET {}".format, st.sampled_from(SETTINGS)),
    st.builds("PRAGMA {}={}".format, st.sampled_from(SETTINGS), _VALUE),
    st.builds("CALL {}".format, _CALL),
    st.builds("CREATE OR REPLACE TEMP TABLE t AS {}".format, _SELECT),
    st.builds("PREPARE p AS {}".format, _SELECT),
    st.builds("EXPLAIN ANALYZE {}".format, _SELECT),
    st.builds("INSERT INTO gold.days {}".format, _SELECT),
    st.builds("CREATE MACRO m() AS TABLE {}".format, _SELECT),
)
_DISGUISE: Final = st.sampled_from(
    [
        "{}",
        "{};",
        "/* ; */ {} -- ;",
        "SELECT 1; {}",
        "{}; SELECT 1",
        "({})",
        "\ufeff{}",
        "{}\x00",
        "\u200b{}",
        "EXPLAIN {}",
    ]
)
_WORDS: Final = st.lists(
    st.one_of(st.sampled_from(KEYWORDS), _VALUE, _FROM, st.sampled_from(list("();,*='\"$"))), max_size=12
).map(" ".join)
STATEMENTS: Final = st.builds(
    lambda disguise, text: disguise.replace("{}", text), _DISGUISE, st.one_of(_SELECT, _SELECT, _ANYTHING, _WORDS)
)


@FUZZ
@given(text=STATEMENTS)
def test_no_statement_reads_outside_or_writes(pen: Pen, text: str) -> None:
    said = pen.say(text.replace("{folder}", str(pen.folder)))
    assert [word for word in OUTSIDE if word in said] == []
    assert len(pen.kept) == 2  # one of each
    assert [kept for kept in pen.kept if TYPED.search(str(kept))] == []
    assert pen.count() == pen.counts
    assert pen.files() == pen.before


@pytest.mark.parametrize("path", ["part.csv", "part.parquet", "/etc/passwd"])
def test_no_function_that_duckdb_has_opens_a_file(pen: Pen, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pen.folder)
    assert len(FUNCTIONS) > 500
    leaky = []
    for name in FUNCTIONS:
        for call in (f"{name}('{path}')", f"{name}(['{path}'])", f"{name}('{path}', '{path}')"):
            said = pen.say_quickly(f"FROM {call}") + pen.say_quickly(
                f"SELECT {call}, (SELECT count(*) FROM ops.ingest)"
            )
            said += pen.say_quickly(f"SELECT {call}, (SELECT count(*) FROM gold.days)")
            leaky += [call for word in OUTSIDE if word in said]
    assert leaky == []
    assert (pen.count(), pen.files()) == (pen.counts, pen.before)


@pytest.mark.parametrize("name", sorted({*SETTINGS} - NAMES_ONLY))
def test_no_setting_can_be_changed(pen: Pen, name: str) -> None:
    for connection in (pen.lake, pen.gold):
        before = connection.sql(
            "SELECT value FROM duckdb_settings() WHERE name = $name", params={"name": name}
        ).fetchall()
        for text in (f"SET {name} = '1'", f"SET GLOBAL {name} = 'true'", f"RESET {name}", f"PRAGMA {name}='1'"):
            with pytest.raises(duckdb.Error):
                connection.execute(text)
        after = connection.sql(
            "SELECT value FROM duckdb_settings() WHERE name = $name", params={"name": name}
        ).fetchall()
        assert after == before
