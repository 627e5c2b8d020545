"""SQL over the lake: what it shows, and that it can neither write nor read anything else."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import duckdb
import polars as pl
import pytest

from lake.contracts.tables import AUDIT, BRONZE, INGEST, QUARANTINE, SILVER, Table
from lake.errors import UsageError
from lake.query import lake_sql
from lake.storage.store import open_lake
from tests.support.lakes import KEY, Feeder, event, make_lake, rows, simulated, wardlake


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with messages; the tests of this module only read it."""
    path = tmp_path_factory.mktemp("query") / "lake"
    make_lake(path, simulated(120))
    return path


@pytest.fixture
def connection(root: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    made = lake_sql.connect(root)
    yield made
    made.close()


def refused(root: Path, text: str) -> str:
    with pytest.raises(UsageError) as caught:
        lake_sql.run(root, text)
    message = str(caught.value)
    assert "\n" not in message
    return message


# What it shows.


def test_views_hold_the_rows_of_the_tables(root: Path) -> None:
    for table in (SILVER, INGEST):
        shown = lake_sql.run(root, f"FROM {table.name.replace('/', '.')}")
        assert set(shown.columns) == set(table.polars_schema.names())
        assert shown.height == rows(root, table).height > 0


def test_partition_columns_are_dates_and_times_are_utc(root: Path) -> None:
    shown = lake_sql.run(root, "SELECT event_date, event_time FROM silver.events LIMIT 1")
    assert shown.schema == {"event_date": pl.Date(), "event_time": pl.Datetime("us", "UTC")}
    assert shown["event_time"].dt.date().to_list() == shown["event_date"].to_list()


def test_an_empty_table_can_be_queried(tmp_path: Path) -> None:
    make_lake(tmp_path / "empty")
    for table in (SILVER, INGEST, AUDIT):
        shown = lake_sql.run(tmp_path / "empty", f"FROM {table.name.replace('/', '.')}")
        assert (shown.height, set(shown.columns)) == (0, set(table.polars_schema.names()))


@pytest.mark.parametrize("name", ["summary", "accounting", "fields", "rules"])
def test_the_queries_that_come_along_run_on_any_lake(root: Path, tmp_path: Path, name: str) -> None:
    assert lake_sql.named(root, name).height > 0
    make_lake(tmp_path / "empty")
    assert lake_sql.named(tmp_path / "empty", name).height == (1 if name in {"summary", "accounting"} else 0)


@pytest.mark.parametrize(
    "text",
    [
        "FROM silver.events LIMIT 1",
        "VALUES (1), (2)",
        "WITH n AS (SELECT 1 AS x) SELECT x FROM n;",
        "SUMMARIZE ops.ingest",
        "DESCRIBE silver.events",
        "SHOW ALL TABLES",
        "SELECT 'COPY ; ATTACH' AS harmless -- CREATE",
    ],
)
def test_whatever_only_reads_is_run(root: Path, text: str) -> None:
    assert lake_sql.run(root, text).height > 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("TIMESTAMP '2025-01-02' - TIMESTAMP '2025-01-01'", "1 day"),
        ("MAP([[1]], ['a'])", "{[1]=a}"),
        ("MAP([DATE '2025-01-01'], [1])", "{2025-01-01=1}"),
        ("[{'for': INTERVAL 2 HOUR}]", "[{'for': '02:00:00'}]"),
        ("union_value(one := 1)", "1"),
        ("'101'::BIT", "101"),
        ("'12'::BIGNUM", "12"),
        ("7::VARIANT", "7"),
        ("TIMETZ '01:02:03+02'", "01:02:03+02"),
        ("'infinity'::TIMESTAMPTZ", "infinity"),
        ("'-infinity'::DATE", "-infinity"),
        ("TIMESTAMP '12025-01-01'", "12025-01-01"),
        ("[{'till': 'infinity'::DATE}]", "[{'till': infinity}]"),
        ("array_value(DATE '2025-01-01', 'infinity'::DATE)", "[2025-01-01, infinity]"),
        ("MAP {'till': 'infinity'::DATE}", "{till=infinity}"),
    ],
)
@pytest.mark.parametrize("form", ["json", "csv", "table"])
def test_what_no_frame_can_hold_comes_as_text(root: Path, value: str, text: str, form: str) -> None:
    shown = wardlake("sql", "--lake", root, "--format", form, f'SELECT {value} AS "the value", 1 AS one')
    assert shown.code == 0, shown.err
    assert text in shown.out


