"""Peak memory of the stream after 1 and after 10 times the events: it must not grow with history."""

from app.broker import EmbeddedBroker
from benchmarks.measure import in_a_process, publish
from benchmarks.result import Ratio, Result, console


def run(events: int) -> Result:
    """Measure peak RSS at ``events`` and at ten times as many."""
    rows, peaks = [], []
    for count in (events, 10 * events):
        with EmbeddedBroker() as broker:
            console.print(f"publishing {count:,} simulated events")
            publish(broker.bootstrap, count)
            figures = in_a_process("benchmarks.wardlake", broker.bootstrap, count)
        peaks.append(figures["rss_mb"])
        rows.append([count, figures["events_per_second"], figures["cpu_us"], figures["rss_mb"]])
    return Result(
        "memory",
        "Memory of the stream by events",
        ["events", "events/s", "CPU s per million events", "peak RSS MB"],
        rows,
        [
            Ratio.at_most("peak RSS at ten times the events / at once", peaks[1] / peaks[0], 1),
            Ratio.at_most("peak RSS, MB", max(peaks), 700),
        ],
    )
