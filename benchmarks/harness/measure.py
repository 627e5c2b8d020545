"""Running a contender as a process of its own, and what it cost."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from benchmarks.harness.result import console

TOPIC: Final = "healthcare.data"
DAYS: Final = 60
"""The events are those of a hospital group of a size to have them in two months."""

_LOOK_SECONDS: Final = 0.2

Figures = dict[str, float]


def publish(bootstrap: str, events: int, days: int = DAYS) -> None:
    """Put simulated events of so many days on the topic."""
    # Here, or each contender would bear the simulator in its memory.
    from app.cli.produce import start_day
    from lake.kafka import Kafka
    from producer.publisher import Publisher
    from producer.simulator.simulator import Simulator, SimulatorSettings

    settings = SimulatorSettings(events=events, days=days, start=start_day(events, days))
    Publisher(Kafka(bootstrap), TOPIC).publish(Simulator(settings).blocks())


def in_a_process(module: str, *arguments: object) -> Figures:
    """Run ``python -m module arguments… OUT``; the figures that it wrote to OUT and its peak memory, ``rss_mb``."""
    return run_command([sys.executable, "-m", module, *map(str, arguments)])


def run_command(command: Sequence[str]) -> Figures:
    """``in_a_process`` for any command, which is given OUT as its last argument. The memory is that of its tree."""
    with tempfile.TemporaryDirectory() as scratch:
        out, errors = Path(scratch) / "figures.json", Path(scratch) / "errors"
        with errors.open("wb") as file:
            process = subprocess.Popen(
                [*command, str(out)], stderr=file, env={**os.environ, "PYTHONWARNINGS": "ignore"}
            )
            peak = _watch(process)
        if process.returncode:
            raise SystemExit(f"{command} exited with {process.returncode}: {errors.read_text()[-2000:]}")
        figures: Figures = json.loads(out.read_text())
        return figures | {"rss_mb": max(peak, figures.get("rss_mb", 0))}


def _watch(process: "subprocess.Popen[bytes]") -> float:
    """Wait for the process; peak resident memory of it and its children, in MB."""
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, tree_mb(process.pid))
        time.sleep(_LOOK_SECONDS)
    return peak


def tree_mb(pid: int) -> float:
    """Resident memory of a process and its children now, in MB; what is gone counts as nothing."""
    total = 0
    try:
        top = psutil.Process(pid)
        for process in (top, *top.children(recursive=True)):
            total += process.memory_info().rss
    except psutil.Error:
        pass
    return total / 1e6


@dataclass
class Landings:
    """When each landing of a contender ended, the CPU seconds spent by then, and how many messages it held."""

    times: list[float]
    cpu: list[float]
    messages: list[int]

    def note(self, messages: int) -> None:
        """A landing has ended."""
        self.times.append(time.perf_counter())
        self.cpu.append(time.process_time())
        self.messages.append(messages)

    def figures(self) -> Figures:
        """Events a second and CPU µs an event, from the first landing to the last: starting does not count."""
        events = sum(self.messages[1:])
        return {
            "events_per_second": events / (self.times[-1] - self.times[0]),
            "cpu_us": (self.cpu[-1] - self.cpu[0]) * 1e6 / events,
        }


def report(out: str, landings: Landings, bytes_on_disk: int) -> None:
    """Write a contender's figures and the bytes that its tables take on disk."""
    Path(out).write_text(json.dumps(landings.figures() | {"bytes_on_disk": bytes_on_disk}))


def size(folder: str | Path) -> int:
    """Bytes of the files in a folder."""
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def medians(runs: Mapping[str, Callable[[], Figures]], repeat: int) -> dict[str, Figures]:
    """Each contender's median figures of ``repeat`` runs, taken in turns so that a busy hour is everybody's."""
    found: dict[str, list[Figures]] = {name: [] for name in runs}
    for number in range(repeat):
        for name, run in runs.items():
            console.print(f"running {name} ({number + 1} of {repeat})")
            found[name].append(run())
    return {
        name: {key: statistics.median(each[key] for each in figures) for key in figures[0]}
        for name, figures in found.items()
    }
