"""Memory of the stream, ``verify`` and ``replay`` while messages are large: their bytes, not their number, bound it."""

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Final

from app import settings as configuration
from app.jobs.replay import replay
from app.jobs.verify import verify
from app.services.broker import EmbeddedBroker
from app.stream.run import run_stream
from benchmarks.harness.measure import TOPIC, in_a_process
from benchmarks.harness.result import Chart, Ratio, Result, console
from lake.kafka import Kafka
from lake.security import masking_policy
from lake.security.encryption import LakeKey
from lake.storage import store

NOTES: Final = (0, 6_000, 60_000, 900_000)
"""Bytes that notes are stretched to. The last is more than a field may have: those messages go to quarantine."""

_EVENT_BYTES: Final = 700
_WORK: Final = ("stream", "verify", "replay")


def run(megabytes: int) -> Result:
    """Measure the peak memory of each, on as many messages of each size as make ``megabytes``."""
    rows: list[list[float]] = []
    for notes in NOTES:
        messages = megabytes * 1_000_000 // (notes + _EVENT_BYTES)
        console.print(f"{messages:,} messages with notes of {notes:,} bytes or more")
        with EmbeddedBroker() as broker, tempfile.TemporaryDirectory() as data:
            _publish(Kafka(broker.bootstrap), messages, notes)
            found = {work: in_a_process("benchmarks.suites.large", work, broker.bootstrap, data) for work in _WORK}
        rows.append(
            [
                notes + _EVENT_BYTES,
                messages,
                *(figure for work in _WORK for figure in (found[work]["seconds"], found[work]["rss_mb"])),
            ]
        )
    return Result(
        "large",
        f"{megabytes:,} MB of messages of a size",
        ["bytes a message", "messages", *(f"{work} {figure}" for work in _WORK for figure in ("s", "peak MB"))],
        rows,
        [Ratio.at_most("peak RSS of the stream, MB", max(row[3] for row in rows), 700)],
        notes=["The stream's seconds have its joining of the group in them."],
        chart=Chart("line", "bytes a message", "stream peak MB"),
    )


def _publish(kafka: Kafka, messages: int, notes: int) -> None:
    # Here, or the stream would bear the simulator in its memory.
    from producer.batches import MessageBatch
    from producer.publisher import Publisher, ensure_topic
    from producer.simulator.simulator import Simulator, SimulatorSettings

    random = Random(notes)  # noqa: S311 - digits to fill notes with

    def stretched() -> Iterator[MessageBatch]:
        for block in Simulator(SimulatorSettings(events=messages, days=max(2, messages // 16_000))).blocks():
            for first in range(0, len(block), 100):  # published block by block, and 100 of the largest are 90 MB
                part = slice(first, first + 100)
                yield MessageBatch(
                    block.keys[part], [_with_notes(value, notes, random) for value in block.values[part]]
                )

    ensure_topic(kafka, TOPIC, partitions=4)
    Publisher(kafka, TOPIC).publish(stretched())


def _with_notes(value: bytes, size: int, random: Random) -> bytes:
    """The message, its notes made ``size`` bytes longer; as it is where it is no JSON object.

    By random digits, which compress to no less than half: a client holds what it fetched uncompressed, and one note
    again and again came as 600 MB in one response.
    """
    try:
        event = json.loads(value)
    except ValueError:
        return value
    if not size or not isinstance(event, dict):
        return value
    digits = random.randbytes(size * 4 // 9).hex(" ", 4)  # nine characters for four bytes
    return json.dumps(event | {"notes": f"{event.get('notes') or 'nothing to report'} {digits}"}).encode()


def main(work: str, bootstrap: str, data: str, out: str) -> None:
    """Do one of the three on the lake in the folder ``data``."""
    settings = configuration.load(kafka=bootstrap, data=data)
    lake, rules = store.create(settings.lake, LakeKey(bytes(32))), masking_policy.load("display")
    start = time.perf_counter()
    if work == "stream":
        run_stream(settings, lake, rules, until_caught_up=True)
    elif work == "verify":
        if broken := [check.check for check in verify(lake, settings.dedup_key) if not check.passed]:
            raise SystemExit(f"verify found {', '.join(broken)} broken")
    else:
        replay(lake, rules, settings.dedup_key, lambda: datetime.now(UTC))
    Path(out).write_text(json.dumps({"seconds": time.perf_counter() - start}))


if __name__ == "__main__":
    main(*sys.argv[1:5])
