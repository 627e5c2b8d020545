"""SQL that somebody typed: what it may see, what it may not, and that nothing it does outlasts its limits."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import duckdb
import polars as pl
import psutil
import pytest

from dashboards.screens.sql import query_worker, sandbox
from lake.errors import UsageError
from tests.corpus import sql_attacks

SECRET: Final = "CANARY-4711"
SLOW: Final = "SELECT count(*) FROM gold.days a, gold.days b, gold.days c"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of Gold, and beside it what it must not see: a table, a file, another database."""
    root = tmp_path_factory.mktemp("sandbox")
    pl.DataFrame({"secret": [SECRET]}).write_parquet(root / "part.parquet")
    pl.DataFrame({"secret": [SECRET]}).write_csv(root / "part.csv")
    (root / "part.json").write_text(f'[{{"secret": "{SECRET}"}}]')
    with duckdb.connect(str(root / "raw.duckdb")) as raw:
        raw.execute(f"CREATE SCHEMA gold; CREATE TABLE gold.raw AS SELECT '{SECRET}' AS secret")
    with duckdb.connect(str(root / "public.duckdb")) as gold:
        gold.execute("CREATE SCHEMA gold; CREATE TABLE gold.days AS SELECT range AS day, 'x' AS name FROM range(20000)")
    return root


