"""How files are written: what they are told apart by without being opened, and no dictionary that helps nobody."""

from pathlib import Path

import duckdb
import polars as pl
import pytest

from lake.contracts.tables import BRONZE, INGEST, QUARANTINE, SILVER, Table
from lake.storage.store import Lake
from tests.support.lakes import make_lake, simulated

KAFKA_COORDINATES = {"kafka_partition", "kafka_offset"}
UNLIKE = {"message_id", "content_hash", "event_time", "kafka_offset", "patient_key", "visit_key"}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return make_lake(tmp_path_factory.mktemp("parquet") / "lake", simulated(600))


def columns(lake: Lake, table: Table) -> pl.DataFrame:
    """The column chunks of a table's live files: ``path_in_schema``, ``encodings``, ``stats_min_value``."""
    store = lake.store(table)
    live = [str(store.path / path) for path in store.files()["path"]]
    found = duckdb.execute("SELECT path_in_schema, encodings, stats_min_value FROM parquet_metadata($1)", [live])
    return pl.DataFrame(found.fetchall(), schema=["path_in_schema", "encodings", "stats_min_value"], orient="row")


@pytest.mark.parametrize(
    ("table", "searched"),
    [
        (BRONZE, {"kafka_partition", "first_offset", "last_offset", "ingested_at"}),
        (QUARANTINE, KAFKA_COORDINATES | {"ingested_at"}),
        (SILVER, KAFKA_COORDINATES | {"event_time"}),
    ],
    ids=lambda value: value.name if isinstance(value, Table) else "",
)
def test_the_log_tells_files_apart_by_what_is_searched_and_by_nothing_else(
    lake: Lake, table: Table, searched: set[str]
) -> None:
    known = lake.store(table).files()
    assert {name.removeprefix("min.") for name in known.columns if name.startswith("min.")} == searched
    bounds = [f"{bound}.{name}" for bound in ("min", "max") for name in searched]
    assert known.select(pl.col(bounds).is_not_null().all()).row(0) == (True,) * len(bounds)


def test_silver_has_statistics_of_what_is_searched_only(lake: Lake) -> None:
    with_statistics = columns(lake, SILVER).filter(pl.col("stats_min_value").is_not_null())
    assert set(with_statistics["path_in_schema"]) == KAFKA_COORDINATES | {"event_time"}


def test_a_table_that_names_no_searched_column_has_statistics_of_all(lake: Lake) -> None:
    found = columns(lake, INGEST).filter(pl.col("stats_min_value").is_not_null())
    assert {"batch_id", "messages", "policy", "ingested_at"} <= set(found["path_in_schema"])


def test_what_differs_in_each_row_has_no_dictionary(lake: Lake) -> None:
    plain = columns(lake, SILVER).filter(~pl.col("encodings").str.contains("DICTIONARY"))
    assert set(plain["path_in_schema"]) == UNLIKE


def test_compacted_files_have_dictionaries_and_the_same_statistics_in_the_log(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", simulated(300), simulated(300, seed=8))
    silver = lake.store(SILVER)
    before = silver.scan().sort("topic_id", "kafka_partition", "kafka_offset").collect()
    silver.compact()
    assert "min.event_time" in silver.files().columns
    keys = columns(lake, SILVER).filter(pl.col("path_in_schema") == "patient_key")
    assert keys["encodings"].str.contains("DICTIONARY").any()
    assert silver.scan().sort("topic_id", "kafka_partition", "kafka_offset").collect().equals(before)
