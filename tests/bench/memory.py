"""Peak memory of the stream after 1 and after 10 times the events: it must not grow with history."""

from app.broker import EmbeddedBroker
from tests.bench.measure import console, in_a_process, print_table, publish


def run(events: int) -> None:
    """Measure and print peak RSS at ``events`` and at ten times as many."""
    rows, peaks = [], []
    for count in (events, 10 * events):
        with EmbeddedBroker() as broker:
            console.print(f"publishing {count:,} simulated events")
            publish(broker.bootstrap, count)
            figures = in_a_process("tests.bench.wardlake", broker.bootstrap, count)
        peaks.append(figures["rss_mb"])
        rows.append([f"{count:,}", f"{figures['events_per_second']:,.0f}", f"{figures['rss_mb']:,.0f}"])
    print_table("memory", ["events", "events/s", "peak RSS MB"], rows)
    console.print(
        f"peak RSS at ten times the events / at once = {peaks[1] / peaks[0]:.2f} (aim: not above 1; 700 MB at most)"
    )
