"""Running a contender as a process of its own, and what it cost."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from producer.publisher import Publisher
from producer.simulator import Simulator, SimulatorSettings

TOPIC = "healthcare.data"
DAYS = 60
"""The events are those of a hospital group of a size to have them in two months."""

console = Console()


def publish(bootstrap: str, events: int) -> None:
    """Put simulated events on the topic."""
    from app.cli.produce import start_day

    settings = SimulatorSettings(events=events, days=DAYS, start=start_day(events, DAYS))
    Publisher(bootstrap, TOPIC).publish(Simulator(settings).blocks())


def in_a_process(module: str, *arguments: object) -> dict[str, float]:
    """Run ``python -m module arguments… OUT`` and return the figures that it wrote to OUT."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "figures.json"
        command = [sys.executable, "-m", module, *map(str, arguments), str(out)]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONWARNINGS": "ignore"})
        figures: dict[str, float] = json.loads(out.read_text())
        return figures


def report(out: str, events: int, landings: list[tuple[float, int]]) -> None:
    """Write a contender's figures. The clock runs from the first landing, so joining the group does not count.

    ``landings``: when each landing ended and how many messages it held.
    """
    (first, head), (last, _) = landings[0], landings[-1]
    usage = resource.getrusage(resource.RUSAGE_SELF)
    figures = {
        "events_per_second": (sum(n for _, n in landings) - head) / (last - first),
        "cpu_us": (usage.ru_utime + usage.ru_stime) * 1e6 / events,
        "rss_mb": usage.ru_maxrss / 1024,
    }
    Path(out).write_text(json.dumps(figures))


def clocked() -> tuple[list[tuple[float, int]], Callable[[int], None]]:
    """A list of landings and the call that adds one."""
    landings: list[tuple[float, int]] = []
    return landings, lambda messages: landings.append((time.perf_counter(), messages))


def print_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table of figures."""
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    console.print(table)
