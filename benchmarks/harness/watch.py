"""A reader of Silver, as a process of its own: ``python -m benchmarks.harness.watch LAKE OUT``, until it is ended.

Writes one line of JSON for each snapshot that it came to hold: ``seen``, the time when it held it, and ``positions``,
the last offset of each partition whose rows it can query by then. It looks every 10 ms: a look costs a ``stat``.
"""

import json
import sys
import time
from pathlib import Path
from typing import Final

from lake.contracts.tables import SILVER
from lake.storage import store

_LOOK_SECONDS: Final = 0.01


def main(lake: str, out: str) -> None:
    """Watch until the process is ended."""
    root = Path(lake)
    while not store.exists(root):
        time.sleep(_LOOK_SECONDS)
    silver = store.DeltaStore(root, SILVER)
    log, version, positions = silver.path / "_delta_log", silver.handle.version(), dict[str, int]()
    with Path(out).open("a", buffering=1) as file:
        while True:
            if not _commit(log, version + 1).exists():
                time.sleep(_LOOK_SECONDS)
                continue
            newest = silver.refresh()
            seen = time.time()
            for number in range(version + 1, newest + 1):
                positions |= _positions(_commit(log, number))
            file.write(json.dumps({"seen": seen, "positions": positions}) + "\n")
            version = newest


def _commit(log: Path, version: int) -> Path:
    return log / f"{version:020d}.json"


def _positions(commit: Path) -> dict[str, int]:
    """Partition → last offset, of the partitions that a commit moved; none for a compaction."""
    moved = [action["txn"] for line in commit.read_text().splitlines() if "txn" in (action := json.loads(line))]
    return {txn["appId"].rpartition(":")[2]: txn["version"] for txn in moved if txn["appId"] != store.LANDING_APP}


if __name__ == "__main__":
    main(*sys.argv[1:3])
