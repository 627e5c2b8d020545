"""The secrets that Prefect's server asks for: the owner's for everything, the reader's for the list of runs.

Each is ``user:password`` in a file of mode 0600, in a folder that holds nothing else, so that a container can be given
one without the other. A secret is never on a command line, which other users of the machine can read.
"""

import secrets
from pathlib import Path
from typing import Final

from lake import atomic_write
from lake.errors import UsageError

OWNER: Final = "owner"
"""May do everything. That includes shell commands in the process that serves the flows."""
READER: Final = "reader"
"""May list flow runs: what the dashboards show."""

_BYTES: Final = 32


def file(home: Path, who: str) -> Path:
    """Where a server that keeps its things in ``home`` has the secret of ``who``."""
    return home / who / "auth"


def make(home: Path, *, replace: bool) -> None:
    """Make the secrets in ``home``, which its owner alone may enter: those that are missing, with ``replace`` both."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)
    for who in (OWNER, READER):
        path = file(home, who)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if replace or not path.exists():
            atomic_write.write(path, f"{who}:{secrets.token_urlsafe(_BYTES)}\n")


def read(path: Path) -> str:
    """The secret in a file. Raises ``UsageError`` where there is none; its text never quotes the file."""
    try:
        found = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        found, got = "", type(error).__name__
    else:
        got = "no colon in it"
    if ":" in found:
        return found
    raise UsageError(
        f"the file {path} has no sign-in for Prefect",
        got=got,
        expected="one line: user:password",
        next_move="name the file that 'wardlake prefect' made",
    )
