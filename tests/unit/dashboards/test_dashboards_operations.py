"""What pages read of the lake's own books."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dashboards.shared import operations
from lake.contracts.tables import AUDIT, INGEST, QUALITY, Table
from lake.storage import audit_log
from lake.storage.store import DeltaStore
from tests.support import boards

NOW = datetime(2026, 10, 1, 12, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _nothing_cached() -> None:
    boards.forget()


def write(root: Path, table: Table, *rows: dict[str, object]) -> None:
    store = DeltaStore(root, table)
    store.create()
    blank: dict[Any, object] = {pl.String: "", pl.Int64: 0, pl.Int32: 0, pl.Date: NOW.date()}
    plain = {name: [] if dtype == pl.List else blank.get(dtype) for name, dtype in table.polars_schema.items()}
    store.append(pl.DataFrame([plain | row for row in rows], schema=table.polars_schema), {})


def booked(kind: str, quarantined: int, at: datetime, fingerprint: str = "a" * 16) -> dict[str, object]:
    return {
        "kind": kind,
        "quarantined": quarantined,
        "messages": max(quarantined, 0),
        "policy": "display",
        "policy_fingerprint": fingerprint,
        "ingested_at": at,
    }


def test_tables_that_are_not_there_are_empty(tmp_path: Path) -> None:
    for found in (
        operations.books(tmp_path),
        operations.accesses(tmp_path),
        operations.verified(tmp_path),
        operations.checks(tmp_path),
    ):
        assert found.is_empty()
    assert operations.quarantine(operations.books(tmp_path)) == (0, 0)
    assert operations.policies(operations.books(tmp_path)).is_empty()


def test_quarantine_is_what_went_in_and_what_a_retry_took_out(tmp_path: Path) -> None:
    write(
        tmp_path,
        INGEST,
        booked("stream", 7, NOW),
        booked("stream", 2, NOW + timedelta(minutes=5)),
        booked("quarantine_replay", -4, NOW + timedelta(hours=3)),
    )
    found = operations.books(tmp_path)
    assert operations.quarantine(found) == (9, 4)
    assert found.height == 2, "batches of an hour are one row"
    assert operations.quarantine(found.filter(pl.col("hour") > NOW)) == (0, 4)


def test_the_policy_in_force_is_the_one_of_the_last_row(tmp_path: Path) -> None:
    write(
        tmp_path,
        INGEST,
        booked("stream", 1, NOW + timedelta(hours=9), "b" * 16),
        booked("stream", 1, NOW),
        booked("stream", 1, NOW + timedelta(hours=1)),
    )
    found = operations.policies(operations.books(tmp_path))
    assert found["policy_fingerprint"].to_list() == ["a" * 16, "b" * 16]
    assert found["messages"].to_list() == [2, 1]
    assert found["first"][0] == NOW
    assert found["last"][0] == NOW + timedelta(hours=1)


def test_new_rows_are_seen_at_once(tmp_path: Path) -> None:
    DeltaStore(tmp_path, AUDIT).create()
    assert operations.verified(tmp_path).is_empty()
    audit_log.append(tmp_path, "verify", "3 checks", 12)
    audit_log.append(tmp_path, "sql", "SELECT '…'", 1)
    assert operations.verified(tmp_path)["detail"].to_list() == ["3 checks"]
    assert operations.accesses(tmp_path)["action"].to_list() == ["verify", "sql"]


def test_no_query_text_is_read(tmp_path: Path) -> None:
    DeltaStore(tmp_path, AUDIT).create()
    audit_log.append(tmp_path, "sql", "SELECT SECRET", 1)
    assert operations.accesses(tmp_path).columns == ["audited_at", "who", "action", "rows"]
    assert operations.verified(tmp_path).is_empty()


def test_a_check_is_shown_by_its_last_result(tmp_path: Path) -> None:
    def result(check: str, status: str, at: datetime) -> dict[str, object]:
        return {"run_id": f"{at}", "check": check, "severity": "error", "status": status, "checked_at": at}

    write(
        tmp_path,
        QUALITY,
        result("b", "passed", NOW + timedelta(hours=2)),
        result("b", "failed", NOW),
        result("a", "failed", NOW),
    )
    assert operations.checks(tmp_path).select("check", "status").rows() == [("a", "failed"), ("b", "passed")]
