"""A real Prefect server with the flows served."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, expect

from flows.server import PrefectServer
from tests.support.commands import SECONDS, Place, Running


def until(met: Callable[[], Any], what: str, seconds: float = SECONDS) -> Any:
    """What ``met`` gives, as soon as that is something."""
    deadline = time.monotonic() + seconds
    while not (found := met()):
        assert time.monotonic() < deadline, f"it took too long: {what}"
        time.sleep(0.2)
    return found


@dataclass
class Served:
    """What a server's API tells of the flows."""

    client: httpx.Client

    def ask(self, path: str, body: dict[str, Any] | None = None, method: str = "POST") -> Any:
        """Ask the API. SQLite writes one thing at a time: 503 means to ask again, as Prefect's own client does.

        So does a connection that the server closes as it is used again.
        """

        def answered() -> httpx.Response | None:
            try:
                found = self.client.request(method, path, json={} if body is None else body)
            except httpx.RemoteProtocolError:
                return None
            return None if found.status_code == httpx.codes.SERVICE_UNAVAILABLE else found

        answer: httpx.Response = until(answered, f"an answer of {path}")
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def deployments(self) -> dict[str, dict[str, Any]]:
        """Flow → its deployment."""
        return {found["name"]: found for found in self.ask("/deployments/filter")}

    def start(self, flow: str) -> str:
        """Start a run as the UI does; its id."""
        deployment = self.deployments()[flow]["id"]
        return str(self.ask(f"/deployments/{deployment}/create_flow_run")["id"])

    def run(self, run_id: str) -> dict[str, Any]:
        """A run as it is now."""
        found: dict[str, Any] = self.ask(f"/flow_runs/{run_id}", method="GET")
        return found

    def ended(self, run_id: str) -> dict[str, Any]:
        """A run, when it has ended."""
        over = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
        found: dict[str, Any] = until(
            lambda: found if (found := self.run(run_id))["state_type"] in over else None, "the run"
        )
        return found

    def artifacts(self) -> dict[str, str]:
        """Key → the id of the latest artifact."""
        return {found["key"]: found["latest_id"] for found in self.ask("/artifacts/latest/filter")}


@dataclass
class Prefect(Served):
    """A server at work, its API, and the process that serves the flows."""

    server: PrefectServer
    serving: Running


@contextmanager
def signed_in(api: str, auth_file: Path) -> Iterator[httpx.Client]:
    """A client that signs in with the line in a file."""
    user, _, password = auth_file.read_text().strip().partition(":")
    with httpx.Client(base_url=api, timeout=30, trust_env=False, auth=(user, password)) as client:
        name = str(uuid.uuid4())  # a client has one token at a time
        token = client.get("/csrf-token", params={"client": name}).json()["token"]
        client.headers.update({"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": name})
        yield client


def sign_in(page: Page, server: PrefectServer) -> None:
    """Open the UI and sign in as a person does: paste the line from the file."""
    page.goto(server.ui)
    page.get_by_placeholder("admin:pass").fill(server.auth_file.read_text().strip())
    page.get_by_role("button", name="Login").click()
    expect(page).to_have_url(f"{server.ui}/dashboard")


@contextmanager
def prefect(place: Place) -> Iterator[Prefect]:
    """A server of its own database, and ``wardlake flows serve`` in ``place``."""
    with PrefectServer(place.folder / "prefect") as server:
        server.wait()
        at = Place(place.folder, {**place.settings, **server.environment})
        with at.running("flows", "serve") as serving, signed_in(server.api, server.auth_file) as client:
            found = Prefect(client, server, serving)
            until(lambda: len(found.deployments()) == 5, "the deployments")
            yield found
