"""``python -m tests.bench [ingest|history|memory] [--events N] [--batches N]``; all three if none is named."""

import argparse

from tests.bench import history, ingest, memory

_DEFAULT_EVENTS = 1_000_000
_DEFAULT_BATCHES = 20_000


def main() -> None:
    """Run the benchmarks named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("which", nargs="*", help="ingest, memory, history; all if none is named")
    parser.add_argument(
        "--events", type=int, default=_DEFAULT_EVENTS, help="events of ingest; memory takes 10 times as many"
    )
    parser.add_argument("--batches", type=int, default=_DEFAULT_BATCHES, help="small batches of history")
    asked = parser.parse_args()
    which = asked.which or ["ingest", "memory", "history"]
    if unknown := set(which) - {"ingest", "memory", "history"}:
        parser.error(f"unknown benchmark {', '.join(sorted(unknown))}")
    if "ingest" in which:
        ingest.run(asked.events)
    if "memory" in which:
        memory.run(asked.events)
    if "history" in which:
        history.run(asked.batches)


if __name__ == "__main__":
    main()
