"""``wardlake dashboard``: the dashboards, until Ctrl-C or SIGTERM."""

import importlib.util
import threading
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer

from app.cli.options import with_settings
from app.cli.output import err
from app.services.child_process import HOST
from app.services.dashboard import ORIGINS, PORT, Dashboard, checked_origin
from app.services.stop_signal import asked_to_stop
from app.settings import Settings
from lake.disclosure.audience import LOOPBACK
from lake.errors import UsageError

_LOOK_SECONDS: Final = 0.2


@with_settings("data", "lake", "kafka", "audience", find_demo=True)
def dashboard(
    settings: Settings,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = HOST,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 is any free one.")] = PORT,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            "--origin",
            envvar=ORIGINS,
            help="Address that people open them at, as https://dash.example.org; may be given more than once.",
        ),
    ] = None,
) -> None:
    """Show the dashboards in the browser, until Ctrl-C or SIGTERM.

    Exact figures on this machine or behind a sign-in, else public ones: counts of 1 to 10 hidden, others rounded to 5.
    On this machine only, unless --host says more. Requests for another host name than those of --host and --origin, or
    from a page of another origin, are refused. The lake's key is not needed, and not passed to them.
    """
    origins = [checked_origin(one) for one in origin or []]
    hosts = {host, *(str(urlsplit(one).hostname) for one in origins)}
    more = {ORIGINS: " ".join(origins)}
    with asked_to_stop() as stopping, of(settings, host=host, port=port, more=more) as running:
        _run(running, stopping, sorted(hosts - {*LOOPBACK}))


def of(settings: Settings, *, host: str = HOST, port: int = PORT, more: dict[str, str] | None = None) -> Dashboard:
    """The dashboards of these settings, not started yet; ``more`` variables for them."""
    from flows.environment import child_environment

    return Dashboard(_main(), child_environment(settings) | (more or {}), host=host, port=port)


def _run(running: Dashboard, stopping: threading.Event, elsewhere: list[str]) -> None:
    while not stopping.wait(_LOOK_SECONDS):
        if running.ready():
            break
    else:
        return
    if elsewhere:
        err.print(
            f"warning: others reach them at {', '.join(elsewhere)}; figures are public (rounded) unless sign-in is "
            "configured: see docs/how-to/secure-the-dashboards.md",
            markup=False,
            soft_wrap=True,
        )
    err.print(f"dashboards at {running.address}; Ctrl-C stops them", markup=False, soft_wrap=True)
    while not stopping.wait(_LOOK_SECONDS):
        running.require_alive()


def _main() -> Path:
    """The file that Streamlit serves."""
    found = importlib.util.find_spec("dashboards")
    main = Path(found.submodule_search_locations[0], "asgi.py") if found and found.submodule_search_locations else None
    if main is None or not main.is_file():
        raise UsageError(
            "the dashboards are not there",
            got=f"no {main}" if main else "no package 'dashboards'",
            expected="the dashboards that come with Wardlake",
            next_move="install Wardlake anew",
        )
    return main
