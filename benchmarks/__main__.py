"""``python -m benchmarks [NAME…] [--events N] …``; every benchmark but the opt-in ones if none is named."""

import argparse
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from benchmarks.harness import machine, record
from benchmarks.harness.result import Result
from benchmarks.suites import (
    footprint,
    gold,
    history,
    ingest,
    latency,
    scale,
    scrub,
    versus_spark,
)
from lake.errors import WardlakeError

BENCHMARKS: Final[dict[str, Callable[[argparse.Namespace], Result]]] = {
    "ingest": lambda asked: ingest.run(asked.events or 2_000_000, asked.repeat),
    "scrub": lambda _: scrub.run(),
    "latency": lambda _: latency.run(),
    "footprint": lambda _: footprint.run(),
    "scale": lambda asked: scale.run(asked.events or 5_000_000),
    "history": lambda asked: history.run(asked.batches),
    "gold": lambda asked: gold.run(asked.events or 1_000_000),
}


OPT_IN: Final[dict[str, Callable[[argparse.Namespace], Result]]] = {
    "spark-ingest": lambda asked: versus_spark.ingest(asked.events or 2_000_000, asked.repeat),
    "spark-gold": lambda asked: versus_spark.gold(asked.events or 1_000_000),
    "spark-footprint": lambda _: versus_spark.footprint(),
}
"""What needs more than the project's own environment: run only when it is named."""


def main() -> None:
    """Run the benchmarks named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("which", nargs="*", help=f"{', '.join(BENCHMARKS)} (all if none is named), {', '.join(OPT_IN)}")
    parser.add_argument("--events", type=int, help="gold takes 20 times it, scale up to it")
    parser.add_argument("--batches", type=int, default=20_000, help="of history")
    parser.add_argument("--repeat", type=int, default=3, help="runs of ingest whose median counts")
    parser.add_argument("--out", type=Path, default=Path("data/benchmarks"), help="where the JSON goes")
    parser.add_argument("--record", action="store_true", help="put table, JSON and chart into docs/benchmarks")
    asked = parser.parse_args()
    if unknown := set(asked.which) - (BENCHMARKS | OPT_IN).keys():
        parser.error(f"unknown benchmark {', '.join(sorted(unknown))}")
    for name, run in (BENCHMARKS | OPT_IN).items():
        if name in asked.which or (not asked.which and name in BENCHMARKS):
            where = machine.facts()
            command = shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]])
            result = replace(run(asked), command=command, machine=where)
            result.print()
            record.write(result, asked.out)
            if asked.record:
                record.publish(result)


if __name__ == "__main__":
    try:
        main()
    except WardlakeError as error:
        print(f"benchmarks: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
