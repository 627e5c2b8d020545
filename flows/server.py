"""Prefect's server: finding the one that ``PREFECT_API_URL`` names, and running one on this machine."""

import http.client
import os
import socket
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from http import HTTPStatus
from pathlib import Path
from typing import Final, Self

from app.services.child_process import HOST
from app.services.managed_process import ManagedProcess
from flows import environment, server_guard, signin
from flows.environment import NOT_TRACKED
from flows.server_guard import PORT
from lake.errors import UsageError

READY_SECONDS: Final = 120.0
"""How long a start may take: 12 s are usual with a new database, on a busy machine it has been 30."""

_ANSWER_SECONDS: Final = 5.0
_ALIVE: Final = (HTTPStatus.OK, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_SIGNED_IN: Final = "/admin/version"
"""What a server that asks for a sign-in tells nobody without one."""


def named() -> str | None:
    """The address of the API that ``PREFECT_API_URL`` names; None where it is unset."""
    return os.environ.get(environment.API, "").rstrip("/") or None


def answers(api: str) -> bool:
    """Whether a Prefect server answers there. One that asks who we are answers too."""
    return _status(f"{api}/health", None) in _ALIVE


def lets_in(api: str) -> bool:
    """Whether a Prefect server answers there and takes what we sign in with (``environment.auth``).

    Who has a ``PREFECT_API_KEY`` (Prefect Cloud's) is let in as far as we can see. Raises as ``environment.auth``.
    """
    if os.environ.get("PREFECT_API_KEY"):
        return answers(api)
    return _status(f"{api}{_SIGNED_IN}", environment.auth()) == HTTPStatus.OK


def require(*, allow_open: bool = False) -> str:
    """The address of the named API, for processes that run what it says.

    Raises ``UsageError`` where none is named, nobody answers there or it refuses us, and, but for ``allow_open``, where
    it asks nobody to sign in: it would have everybody's shell commands run here.
    """
    api = named()
    if api is None or not answers(api):
        raise UsageError(
            "no Prefect server is named" if api is None else f"no Prefect server answers at {api}",
            got=f"no {environment.API}" if api is None else "no answer",
            expected=f"{environment.API} with the address of a running server, such as http://{HOST}:{PORT}/api",
            next_move="start one with 'wardlake prefect' and set it",
        )
    if not allow_open and _status(f"{api}{_SIGNED_IN}", None) == HTTPStatus.OK:
        raise UsageError(
            f"the Prefect server at {api} asks nobody to sign in: whoever reaches it could run commands here",
            got="an answer without sign-in",
            expected="a server that asks for it",
            next_move="start one with 'wardlake prefect', or accept the risk with --allow-open-server",
        )
    if not lets_in(api):
        given = environment.auth() is not None
        raise UsageError(
            f"the Prefect server at {api} refuses the sign-in",
            got="a sign-in that it does not take" if given else f"no {environment.AUTH} and no {environment.AUTH_FILE}",
            expected="the server's own: user:password",
            next_move=f"set {environment.AUTH_FILE} to the file that 'wardlake prefect' names",
        )
    return api


def _status(url: str, auth: str | None) -> int | None:
    """The HTTP status of a GET; None where nobody answers."""
    if not url.startswith(("http://", "https://")):
        return None
    headers = {} if auth is None else {"Authorization": f"Basic {b64encode(auth.encode()).decode()}"}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 (checked above)
    try:
        with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as answer:  # noqa: S310 (checked above)
            found: int = answer.status
            return found
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, ValueError, http.client.HTTPException):
        return None


class PrefectServer(ManagedProcess):
    """A Prefect server with its UI on the loopback, alive between ``start`` and ``stop``, behind a sign-in (``guard``).

    All that it writes is under ``home``: a SQLite database, a log, and the two secrets, other ones at each start. It
    reports nothing to anyone. It dies with this process, as ``ManagedProcess`` says.
    """

    stop_seconds = 10.0

    def __init__(self, home: Path) -> None:
        """Prepare a server that keeps its things in ``home``."""
        super().__init__()
        self.home = home
        self._port = 0
        self._listening: socket.socket | None = None

    @property
    def api(self) -> str:
        """The address of the API."""
        return f"{self.ui}/api"

    @property
    def ui(self) -> str:
        """The address of the UI."""
        return f"http://{HOST}:{self._port}"

    @property
    def auth_file(self) -> Path:
        """The file with the line that its owner signs in with."""
        return signin.file(self.home, signin.OWNER).absolute()

    @property
    def environment(self) -> dict[str, str]:
        """What its clients need in their environment."""
        found = {"PREFECT_HOME": str(self.home), environment.API: self.api, environment.AUTH_FILE: str(self.auth_file)}
        return NOT_TRACKED | found

    @property
    def for_dashboards(self) -> dict[str, str]:
        """What the dashboards need in theirs, to read and no more."""
        reader = signin.file(self.home, signin.READER).absolute()
        return {environment.API: self.api, environment.DASHBOARD_AUTH_FILE: str(reader)}

    def start(self) -> Self:
        """Start the server, on port 4200 or where that is taken on any free one; ``wait`` for it before its use."""
        signin.make(self.home, replace=True)
        # Kept open here as well: where the server dies, its port is nobody else's while its clients go on.
        self._listening = server_guard.listen(HOST, PORT, or_any=True)
        self._port = self._listening.getsockname()[1]
        command = [sys.executable, "-P", "-m", "flows.server_guard", "--port", str(self._port)]
        handed = [] if sys.platform == "win32" else [self._listening.fileno()]
        command += [f"--socket={number}" for number in handed]
        if not handed:
            self._listening.close()
        own = _clean() | {"PREFECT_HOME": str(self.home)}
        self._launch(command, own, ready_seconds=READY_SECONDS, log=self.log, pass_fds=handed)
        return self

    @property
    def log(self) -> Path:
        """Where its own words go."""
        return self.home / "server.log"

    def stop(self) -> None:
        """End the server and give up its port; harmless when it is not running."""
        super().stop()
        if self._listening is not None:
            self._listening.close()

    def _healthy(self) -> bool:
        return answers(self.api)

    def _failed(self, status: int | None) -> UsageError:
        return UsageError(
            "the Prefect server did not start",
            got=f"no answer within {READY_SECONDS:g} s" if status is None else "its process ended",
            expected=f"an answer at {self.api}",
            next_move=self._with_last_lines(f"see {self.log}"),
        )


def _clean() -> dict[str, str]:
    """The environment without the key, and without settings of another Prefect."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("WARDLAKE_", "PREFECT_"))}
