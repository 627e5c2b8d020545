"""Whoever changes a deployment runs shell commands as its owner: another user and a page of another origin try it."""

import http.client
import json
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
import pytest
from playwright.sync_api import Page, expect

from dashboards.screens.pipeline import prefect_runs
from flows import signin
from tests.support.browser import chromium
from tests.support.commands import Place
from tests.support.lakes import KEY_TEXT
from tests.support.prefects import Prefect, prefect, sign_in, signed_in, until

STEP: Final = "prefect.deployments.steps.run_shell_script"

PAGE: Final = """<!doctype html><title>elsewhere</title><iframe name="hidden"></iframe><iframe id="ui"></iframe>
<form method="post" enctype="text/plain" target="hidden"><input name='{"a":"' value='"}'></form><script>
async function attempt(url, options) {
  try { const answer = await fetch(url, options); return answer.type === "opaque" ? "opaque" : answer.status }
  catch (error) { return "blocked" }
}
function socket(url) {
  return new Promise(done => {
    const socket = new WebSocket(url)
    socket.onopen = () => done("opened")
    socket.onclose = () => done("closed")
  })
}
async function attack(api, deployment, body) {
  const json = {"Content-Type": "application/json"}, target = `${api}/deployments/${deployment}`
  const start = `${target}/create_flow_run`
  const found = {socket: await socket(`${api.replace("http", "ws")}/events/in`)}
  // Where a server allows every origin, a browser sends what has no credentials with it, and only that.
  for (const credentials of ["omit", "include"]) {
    const attempts = {
      patch: [target, {method: "PATCH", headers: json, body}],
      start: [start, {method: "POST", headers: json, body: "{}"}],
      simple: [start, {method: "POST", body: "{}"}],
      unseen: [start, {method: "POST", body: "{}", mode: "no-cors"}],
      read: [`${api}/deployments/filter`, {method: "POST", headers: json, body: "{}"}],
      token: [`${api}/csrf-token?client=elsewhere`, {}],
    }
    for (const [name, [url, options]] of Object.entries(attempts))
      found[`${name} ${credentials}`] = await attempt(url, {...options, credentials})
  }
  document.forms[0].action = start
  document.forms[0].submit()
  return found
}
</script>"""


@pytest.mark.browser
def test_nobody_but_who_signs_in_runs_anything(tmp_path: Path) -> None:
    """One server for all of it, as the demo starts it: starting one takes longer than the rest."""
    metadata = tmp_path / "ran"
    place = Place(tmp_path, {"WARDLAKE_KEY": KEY_TEXT})
    with prefect(place) as found:
        gold = found.deployments()["gold"]["id"]
        before = until(lambda: runs_of(found, gold), "the run that a lake without Gold gets")
        another_user_is_refused(found, gold, metadata)
        another_name_is_refused(found)
        with chromium() as page:
            sign_in(page, found.server)
            a_page_of_another_origin_is_refused(page, found, gold, metadata)
        the_reader_only_reads(found, gold, metadata)
        the_secret_is_its_owner_s_alone(found)
        assert runs_of(found, gold) == before
        assert not found.deployments()["gold"]["pull_steps"]
        assert not metadata.exists()
        # The same requests of who signs in do it: what was refused above would have run.
        assert until(lambda: answered(found, gold, metadata), "an answer") == [
            httpx.codes.NO_CONTENT,
            httpx.codes.CREATED,
        ]
        until(metadata.exists, "the shell command of who signed in")


def test_each_start_has_another_secret(tmp_path: Path) -> None:
    signin.make(tmp_path / "home", replace=True)
    first = secrets(tmp_path / "home")
    signin.make(tmp_path / "home", replace=False)
    assert secrets(tmp_path / "home") == first
    signin.make(tmp_path / "home", replace=True)
    assert not first & secrets(tmp_path / "home")


def secrets(home: Path) -> set[str]:
    return {signin.read(signin.file(home, who)) for who in (signin.OWNER, signin.READER)}


def shell(metadata: Path) -> dict[str, Any]:
    return {"pull_steps": [{STEP: {"script": f"touch {metadata}"}}]}


def attack(client: httpx.Client, deployment: str, metadata: Path) -> list[int]:
    """Have the next run of a deployment begin with a shell command, and start one."""
    changed = client.patch(f"/deployments/{deployment}", json=shell(metadata))
    started = client.post(f"/deployments/{deployment}/create_flow_run", json={})
    return [changed.status_code, started.status_code]


def answered(found: Prefect, gold: str, metadata: Path) -> list[int]:
    """The answers to who signed in; none while the server's database is busy (503: its own client asks again, too).

    Nor where the server closed the connection as it was used again.
    """
    try:
        answers = attack(found.client, gold, metadata)
    except httpx.RemoteProtocolError:
        return []
    return [] if httpx.codes.SERVICE_UNAVAILABLE in answers else answers


def runs_of(found: Prefect, deployment: str) -> set[str]:
    """Runs that no schedule asked for."""
    asked = {"deployments": {"id": {"any_": [deployment]}}}
    return {run["id"] for run in found.ask("/flow_runs/filter", asked) if not run["auto_scheduled"]}