@pytest.fixture(scope="module")
def connection(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with query_worker.opened(str(folder / "public.duckdb")) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _beside_the_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def run(folder: Path, text: str, seconds: float = 20.0) -> sandbox.Answer:
    return sandbox.run(str(folder / "public.duckdb"), text, seconds=seconds)


def test_what_may_be_asked(subtests: pytest.Subtests, connection: duckdb.DuckDBPyConnection) -> None:
    for text, rows in [
        ("SELECT count(*) AS n, sum(day) AS days FROM gold.days", [(20_000, 199_990_000)]),
        ("FROM gold.days WHERE day = 3", [(3, "x")]),
        ("WITH a AS (SELECT 1 AS x) SELECT x, x FROM a;", [(1, 1)]),
        ("VALUES (1, NULL)", [(1, None)]),
        ("-- a comment\nSELECT [1, 2] AS l, {'a': DATE '2026-01-01'} AS s, 'é\u2028😀' AS t /* end */", None),
        ("SELECT '\\xAA'::BLOB AS b, sum(170141183460469231731687303715884105727::HUGEINT) AS h", None),
        ("SUMMARIZE gold.days", None),
        ("DESCRIBE gold.days", None),
        ("SHOW ALL TABLES", None),
        ("SELECT * FROM information_schema.tables", None),
        ("SELECT day FROM gold.days WHERE false", []),
    ]:
        with subtests.test(text=text):
            said, found = query_worker.answer(connection, text, 100)
            assert said == {"kind": "rows", "cut": False}
            assert found is not None
            assert rows is None or found.rows() == rows
            found.write_csv()  # whatever it is, it can be downloaded


ATTACKS: Final = [
    # another file, in every way there is
    "FROM 'part.parquet'",
    "FROM 'part.csv'",
    "FROM 'part.json'",
    "FROM '/etc/passwd'",
    "FROM 'raw.duckdb'",
    "FROM '{folder}/raw.duckdb'",
    "SELECT * FROM read_parquet('part.parquet')",
    "SELECT * FROM parquet_scan(['{folder}/part.parquet'])",
    "SELECT * FROM read_csv('part.csv')",
    "SELECT * FROM read_csv_auto('/etc/passwd')",
    "SELECT * FROM sniff_csv('part.csv')",
    "SELECT * FROM read_json('part.json')",
    "SELECT * FROM read_ndjson_objects('part.json')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('{folder}/public.duckdb')",
    "SELECT * FROM read_blob('public.duckdb')",
    "SELECT * FROM read_duckdb('raw.duckdb')",
    "SELECT * FROM parquet_metadata('part.parquet')",
    "SELECT * FROM parquet_schema('part.parquet')",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT * FROM glob('*')",
    "SELECT * FROM read_text('/proc/self/environ')",
    "SELECT * FROM read_text('\\\\host\\share\\x')",
    "SELECT * FROM read_csv('https://127.0.0.1:1/x.csv')",
    "SELECT * FROM 's3://bucket/x.parquet'",
    "SELECT * FROM delta_scan('{folder}')",
    "SELECT * FROM iceberg_scan('{folder}')",
    "SELECT * FROM sqlite_scan('{folder}/x', 'y')",
    "SELECT * FROM postgres_scan('host=127.0.0.1', 'a', 'b')",
    "WITH a AS (FROM read_text('part.csv')) FROM a",
    "SELECT (SELECT content FROM read_text('part.csv')) FROM gold.days",
    "/* SELECT 1 */ FROM/**/read_text('part.csv') -- x",
    "FROM re\u200bad_text('part.csv')",
    "FROM READ_TEXT(U&'part.csv')",
    "SELECT * FROM query('FROM read_text(''part.csv'')')",
    "SELECT * FROM query('ATTACH ''raw.duckdb'' AS g')",
    "SELECT * FROM query('SELECT 1; SELECT 2')",
    "SELECT * FROM query_table('part.csv')",
    "SELECT * FROM query_table(['{folder}/part.parquet'])",
    "SELECT getenv('PATH')",
    "SELECT * FROM import_database('{folder}')",
    # other schemas, variables of this program
    "FROM silver.events",
    "FROM bronze.events",
    "FROM ops.audit",
    "FROM memory.gold.days",
    "FROM connection",
    "FROM text",
    # more than one statement, or another kind
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE gold.days",
    "DROP TABLE gold.days",
    "CREATE TABLE t AS SELECT 1",
    "CREATE TEMP TABLE t AS SELECT 1",
    "CREATE VIEW v AS FROM 'part.csv'",
    "CREATE MACRO m() AS 1",
    "CREATE SECRET s (TYPE s3)",
    "INSERT INTO gold.days VALUES (1, 'y')",
    "WITH x AS (DELETE FROM gold.days RETURNING *) SELECT * FROM x",
    "UPDATE gold.days SET day = 1",
    "DELETE FROM gold.days",
    "ATTACH '{folder}/raw.duckdb' AS g",
    "DETACH public",
    "USE memory",
    "COPY gold.days TO '{folder}/out.csv'",
    "COPY (SELECT 1) TO '/tmp/out.parquet'",
    "EXPORT DATABASE '{folder}/out'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "LOAD '{folder}/x.duckdb_extension'",
    "PRAGMA database_list",
    "PRAGMA enable_profiling",
    "SET enable_external_access = true",
    "SET disabled_filesystems = ''",
    "RESET lock_configuration",
    "CALL duckdb_settings()",
    "CALL enable_logging()",
    "SELECT * FROM enable_logging()",
    "EXPLAIN SELECT 1",
    "EXPLAIN ANALYZE SELECT * FROM gold.days",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "BEGIN",
    "CHECKPOINT",
    "VACUUM",
    "PIVOT gold.days ON name",
    "SET VARIABLE x = (SELECT 1)",
    "",
    ";",
    "-- nothing",
    "SELEC 1",
    "SELECT '",
    "\x00",
]


def test_what_may_not(subtests: pytest.Subtests, connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    for attack in ATTACKS:
        with subtests.test(attack=attack):
            before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
            said, found = query_worker.answer(connection, attack.replace("{folder}", str(folder)), 100)
            assert said["kind"] in {"statement", "query", "file"}
            assert found is None
            assert SECRET not in str(said)
            assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
            assert connection.sql("SELECT count(*) FROM gold.days").fetchall() == [(20_000,)]


def test_the_catalogue_tells_of_nothing_but_gold(
    subtests: pytest.Subtests, connection: duckdb.DuckDBPyConnection
) -> None:
    for text in [
        "SELECT current_setting('enable_external_access'), current_setting('lock_configuration')",
        "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM duckdb_databases() WHERE path LIKE '%raw.duckdb'",
        "SELECT * FROM duckdb_variables()",
        "SELECT * FROM duckdb_logs",
        "SELECT table_schema FROM information_schema.tables WHERE table_schema <> 'gold'",
    ]:
        with subtests.test(text=text):
            _, found = query_worker.answer(connection, text, 100)
            assert found is not None
            assert found.rows() in ([], [(False, True)])


def test_the_catalogue_tells_no_path(
    subtests: pytest.Subtests, connection: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    for text in sql_attacks.CATALOGUE:
        with subtests.test(text=text):
            said, found = query_worker.answer(
                connection, text.replace("silver.events", "gold.days").replace("silver", "gold"), 100_000
            )
            assert found is not None or "admissions_weekly" in text, said
            assert str(folder) not in str(said)
            assert found is None or str(folder) not in found.write_json()


def test_the_catalogue_cannot_be_asked_with_a_table(
    subtests: pytest.Subtests, connection: duckdb.DuckDBPyConnection
) -> None:
    for text in [
        "SELECT count(*), current_setting('allowed_paths') FROM gold.days",
        "SELECT any_value(path) FROM duckdb_databases(), gold.days",
        "SELECT count(*) FROM gold.days, pragma_database_list",
        "FROM query('FROM gold.days')",
        "FROM query_table('gold.days')",
        "SELECT json_serialize_plan('FROM gold.days'), count(*) FROM gold.days",
    ]:
        with subtests.test(text=text):
            said, found = query_worker.answer(connection, text, 100)
            assert said["kind"] in {"query", "file"}
            assert found is None


def test_an_error_quotes_the_query_never_a_row(connection: duckdb.DuckDBPyConnection) -> None:
    for text in ("SELECT name::INT FROM gold.days", "SELECT error(name || '!') FROM gold.days", "SELECT 1 / nam"):
        said, _ = query_worker.answer(connection, text, 100)
        assert said["kind"] == "query"
        assert "'x'" not in said["got"]
        assert "x!" not in said["got"]


def test_rows_are_cut_at_the_limit(folder: Path) -> None:
    found = run(folder, "SELECT day FROM gold.days ORDER BY day DESC")
    assert (found.rows.height, found.cut) == (sandbox.ROWS, True)
    assert found.rows["day"].head(2).to_list() == [19_999, 19_998]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("DROP TABLE gold.days", "only a single SELECT is run here; got DROP; expected one SELECT"),
        ("SELECT * FROM read_text('part.csv')", "files cannot be read here"),
        ("SELECT '" + "x" * sandbox.CHARACTERS + "'", "the query is too long; got 10,009 characters"),
        ("SELECT repeat('a', 1_000_000_000)", "the query needs too much memory and was ended"),
        ("SELECT day, repeat('abcdefghij', 300) FROM gold.days", "the result is too large to show"),
    ],
)
def test_a_refusal_says_what_to_do(folder: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=f"^{said}"):
        run(folder, text)


def test_what_is_slow_or_huge_is_ended_and_the_next_query_works(folder: Path) -> None:
    slow = [
        SLOW,
        "WITH RECURSIVE t AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM t) SELECT max(x) FROM t",
        "SELECT sum(hash(range)) FROM range(1000000000000)",
    ]
    for text in slow:
        started = time.monotonic()
        assert refusal(folder, text, 1.0).startswith("the query took longer than 1 s and was ended; ask for less: ")
        assert time.monotonic() - started < 2.0
    assert "memory" in refusal(folder, "SELECT list(repeat('a', 1000000) || day) FROM gold.days", 20.0)
    assert at_work() == []
    assert run(folder, "SELECT 1 AS one").rows.rows() == [(1,)]


def test_no_more_than_a_few_run_at_once(folder: Path) -> None:
    with ThreadPoolExecutor(sandbox.AT_ONCE) as pool:
        running = [pool.submit(refusal, folder, SLOW, 1.0) for _ in range(sandbox.AT_ONCE)]
        while len(at_work()) < len(running):
            time.sleep(0.01)
        assert refusal(folder, "SELECT 1", 0.2) == "other people's queries are running; try again in a moment"


def at_work() -> list[psutil.Process]:
    """The sandboxes that run a query now."""
    children = psutil.Process().children()
    return [one for one in children if any("query_worker.py" in word for word in command(one))]


def command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it has ended
        return []


def refusal(folder: Path, text: str, seconds: float) -> str:
    with pytest.raises(UsageError) as refused:
        run(folder, text, seconds)
    return str(refused.value)


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^Gold has just been built anew; run the query again$"):
        sandbox.run(str(tmp_path / "gold_public-1.duckdb"), "SELECT 1", seconds=20)
    assert not list(tmp_path.iterdir())


def test_the_process_sees_nothing_of_ours(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDLAKE_KEY", SECRET)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(refusal, folder, SLOW, 1.0)
        while not (found := at_work()):
            time.sleep(0.01)
        assert "WARDLAKE_KEY" not in found[0].environ()
        assert running.result()
