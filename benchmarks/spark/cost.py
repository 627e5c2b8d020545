"""What a Spark process cost: CPU and memory of it and its JVM, from ``/proc`` (Linux)."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

Figures = dict[str, float]

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_CHILD: Final = 1
_USER, _SYSTEM = 11, 12


def cpu_seconds() -> float:
    """CPU seconds of this process and its children so far."""
    return sum(int(stat[_USER]) + int(stat[_SYSTEM]) for _, stat in _tree()) / _TICKS


def peak_mb() -> float:
    """Peak resident memory, in MB, of this process and its children, each at its own peak."""
    return sum(_peak_kb(pid) for pid, _ in _tree()) * 1024 / 1e6


def resident_mb() -> float:
    """Resident memory of this process and its children now, in MB."""
    pages = (int((Path("/proc") / str(pid) / "statm").read_text().split()[1]) for pid, _ in _tree())
    return sum(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6


def size(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _tree() -> Iterator[tuple[int, list[str]]]:
    """The process itself and its descendants, each with the fields of ``/proc/PID/stat`` from its state on."""
    stats = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            stats[int(path.parent.name)] = path.read_text().rpartition(") ")[2].split()
        except OSError:  # it has ended meanwhile
            continue
    wanted = [os.getpid()]
    for pid in wanted:
        yield pid, stats[pid]
        wanted += [child for child, stat in stats.items() if int(stat[_CHILD]) == pid]


def _peak_kb(pid: int) -> int:
    lines = (Path("/proc") / str(pid) / "status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)  # one that has ended has none


@dataclass
class Landings:
    """When each micro-batch had landed, in seconds since the start, the CPU seconds by then, and its messages."""

    started: float = field(default_factory=time.perf_counter)
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    messages: list[int] = field(default_factory=list)

    def note(self, messages: int) -> None:
        """A micro-batch has landed."""
        self.seconds.append(time.perf_counter() - self.started)
        self.cpu.append(cpu_seconds())
        self.messages.append(messages)

    def rows(self) -> list[tuple[float, float, int]]:
        """Each landing: seconds since the start, CPU seconds by then, messages."""
        return list(zip(self.seconds, self.cpu, self.messages, strict=True))

    def figures(self) -> Figures:
        """Events a second and CPU µs an event from the first landing to the last: starting does not count."""
        events = sum(self.messages[1:])
        if not events:
            raise SystemExit("there was one landing only: more events are needed than one micro-batch holds")
        return {
            "events_per_second": events / (self.seconds[-1] - self.seconds[0]),
            "cpu_us": (self.cpu[-1] - self.cpu[0]) * 1e6 / events,
            "rss_mb": peak_mb(),
            "start_seconds": self.seconds[0],
            "messages": sum(self.messages),
        }


def write(out: Path, figures: Figures, **more: object) -> None:
    """Write figures as JSON."""
    out.write_text(json.dumps(figures | more))
