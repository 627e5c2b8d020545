"""``python -m tests.bench [NAME…] [--events N] [--batches N]``; every benchmark if none is named."""

import argparse
from collections.abc import Callable
from typing import Final

from tests.bench import compaction, dashboard, gold, history, ingest, memory

_DEFAULT_EVENTS: Final = 1_000_000
_DEFAULT_BATCHES: Final = 20_000

BENCHMARKS: Final[dict[str, Callable[[argparse.Namespace], None]]] = {
    "ingest": lambda asked: ingest.run(asked.events),
    "memory": lambda asked: memory.run(asked.events),
    "history": lambda asked: history.run(asked.batches),
    "gold": lambda asked: gold.run(asked.events),
    "dashboard": lambda asked: dashboard.run(asked.events),
    "compaction": lambda asked: compaction.run(asked.batches // 4),
}


def main() -> None:
    """Run the benchmarks named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("which", nargs="*", help=f"{', '.join(BENCHMARKS)}; all if none is named")
    parser.add_argument(
        "--events",
        type=int,
        default=_DEFAULT_EVENTS,
        help="events of ingest; memory takes up to 10, gold and dashboard 20 times it",
    )
    parser.add_argument(
        "--batches", type=int, default=_DEFAULT_BATCHES, help="small batches of history; compaction takes a quarter"
    )
    asked = parser.parse_args()
    if unknown := set(asked.which) - BENCHMARKS.keys():
        parser.error(f"unknown benchmark {', '.join(sorted(unknown))}")
    for name, run in BENCHMARKS.items():
        if name in asked.which or not asked.which:
            run(asked)


if __name__ == "__main__":
    main()