def another_user_is_refused(found: Prefect, deployment: str, metadata: Path) -> None:
    """Without the file nothing is to be had but whether the server lives: no change, no run, no CSRF token, no list."""
    with httpx.Client(base_url=found.server.api, trust_env=False) as client:
        assert attack(client, deployment, metadata) == [httpx.codes.FORBIDDEN] * 2
        client.headers.update({name: value for name, value in found.client.headers.items() if "csrf" in name})
        assert attack(client, deployment, metadata) == [httpx.codes.UNAUTHORIZED] * 2
        client.auth = ("owner", "guessed")
        assert attack(client, deployment, metadata) == [httpx.codes.UNAUTHORIZED] * 2
        for path in ("/csrf-token?client=me", "/admin/settings", "/admin/version", "/docs", "/openapi.json"):
            assert client.get(path).status_code == httpx.codes.UNAUTHORIZED, path
        assert client.post("/flow_runs/filter", json={}).status_code == httpx.codes.UNAUTHORIZED
        assert client.get("/health").json() is True


def another_name_is_refused(found: Prefect) -> None:
    """A page that had its own name point to this machine gets nothing, though its origin is then the UI's own."""
    port = httpx.URL(found.server.ui).port
    for path in ("/", "/ui-settings", "/api/health", "/api/admin/version"):
        for host, answered in (("evil.test", 400), (f"evil.test:{port}", 400), ("", 400), (f"localhost:{port}", 200)):
            answer = found.client.get(found.server.ui + path, headers={"Host": host})
            assert answer.status_code == answered, (path, host)
    wanted = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Protocol": "prefect"}
    key = {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg=="}
    for host, opened in (("evil.test", False), ("localhost", True)):
        asked = http.client.HTTPConnection("127.0.0.1", port or 0, timeout=10)
        asked.request("GET", "/api/events/in", headers={**wanted, **key, "Host": f"{host}:{port}"})
        assert (asked.getresponse().status == http.HTTPStatus.SWITCHING_PROTOCOLS) is opened
        asked.close()


def a_page_of_another_origin_is_refused(page: Page, found: Prefect, deployment: str, metadata: Path) -> None:
    """In a browser that is signed in to the UI; from another port, and under a name that the UI has as well."""
    with elsewhere() as port:
        for host in ("127.0.0.1", "localhost"):
            page.goto(f"http://{host}:{port}")
            arguments = [found.server.api, deployment, json.dumps(shell(metadata))]
            with page.expect_response(lambda answer: answer.request.is_navigation_request()) as form:
                tried = page.evaluate("arguments => attack(...arguments)", arguments)
            assert tried.pop("socket") == "closed"
            assert {tried.pop(f"unseen {credentials}") for credentials in ("omit", "include")} == {"opaque"}
            assert set(tried.values()) == {"blocked"}, tried
            assert form.value.status == httpx.codes.FORBIDDEN
            page.evaluate("ui => document.getElementById('ui').src = ui", found.server.ui)
            expect(page.frame_locator("#ui").get_by_text("refused to connect").first).to_be_attached()


@contextmanager
def elsewhere() -> Iterator[int]:
    """The port of another server of this machine, with the page that attacks."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(PAGE.encode())

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=partial(server.serve_forever, 0.01))
        serving.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            serving.join()


def the_reader_only_reads(found: Prefect, deployment: str, metadata: Path) -> None:
    """What the dashboards sign in with lists the runs, and does nothing else."""
    told = found.server.for_dashboards
    reader = Path(told["WARDLAKE_DASHBOARD_PREFECT_AUTH_FILE"])
    until(lambda: found.ask("/flow_runs/filter"), "a run")
    assert prefect_runs.runs(told["PREFECT_API_URL"], reader) is not None
    assert prefect_runs.runs(told["PREFECT_API_URL"]) is None
    with signed_in(found.server.api, reader) as client:
        assert client.post("/flow_runs/filter", json={}).status_code == httpx.codes.OK
        assert attack(client, deployment, metadata) == [httpx.codes.UNAUTHORIZED] * 2
        for path in ("/deployments/filter", "/flow_runs/", "/api/flow_runs/filter", "//flow_runs/filter", "/flows/"):
            assert client.post(path, json={}).status_code in (401, 404), path


def the_secret_is_its_owner_s_alone(found: Prefect) -> None:
    """In files that nobody else may read; in no command line of a process, and in no log."""
    home = found.server.home
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    for who in (signin.OWNER, signin.READER):
        assert stat.S_IMODE(signin.file(home, who).stat().st_mode) == 0o600
    known = {secret.partition(":")[2] for secret in secrets(home)}
    lines = [" ".join(command(one)) for one in psutil.process_iter()]
    assert any("flows.server_guard" in line for line in lines)
    lines += [found.server.log.read_text(), *found.serving.lines]
    assert not [secret for secret in known if any(secret in line for line in lines)]


def command(process: psutil.Process) -> list[str]:
    try:
        line: list[str] = process.cmdline()
    except psutil.Error:  # gone by now
        return []
    return line
