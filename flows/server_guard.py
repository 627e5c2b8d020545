"""Prefect's server as Wardlake runs it: only for who signs in, only under its own names, for no other page's scripts.

Whoever may change a deployment runs shell commands as the user who serves the flows (``pull_steps``). Prefect's own
defaults, an API without sign-in that pages of every origin may use, give that to every user of the machine and to every
web page that its owner opens.
"""

import argparse
import base64
import hmac
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from app.services.child_process import HOST
from flows import signin
from flows.environment import NOT_TRACKED
from lake.errors import UsageError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

PORT: Final = 4200
NAMES: Final = ("127.0.0.1", "localhost")
"""What a browser may call the server. Another name that leads here is a page's that had its own name point here."""

_SETTINGS: Final = NOT_TRACKED | {
    "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
    # A path, not an address: the UI asks the server that it came from, whatever the port.
    "PREFECT_SERVER_UI_API_URL": "/api",
    # The newer UI reports to an outside host, also where analytics are off.
    "PREFECT_SERVER_UI_V2_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
}
_HEADERS: Final = [
    # No page may frame the UI to have its buttons clicked; a script in the UI can send nothing elsewhere.
    ("Content-Security-Policy", "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"),
    ("X-Content-Type-Options", "nosniff"),
]
_READS: Final = {("GET", "/api/csrf-token"), ("POST", "/api/flow_runs/filter"), ("POST", "/api/flows/filter")}
"""All that the reader may ask for. A CSRF token opens nothing without a sign-in."""


def listen(host: str, port: int, *, or_any: bool = False) -> socket.socket:
    """A socket that listens on ``port``, or with ``or_any`` where that is taken on any free one.

    It listens before Prefect is imported, which takes seconds: nobody else can take the port meanwhile. Raises
    ``UsageError`` where it cannot listen.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        if or_any:
            return socket.create_server((host, 0), family=family)
        got = error.strerror or type(error).__name__
    raise UsageError(
        f"Prefect's server cannot listen on {host}:{port}",
        got=got,
        expected="a free port of an address of this machine",
        next_move="stop what uses it, or choose another with --port or --host",
    )


def serve(listening: socket.socket, home: Path, names: Sequence[str] = ()) -> None:
    """Run the server on a socket until SIGTERM or Ctrl-C; who else calls it by one of ``names`` is answered too.

    All that it keeps is under ``home``, with the secrets (``signin.make``).
    """
    port = listening.getsockname()[1]
    owner, reader = (signin.read(signin.file(home, who)) for who in (signin.OWNER, signin.READER))
    allowed = [*NAMES, *names]
    os.environ.update(
        _SETTINGS,
        PREFECT_HOME=str(home),
        PREFECT_SERVER_API_AUTH_STRING=owner,
        PREFECT_SERVER_CORS_ALLOWED_ORIGINS=",".join(f"http://{name}:{port}" for name in allowed),
    )
    # Prefect reads the environment when it is imported.
    import uvicorn
    from fastapi.middleware.trustedhost import TrustedHostMiddleware
    from prefect.server.api.server import create_app

    app = TrustedHostMiddleware(_Reader(create_app(final=True), owner, reader), allowed, www_redirect=False)
    config = uvicorn.Config(app, log_level="warning", headers=_HEADERS, server_header=False)
    uvicorn.Server(config).run([listening])


class _Reader:
    """Lets who signs in as the reader make the requests of ``_READS``; Prefect knows one secret only."""

    def __init__(self, app: "ASGIApp", owner: str, reader: str) -> None:
        self._app, self._owner, self._reader = app, _basic(owner), _basic(reader)

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] == "http" and (scope["method"], scope["path"]) in _READS:
            headers = [
                (name, self._as_owner(value) if name == b"authorization" else value) for name, value in scope["headers"]
            ]
            scope = {**scope, "headers": headers}
        await self._app(scope, receive, send)

    def _as_owner(self, sent: bytes) -> bytes:
        return self._owner if hmac.compare_digest(sent, self._reader) else sent


def _basic(secret: str) -> bytes:
    return b"Basic " + base64.b64encode(secret.encode())


def _main() -> None:
    """Serve on the loopback: on the socket that the parent process handed down, or on a port."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--socket", type=int)
    asked = parser.parse_args()
    listening = listen(HOST, asked.port) if asked.socket is None else socket.socket(fileno=asked.socket)
    serve(listening, Path(os.environ["PREFECT_HOME"]))


if __name__ == "__main__":
    _main()
