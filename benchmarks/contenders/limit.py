"""Contender: librdkafka's ``consume()`` and one delta-rs append of the raw bytes, no other work."""

import sys
import tempfile

import polars as pl
from confluent_kafka import Consumer, TopicPartition
from deltalake import write_deltalake

from benchmarks.harness.measure import TOPIC, Landings, report, size

_BATCH = 50_000


def main(bootstrap: str, events: str, out: str) -> None:
    """Consume and append until all events are there."""
    landings = Landings([], [], [])
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "limit", "enable.auto.commit": False})
    consumer.assign([TopicPartition(TOPIC, partition, 0) for partition in range(4)])
    left = int(events)
    with tempfile.TemporaryDirectory() as table:
        while left > 0:
            messages = consumer.consume(_BATCH, timeout=1.0)
            if messages:
                payloads = pl.Series([message.value() for message in messages], dtype=pl.Binary)
                write_deltalake(table, pl.DataFrame({"payload": payloads}), mode="append")
                landings.note(len(messages))
                left -= len(messages)
        consumer.close()
        report(out, landings, size(table))


if __name__ == "__main__":
    main(*sys.argv[1:4])
