"""The flows as a person meets them in Prefect's UI: planned, run when they fall due, started, paused, read about."""

import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from flows.serve import PLANS
from lake.gold.published import last
from tests.integration.flows.test_flows_daily import STEPS, send
from tests.support.browser import chromium
from tests.support.commands import Place
from tests.support.lakes import KEY_TEXT, event, simulated
from tests.support.prefects import Prefect, prefect, sign_in, until

EVENTS: Final = 1_000
ZONE: Final = "Europe/Madrid"
CANARY: Final = {
    "patient_id": "MRN7770001",
    "visit_id": "V-7770001",
    "patient_name": "Quillfeather Osric",
    "ssn": "900-55-1212",
    "email": "osric.quillfeather@example.org",
}


@pytest.mark.browser
def test_prefect_from_the_first_look_to_the_last(tmp_path: Path, broker: str, topic: str) -> None:
    """One server for all of it: starting one takes longer than the rest."""
    settings = {"WARDLAKE_KAFKA": broker, "WARDLAKE_TOPIC": topic, "WARDLAKE_GROUP": topic, "WARDLAKE_KEY": KEY_TEXT}
    place = Place(tmp_path, settings | {"WARDLAKE_TIMEZONE": ZONE})
    send(broker, topic, [*simulated(EVENTS), (0, event(**CANARY))])
    with prefect(place) as found, chromium() as page:
        registered_as_planned(found)
        a_lake_without_gold_gets_it_at_once(found)
        daily = found.ended(found.start("daily"))
        assert (daily["state_type"], daily["state"]["message"]) == (
            "COMPLETED",
            "Gold is up to date, checked and exported",
        )
        falls_due(found)
        ran_from_the_terminal_is_seen(found, place)
        shows_what_ran(page, found, daily["id"])
        can_be_paused(page, found)
        assert found.serving.stop(signal.SIGTERM) == 0
        assert all(one["paused"] for one in found.deployments().values())
    assert last(tmp_path / "data" / "lake") is not None
    tells_nothing(tmp_path / "prefect")


def registered_as_planned(found: Prefect) -> None:
    deployments = found.deployments()
    planned = {name: (one["schedules"][0]["schedule"], one["paused"]) for name, one in deployments.items()}
    crons = {name: {"cron": plan.cron, "timezone": ZONE, "day_or": True} for name, plan in PLANS.items()}
    assert planned == {name: (cron, False) for name, cron in crons.items()}
    assert {one["global_concurrency_limit"]["limit"] for one in deployments.values()} == {1}
    assert [one["parameters"] for one in deployments.values()] == [{}] * len(PLANS)
    assert all(one["description"] and "wardlake" in one["tags"] for one in deployments.values())


def a_lake_without_gold_gets_it_at_once(found: Prefect) -> None:
    """A run that no schedule asked for is there as soon as the flows are served."""
    gold = found.deployments()["gold"]["id"]
    asked = {"deployments": {"id": {"any_": [gold]}}}

    def unscheduled() -> list[Any]:
        # The server may have planned its own runs first.
        return [run for run in found.ask("/flow_runs/filter", asked) if not run["auto_scheduled"]]

    until(unscheduled, "a run of gold that no schedule asked for")


def falls_due(found: Prefect) -> None:
    """A cron that is added to what is served is kept by the server, run by the process that serves, and seen."""
    gold = found.deployments()["gold"]["id"]
    # Not more often: each run is a process that takes seconds to start, and on a busy machine they would pile up.
    twice_a_minute = {"schedule": {"cron": "* * * * * */30", "timezone": "UTC"}, "active": True}
    # Its own schedule may have fallen due already, before anything had landed.
    since = {"expected_start_time": {"after_": datetime.now(UTC).isoformat()}}
    [added] = found.ask(f"/deployments/{gold}/schedules", [twice_a_minute])
    due = {
        "deployments": {"id": {"any_": [gold]}},
        "flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}, "tags": {"all_": ["auto-scheduled"]}} | since,
    }
    [run, *_] = until(lambda: found.ask("/flow_runs/filter", due), "a run that fell due")
    assert run["state"]["message"] == "Gold is up to date"
    found.ask(f"/deployments/{gold}/schedules/{added['id']}", method="DELETE")


def ran_from_the_terminal_is_seen(found: Prefect, place: Place) -> None:
    ran = Place(place.folder, {**place.settings, **found.server.environment}).works("flow", "quality", "--json")
    assert ran.json["passed"] is True
    by_hand = {"flows": {"name": {"any_": ["quality"]}}, "flow_runs": {"deployment_id": {"is_null_": True}}}
    [run] = found.ask("/flow_runs/filter", by_hand)
    assert run["state"]["message"] == ran.json["message"] == "every error check passed"


def shows_what_ran(page: Page, found: Prefect, daily: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    sign_in(page, found.server)
    page.goto(f"{found.server.ui}/deployments")
    for name in PLANS:
        expect(page.get_by_role("link", name=name, exact=True).first).to_be_visible()
    page.goto(f"{found.server.ui}/runs/flow-run/{daily}")
    expect(page.get_by_text("Completed").first).to_be_visible()
    page.get_by_text("Task Runs", exact=True).click()
    for step in STEPS:
        expect(page.get_by_text(step, exact=True).first).to_be_visible()
    artifacts = found.artifacts()
    assert {"daily-run", "checks", "kpis", "quality-run"} <= artifacts.keys()
    for key, words in {"kpis": "average length of stay", "checks": "deduplication key", "daily-run": "export"}.items():
        page.goto(f"{found.server.ui}/artifacts/artifact/{artifacts[key]}")
        expect(page.get_by_text(words).first).to_be_visible()
    outside = [url for url in asked if not url.startswith((found.server.ui, "data:", "blob:"))]
    assert outside == []


def can_be_paused(page: Page, found: Prefect) -> None:
    """The switch of the UI; the server then plans nothing for that flow."""
    gold = found.deployments()["gold"]["id"]

    def switched() -> bool:
        page.goto(f"{found.server.ui}/deployments/deployment/{gold}")
        switch = page.get_by_role("switch").first
        expect(switch).to_be_checked()
        with page.expect_response(lambda answer: answer.request.method == "PATCH") as answer:
            switch.click()
        return answer.value.ok  # a busy server may say 503, and the page does not ask again

    until(switched, "the pause")
    paused = found.deployments()["gold"]
    assert paused["paused"] or not any(schedule["active"] for schedule in paused["schedules"])


def tells_nothing(home: Path) -> None:
    """Neither the key nor a raw value of a patient is in what Prefect keeps: database, logs, results."""
    kept = [path for path in home.rglob("*") if path.is_file()]
    assert any(path.name == "prefect.db" for path in kept)
    secrets = [value.encode() for value in (*CANARY.values(), KEY_TEXT)]
    told = [path.name for path in kept if any(secret in path.read_bytes() for secret in secrets)]
    assert told == []
