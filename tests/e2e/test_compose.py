"""``compose.yaml`` as a user runs it: built, brought up, used, each container killed, scaled, backed up, taken down.

It needs a Docker engine with compose. With WARDLAKE_TEST_COMPOSE=plain it runs compose.yaml as it is, which pulls Kafka
and the base image; otherwise on the host's network with the embedded broker (``compose.host.yaml``).
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from playwright.sync_api import expect

from tests.support.browser import chromium

ROOT: Final = Path(__file__).resolve().parents[2]
PLAIN: Final = os.environ.get("WARDLAKE_TEST_COMPOSE") == "plain"
FILES: Final = ["-f", "compose.yaml", *([] if PLAIN else ["-f", "tests/e2e/compose.host.yaml"])]
DASHBOARD: Final = f"http://127.0.0.1:{8501 if PLAIN else 18501}"
PREFECT: Final = f"http://127.0.0.1:{4200 if PLAIN else 14200}"
OURS: Final = ("stream", "producer", "prefect", "flows", "dashboard")
SPEED: Final = 5_000
"""About 40 events a second."""
COLD_START_SECONDS: Final = 90
MEMORY_MB: Final = 1536


def engine() -> bool:
    """Whether a Docker engine answers and compose is there."""
    if shutil.which("docker") is None:
        return False
    asked = (["docker", "info"], ["docker", "compose", "version"])
    return all(subprocess.run(one, capture_output=True, check=False).returncode == 0 for one in asked)


pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not engine(), reason="no Docker engine with compose answers: compose.yaml was not run here"),
]


class Stack:
    """The project of this test, apart from one that the user may have."""

    def __init__(self, project: str) -> None:
        self.project = project
        self.environment = os.environ | {"WARDLAKE_SPEED": str(SPEED), "COMPOSE_PROFILES": "demo"}

    def __call__(self, *arguments: str, data: bytes | None = None, seconds: float = 300) -> bytes:
        """Run ``docker compose`` to its end; its stdout. Fails with the last of its words."""
        command = ["docker", "compose", "-p", self.project, *FILES, *arguments]
        ran = subprocess.run(
            command, cwd=ROOT, env=self.environment, input=data, capture_output=True, check=False, timeout=seconds
        )
        assert ran.returncode == 0, f"compose {arguments[0]}: {ran.stderr.decode()[-2000:]}"
        return ran.stdout

    def wardlake(self, *arguments: str) -> str:
        """Run the command line in a container of its own, as the README says."""
        return self("run", "--rm", "-T", "--no-deps", "wardlake", *arguments).decode()

    def one(self, query: str) -> dict[str, Any]:
        """The one row of a query."""
        [row] = json.loads(self.wardlake("sql", query, "--format", "json"))
        found: dict[str, Any] = row
        return found

    def states(self) -> dict[str, list[dict[str, Any]]]:
        """Service → its containers."""
        found: dict[str, list[dict[str, Any]]] = {}
        for line in self("ps", "--all", "--format", "json").decode().splitlines():
            container = json.loads(line)
            found.setdefault(container["Service"], []).append(container)
        return found

    def healthy(self, service: str, count: int = 1) -> bool:
        """Whether all of a service's containers are."""
        states = self.states().get(service, [])
        return len(states) == count and all(one["Health"] == "healthy" for one in states)


def until(met: Callable[[], bool], what: str, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, f"it took too long: {what}"
        time.sleep(0.5)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """The image built, nothing up yet; at the end everything is taken down, volumes too."""
    found = Stack(f"wardlake-test-{os.getpid()}")
    build = ["docker", "build", *([] if PLAIN else ["--network=host"]), "-t", "wardlake:0.1.0", "."]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=1200)
    try:
        yield found
    finally:
        found("down", "--volumes", "--timeout", "20", "--remove-orphans")


def test_the_whole_lakehouse(stack: Stack, tmp_path: Path) -> None:
    started = time.monotonic()
    stack("up", "--detach", "--no-build", "--wait", "--wait-timeout", "240")
    up = time.monotonic() - started
    shows_gold()
    cold = time.monotonic() - started
    print(f"\nhealthy after {up:.0f} s, Gold on the dashboard after {cold:.0f} s")  # noqa: T201
    assert httpx.get(PREFECT).status_code == 200
    measures_memory(stack)
    takes_no_privilege(stack)
    keeps_its_secret(stack)
    asks_who_uses_prefect(stack)
    the_command_line_works(stack)
    survives_kills(stack)
    scales(stack)
    accounts_for_everything(stack)
    is_backed_up_and_restored(stack, tmp_path)
    assert cold <= COLD_START_SECONDS


