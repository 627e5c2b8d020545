"""The tables and their contracts: complete, fit for Delta, and refusing rows that break what they promise."""

from datetime import UTC, date, datetime
from typing import Any, Final

import polars as pl
import pytest

from lake.contracts.event import FIELDS, REQUIRED, VALUE_SETS
from lake.contracts.tables import AUDIT, BRONZE, INGEST, KAFKA_COORDINATES, LANDED, QUARANTINE, SILVER, TABLES, Table
from lake.security.masking_policy import silver_column

FITS_DELTA: Final = {pl.String, pl.Int32, pl.Int64, pl.Float64, pl.Binary, pl.Date, pl.Datetime, pl.List, pl.Struct}
"""Unsigned integers overflow, Categorical and Enum panic, and floats are not meant by anything else here."""

NOON: Final = datetime(2024, 3, 1, 12, 0, tzinfo=UTC)
GOOD_PLACE: Final = {"topic_id": "t", "kafka_partition": 0, "kafka_offset": 5}
GOOD: Final[dict[str, dict[str, Any]]] = {
    BRONZE.name: {
        "topic": "t", "topic_id": "t", "kafka_partition": 0, "first_offset": 5, "last_offset": 9, "messages": 4,
        "ingested_at": NOON, "key_id": "0123456789abcdef", "payload": b"", "ingest_date": NOON.date(),
    },
    QUARANTINE.name: GOOD_PLACE
    | {
        "topic": "t", "ingested_at": NOON, "reasons": ["not_json"], "resolved_at": None, "ingest_date": NOON.date(),
    },
    SILVER.name: GOOD_PLACE
    | dict.fromkeys(map(silver_column, FIELDS))
    | {
        "event_index": 0, "source_format": "event", "message_id": "m", "event_type": "admit", "event_time": NOON,
        "patient_key": "a" * 32, "visit_key": "b" * 32,
        "facility": "F", "department": "D", "policy": "display", "policy_fingerprint": "0" * 16, "content_hash": -1,
        "ingested_at": NOON, "event_date": NOON.date(),
    },
    INGEST.name: {
        "batch_id": "x", "kind": "stream", "topic_id": "t", "kafka_partition": 0, "first_offset": 1, "last_offset": 9,
        "messages": 10, "silver": 3, "quarantined": 2, "duplicates": 1, "ignored": 4, "events": 5, "unknown_fields": 0,
        "rules": [], "fields": [], "seconds": [], "policy": "display", "policy_fingerprint": "0" * 16,
        "ingested_at": NOON, "ingest_date": NOON.date(),
    },
}  # fmt: skip


def broken(table: Table, **changes: Any) -> set[str]:
    """The rules that a good row breaks once these columns are changed."""
    row = pl.DataFrame([GOOD[table.name] | changes], schema=table.polars_schema)
    _, failure = table.schema.filter(row)
    return set(failure.counts())


def test_a_table_fits_delta_and_has_its_partition_column(subtests: pytest.Subtests) -> None:
    for table in TABLES:
        with subtests.test(table=table):
            types = {dtype.base_type() for dtype in table.polars_schema.values()}
            assert types <= FITS_DELTA
            assert table.polars_schema[table.partition] == pl.Date
            assert table.empty().schema == table.polars_schema
            assert table.empty().is_empty()


def test_times_are_utc_microseconds(subtests: pytest.Subtests) -> None:
    for table in TABLES:
        with subtests.test(table=table):
            times = {dtype for dtype in table.polars_schema.values() if isinstance(dtype, pl.Datetime)}
            assert times == {pl.Datetime("us", "UTC")}


def test_names_are_unique_and_in_their_layers() -> None:
    assert len({table.name for table in TABLES}) == len(TABLES)
    assert {table.name.partition("/")[0] for table in TABLES} == {"bronze", "silver", "ops"}


def test_silver_comes_last_so_that_a_cut_short_landing_shows() -> None:
    assert LANDED == (BRONZE, QUARANTINE, INGEST, SILVER)


def test_every_row_points_to_its_message(subtests: pytest.Subtests) -> None:
    for table in [QUARANTINE, SILVER]:
        with subtests.test(table=table):
            assert set(KAFKA_COORDINATES) <= set(table.polars_schema)


