"""What the lake's own books (``ops/*``) tell the pages, as they are now.

A table is read anew when its Delta version has moved on. Where it is not there yet, it is empty. No query text of the
audit is ever read here: only who did what, and when.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import polars as pl
import streamlit as st
from deltalake import DeltaTable

from lake.contracts.tables import AUDIT, INGEST, QUALITY, Table
from lake.storage.store import DeltaStore

VERIFY: Final = "verify"
RETRIED: Final = "quarantine_replay"


def read(lake: Path, table: Table, query: Callable[[pl.LazyFrame], pl.LazyFrame]) -> pl.DataFrame:
    """The result of a query over a table of ``ops``, cached by the query's name and the table's version.

    ``query``: a function of a module, not of a call. Raises ``LakeError`` where the table cannot be opened.
    """
    if not DeltaTable.is_deltatable(str(lake / table.name)):
        return query(table.empty().lazy()).collect()
    store = DeltaStore(lake, table)
    return _collected(str(store.path), store.handle.version(), f"{query.__module__}.{query.__qualname__}", store, query)


@st.cache_data(max_entries=64, show_spinner=False)
def _collected(
    path: str,  # noqa: ARG001  (path, version and name are the key of the cache)
    version: int,  # noqa: ARG001
    name: str,  # noqa: ARG001
    _store: DeltaStore,
    _query: Callable[[pl.LazyFrame], pl.LazyFrame],
) -> pl.DataFrame:
    return _query(_store.scan()).collect(engine="streaming")


def books(lake: Path) -> pl.DataFrame:
    """What was landed, by ``kind``, ``policy``, ``policy_fingerprint`` and ``hour`` (UTC), in order of time.

    messages, quarantined (Int64; below 0 where a retry took messages out), ``first`` and ``last`` (UTC).
    """
    return read(lake, INGEST, landed)


def landed(ingest: pl.LazyFrame) -> pl.LazyFrame:
    """See ``books``; from rows of ``ops/ingest``."""
    return (
        ingest.group_by("kind", "policy", "policy_fingerprint", hour=pl.col("ingested_at").dt.truncate("1h"))
        .agg(
            pl.col("messages", "quarantined").sum(),
            first=pl.col("ingested_at").min(),
            last=pl.col("ingested_at").max(),
        )
        .sort("last")
    )


def policies(booked: pl.DataFrame) -> pl.DataFrame:
    """policy, policy_fingerprint, messages, first, last: the policies that have made rows, the one in force last."""
    return (
        booked.group_by("policy", "policy_fingerprint")
        .agg(pl.col("messages").sum(), pl.col("first").min(), pl.col("last").max())
        .sort("last")
    )


def quarantine(booked: pl.DataFrame) -> tuple[int, int]:
    """Messages that went into quarantine, and how many of them a retry took out again."""
    retried = pl.col("kind") == RETRIED
    into = booked.filter(~retried)["quarantined"].sum()
    return int(into), -int(booked.filter(retried)["quarantined"].sum())


def accesses(lake: Path) -> pl.DataFrame:
    """audited_at, who, action, rows: one row per access to patient-derived data, in order of time."""
    return read(lake, AUDIT, accessed)


def accessed(audit: pl.LazyFrame) -> pl.LazyFrame:
    """See ``accesses``; from rows of ``ops/audit``. Without ``detail``: it may quote a query."""
    return audit.select("audited_at", "who", "action", "rows").sort("audited_at")


def verified(lake: Path) -> pl.DataFrame:
    """audited_at, who, detail, rows: each time that ``wardlake verify`` ran to its end, in order of time."""
    return read(lake, AUDIT, proved)


def proved(audit: pl.LazyFrame) -> pl.LazyFrame:
    """See ``verified``; from rows of ``ops/audit``."""
    return audit.filter(action=VERIFY).select("audited_at", "who", "detail", "rows").sort("audited_at")


def checks(lake: Path) -> pl.DataFrame:
    """The last result of each quality check, in order of names; the columns of ``ops/quality``."""
    return read(lake, QUALITY, newest)


def newest(quality: pl.LazyFrame) -> pl.LazyFrame:
    """See ``checks``; from rows of ``ops/quality``."""
    return quality.sort("checked_at").group_by("check").last().sort("check").select(QUALITY.polars_schema.names())