def shows_gold() -> None:
    """A KPI of Gold is on the dashboard."""
    with chromium() as page:
        deadline = time.monotonic() + 180
        while True:
            page.goto(DASHBOARD)
            try:
                expect(page.get_by_text("Admissions per day").first).to_be_visible(timeout=5_000)
            except AssertionError:
                assert time.monotonic() < deadline, "no Gold on the dashboard"
            else:
                return


def measures_memory(stack: Stack) -> None:
    """All our containers, Kafka aside, with events flowing and Gold being built."""
    peaks = []
    for _ in range(10):
        ids = [one["ID"] for service in OURS for one in stack.states()[service]]
        found = subprocess.run(
            ["docker", "stats", "--no-stream", "--format", "{{json .}}", *ids], capture_output=True, check=True
        )
        used = {one["Name"]: megabytes(one["MemUsage"]) for one in map(json.loads, found.stdout.splitlines())}
        peaks.append((sum(used.values()), used))
        time.sleep(3)
    total, used = max(peaks, key=lambda one: one[0])
    told = ", ".join(f"{name} {size:.0f}" for name, size in used.items())
    print(f"memory of our containers: {total:.0f} MB at most ({told})")  # noqa: T201
    assert total <= MEMORY_MB


def megabytes(usage: str) -> float:
    used = usage.split("/")[0].strip()
    units = {"GiB": 1024.0, "MiB": 1.0, "KiB": 1 / 1024, "B": 1 / 1024**2}
    unit = next(name for name in units if used.endswith(name))
    return float(used.removesuffix(unit)) * units[unit]


def takes_no_privilege(stack: Stack) -> None:
    for service in OURS:
        [container] = stack.states()[service]
        [told] = json.loads(
            subprocess.run(["docker", "inspect", container["ID"]], capture_output=True, check=True).stdout
        )
        assert told["Config"]["User"] == "10001:10001", service
        host = told["HostConfig"]
        assert (host["ReadonlyRootfs"], host["CapDrop"], host["Privileged"]) == (True, ["ALL"], False), service
        assert any(option.startswith("no-new-privileges") for option in host["SecurityOpt"]), service
        assert host["Memory"] > 0, service


def keeps_its_secret(stack: Stack) -> None:
    """The key is in its volume, for those who need it, and nowhere that Docker tells of."""
    key = stack("exec", "-T", "stream", "cat", "/run/wardlake/lake.key").strip()
    assert len(key) == 44
    ids = subprocess.run(["docker", "ps", "-aq"], capture_output=True, check=True).stdout.split()
    told = subprocess.run([b"docker", b"inspect", *ids], capture_output=True, check=True).stdout
    history = subprocess.run(
        ["docker", "history", "--no-trunc", "wardlake:0.1.0"], capture_output=True, check=True
    ).stdout
    assert key not in told + history
    assert key not in stack("logs", "--no-color")
    for service in ("producer", "dashboard", "prefect"):
        found = stack("exec", "-T", service, "sh", "-c", "ls /run/wardlake 2>/dev/null || true")
        assert found.strip() == b"", f"{service} can see the key"


def asks_who_uses_prefect(stack: Stack) -> None:
    """Prefect lets nobody in without a secret, which is where it is needed and nowhere that Docker tells of."""
    owner = stack("exec", "-T", "prefect", "cat", "/prefect/owner/auth").strip()
    reader = stack("exec", "-T", "dashboard", "cat", "/run/prefect/auth").strip()
    assert stack("exec", "-T", "flows", "cat", "/run/prefect/auth").strip() == owner != reader
    for service in ("dashboard", "stream", "producer"):
        assert owner not in stack("exec", "-T", service, "sh", "-c", "cat /run/prefect/* /prefect/owner/* 2>&1 || true")
    ids = subprocess.run(["docker", "ps", "-aq"], capture_output=True, check=True).stdout.split()
    told = subprocess.run([b"docker", b"inspect", *ids], capture_output=True, check=True).stdout
    told += stack("logs", "--no-color")
    lines = b"\n".join(path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists())
    for secret in (owner, reader):
        assert secret.split(b":")[1] not in told + lines
    with httpx.Client(base_url=f"{PREFECT}/api") as client:
        assert client.get("/health").json() is True
        assert client.post("/deployments/filter", json={}).status_code == 403
        assert client.get("/admin/version").status_code == 401
        user, _, password = owner.decode().partition(":")
        assert client.get("/admin/version", auth=(user, password)).status_code == 200
        assert client.get("/health", headers={"Host": "evil.test"}).status_code == 400
    asked = (
        "from dashboards import pipeline_prefect, settings; found = settings.settings(); "
        "print(pipeline_prefect.runs(found.prefect_api, found.dashboard_prefect_auth_file) is not None)"
    )
    assert stack("exec", "-T", "dashboard", "python", "-c", asked).strip() == b"True"


