"""Kafka to landed Silver: Wardlake, stock per-message Quix, and the limit, over the same events in one run."""

from collections.abc import Callable
from typing import Final

from app.services.broker import EmbeddedBroker
from benchmarks.harness.measure import Figures, in_a_process, medians, publish
from benchmarks.harness.result import Chart, Ratio, Result, console

COLUMNS: Final = ("contender", "events/s", "CPU s per million events", "peak RSS MB", "MB on disk")
_CONTENDERS: Final = {
    "limit (consume + one append)": "benchmarks.contenders.limit",
    "wardlake": "benchmarks.contenders.wardlake",
    "stock Quix, per message": "benchmarks.contenders.stock",
}


def run(events: int, repeat: int) -> Result:
    """Measure events per second, CPU, peak memory and disk of each, and the ratios of ours to the others'."""
    with EmbeddedBroker() as broker:
        console.print(f"publishing {events:,} simulated events")
        publish(broker.bootstrap, events)

        def contender(module: str) -> Callable[[], Figures]:
            return lambda: in_a_process(module, broker.bootstrap, events)

        found = medians({name: contender(module) for name, module in _CONTENDERS.items()}, repeat)
    limit, ours, stock = found.values()
    return Result(
        "ingest",
        f"Ingest of {events:,} events, medians of {repeat}",
        COLUMNS,
        [row(name, figures) for name, figures in found.items()],
        [
            Ratio.at_least("wardlake / stock Quix, events/s", rate(ours) / rate(stock), 5),
            Ratio.at_least("wardlake / limit, events/s", rate(ours) / rate(limit), 0.5),
            Ratio.at_most("peak RSS of the stream, MB", ours["rss_mb"], 1000),
        ],
        chart=Chart("bar", "contender", "events/s"),
    )


def rate(figures: Figures) -> float:
    """Events a second."""
    return figures["events_per_second"]


def row(name: str, figures: Figures) -> list[str | float | int | None]:
    """A contender's row under ``COLUMNS``."""
    return [name, rate(figures), figures["cpu_us"], figures["rss_mb"], figures["bytes_on_disk"] / 1e6]
