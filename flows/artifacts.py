"""What a person can read in Prefect's UI after a run: what was done, the checks, the KPIs. Counts and rates only."""

import os
from typing import Final

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from app.jobs.kpi_summary import kpis
from app.services.child_process import HOST
from app.services.dashboard import PORT
from app.settings import Settings
from flows.definitions import FlowResult, without_values_in_errors
from flows.environment import DASHBOARD
from lake.disclosure.audience import Audience
from lake.gold.build import Built
from lake.quality.run import Report

_USUAL: Final = f"http://{HOST}:{PORT}"


def publish(settings: Settings, result: FlowResult) -> None:
    """Publish the artifacts of a run: ``FLOW-run``, ``checks`` and ``kpis``."""
    create_markdown_artifact(summary(settings, result), key=f"{result.flow}-run", description=result.ending.message)
    for one in result.steps:
        if isinstance(one.result, Report):
            create_table_artifact(checks(one.result), key="checks", description=f"{one.step}: {one.message}")
        if isinstance(one.result, Built):
            # Public: Prefect keeps artifacts outside the lake, and a server may be run without sign-in.
            figures = without_values_in_errors("read the KPIs", lambda: kpis(settings.lake, Audience.PUBLIC))
            table = [{"KPI": kpi, "figure": figure} for kpi, figure in figures]
            create_table_artifact(
                table, key="kpis", description=f"The whole lake, from Gold, {one.message}. {Audience.PUBLIC.note}"
            )


def checks(report: Report) -> list[dict[str, str]]:
    """The checks of a report, failed ones first."""
    found = sorted(report.results, key=lambda one: (one.status != "failed", one.severity, one.check))
    return [
        {
            "check": one.check,
            "table": one.table,
            "severity": one.severity,
            "status": one.status,
            "observed": one.observed,
            "expected": one.expected,
        }
        for one in found
    ]


def summary(settings: Settings, result: FlowResult) -> str:
    """The run as Markdown: how it ended, its steps, and where to go on reading."""
    steps = "\n".join(f"| {one.step} | {one.seconds:,.1f} | {one.message} |" for one in result.steps)
    dashboard = os.environ.get(DASHBOARD) or _USUAL
    return f"""**{result.ending.message}**

| Step | Seconds | Result |
|---|---:|---|
{steps}

- Dashboards: [{dashboard}]({dashboard}), where they run
- Files for BI tools: `{settings.export}`
- Tables: `{settings.lake / "wardlake.duckdb"}` with DuckDB, or `wardlake sql`
"""
