"""Compliance: whether masking holds, what is missing or broken, the policy in force, and who looked at patients."""

import polars as pl
import streamlit as st

from dashboards.screens.compliance import charts, masking_rules, queries, sections
from dashboards.screens.compliance.queries import words
from dashboards.shared import data, filters, operations, style
from dashboards.shared.definitions import DEFINITIONS
from dashboards.shared.filters import CUSTOM, Period, day_text
from dashboards.shared.settings import settings

BOOKS = "Counted when a message is taken in, on that day."


def read(days: Period, sql: str) -> pl.DataFrame:
    """Rows of a query over the days."""
    return data.rows(sql, first=days.first, last=days.last)


def tiles(days: Period, span: Period) -> None:
    """What came in and how it was masked, beside the time before."""
    before = days.previous()
    now = queries.totals(read(days, queries.DAYS), read(days, queries.FIELDS))
    then = {}
    if before.first >= span.first:
        then = queries.totals(read(before, queries.DAYS), read(before, queries.FIELDS))
    with style.tiles():
        for name, figure in now.items():
            style.kpi(name, figure, before=then.get(name))
    scanned = read(days, queries.DAYS)["rows_scanned"].sum()
    compared = f" Arrows compare with the {before.days} days before." if then else ""
    st.caption(
        f"Taken in {days}. This page goes by the day on which something was taken in or done, not by the day of the "
        f"event: a period counts back from {day_text(span.last)}. Masking was measured on {scanned:,} rows.{compared}"
    )


def outcomes(days: Period) -> None:
    """What became of the messages."""
    grain = queries.grain(days)
    wide = queries.by_time(read(days, queries.DAYS), grain, [])
    style.chart(
        "What became of the messages",
        charts.outcomes(wide, grain, days),
        wide,
        name="messages",
        definition=DEFINITIONS["messages"],
        note="messages = silver + quarantined + duplicates + ignored. A bar below 0: a retry took more out of "
        "quarantine than went in.",
    )


def fields(days: Period, policy: str | None) -> None:
    """PHI fields: masked by their rule, masked whole, missing."""
    grain = queries.grain(days)
    daily = read(days, queries.FIELDS)
    rows = queries.per_field(daily)
    course = queries.missing_course(daily, grain)
    left, right = st.columns(2) if course["start"].n_unique() > 1 else (st.container(), None)
    with left:
        style.chart(
            "PHI fields of Silver rows",
            charts.states(rows),
            rows,
            name="phi-fields",
            definition="Masked: by the rule of its field. Redacted: masked whole, because it did not fit the rule. "
            "Missing: null or blank in the message.\n\n*Source: ops/ingest*",
            note="What masking did. Whether it holds on what is stored is measured per row, all fields together: see "
            "Masking success and Rows broken.",
        )
    if right:
        with right:
            style.chart(
                "Missing PHI",
                charts.missing(course, grain, rows["field"].to_list()),
                course,
                name="missing-phi",
                definition=DEFINITIONS["missing_rate"],
                note="Share of Silver rows in which the field is null or blank.",
            )
    written = masking_rules.rules(policy).select("field", "rule") if policy else None
    shown = rows if written is None else rows.join(written, on="field", how="left")
    style.table(
        "PHI fields in numbers",
        shown,
        name="phi-table",
        definition=BOOKS,
        columns={
            "field": "Field",
            "rule": "Rule",
            **{name: st.column_config.NumberColumn(name.capitalize(), format="localized") for name in COUNTS},
            "missing_share": st.column_config.NumberColumn("Missing, share", format="percent"),
        },
    )


COUNTS = ("present", "masked", "redacted", "missing")


def rules(days: Period) -> None:
    """Rules of validation that messages broke."""
    daily = read(days, queries.RULES)
    if daily.is_empty():
        st.info("No message broke a rule in this period.")
        return
    grain = queries.grain(days)
    top = queries.top_rules(daily)
    course = queries.by_time(top, grain, ["rule"])
    names = [words(name) for name in queries.per_rule(top)["rule"]]
    style.chart(
        "Rules broken over time",
        charts.stacked(
            course.select("start", name=pl.col("rule").str.replace_all("_", " "), count="invalid"),
            grain,
            days,
            charts.rule_colours(names),
        ),
        course,
        name="rules-over-time",
        definition=f"Messages per rule that they broke. A message can break several. {BOOKS}",
        note=f"The {queries.TOP} rules broken most, and the rest.",
        height=380,
    )
    ranked = queries.per_rule(daily)
    bar = st.column_config.ProgressColumn("Messages", format="localized", min_value=0, max_value=ranked["invalid"][0])
    style.table(
        "All rules broken",
        ranked.with_columns(pl.col("rule").str.replace_all("_", " ")),
        name="rules",
        definition=f"Messages that broke a rule. A message can break several. {BOOKS}",
        columns={"rule": "Rule", "invalid": bar},
    )


def page() -> None:
    """The whole page."""
    lake, build = settings().lake, data.current()
    booked, accesses = operations.books(lake), operations.accesses(lake)
    span = queries.span(data.rows(queries.SPAN), accesses, build.timezone)
    if span is None:
        st.info("No message has been taken in yet.")
        return
    chosen = st.session_state.get("period", CUSTOM)
    days = queries.period(chosen, filters.current().period, span)
    made = operations.policies(booked)
    name = made["policy"][-1] if made.height else None
    tiles(days, span)
    if read(days, queries.DAYS).is_empty():
        st.info(f"No message was taken in, {days}. There are messages from {span}.")
    else:
        outcomes(days)
        st.subheader("PHI fields")
        fields(days, name if name and masking_rules.fingerprint(name) else None)
        st.subheader("Invalid messages")
        rules(days)
    sections.quarantine(booked, days, build)
    sections.policy(made, build)
    sections.verification(lake, build)
    sections.audit(accesses, days, build)


page()
