"""``wardlake verify``: proving on what is stored what the lake promises."""

from dataclasses import asdict

import typer

from app.cli.options import JsonOption, with_settings
from app.cli.output import err, out, print_json, table_of
from app.jobs import verify as checking
from app.jobs.active_policy import masking_policy
from app.jobs.lake_session import open_with_key
from app.settings import Settings
from lake.storage import audit_log


@with_settings("data", "lake", "key_file", "dedup_key")
def verify(
    settings: Settings,
    json: JsonOption = False,
) -> None:
    """Prove what the lake promises on what is stored. Exits 1 when a check finds a breach.

    Checks the conservation law per partition, duplicate keys, contracts, masked forms, and that no identifier, however
    it is spelled, is in its record's Silver row, in Gold's files or in the last export. Tells counts only.
    """
    checks = checking.verify(
        open_with_key(settings),
        settings.dedup_key,
        progress=lambda name: err.print(f"checking {name}"),
        dimensions=masking_policy(settings).dimensions,
        export=settings.export,
    )
    broken = sum(not check.passed for check in checks)
    passed = not broken
    detail = f"{len(checks)} checks, {broken} broken; encrypted messages opened in memory"
    audit_log.append(settings.lake, "verify", detail, max(check.rows_scanned for check in checks))
    if json:
        print_json({"passed": passed, "checks": [{**asdict(check), "passed": check.passed} for check in checks]})
    else:
        rows = [
            (c.check, c.table, c.rows_scanned, c.breaches, "ok" if c.passed else f"BREACH {c.detail}") for c in checks
        ]
        out.print(table_of(["check", "where", "rows scanned", "breaches", ""], rows))
        out.print("verified: every check holds" if passed else "NOT verified: see the breaches above")
    if not passed:
        raise typer.Exit(1)
