"""Contender: the stream as it is, encryption included."""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from app import settings as configuration
from app.stream.decide import Rules
from app.stream.run import run_stream
from benchmarks.harness.measure import Landings, report, size
from lake.security import masking_policy
from lake.security.encryption import LakeKey
from lake.storage import store


def stream(bootstrap: str, on_landed: Callable[[int], None]) -> int:
    """Stream into a lake of its own until caught up or SIGTERM, telling of the messages of each batch.

    Returns the bytes that the lake takes.
    """
    with tempfile.TemporaryDirectory() as scratch:
        settings = configuration.load(kafka=bootstrap, data=scratch)
        lake = store.create(Path(scratch) / "lake", LakeKey(bytes(32)))
        run_stream(
            settings,
            lake,
            Rules(masking_policy.load("display"), settings.dedup_key),
            until_caught_up=True,
            on_landed=lambda landed, _: on_landed(sum(batch.messages for batch in landed)),
        )
        return size(settings.lake)


def main(bootstrap: str, _: str, out: str) -> None:
    """Stream until caught up."""
    landings = Landings([], [], [])
    stored = stream(bootstrap, landings.note)
    report(out, landings, stored)


if __name__ == "__main__":
    main(*sys.argv[1:4])
