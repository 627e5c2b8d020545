"""Peak memory of the stream over a hospital group's events, by each tenth of them: it must not grow with history."""

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Final

import psutil
from rich.progress import track

from app.services.broker import EmbeddedBroker
from benchmarks.contenders.wardlake import stream
from benchmarks.harness.measure import DAYS, TOPIC, Figures, Landings, in_a_process, publish
from benchmarks.harness.result import Chart, Ratio, Result, console
from lake.kafka import Kafka
from producer.publisher import ensure_topic

STEPS: Final = 10
FRESH: Final = 4
"""More processes that take the first tenth alone: like peaks differ, and one of them would be held against ten."""

_LOOK_SECONDS: Final = 0.02


def run(events: int) -> Result:
    """Measure peak RSS while ``events`` are taken in, and while each further such number of later events is.

    The first ``events`` are taken by ``FRESH`` more processes, one after the other, each into a lake of its own.

    The topic has one partition, so that all tenths are alike: of several the built-in broker hands on nearly all of the
    first before the others. The days then come twice, the second time with keys to be read back: it looks like growth.
    """
    with EmbeddedBroker() as broker:
        ensure_topic(Kafka(broker.bootstrap), TOPIC, partitions=1)
        console.print(f"publishing {STEPS * events:,} simulated events")
        publish(broker.bootstrap, STEPS * events, STEPS * DAYS)
        found = in_a_process("benchmarks.suites.memory", broker.bootstrap, events, STEPS)
        fresh = [
            in_a_process("benchmarks.suites.memory", broker.bootstrap, events, 1)["peak_mb_0"]
            for _ in track(range(FRESH), "the first tenth again", console=console)
        ]
    peaks = [found[f"peak_mb_{step}"] for step in range(STEPS)]
    return Result(
        "memory",
        f"Memory of the stream by each {events:,} events",
        ["events so far", "of days", "events/s", "CPU s per million events", "peak RSS MB meanwhile"],
        [
            [(step + 1) * events, (step + 1) * DAYS, found[f"events_per_second_{step}"], found[f"cpu_us_{step}"], peak]
            for step, peak in enumerate(peaks)
        ],
        [
            Ratio.at_most("peak RSS over ten times the events / over the first", max(peaks) / peaks[0], 1),
            Ratio.at_most(
                f"the same / highest of {FRESH + 1} processes over the first",
                max(peaks) / max(peaks[0], *fresh),
                1,
            ),
            Ratio.at_most("peak RSS of the last tenth / of the first", peaks[-1] / peaks[0], 1),
            Ratio.at_most("peak RSS, MB", max(*peaks, *fresh), 1000),
        ],
        [f"Over the first {events:,} in {FRESH} more processes: {', '.join(f'{peak:.0f}' for peak in fresh)} MB."],
        chart=Chart("line", "events so far", "peak RSS MB meanwhile"),
    )


class Peak:
    """The most memory that this process had resident, looked at every 20 ms."""

    def __init__(self) -> None:
        self._most = 0
        self._over = threading.Event()
        self._looking = threading.Thread(target=self._look, daemon=True)
        self._looking.start()

    def take(self) -> float:
        """The peak since it was taken last, in MB."""
        most, self._most = self._most, 0
        return most / 1e6

    def end(self) -> None:
        """Look no more."""
        self._over.set()
        self._looking.join()

    def _look(self) -> None:
        process = psutil.Process()
        while not self._over.wait(_LOOK_SECONDS):
            self._most = max(self._most, process.memory_info().rss)


def main(bootstrap: str, events: str, steps: str, out: str) -> None:
    """Stream ``steps`` times ``events``, or all there are; what each cost, its number after each figure's name."""
    peak, landings, done = Peak(), Landings([], [], []), list[Figures]()
    taken = 0

    def note(messages: int) -> None:
        nonlocal landings, taken
        landings.note(messages)
        taken += messages
        if taken >= (len(done) + 1) * int(events):
            done.append(landings.figures() | {"peak_mb": peak.take()})
            landings = Landings([], [], [])
            if len(done) == int(steps):
                os.kill(os.getpid(), signal.SIGTERM)

    stream(bootstrap, note)
    peak.end()
    found = {f"{name}_{step}": value for step, figures in enumerate(done) for name, value in figures.items()}
    Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:5])
