"""Only the dashboards' own pages talk to them: other host names and other origins are refused.

Streamlit checks websockets alone, compares host names without ports, and takes any page of this machine for its own. A
page of another site could read the figures: by a host name that it points here (DNS rebinding), or from
another port of localhost.
"""

import socket
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from lake.disclosure.audience import LOOPBACK

_EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104  (named, not listened on)
_SCHEMES: Final = {"ws": "http", "wss": "https"}
_FORBIDDEN: Final = 403
_POLICY_VIOLATION: Final = 1008
_NEXT: Final = (
    "open the address that 'wardlake dashboard' prints, or name this one with --origin "
    "(docs/how-to/secure-the-dashboards.md)"
)


class SameOrigin:
    """ASGI middleware: answers 403 unless a request is for a host of the dashboards, and from no other origin.

    Hosts are the names of the loopback, the ``address`` that is listened on (the machine's name, where that is all of
    them) and the IP address that was connected to, with any port: Docker and SSH map them. A browser's ``Origin`` has
    to be what was asked for: the same scheme, host and port.

    ``origins`` are other addresses of the dashboards, such as those of a proxy, with their own scheme: a
    proxy speaks TLS where this server does not. A request without ``Origin`` is a plain link's, or no browser's.
    """

    def __init__(self, app: ASGIApp, *, address: str | None, origins: Iterable[str] = ()) -> None:
        """Guard ``app``."""
        self._app = app
        self._named = {urlsplit(origin).netloc: origin for origin in origins}
        own = socket.gethostname() if address in _EVERYWHERE else address
        self._hosts = {*LOOPBACK} | ({own.lower()} if own else set())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        refusal = self._refusal(scope) if scope["type"] in {"http", "websocket"} else None
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocketClose(_POLICY_VIOLATION, refusal)(scope, receive, send)
        else:
            await PlainTextResponse(f"wardlake: {refusal}; {_NEXT}\n", _FORBIDDEN)(scope, receive, send)

    def _refusal(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        origin = self._origin(headers.getlist("host"), scope)
        if origin is None:
            return "the dashboards are not at this host name"
        if any(one != origin for one in headers.getlist("origin")):
            return "the request comes from a page of another origin"
        return None

    def _origin(self, hosts: list[str], scope: Scope) -> str | None:
        """The origin of the pages at the host that was asked for; None where that is not one of ours."""
        if len(hosts) != 1:
            return None
        host = hosts[0].lower()
        if host in self._named:
            return self._named[host]
        hostname = _hostname(host)
        # The address that was connected to is no name that somebody could point here.
        if hostname in self._hosts or (hostname and hostname == _connected(scope)):
            return f"{_SCHEMES.get(scope['scheme'], scope['scheme'])}://{host}"
        return None


def _hostname(host: str) -> str | None:
    """The host of a ``Host`` header, without port and brackets; None where it is none."""
    try:
        split = urlsplit(f"//{host}")
        _ = split.port  # raises where it is no port
    except ValueError:
        return None
    return split.hostname if split.netloc == host and "@" not in host else None


def _connected(scope: Scope) -> str | None:
    """The IP address of this machine that the client connected to."""
    server = scope.get("server")
    try:
        address = ip_address(server[0]) if server else None
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)
