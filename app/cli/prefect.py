"""``wardlake prefect``: Prefect's server and its UI, behind a sign-in, until Ctrl-C or SIGTERM."""

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from app.cli.options import with_settings
from app.cli.output import err
from app.services.child_process import HOST
from app.settings import Settings

_PORT: Final = 4200
_EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104  (named, not listened on)


@with_settings("data")
def prefect(
    settings: Settings,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = HOST,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 is any free one.")
    ] = _PORT,
    name: Annotated[
        list[str] | None, typer.Option("--name", help="Another name that it is called by, as in http://NAME:4200.")
    ] = None,
) -> None:
    """Run Prefect's server and its UI, behind a sign-in, until Ctrl-C or SIGTERM. The flows: wardlake flows serve.

    On this machine only, unless --host says more. Whoever signs in can run commands as the user who serves the flows.
    It keeps its database, and the line to sign in with, in PREFECT_HOME, by default the folder prefect of the data.
    """
    from flows import server_guard, signin

    home = Path(os.environ.get("PREFECT_HOME") or settings.data / "prefect").expanduser().absolute()
    names = [*(name or ()), *([] if host in _EVERYWHERE else [host])]
    with server_guard.listen(host, port) as listening:
        signin.make(home, replace=False)
        address = f"http://{HOST if host in _EVERYWHERE else host}:{listening.getsockname()[1]}"
        for line in (
            f"Prefect UI at {address}; Ctrl-C stops it",
            f"it asks for a sign-in: the line in {signin.file(home, signin.OWNER)}",
        ):
            err.print(line, markup=False, soft_wrap=True)
        server_guard.serve(listening, home, names)
