"""Compliance by day: messages, PHI fields and rules, counted on the day on which a message was taken in.

That day need not lie within the days of the data: a hospital's last year may be taken in today. So periods that are
counted back are, on this page, counted back from the last day on which anything was taken in or looked at.
"""

from typing import Final

import polars as pl

from dashboards.shared import figures, filters
from dashboards.shared.figures import Figure
from dashboards.shared.filters import Period

STATES: Final = ("masked", "redacted", "missing")
TOP: Final = 7
OTHERS: Final = "other rules"

SPAN: Final = "SELECT min(day) AS first, max(day) AS last FROM gold.compliance"

DAYS: Final = """
SELECT day, messages, silver, quarantined, duplicates, ignored, rows_scanned, rows_broken
FROM gold.compliance WHERE day BETWEEN $first AND $last ORDER BY day"""

FIELDS: Final = """
SELECT day, field, present, masked, redacted, missing
FROM gold.compliance_fields WHERE day BETWEEN $first AND $last ORDER BY day, field"""

RULES: Final = """
SELECT day, rule, invalid FROM gold.compliance_rules WHERE day BETWEEN $first AND $last ORDER BY day, rule"""


def period(chosen: str, dates: Period, span: Period) -> Period:
    """The days to look at: a period by its name, counted back from the end of ``span``; else the chosen dates."""
    return filters.preset(chosen, span.first, span.last) if chosen in filters.PRESETS else dates


def grain(days: Period) -> str:
    """Days of up to three months, weeks of up to a year and a bit, else months."""
    return "day" if days.days <= 93 else "week" if days.days <= 400 else "month"


def by_time(rows: pl.DataFrame, grain: str, by: list[str]) -> pl.DataFrame:
    """``start`` (first day of the day, week or month), ``by``, and the sums of the other columns."""
    return (
        rows.group_by(pl.col("day").dt.truncate(figures.STEP[grain]).alias("start"), *by)
        .agg(pl.exclude("day", *by).sum())
        .sort("start", *by)
    )


def totals(days: pl.DataFrame, fields: pl.DataFrame) -> dict[str, Figure]:
    """KPI → figure of the period. Messages and checks are no people: nothing is hidden."""
    sums = days.sum().row(0, named=True)
    missing, redacted, present = (int(fields[name].sum()) for name in ("missing", "redacted", "present"))
    return {
        "masking_success_rate": _share(sums["rows_scanned"] - sums["rows_broken"], sums["rows_scanned"]),
        "rows_broken": Figure(sums["rows_broken"]),
        "messages": Figure(sums["messages"]),
        "quarantined_rate": _share(sums["quarantined"], sums["messages"]),
        "missing_rate": _share(missing, missing + present),
        "redacted": Figure(redacted),
    }


def _share(part: int, whole: int) -> Figure:
    return figures.ratio(Figure(part), Figure(whole))


def per_field(fields: pl.DataFrame) -> pl.DataFrame:
    """field, present, masked, redacted, missing, missing_share: sums over the days."""
    sums = fields.group_by("field").agg(pl.col("present", *STATES).sum()).sort("field")
    rows = pl.col("present") + pl.col("missing")
    return sums.with_columns(missing_share=pl.when(rows > 0).then(pl.col("missing") / rows))


def missing_course(fields: pl.DataFrame, grain: str) -> pl.DataFrame:
    """start, field, missing, missing_share: by day, week or month."""
    rows = pl.col("present") + pl.col("missing")
    share = pl.when(rows > 0).then(pl.col("missing") / rows)
    return by_time(fields, grain, ["field"]).select("start", "field", "missing", missing_share=share)


def per_rule(rules: pl.DataFrame) -> pl.DataFrame:
    """rule, invalid: sums over the days, the most broken first."""
    return rules.group_by("rule").agg(pl.col("invalid").sum()).sort("invalid", "rule", descending=[True, False])


def top_rules(rules: pl.DataFrame) -> pl.DataFrame:
    """The rows with all but the most broken rules called ``OTHERS``."""
    top = per_rule(rules)["rule"].head(TOP).implode()
    return rules.with_columns(pl.when(pl.col("rule").is_in(top)).then("rule").otherwise(pl.lit(OTHERS)).alias("rule"))


def words(name: str) -> str:
    """A rule's, field's or action's name for people."""
    return name.replace("_", " ")


def span(intake: pl.DataFrame, accesses: pl.DataFrame, timezone: str) -> Period | None:
    """All days on which messages were taken in (a row of ``SPAN``) or data accessed; None without any."""
    seen = accesses.select(day=pl.col("audited_at").dt.convert_time_zone(timezone).dt.date())
    days = pl.concat([intake.unpivot().select(day=pl.col("value").cast(pl.Date)), seen])["day"].drop_nulls().sort()
    return Period(days[0], days[-1]) if len(days) else None
