"""Prefect's server: finding the one that ``PREFECT_API_URL`` names, and running one on this machine."""

import http.client
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from app.child import HOST, spawn, stop, usual_or_free
from flows.environment import API, NOT_TRACKED
from lake.errors import UsageError

PORT: Final = 4200
READY_SECONDS: Final = 120.0
"""How long a start may take: 12 s are usual with a new database, on a busy machine it has been 30."""
STOP_SECONDS: Final = 10.0

_ANSWER_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.1


def named() -> str | None:
    """The address of the API that ``PREFECT_API_URL`` names; None where it is unset."""
    return os.environ.get(API, "").rstrip("/") or None


def answers(api: str) -> bool:
    """Whether a Prefect server answers there. One that asks who we are answers too."""
    if not api.startswith(("http://", "https://")):
        return False
    try:
        with urllib.request.urlopen(f"{api}/health", timeout=_ANSWER_SECONDS) as answer:  # noqa: S310 (checked above)
            return json.load(answer) is True
    except urllib.error.HTTPError as error:
        return error.code in (401, 403)
    except (OSError, ValueError, http.client.HTTPException):
        return False


def require() -> str:
    """The address of the named API. Raises ``UsageError`` where none is named or nobody answers there."""
    api = named()
    if api is not None and answers(api):
        return api
    raise UsageError(
        "no Prefect server is named" if api is None else f"no Prefect server answers at {api}",
        got=f"no {API}" if api is None else "no answer",
        expected=f"{API} with the address of a running server, such as http://{HOST}:{PORT}/api",
        next_move="start one with 'prefect server start' and set it",
    )


class PrefectServer:
    """A Prefect server with its UI on the loopback, alive between ``start`` and ``stop``.

    All that it writes is under ``home``: a SQLite database and a log. It reports nothing to anyone. It dies with this
    process, as ``app.child.spawn`` says.
    """

    def __init__(self, home: Path) -> None:
        """Prepare a server that keeps its things in ``home``."""
        self.home = home
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def api(self) -> str:
        """The address of the API."""
        return f"{self.ui}/api"

    @property
    def ui(self) -> str:
        """The address of the UI."""
        return f"http://{HOST}:{self._port}"

    @property
    def environment(self) -> dict[str, str]:
        """What its clients need in their environment."""
        return {**NOT_TRACKED, "PREFECT_HOME": str(self.home), API: self.api}

    def start(self) -> Self:
        """Start the server, on port 4200 or where that is taken on any free one; ``wait`` for it before its use."""
        self.home.mkdir(parents=True, exist_ok=True)
        self._port = usual_or_free(PORT)
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(self._port)]
        # A path, not an address: the UI asks the server that it came from, whatever the port.
        self._process = spawn(
            command, _clean() | self.environment | {"PREFECT_SERVER_UI_API_URL": "/api"}, log=self.log
        )
        return self

    @property
    def log(self) -> Path:
        """Where its own words go."""
        return self.home / "server.log"

    def wait(self) -> None:
        """Wait until it answers. Raises ``UsageError`` where it ended or took longer than two minutes."""
        deadline = time.monotonic() + READY_SECONDS
        while not answers(self.api):
            ended = self._process is None or self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                raise UsageError(
                    "the Prefect server did not start",
                    got="its process ended" if ended else f"no answer within {READY_SECONDS:g} s",
                    expected=f"an answer at {self.api}",
                    next_move=f"see {self.log}",
                )
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """End the server; harmless when it is not running."""
        process, self._process = self._process, None
        if process is not None:
            stop(process, STOP_SECONDS)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _clean() -> dict[str, str]:
    """The environment without the key, and without settings of another Prefect."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("WARDLAKE_", "PREFECT_"))}
