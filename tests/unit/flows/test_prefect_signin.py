"""Signing in to the Prefect server that is named: with which one flows are served, and what is said of the others."""

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from flows import environment, server, server_guard
from lake.errors import UsageError
from tests.support.lakes import KEY_TEXT, make_lake, simulated, wardlake

SECRET = "owner:one that nobody guesses"


@contextmanager
def answering(secret: str | None) -> Iterator[str]:
    """The API of a server that asks for a secret, or nobody for anything."""
    wanted = None if secret is None else f"Basic {base64.b64encode(secret.encode()).decode()}"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            let_in = self.path == "/api/health" or self.headers.get("Authorization") == wanted or wanted is None
            self.send_response(200 if let_in else 401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as serving:
        thread = threading.Thread(target=partial(serving.serve_forever, 0.01))
        thread.start()
        try:
            yield f"http://127.0.0.1:{serving.server_port}/api"
        finally:
            serving.shutdown()
            thread.join()


@pytest.fixture
def auth_file(tmp_path: Path) -> Path:
    path = tmp_path / "auth"
    path.write_text(f"{SECRET}\n")
    return path


def test_flows_are_not_served_with_a_server_that_asks_nobody_to_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(None) as api:
        monkeypatch.setenv(environment.API, api)
        ran = wardlake("flows", "serve")
        assert server.require(allow_open=True) == api
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        f"wardlake: the Prefect server at {api} asks nobody to sign in: whoever reaches it could run commands here; "
        "got an answer without sign-in; expected a server that asks for it; start one with 'wardlake prefect', or "
        "accept the risk with --allow-open-server\n"
    )


@pytest.mark.parametrize(
    ("given", "got"),
    [
        (None, "no PREFECT_API_AUTH_STRING and no WARDLAKE_PREFECT_AUTH_FILE"),
        ("owner:another", "a sign-in that it does not take"),
    ],
)
def test_a_sign_in_that_is_refused_is_one_line_without_it(
    given: str | None, got: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if given:
        monkeypatch.setenv(environment.AUTH, given)
    with answering(SECRET) as api:
        monkeypatch.setenv(environment.API, api)
        ran = wardlake("flows", "serve")
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert ran.err.startswith(f"wardlake: the Prefect server at {api} refuses the sign-in; got {got}; expected ")
    assert "another" not in ran.err


def test_the_sign_in_is_the_variable_s_else_the_file_s(auth_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(environment.AUTH_FILE, str(auth_file))
    with answering(SECRET) as api:
        monkeypatch.setenv(environment.API, api)
        assert server.require() == api
        monkeypatch.setenv(environment.AUTH, "owner:another")
        assert not server.lets_in(api)
        monkeypatch.setenv(environment.AUTH, SECRET)
        monkeypatch.setenv(environment.AUTH_FILE, "nowhere")
        assert server.lets_in(api)


@pytest.mark.parametrize(("content", "got"), [(None, "FileNotFoundError"), (b"nothing", "no colon"), (b"\xff:", "Uni")])
def test_a_file_without_a_sign_in_is_one_line_without_its_content(
    content: bytes | None, got: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "auth"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv(environment.AUTH_FILE, str(path))
    with answering(SECRET) as api:
        monkeypatch.setenv(environment.API, api)
        ran = wardlake("flows", "serve")
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert ran.err.startswith(f"wardlake: the file {path} has no sign-in for Prefect; got {got}")
    assert "nothing" not in ran.err


def test_a_run_by_hand_goes_on_without_a_server_that_refuses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARDLAKE_DATA", str(tmp_path))
    monkeypatch.setenv("WARDLAKE_KEY", KEY_TEXT)
    make_lake(tmp_path / "lake", simulated(40))
    with answering(SECRET) as api:
        monkeypatch.setenv(environment.API, api)
        ran = wardlake("flow", "quality")
    assert ran.code == 0
    assert ran.err.splitlines()[0] == (
        f"the Prefect server refuses the sign-in at {api}: its UI will not show this run"
    )


def test_a_port_that_is_taken_is_named_or_done_without() -> None:
    with server_guard.listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with server_guard.listen("127.0.0.1", port, or_any=True) as second:
            assert second.getsockname()[1] not in (0, port)
        with pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1:{port}; got Address already in use"):
            server_guard.listen("127.0.0.1", port)
        ran = wardlake("prefect", "--port", str(port))
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
