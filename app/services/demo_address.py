"""A running demo says where its broker is, so that commands in a second terminal find it by themselves."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_FILE: Final = "demo.json"
_SECONDS: Final = 0.5


@contextmanager
def announced(data: Path, broker: str) -> Iterator[None]:
    """Within it, ``broker_of(data)`` is ``broker`` (host:port)."""
    file = data / _FILE
    data.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"kafka": broker, "pid": os.getpid()}) + "\n", encoding="utf-8")
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def broker_of(data: Path) -> str | None:
    """The broker of the demo that runs in the data folder, None where none does. Costs one connection.

    A killed demo leaves its file behind; its broker is gone, so nothing listens there any more.
    """
    try:
        broker = str(json.loads((data / _FILE).read_text(encoding="utf-8"))["kafka"])
        host, _, port = broker.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=_SECONDS):
            return broker
    except (OSError, ValueError, KeyError, TypeError):
        return None
