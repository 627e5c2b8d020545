"""Contender: the stream as it is, sealing included."""

import sys
import tempfile
from pathlib import Path

from app import settings as configuration
from app.stream.run import run_stream
from benchmarks.measure import Landings, report
from lake import policy, store
from lake.sealing import LakeKey


def main(bootstrap: str, _: str, out: str) -> None:
    """Stream until caught up."""
    landings = Landings([], [], [])
    with tempfile.TemporaryDirectory() as scratch:
        settings = configuration.load(kafka=bootstrap, data=scratch)
        lake = store.create(Path(scratch) / "lake", LakeKey(bytes(32)))
        run_stream(
            settings,
            lake,
            policy.load("display"),
            until_caught_up=True,
            on_landed=lambda landed, _: landings.note(sum(batch.messages for batch in landed)),
        )
        report(out, landings, settings.lake)


if __name__ == "__main__":
    main(*sys.argv[1:4])