def test_a_row_of_bronze_tells_which_messages_it_holds() -> None:
    assert {*KAFKA_COORDINATES[:2], "first_offset", "last_offset", "messages"} <= set(BRONZE.polars_schema)


def test_payloads_are_in_bronze_alone() -> None:
    assert [table.name for table in TABLES if "payload" in table.polars_schema] == [BRONZE.name]
    assert [table.name for table in TABLES if pl.Binary in table.polars_schema.values()] == [BRONZE.name]


def test_silver_has_every_field_of_the_event_under_its_masked_name() -> None:
    assert set(map(silver_column, FIELDS)) <= set(SILVER.polars_schema)
    assert not {"patient_id", "visit_id", "date_of_birth", "payload"} & set(SILVER.polars_schema)


def test_no_field_of_an_event_is_stored_in_clear_outside_silver(subtests: pytest.Subtests) -> None:
    for table in [BRONZE, QUARANTINE, AUDIT]:
        with subtests.test(table=table):
            assert not {*FIELDS, "kafka_key", "headers"} & set(table.polars_schema)


def test_a_good_row_is_good(subtests: pytest.Subtests) -> None:
    for name in GOOD:
        with subtests.test(name=name):
            [table] = [table for table in TABLES if table.name == name]
            assert set(GOOD[name]) == set(table.polars_schema)
            assert broken(table) == set()


def test_silver_refuses_a_row_without_a_required_field(subtests: pytest.Subtests) -> None:
    for field in REQUIRED:
        with subtests.test(field=field):
            assert f"{silver_column(field)}|nullability" in broken(SILVER, **{silver_column(field): None})


def test_silver_refuses(subtests: pytest.Subtests) -> None:
    for changes, rule in [
        ({"event_type": "arrive"}, "event_type_allowed"),
        *(({name: "other value"}, "coded_values_allowed") for name in sorted({*VALUE_SETS} - {"event_type"})),
        ({"event_date": date(2024, 3, 2)}, "event_date_is_of_event_time"),
        ({"patient_key": "MRN-100001"}, "pseudonyms_well_formed"),
        ({"visit_key": "A" * 32}, "pseudonyms_well_formed"),
        ({"kafka_offset": -1}, "kafka_offset|min"),
        ({"event_index": -1}, "event_index|min"),
        ({"source_format": "csv"}, "source_format_allowed"),
        ({"policy": ""}, "policy|min_length"),
        ({"policy_fingerprint": "display"}, "policy_fingerprint|regex"),
    ]:
        with subtests.test(changes=changes):
            assert broken(SILVER, **changes) == {rule}


def test_the_books_must_account_for_every_message(subtests: pytest.Subtests) -> None:
    for lost in [{"messages": 11}, {"silver": 2}, {"quarantined": 3}, {"duplicates": 0}, {"ignored": 5}]:
        with subtests.test(lost=lost):
            assert broken(INGEST, **lost) == {"every_message_is_accounted_for"}


def test_a_quarantined_message_has_a_reason(subtests: pytest.Subtests) -> None:
    for reasons in [[], [None], None]:
        with subtests.test(reasons=reasons):
            assert broken(QUARANTINE, reasons=reasons)


def test_the_books_count_outcomes_in_messages_and_not_in_events() -> None:
    assert broken(INGEST, events=50) == set()


def test_bronze_refuses(subtests: pytest.Subtests) -> None:
    for changes, rule in [
        ({"key_id": "the key"}, "key_id|regex"),
        ({"payload": None}, "payload|nullability"),
        ({"topic_id": ""}, "topic_id|min_length"),
        ({"messages": 0}, "messages|min"),
        ({"messages": 6}, "messages_fit_their_offsets"),
        ({"last_offset": 4}, "messages_fit_their_offsets"),
        ({"first_offset": -1}, "first_offset|min"),
    ]:
        with subtests.test(changes=changes):
            assert broken(BRONZE, **changes) == {rule}
    assert broken(BRONZE, messages=5) == broken(BRONZE, messages=1) == set(), "offsets may have gaps"
