"""``wardlake replay`` and ``wardlake quarantine``: deciding again on what has landed."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import polars as pl
import typer

from app.cli.options import JsonOption, with_settings
from app.cli.output import out, print_json, progress_bar, table_of
from app.jobs import replay as rebuilding
from app.jobs.active_policy import rules
from app.jobs.lake_session import open_with_key, open_without_key
from app.settings import Settings
from app.stream.decide import Rules
from lake.contracts.event import OUTCOMES
from lake.contracts.tables import QUARANTINE
from lake.storage import audit_log

quarantine = typer.Typer(help="What failed validation, and trying it again.", no_args_is_help=True)


@with_settings("data", "lake", "policy", "key_file", "dedup_key", "dedup_scope")
def replay(
    settings: Settings,
    json: JsonOption = False,
) -> None:
    """Rebuild Silver and the quarantine from Bronze with the policy now in force.

    The new tables are built next to the lake and swapped in at the end; if interrupted, the old ones stay.
    """
    decided_by = rules(settings)
    opened = open_with_key(settings)
    with progress_bar("replaying", None) as bar:
        result = rebuilding.replay(
            opened,
            decided_by,
            _now,
            lambda done, total: bar.update(bar.task_ids[0], completed=done, total=total),
        )
    audit_log.append(settings.lake, "replay", _under(decided_by), result.messages)
    _print_result("replayed", result, json=json)


@quarantine.command("list")
@with_settings("data", "lake")
def list_quarantine(
    settings: Settings,
    json: JsonOption = False,
    all: Annotated[bool, typer.Option("--all", help="Resolved ones too.")] = False,  # noqa: A002
    limit: Annotated[int, typer.Option(min=1, help="Newest messages to show.")] = 100,
) -> None:
    """Show what is in quarantine and why: places and rule names, no values."""
    held = open_without_key(settings).store(QUARANTINE).scan()
    if not all:
        held = held.filter(pl.col("resolved_at").is_null())
    columns = ["topic", "kafka_partition", "kafka_offset", "ingested_at", "reasons", "resolved_at"]
    rows = held.select(columns).sort("ingested_at", "kafka_partition", "kafka_offset", descending=True).head(limit)
    found = rows.collect()
    if json:
        print_json(found.to_dicts())
        return
    reasons = held.select(pl.col("reasons").explode().alias("rule")).collect().to_series().value_counts(name="messages")
    out.print(table_of(columns, found.with_columns(pl.col("reasons").list.join(", ")).iter_rows()))
    out.print(table_of(["rule", "messages"], reasons.sort("messages", "rule", descending=[True, False]).iter_rows()))


@quarantine.command("replay")
@with_settings("data", "lake", "policy", "key_file", "dedup_key", "dedup_scope")
def replay_quarantine(
    settings: Settings,
    json: JsonOption = False,
) -> None:
    """Try what is in quarantine again under today's rules."""
    decided_by = rules(settings)
    result = rebuilding.replay_quarantine(open_with_key(settings), decided_by, _now)
    audit_log.append(settings.lake, "quarantine_replay", _under(decided_by), result.messages)
    _print_result("tried again", result, json=json)


def _print_result(what: str, result: rebuilding.Replayed, *, json: bool) -> None:
    if json:
        print_json(asdict(result))
    else:
        parts = ", ".join(f"{getattr(result, name):,} {name}" for name in OUTCOMES)
        out.print(f"{what}: {result.messages:,} messages: {parts}")


def _under(decided_by: Rules) -> str:
    return f"policy {decided_by.policy.name} {decided_by.policy.fingerprint}"


def _now() -> datetime:
    return datetime.now(UTC)
