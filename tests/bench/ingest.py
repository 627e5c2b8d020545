"""Kafka to landed Silver: Wardlake, stock per-message Quix, and the limit, over the same events in one run."""

from app.broker import EmbeddedBroker
from tests.bench.measure import console, in_a_process, print_table, publish

_CONTENDERS = {
    "limit (consume + one append)": "tests.bench.limit",
    "wardlake": "tests.bench.wardlake",
    "stock Quix, per message": "tests.bench.stock",
}


def run(events: int) -> None:
    """Measure and print events per second, CPU and peak memory of each, and the two ratios."""
    with EmbeddedBroker() as broker:
        console.print(f"publishing {events:,} simulated events")
        publish(broker.bootstrap, events)
        found = {}
        for name, module in _CONTENDERS.items():
            console.print(f"running {name}")
            found[name] = in_a_process(module, broker.bootstrap, events)
    rate = {name: figures["events_per_second"] for name, figures in found.items()}
    print_table(
        f"ingest, {events:,} events",
        ["", "events/s", "CPU µs/event", "peak RSS MB"],
        [
            [name, f"{f['events_per_second']:,.0f}", f"{f['cpu_us']:.1f}", f"{f['rss_mb']:,.0f}"]
            for name, f in found.items()
        ],
    )
    limit, ours, stock = rate.values()
    console.print(f"wardlake / stock = {ours / stock:.1f} (aim 5)    wardlake / limit = {ours / limit:.2f} (aim 0.5)")