def the_command_line_works(stack: Stack) -> None:
    before = stack.one("SELECT sum(messages) AS messages FROM ops.ingest")["messages"]
    assert before > 0
    stack.wardlake("produce", "file", "/in/producer/sample_data.csv")
    assert "every check holds" in stack.wardlake("verify")


def survives_kills(stack: Stack) -> None:
    """Each container is killed once, from the inside: the engine starts it again."""
    stack("stop", "producer")  # the stand-in broker would forget what has not landed
    lands_everything(stack)
    for service in ("stream", "flows", "dashboard", "prefect", "kafka"):
        [before] = stack.states()[service]
        started = start_of(before["ID"])
        # Everything but the container's first process, which then ends.
        subprocess.run(["docker", "exec", before["ID"], "sh", "-c", "kill -9 -1"], capture_output=True, check=False)
        until(lambda s=service, b=before, t=started: start_of(b["ID"]) != t, f"a new start of {service}")
        until(lambda s=service: stack.healthy(s), f"{service} healthy again")
        print(f"{service} was killed and is healthy again")  # noqa: T201
    stack("start", "producer")
    before = landed(stack)
    until(lambda: landed(stack) > before, "events landing again")


def start_of(container: str) -> str:
    form = "{{.State.StartedAt}}"
    return subprocess.run(["docker", "inspect", "-f", form, container], capture_output=True, check=True).stdout.decode()


def landed(stack: Stack) -> int:
    return int(stack.one("SELECT sum(messages)::BIGINT AS n FROM ops.ingest")["n"])


def lands_everything(stack: Stack) -> None:
    until(lambda: all(one["lag"] == 0 for one in json.loads(stack.wardlake("status", "--json"))["lag"]), "a lag of 0")


def scales(stack: Stack) -> None:
    """Three streams share the partitions: each of them lands some."""
    stack("up", "--detach", "--no-build", "--no-recreate", "--wait", "--scale", "stream=3", "stream")
    until(lambda: stack.healthy("stream", 3), "three streams")

    def all_land() -> bool:
        logs = [
            subprocess.run(["docker", "logs", "--since", "20s", one["ID"]], capture_output=True, check=True)
            for one in stack.states()["stream"]
        ]
        return all(b'"landed"' in log.stdout + log.stderr for log in logs)

    until(all_land, "batches of each of three streams")


def accounts_for_everything(stack: Stack) -> None:
    stack("stop", "producer")
    lands_everything(stack)
    found = stack.one(
        "SELECT sum(messages)::BIGINT AS messages, sum(silver + quarantined + duplicates)::BIGINT AS placed "
        "FROM ops.ingest"
    )
    assert found["messages"] == found["placed"]
    assert "every check holds" in stack.wardlake("verify")


def is_backed_up_and_restored(stack: Stack, folder: Path) -> None:
    """As docs/how-to/back-up-and-restore.md says: two archives, and a new project that is filled from them."""
    stack("stop", "stream", "flows", "dashboard")
    tar = ("run", "--rm", "-T", "--no-deps", "--entrypoint", "tar")
    lake = stack(*tar, "wardlake", "-C", "/data", "-cf", "-", ".")
    key = stack(*tar, "wardlake", "-C", "/run/wardlake", "-cf", "-", ".")
    count = "SELECT count(*) AS n, count(DISTINCT patient_key) AS patients FROM silver.events"
    before = stack.one(count)
    other = Stack(f"{stack.project}-restored")
    try:
        other(*tar, "key", "-C", "/run/wardlake", "-xf", "-", data=key)
        other(*tar, "wardlake", "-C", "/data", "-xf", "-", data=lake)
        assert other.one(count) == before
        assert "every check holds" in other.wardlake("verify")
    finally:
        other("down", "--volumes", "--remove-orphans")
