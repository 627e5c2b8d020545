"""What a soak came to: figures, as JSON, on the screen and as Markdown."""

import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from tests.soak.accounts import Account
from tests.soak.gremlin import Struck
from tests.soak.house import Recovery


@dataclass(frozen=True)
class Recovered:
    """How long a kind of worker took to be of use again after a kind of fault, in seconds."""

    fault: str
    worker: str
    times: int
    p50: float
    p99: float
    longest: float


@dataclass(frozen=True)
class Memory:
    """Resident memory of a worker in MB: median of the first and of the last quarter of the soak, and the peak."""

    worker: str
    first: float
    last: float
    peak: float


@dataclass
class Report:
    """All that is told of a soak. It is clean when there is no finding and nothing lost or duplicated."""

    command: str
    machine: str
    version: str
    minutes: float
    rate: int
    generations: int
    account: Account
    acknowledged: int
    batches: int
    builds: int
    verified: int
    lake_mb: float
    faults: list[Struck]
    not_run: dict[str, str]
    recoveries: list[Recovered]
    memory: list[Memory]
    exits: dict[str, dict[str, int]]
    findings: list[str] = field(default_factory=list)
    interrupted: bool = False

    @property
    def clean(self) -> bool:
        return not (self.findings or self.account.findings or self.account.lost or self.account.duplicated)

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self) | {"clean": self.clean}, indent=1) + "\n")

    def markdown(self) -> str:
        """The figures in a line each, as Markdown, for docs/explanation/reliability.md."""
        account = self.account
        longest: dict[str, float] = {}
        for one in self.recoveries:
            longest[one.worker] = max(longest.get(one.worker, 0.0), one.longest)
        faults = sorted(Counter(fault.kind for fault in self.faults).items())
        lines = {
            "Messages": [
                f"{account.silver:,} Silver",
                f"{account.quarantined:,} quarantined",
                f"{account.duplicates:,} duplicates",
                f"{account.ignored:,} ignored",
            ],
            "Work": [f"{self.batches:,} batches", f"{self.builds} Gold builds", f"{self.verified} passed verify runs"],
            "Faults": [*(f"{kind} {times}" for kind, times in faults), *(f"{kind} not run" for kind in self.not_run)],
            "Longest recovery": [f"{worker} {seconds:.0f} s" for worker, seconds in sorted(longest.items())],
        }
        return "\n\n".join(f"{name}: {', '.join(parts)}." for name, parts in lines.items() if parts)

    def show(self, console: Console) -> None:
        """The same tables on the screen, and what was found."""
        for header, rows in self.tables():
            table = Table(*header)
            for row in rows:
                table.add_row(*map(str, row))
            console.print(table)
        for finding in [*self.account.findings, *self.findings]:
            console.print(f"FOUND {finding}", markup=False, soft_wrap=True)
        console.print(self.verdict, soft_wrap=True)

    @property
    def verdict(self) -> str:
        """In a sentence."""
        if self.interrupted:
            return "interrupted: what is above is what was so far, and not all messages were accounted for"
        lost = f"{self.account.lost:,} lost, {self.account.duplicated:,} duplicated"
        return f"{'clean' if self.clean else 'NOT clean'}: {lost} of {self.account.events_in:,} events, {self._faults}"

    @property
    def _faults(self) -> str:
        return f"{len(self.faults)} faults in {self.minutes:.0f} minutes"

    def tables(self) -> list[tuple[Sequence[str], list[Sequence[object]]]]:
        """Header and rows of each table."""
        account = self.account
        totals: list[Sequence[object]] = [
            ("Minutes", f"{self.minutes:.1f}"),
            ("Events in, by the broker’s watermarks", f"{account.events_in:,}"),
            ("of them in Silver", f"{account.silver:,}"),
            ("in quarantine", f"{account.quarantined:,}"),
            ("duplicates", f"{account.duplicates:,}"),
            ("ignored", f"{account.ignored:,}"),
            ("**Lost**", f"**{account.lost:,}**"),
            ("**Duplicated**", f"**{account.duplicated:,}**"),
            ("Faults", len(self.faults)),
            ("Broker generations", self.generations),
            ("Batches landed", f"{self.batches:,}"),
            ("Gold builds", self.builds),
            ("`verify` runs passed", self.verified),
            ("The lake in the end", f"{self.lake_mb:,.0f} MB"),
            ("Unexplained exits, tracebacks, readers’ errors", len(self.findings)),
        ]
        done = Counter(one.kind for one in self.faults)
        hit: list[Sequence[object]] = [(kind, number) for kind, number in sorted(done.items())]
        hit += [(kind, f"not run: {why}") for kind, why in self.not_run.items()]
        recovered: list[Sequence[object]] = [
            (r.fault, r.worker, r.times, f"{r.p50:.1f} s", f"{r.p99:.1f} s", f"{r.longest:.1f} s")
            for r in self.recoveries
        ]
        memory: list[Sequence[object]] = [
            (m.worker, f"{m.first:,.0f} MB", f"{m.last:,.0f} MB", f"{m.peak:,.0f} MB") for m in self.memory
        ]
        exits: list[Sequence[object]] = [
            (worker, ", ".join(f"{number} {why}" for why, number in sorted(found.items())))
            for worker, found in self.exits.items()
        ]
        return [
            (("What", "Number"), totals),
            (("Fault", "Times"), hit),
            (("After", "Of use again", "Times", "p50", "p99", "Longest"), recovered),
            (("Memory of", "First quarter", "Last quarter", "Peak"), memory),
            (("Process", "Ended"), exits),
        ]


def recovered(recoveries: Iterable[Recovery]) -> list[Recovered]:
    """Percentiles per fault and kind of worker."""
    by_kind: dict[tuple[str, str], list[float]] = defaultdict(list)
    for one in recoveries:
        if one.seconds is not None:
            by_kind[one.kind, one.worker.partition(" ")[0]].append(one.seconds)
    return [
        Recovered(fault, worker, len(seconds), *map(float, np.percentile(seconds, (50, 99, 100)).round(2)))
        for (fault, worker), seconds in sorted(by_kind.items())
    ]


def memory(samples: Iterable[tuple[float, str, float]], seconds: float) -> list[Memory]:
    """Per worker that was at work both in the first and in the last quarter of so many seconds."""
    by_worker: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for at, worker, mb in samples:
        by_worker[worker].append((at, mb))
    found = []
    for worker, seen in sorted(by_worker.items()):
        first = [mb for at, mb in seen if at <= seconds / 4]
        last = [mb for at, mb in seen if at >= seconds * 3 / 4]
        if first and last:
            peak = max(mb for _, mb in seen)
            found.append(Memory(worker, statistics.median(first), statistics.median(last), peak))
    return found
