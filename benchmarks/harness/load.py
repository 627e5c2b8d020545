"""A feed that keeps its schedule, as a process: ``python -m benchmarks.harness.load BOOTSTRAP RATE SECONDS OUT``.

The messages are made before the first is sent. Message *i* is due *i* / rate seconds after the start and bears that
time as its Kafka timestamp, whenever it is really handed over: a feed that is held up makes its messages late, and
not fewer (no coordinated omission).
"""

import json
import sys
import time
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaError, Message, Producer

from app.cli.produce import start_day
from benchmarks.harness.measure import DAYS, TOPIC
from lake.kafka import Kafka
from producer.publisher import ensure_topic
from producer.simulator.simulator import Simulator, SimulatorSettings

_TICK: Final = 0.01
_FLUSH_SECONDS: Final = 60
# What the product's own publisher has for what a message's way takes.
_PRODUCER: Final = {
    "enable.idempotence": True,
    "compression.type": "lz4",
    "partitioner": "murmur2_random",
    "linger.ms": 20,
    "queue.buffering.max.messages": 1_000_000,
    "log_level": 0,
}


class Feed:
    """Sends messages when they are due and counts what the broker took.

    ``worst_late`` and ``last_late`` are seconds between when messages were due and when librdkafka had them.
    """

    def __init__(self, bootstrap: str, rate: float) -> None:
        self._producer = Producer(_PRODUCER | {"bootstrap.servers": bootstrap})
        self._rate = rate
        self.delivered = 0
        self.started = self.ended = 0.0
        self.worst_late = self.last_late = 0.0

    def send(self, messages: list[tuple[bytes | None, bytes]]) -> None:
        """Send all of them, each when it is due or as soon after as it goes."""
        self.started = time.time()
        sent = 0
        while sent < len(messages):
            due = min(int((time.time() - self.started) * self._rate) + 1, len(messages))
            for number in range(sent, due):
                self._hand_over(*messages[number], self.started + number / self._rate)
            if due > sent:
                self.last_late = time.time() - self.started - sent / self._rate
                self.worst_late = max(self.worst_late, self.last_late)
            sent = due
            self._producer.poll(_TICK)
        self.ended = time.time()
        self._producer.flush(_FLUSH_SECONDS)

    def _hand_over(self, key: bytes | None, value: bytes, due: float) -> None:
        while True:
            try:
                self._producer.produce(TOPIC, value, key, timestamp=int(due * 1000), on_delivery=self._count)
            except BufferError:  # the broker is behind: the schedule is not kept, and the lateness says so
                self._producer.poll(_TICK)
            else:
                return

    def _count(self, error: KafkaError | None, _message: Message) -> None:
        self.delivered += error is None


def main(bootstrap: str, rate: str, seconds: str, out: str) -> None:
    """Make the messages, send them, and write how it went."""
    events = int(float(rate) * float(seconds))
    settings = SimulatorSettings(events=events, days=DAYS, start=start_day(events, DAYS))
    messages = [pair for block in Simulator(settings).blocks() for pair in block.pairs()]
    ensure_topic(Kafka(bootstrap), TOPIC)
    feed = Feed(bootstrap, float(rate))
    feed.send(messages)
    if feed.delivered < events:
        raise SystemExit(f"{events - feed.delivered} of {events} messages were not delivered")
    figures = {name: getattr(feed, name) for name in ("started", "ended", "delivered", "worst_late", "last_late")}
    Path(out).write_text(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:5])
