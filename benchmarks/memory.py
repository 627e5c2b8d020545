"""Peak memory of the stream after a hospital group's events, and after those of ten times as long.

It must not grow with history.
"""

from app.broker import EmbeddedBroker
from benchmarks.measure import DAYS, in_a_process, publish
from benchmarks.result import Ratio, Result, console


def run(events: int) -> Result:
    """Measure peak RSS at ``events`` and at ten times as many."""
    rows, peaks = [], []
    for times in (1, 10):
        count = times * events
        with EmbeddedBroker() as broker:
            console.print(f"publishing {count:,} simulated events")
            publish(broker.bootstrap, count, times * DAYS)
            figures = in_a_process("benchmarks.wardlake", broker.bootstrap, count)
        peaks.append(figures["rss_mb"])
        rows.append([count, times * DAYS, figures["events_per_second"], figures["cpu_us"], figures["rss_mb"]])
    return Result(
        "memory",
        "Memory of the stream by events",
        ["events", "of days", "events/s", "CPU s per million events", "peak RSS MB"],
        rows,
        [
            Ratio.at_most("peak RSS at ten times the events / at once", peaks[1] / peaks[0], 1),
            Ratio.at_most("peak RSS, MB", max(peaks), 700),
        ],
    )
