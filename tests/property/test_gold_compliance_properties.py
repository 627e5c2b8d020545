"""Compliance counts what ``ops/ingest`` tells, per local day and policy; the looking at rows has tests of its own."""

from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from lake.contracts.event import OUTCOMES
from lake.contracts.tables import INGEST
from lake.gold import duckdb_session
from lake.gold.tables import COMPLIANCE, sql
from tests.support.oracle.compliance import COUNTS, compliance
from tests.support.oracle.histories import ZONES
from tests.support.oracle.visits import Row

_COUNT = st.integers(0, 10_000)
_FIELDS = st.lists(
    st.fixed_dictionaries({"field": st.sampled_from(["ssn", "email", "phone"])} | dict.fromkeys(COUNTS, _COUNT)),
    max_size=3,
)
_RULES = st.lists(
    st.fixed_dictionaries({"rule": st.sampled_from(["not_json", "event_time_missing"]), "messages": _COUNT}), max_size=2
)


@st.composite
def landed(draw: st.DrawFn) -> Row:
    """A row of ``ops/ingest``: a batch that landed around the end of a month."""
    counts = {name: draw(_COUNT) for name in OUTCOMES} | {"quarantined": draw(st.integers(-50, 50))}
    at = datetime(2026, 10, 31, tzinfo=UTC) + timedelta(minutes=30 * draw(st.integers(-20, 80)))
    return {
        "batch_id": "x", "kind": "stream", "topic_id": "t", "kafka_partition": 0, "first_offset": 0, "last_offset": 1,
        "messages": sum(counts.values()), **counts, "events": counts["silver"],
        "unknown_fields": 0, "rules": draw(_RULES), "fields": draw(_FIELDS), "seconds": [],
        "policy": draw(st.sampled_from(["display", "safe_harbor"])), "policy_fingerprint": "0" * 16,
        "ingested_at": at, "ingest_date": at.date(),
    }  # fmt: skip


@given(st.lists(landed(), min_size=1, max_size=6), st.sampled_from(ZONES))
def test_compliance_sums_what_landed(ingest: list[Row], timezone: str) -> None:
    scanned = [name for name in COMPLIANCE.polars_schema if name in {"rows_scanned", "rows_broken"}]
    nothing = pl.DataFrame(schema={name: COMPLIANCE.polars_schema[name] for name in ("day", "policy", *scanned)})
    months = [row["month"] for row in compliance(ingest, timezone)]
    with duckdb_session.connect(timezone) as connection:
        duckdb_session.view(connection, "ingest", pl.DataFrame(ingest, schema=INGEST.polars_schema))
        duckdb_session.view(connection, "masking", nothing)
        duckdb_session.view(
            connection, "ingest_months", pl.DataFrame({"month": sorted(set(months))}, schema={"month": pl.Date})
        )
        rows = duckdb_session.frame(connection, sql("compliance"), COMPLIANCE)
    ours = rows.drop(*scanned, "masking_success_rate").to_dicts()
    assert ours == sorted(compliance(ingest, timezone), key=lambda row: (row["day"], row["policy"]))
