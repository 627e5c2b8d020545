"""The dashboards as a process of their own: Streamlit, alive between ``start`` and ``stop``."""

import http.client
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from app.services.child_process import HOST, free_port
from app.services.managed_process import ManagedProcess
from lake.errors import UsageError

PORT: Final = 8501
READY_SECONDS: Final = 60.0
"""How long a start may take: 3 s are usual."""

_ANSWER_SECONDS: Final = 2.0
_HEALTH: Final = "/_stcore/health"
_NEVER: Final = (
    *("WARDLAKE_KEY", "WARDLAKE_NEW_KEY", "WARDLAKE_KEY_FILE", "WARDLAKE_CONFIG"),
    *("WARDLAKE_KAFKA_SASL_USERNAME", "WARDLAKE_KAFKA_SASL_PASSWORD"),
    *("WARDLAKE_KAFKA_SSL_CERTIFICATE", "WARDLAKE_KAFKA_SSL_KEY"),
    *("PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_KEY", "WARDLAKE_PREFECT_AUTH_FILE"),
)
"""What the dashboards are not told: the key, what opens the topic, what starts flows, and where these or a file that
may hold them are."""
_PORTS: Final = {"http": 80, "https": 443}
_EVERYWHERE: Final = {"0.0.0.0": HOST, "::": "::1"}  # noqa: S104  (named, not listened on)
ORIGINS: Final = "WARDLAKE_DASHBOARD_ORIGINS"
"""Where people find the dashboards by a name or through a proxy; with spaces between."""


class Dashboard(ManagedProcess):
    """A Streamlit server with the dashboards, and nothing left of it after ``stop``.

    It dies with this process, as ``ManagedProcess`` says. It has no key, and asks no other host for anything. What
    it prints is dropped: a traceback may quote a query that somebody typed. Requests for another host name, or from a
    page of another origin, are refused: ``dashboards/same_origin.py``.
    """

    def __init__(self, main: Path, settings: Mapping[str, str], *, host: str = HOST, port: int = PORT) -> None:
        """Prepare a server of the script ``main`` with these variables set; port 0 is any free one."""
        super().__init__()
        self.host = host
        self.port = port or free_port()
        self._main = main
        self._settings = settings

    @property
    def address(self) -> str:
        """Where a browser on this machine finds it."""
        reached = self._reached
        return f"http://{f'[{reached}]' if ':' in reached else reached}:{self.port}"

    def start(self) -> Self:
        """Start the server; ``ready`` tells when it answers. Raises ``UsageError`` where it cannot listen there."""
        _require_free(self.host, self.port)
        self._launch(self._command(), self._environment(), ready_seconds=READY_SECONDS, log=None)
        return self

    @property
    def _reached(self) -> str:
        return _EVERYWHERE.get(self.host, self.host)

    def _command(self) -> list[str]:
        return [
            # -P: a folder named like a package of ours, where the command was called, is not imported.
            *(sys.executable, "-P", "-m", "streamlit", "run", str(self._main)),
            *("--server.address", self.host),
            *("--server.port", str(self.port)),
            "--server.headless=true",
            "--browser.gatherUsageStats=false",
            # With its greeting it would ask an outside service for this machine's address.
            "--logger.hideWelcomeMessage=true",
        ]

    def _environment(self) -> dict[str, str]:
        told = os.environ | dict(self._settings)
        return {name: value for name, value in told.items() if name.upper() not in _NEVER}

    def _healthy(self) -> bool:
        # Not urllib, which would ask a proxy that the environment names.
        asked = http.client.HTTPConnection(self._reached, self.port, timeout=_ANSWER_SECONDS)
        try:
            asked.request("GET", _HEALTH)
            return asked.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            asked.close()

    def _failed(self, status: int | None) -> UsageError:
        silent = status is None
        return UsageError(
            "the dashboards did not start" if silent else "the dashboards ended by themselves",
            got=f"no answer within {READY_SECONDS:g} s" if silent else f"exit status {status}",
            expected=f"an answer at {self.address}",
            next_move=f"run 'python -m streamlit run {self._main}' to see why",
        )


def checked_origin(text: str) -> str:
    """An origin as a browser writes it: lower case, without the scheme's own port. Raises ``UsageError``."""
    try:
        split = urlsplit(text.strip().lower())
        host, port = split.hostname, split.port
    except ValueError:
        split, host, port = urlsplit(""), None, None
    if split.scheme not in _PORTS or not host or split.path.strip("/") or "@" in split.netloc or split.query:
        raise UsageError(
            f"--origin ({ORIGINS}) is wrong",
            got=repr(text),
            expected="http:// or https:// and a host name, as in https://dash.example.org",
        )
    named = f"[{host}]" if ":" in host else host
    return f"{split.scheme}://{named}" + (f":{port}" if port not in {None, _PORTS[split.scheme]} else "")


def _require_free(host: str, port: int) -> None:
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            if sys.platform != "win32":
                # A port in TIME_WAIT is free. On Windows the option means to share.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except (OSError, UnicodeError) as error:
        got = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
    else:
        return
    raise UsageError(
        f"the dashboards cannot listen on {host}:{port}",
        got=got,
        expected="a free port of an address of this machine",
        next_move="stop what uses it, or choose another with --port or --host",
    )
