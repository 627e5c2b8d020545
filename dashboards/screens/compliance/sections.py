"""The part of the compliance page that rests on the lake's own books: quarantine, policy, verification, audit."""

from datetime import datetime
from pathlib import Path
from typing import Any, Final

import polars as pl
import streamlit as st

from dashboards.screens.compliance import charts, masking_rules, queries
from dashboards.screens.compliance.queries import words
from dashboards.shared import figures, operations, style
from dashboards.shared.data import Build
from dashboards.shared.filters import Period, day_text

_NONE_BROKEN: Final = " 0 broken;"
"""In the audit row of a ``verify`` that found no breach."""
_STATUSES: Final = ("failed", "skipped", "passed")


def quarantine(booked: pl.DataFrame, days: Period, build: Build) -> None:
    """What is kept aside: went in, was taken out, is still there."""
    st.subheader("Quarantine")
    within = _local("hour", build).dt.date().is_between(days.first, days.last)
    into, resolved = operations.quarantine(booked.filter(within))
    ever, ever_resolved = operations.quarantine(booked)
    with style.tiles():
        st.metric("Went in, this period", figures.number(into), border=True)
        st.metric("Resolved, this period", figures.number(resolved), border=True)
        st.metric("Open now", figures.number(ever - ever_resolved), border=True)
    st.caption(
        "Resolved: `wardlake quarantine replay` found it valid under today's rules, and took it in. The reasons are "
        "the rules above, counted when a message comes in. `wardlake quarantine list` shows each one's place and rules."
    )


def policy(made: pl.DataFrame, build: Build) -> None:
    """The policy in force, its rules with reasons, and whether it is the one that made the last rows."""
    st.subheader("Masking policy")
    if made.is_empty():
        st.info("Nothing has landed yet, so no policy was in force.")
        return
    last = made.row(-1, named=True)
    name, used = last["policy"], last["policy_fingerprint"]
    installed = masking_rules.fingerprint(name)
    st.write(f"In force: **{name}**, fingerprint `{used}`. It made the last rows, {_when(last['last'], build)}.")
    if installed is None:
        st.warning(
            "It does not come with Wardlake (a file of your own, or of another release): its rules are not known here."
        )
    elif installed != used:
        st.warning(
            f"The policy {name} that is installed here has another fingerprint, `{installed}`: its rules, shown below, "
            "did not make the last rows. Start the stream again, or run `wardlake replay` to mask all rows anew."
        )
    if made.height > 1:
        _policies(made, build)
    if installed is not None:
        style.table(
            f"Rules of the policy {name}",
            masking_rules.rules(name),
            name="policy",
            definition="An allow-list: what it does not name is dropped. These rules are not HIPAA de-identification.",
            columns={"field": "Field", "column": "Silver column", "rule": "Shown as", "reason": "Reason"},
        )


def _policies(made: pl.DataFrame, build: Build) -> None:
    style.table(
        "Policies so far",
        made.with_columns(_local("first", build), _local("last", build)),
        name="policies",
        definition="Each row tells which policy made it. Rows of an older one stay until `wardlake replay`.",
        columns={
            "policy": "Policy",
            "policy_fingerprint": "Fingerprint",
            "messages": _number("Messages"),
            "first": _time("From"),
            "last": _time("To"),
        },
    )


def verification(lake: Path, build: Build) -> None:
    """The last ``verify``, and the last result of each quality check."""
    st.subheader("Verification")
    proved = operations.verified(lake)
    if proved.is_empty():
        st.warning("Never verified. Run `wardlake verify`: it proves on what is stored that masking and counts hold.")
    else:
        last = proved.row(-1, named=True)
        told = st.success if _NONE_BROKEN in last["detail"] else st.error
        told(
            f"`wardlake verify` last ran to its end {_when(last['audited_at'], build)}, for {last['who']}, over "
            f"{figures.number(last['rows'])} rows: {last['detail']}."
        )
    checks = operations.checks(lake)
    if checks.is_empty():
        st.info("No quality check has run yet. Run `wardlake flow quality`.")
        return
    counts = dict(checks["status"].value_counts().iter_rows())
    said = ", ".join(f"{counts[status]} {status}" for status in _STATUSES if status in counts)
    order = pl.col("status").replace_strict({status: place for place, status in enumerate(_STATUSES)})
    style.table(
        f"Quality checks: {said}",
        checks.sort(order, "check").select(
            "status", "check", "severity", "observed", "expected", _local("checked_at", build)
        ),
        name="checks",
        definition="The last result of each check, from ops/quality. A failed error keeps Gold from being published.",
        columns={
            "status": "Status",
            "check": "Check",
            "severity": "Severity",
            "observed": "Observed",
            "expected": "Expected",
            "checked_at": _time("Checked"),
        },
    )


def audit(accesses: pl.DataFrame, days: Period, build: Build) -> None:
    """Who touched patient-derived data: counts, never a query."""
    st.subheader("Audit log")
    rows = accesses.with_columns(
        day=_local("audited_at", build).dt.date(), name=pl.col("action").str.replace_all("_", " ")
    ).filter(pl.col("day").is_between(days.first, days.last))
    if rows.is_empty():
        st.info(f"No access to patient-derived data, {days}.")
        return
    grain = queries.grain(days)
    course = queries.by_time(rows.select("day", "name", count=pl.lit(1)), grain, ["name"])
    names = sorted(map(words, accesses["action"].unique()))
    left, right = st.columns(2)
    with left:
        style.chart(
            "Accesses by action",
            charts.stacked(course, grain, days, style.colours(names)),
            course,
            name="audit",
            definition="Rows of ops/audit: each reading of Silver, export, replay, verification and build of Gold.",
        )
    with right:
        style.table(
            "Who did what",
            _summary(rows, build),
            name="audit-who",
            definition="The operating system's user. What was asked: `wardlake sql 'FROM ops.audit'`.",
            columns={
                "name": "Action",
                "who": "Who",
                "accesses": _number("Times"),
                "rows": _number("Rows"),
                "last": _time("Last"),
            },
            note="Rows seen or written, where known.",
        )


def _summary(rows: pl.DataFrame, build: Build) -> pl.DataFrame:
    return (
        rows.group_by("name", "who")
        .agg(accesses=pl.len(), rows=pl.col("rows").sum(), last=_local("audited_at", build).max())
        .sort("accesses", "name", "who", descending=[True, False, False])
    )


def _local(column: str, build: Build) -> pl.Expr:
    return pl.col(column).dt.convert_time_zone(build.timezone)


def _when(moment: datetime, build: Build) -> str:
    local = build.local(moment)
    return f"{day_text(local.date())} {local:%H:%M}"


def _number(label: str) -> Any:
    return st.column_config.NumberColumn(label, format="localized")


def _time(label: str) -> Any:
    return st.column_config.DatetimeColumn(label, format="D MMM YYYY, HH:mm")
