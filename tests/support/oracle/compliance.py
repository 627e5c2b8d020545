"""Compliance from ``ops/ingest``, naively: sums per local day and policy."""

from collections import Counter, defaultdict
from datetime import date
from zoneinfo import ZoneInfo

from lake.contracts.event import OUTCOMES
from tests.support.oracle.visits import Row, month_of

MESSAGES = ("messages", *OUTCOMES)
COUNTS = ("present", "masked", "redacted", "missing")


def compliance(ingest: list[Row], timezone: str) -> list[Row]:
    """Rows of ``gold/compliance`` less what comes from scanning; ``fields`` and ``rules`` sorted by name."""
    groups: dict[tuple[date, str], list[Row]] = defaultdict(list)
    for row in ingest:
        groups[row["ingested_at"].astimezone(ZoneInfo(timezone)).date(), row["policy"]].append(row)
    return [
        {
            "day": day,
            "policy": policy,
            **{name: sum(row[name] for row in rows) for name in MESSAGES},
            "fields": _fields(rows),
            "rules": _rules(rows),
            "month": month_of(day),
        }
        for (day, policy), rows in groups.items()
    ]


def _fields(rows: list[Row]) -> list[Row]:
    sums: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        for field in row["fields"]:
            sums[field["field"]].update({name: field[name] for name in COUNTS})
    return [{"field": field, **{name: sums[field][name] for name in COUNTS}} for field in sorted(sums)]


def _rules(rows: list[Row]) -> list[Row]:
    sums: Counter[str] = Counter()
    for row in rows:
        for rule in row["rules"]:
            sums[rule["rule"]] += rule["messages"]
    return [{"rule": rule, "invalid": sums[rule]} for rule in sorted(sums)]
