"""Which requests the dashboards answer: by the host that was asked for and the origin of the page that asks."""

import asyncio
import socket
from typing import Any, Final

import pytest
from starlette.types import Message, Receive, Scope, Send

from app.services.dashboard import checked_origin
from dashboards.same_origin import SameOrigin
from lake.errors import UsageError

NAMED: Final = "https://dash.example.org"


def status(address: str, connected: str, headers: list[tuple[str, str]], *, scheme: str = "http") -> int:
    """What a guarded server that listens on ``address`` answers: 200 where the request is passed on."""
    sent: list[Message] = []

    async def pages(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("nothing is to be read")

    scope: dict[str, Any] = {"type": "http", "scheme": scheme, "server": (connected, 8501)}
    scope["headers"] = [(name.encode(), value.encode()) for name, value in headers]
    asyncio.run(SameOrigin(pages, address=address, origins=[NAMED])(scope, receive, send))
    return int(sent[0]["status"])


OWN: Final = [
    ("127.0.0.1", "127.0.0.1", "127.0.0.1:8501"),
    ("127.0.0.1", "127.0.0.1", "LOCALHOST:9000"),  # a port that SSH or Docker maps
    ("localhost", "::1", "[::1]:8501"),
    ("127.0.0.2", "127.0.0.2", "127.0.0.2:8501"),
    ("ward-server", "192.168.1.5", "ward-server:8501"),
    ("ward-server", "192.168.1.5", "192.168.1.5:8501"),
    ("0.0.0.0", "192.168.1.5", "192.168.1.5:8501"),
    ("0.0.0.0", "172.18.0.3", "127.0.0.1:8501"),  # a container whose port is published on the loopback
    ("0.0.0.0", "127.0.0.1", f"{socket.gethostname()}:8501"),
    ("::", "::ffff:192.168.1.5", "192.168.1.5:8501"),
    ("::", "fd00::5", "[fd00::5]:8501"),
]
FOREIGN: Final = [
    ("127.0.0.1", "127.0.0.1", "evil.test:8501"),
    ("127.0.0.2", "127.0.0.2", "evil.test:8501"),
    ("0.0.0.0", "127.0.0.1", "evil.test:8501"),
    ("::", "::1", "evil.test:8501"),
    ("192.168.1.5", "192.168.1.5", "evil.test"),
    ("0.0.0.0", "192.168.1.5", "192.168.1.6:8501"),
    ("127.0.0.1", "127.0.0.1", "localhost.evil.test:8501"),
    ("127.0.0.1", "127.0.0.1", "127.0.0.1.evil.test:8501"),
    ("127.0.0.1", "127.0.0.1", "localhost@evil.test"),
    ("127.0.0.1", "127.0.0.1", "evil.test/localhost"),
    ("127.0.0.1", "127.0.0.1", "localhost:port"),
    ("127.0.0.1", "127.0.0.1", "dash.example.org:8501"),
    ("127.0.0.1", "127.0.0.1", ""),
]


@pytest.mark.parametrize(("address", "connected", "host"), OWN)
def test_its_own_hosts_are_served_to_their_own_pages_only(address: str, connected: str, host: str) -> None:
    def asked(origin: str) -> int:
        return status(address, connected, [("host", host), ("origin", origin)])

    name, _, port = host.lower().rpartition(":")
    assert status(address, connected, [("host", host)]) == 200
    assert asked(f"http://{name}:{port}") == 200
    foreign = [f"https://{name}:{port}", f"http://{name}:1", f"http://{name}", "http://evil.test", "null", NAMED, ""]
    assert [asked(origin) for origin in foreign] == [403] * len(foreign)


@pytest.mark.parametrize(("address", "connected", "host"), FOREIGN)
def test_other_hosts_are_refused_whatever_the_origin(address: str, connected: str, host: str) -> None:
    for headers in ([], [("origin", f"http://{host}")], [("origin", "http://127.0.0.1:8501")]):
        assert status(address, connected, [("host", host), *headers]) == 403


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_named_origin_is_served_with_its_own_scheme(address: str) -> None:
    named = ("host", "dash.example.org")
    assert status(address, "127.0.0.1", [named]) == 200
    assert status(address, "127.0.0.1", [named, ("origin", NAMED)]) == 200
    assert status(address, "127.0.0.1", [named, ("origin", "http://dash.example.org")]) == 403
    assert status(address, "127.0.0.1", [("host", "www.dash.example.org")]) == 403


def test_the_scheme_is_that_of_the_request() -> None:
    headers = [("host", "localhost:8501"), ("origin", "https://localhost:8501")]
    assert status("127.0.0.1", "127.0.0.1", headers, scheme="https") == 200
    assert status("127.0.0.1", "127.0.0.1", headers, scheme="wss") == 200
    assert status("127.0.0.1", "127.0.0.1", headers) == 403


def test_a_request_without_a_host_or_with_two_is_refused() -> None:
    assert status("127.0.0.1", "127.0.0.1", []) == 403
    assert status("127.0.0.1", "127.0.0.1", [("host", "localhost"), ("host", "evil.test")]) == 403


def test_each_of_two_origins_has_to_be_its_own() -> None:
    origins = [("origin", "http://localhost"), ("origin", "http://evil.test")]
    assert status("127.0.0.1", "127.0.0.1", [("host", "localhost"), *origins]) == 403


@pytest.mark.parametrize(
    ("given", "checked"),
    [
        ("https://dash.example.org", "https://dash.example.org"),
        (" HTTPS://Dash.Example.org:443/ ", "https://dash.example.org"),
        ("http://ward-server:8080", "http://ward-server:8080"),
        ("http://[FD00::5]:80", "http://[fd00::5]"),
    ],
)
def test_an_origin_is_kept_as_browsers_write_it(given: str, checked: str) -> None:
    assert checked_origin(given) == checked


@pytest.mark.parametrize(
    "given",
    ["", "*", "dash.example.org", "ftp://a", "https://", "http://a/path", "http://a:port", "http://me@a", "http://a?b"],
)
def test_what_is_no_origin_is_refused(given: str) -> None:
    with pytest.raises(
        UsageError, match=r"^--origin \(WARDLAKE_DASHBOARD_ORIGINS\) is wrong; got .*; expected http://"
    ):
        checked_origin(given)