def test_a_view_follows_the_newest_snapshot(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", [(0, event(message_id="m-1"))])
    count = "SELECT count(*) FROM silver.events"
    assert lake_sql.run(lake.root, count).item() == 1
    Feeder(lake).land([(0, event(message_id="m-2", patient_id="MRN2"))])
    assert lake_sql.run(lake.root, count).item() == 2


def test_an_open_connection_keeps_its_snapshot_while_the_stream_appends(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", [(0, event(message_id="m-1"))])
    connection, feeder = lake_sql.connect(lake.root), Feeder(lake)
    for number in range(2, 8):
        feeder.land([(0, event(message_id=f"m-{number}", patient_id=f"MRN{number}"))])
        assert lake_sql.query(connection, "SELECT count(*) FROM silver.events").item() == 1
        assert lake_sql.run(lake.root, "SELECT count(*) FROM silver.events").item() == number
    lake.store(SILVER).compact()
    assert lake_sql.query(connection, "SELECT count(*) FROM silver.events").item() == 1
    connection.close()


@pytest.mark.parametrize("name", ["my lake", "St Mary's", "Klinik-Süd", "100%"])
def test_the_lake_may_have_any_name(tmp_path: Path, name: str) -> None:
    make_lake(tmp_path / name, [(0, event())])
    assert lake_sql.run(tmp_path / name, "SELECT count(*) FROM silver.events").item() == 1


# What it cannot do.

WRITES: Final = [
    "COPY (SELECT 1) TO '{out}'",
    "COPY silver.events TO '{out}' (FORMAT parquet)",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{out}'",
    "EXPLAIN COPY (SELECT 1) TO '{out}'",
    "ATTACH '{out}' AS other",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET threads = 1",
    "SET enable_external_access = true",
    "RESET lock_configuration",
    "PRAGMA enable_profiling",
    "CALL pragma_version()",
    "CREATE TABLE t AS SELECT 1",
    "CREATE OR REPLACE VIEW silver.events AS SELECT 1",
    "CREATE MACRO f() AS 1",
    "INSERT INTO ops.ingest SELECT * FROM ops.ingest",
    "UPDATE ops.audit SET who = 'x'",
    "DELETE FROM ops.audit",
    "DROP VIEW silver.events",
    "ALTER TABLE ops.audit RENAME TO x",
    "EXPORT DATABASE '{out}'",
    "IMPORT DATABASE '{out}'",
    "VACUUM",
    "CHECKPOINT",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "BEGIN",
    "USE ops",
    "SELECT 1; SELECT 2",
    "SELECT 1; COPY (SELECT 1) TO '{out}'",
    "",
    "  -- nothing",
    ";",
]


@pytest.mark.parametrize("text", WRITES)
def test_anything_but_one_select_is_refused(root: Path, tmp_path: Path, text: str) -> None:
    out = tmp_path / "out"
    message = refused(root, text.replace("{out}", str(out)))
    assert "only a single SELECT is run here" in message
    assert not out.exists()


READS: Final = [
    "SELECT * FROM read_text('{file}')",
    "SELECT * FROM read_blob('{file}')",
    "SELECT * FROM read_csv('{file}')",
    "SELECT * FROM read_json('{file}')",
    "SELECT * FROM sniff_csv('{file}')",
    "SELECT * FROM glob('{folder}/*')",
    "FROM '{file}'",
    "SELECT * FROM read_parquet('{parquet}')",
    "SELECT * FROM read_parquet('{folder}/*.parquet')",
    "SELECT * FROM parquet_metadata('{parquet}')",
    "SELECT * FROM parquet_schema('{parquet}')",
    "SELECT * FROM parquet_file_metadata('{parquet}')",
    "SELECT * FROM parquet_kv_metadata('{parquet}')",
    "FROM '{parquet}'",
    "SELECT * FROM query('FROM read_text(''{file}'')')",
    "SELECT * FROM delta_scan('{folder}')",
    "SELECT getenv('HOME')",
]


@pytest.mark.parametrize("text", READS)
def test_no_other_file_is_read(root: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "file.csv").write_text("secret,word\nsesame,open\n")
    pl.DataFrame({"secret": ["sesame"]}).write_parquet(tmp_path / "other.parquet")
    places = {"file": tmp_path / "file.csv", "parquet": tmp_path / "other.parquet", "folder": tmp_path}
    message = refused(root, text.format(**places))
    assert "sesame" not in message


def test_the_password_file_is_not_read(root: Path) -> None:
    assert "root:" not in refused(root, "SELECT content FROM read_text('/etc/passwd')")


@pytest.mark.parametrize("table", [BRONZE, QUARANTINE])
def test_encrypted_tables_are_not_there_and_their_files_are_closed(root: Path, table: Table) -> None:
    assert "does not exist" in refused(root, f"SELECT * FROM {table.name.replace('/', '.')}")
    files = open_lake(root, KEY).store(table).handle.file_uris()
    assert files
    quoted = files[0].removeprefix("file://").replace("'", "''")
    refused(root, f"SELECT * FROM read_parquet('{quoted}')")
    refused(root, f"SELECT * FROM read_blob('{quoted}')")


def test_the_marker_and_the_log_are_closed(root: Path) -> None:
    for name in ("wardlake.json", "silver/events/_delta_log/00000000000000000000.json"):
        quoted = str(root / name).replace("'", "''")
        refused(root, f"SELECT * FROM read_text('{quoted}')")


def test_the_settings_are_locked_behind_the_statement_check_too(
    subtests: pytest.Subtests, connection: duckdb.DuckDBPyConnection
) -> None:
    for text in [
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SET allowed_paths = ['/etc/passwd']",
        "SET allowed_directories = ['/']",
        "SET autoinstall_known_extensions = true",
        "PRAGMA temp_directory='/tmp'",
        "INSTALL httpfs",
        "LOAD httpfs",
    ]:
        with subtests.test(text=text), pytest.raises(duckdb.Error):
            connection.execute(text)


def test_the_sandbox_holds_without_the_statement_check(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    for text in (f"COPY (SELECT 1) TO '{tmp_path}/out'", f"ATTACH '{tmp_path}/out.db'", "FROM '/etc/passwd'"):
        with pytest.raises(duckdb.Error):
            connection.execute(text)
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_query_is_one_line_with_a_next_move(root: Path) -> None:
    message = refused(root, "SELECT nope\nFROM silver.events")
    assert message.startswith("the query cannot be run; got Binder Error")
    assert message.endswith("SHOW ALL TABLES lists what there is")


# The command's three formats.

SAMPLE: Final = (
    "SELECT 7 AS whole, 2.5::DOUBLE AS part, 'Ruíz' AS word, NULL AS nothing, true AS yes, "
    "TIMESTAMPTZ '2026-03-01 08:00:00+01' AS at, DATE '2026-03-01' AS day, "
    "[1, 2] AS list, {'a': 1, 'b': 'x'} AS pair, [{'a': 1}] AS pairs"
)


def test_json_is_one_array_of_objects(root: Path) -> None:
    ran = wardlake("sql", SAMPLE, "--format", "json", "--lake", root)
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out) == [
        {
            "whole": 7,
            "part": 2.5,
            "word": "Ruíz",
            "nothing": None,
            "yes": True,
            "at": "2026-03-01T07:00:00+00:00",
            "day": "2026-03-01",
            "list": [1, 2],
            "pair": {"a": 1, "b": "x"},
            "pairs": [{"a": 1}],
        }
    ]


def test_json_of_no_rows_is_an_empty_array(root: Path) -> None:
    assert wardlake("sql", "SELECT 1 AS x WHERE false", "--format", "json", "--lake", root).json == []


def test_json_numbers_are_numbers(root: Path) -> None:
    text = "SELECT sum(messages) AS total, 1.25::DECIMAL(9, 2) AS price, count(*) AS n FROM ops.ingest"
    [row] = wardlake("sql", text, "--format", "json", "--lake", root).json
    assert {name: type(value) for name, value in row.items()} == {"total": int, "price": float, "n": int}


def test_every_time_of_a_table_is_iso_8601(root: Path) -> None:
    found = wardlake(
        "sql", "SELECT event_time, ingested_at FROM silver.events", "--format", "json", "--lake", root
    ).json
    assert {datetime.fromisoformat(value).tzinfo for row in found for value in row.values()} == {UTC}


def test_csv_has_a_header_and_nested_values_as_json(root: Path) -> None:
    ran = wardlake("sql", SAMPLE, "--format", "csv", "--lake", root)
    [row] = csv.DictReader(io.StringIO(ran.out))
    assert row["at"] == "2026-03-01T07:00:00.000000+00:00"
    assert (row["whole"], row["nothing"], json.loads(row["pairs"])) == ("7", "", [{"a": 1}])


def test_a_table_has_its_columns_and_rows(root: Path) -> None:
    shown = wardlake("sql", "SELECT 'Ruíz' AS word, NULL AS nothing, 7 AS whole", "--lake", root).out
    assert [line.strip("│ ").split() for line in shown.splitlines() if "│" in line] == [["Ruíz", "│", "│", "7"]]


@pytest.mark.parametrize("text", ["[redacted] was seen", "[/red]", "[bold]loud[/bold]"])
def test_a_table_shows_text_as_it_is(root: Path, text: str) -> None:
    assert text in wardlake("sql", f"SELECT '{text}' AS notes", "--lake", root).out
