"""Contender: a stock Quix consumer and a ``BatchingSink`` whose flush runs our own steps and our landing.

It answers whether the stream needs a consumer of its own. Quix polls and hands on one message at a time; the sink
collects them until the checkpoint (``commit_every``), then does what the stream does with a micro-batch: encrypt on a
second thread, decode, validate and mask, and land on a third while the next messages are collected. It leaves out what
else our consumer does: to start where the lake says, to drop what a rebalance takes, to see a topic made again.
"""

import sys
import tempfile
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from confluent_kafka.admin import AdminClient

from app import settings as configuration
from app.stream.batches import MaskedBatch, RawBatch
from app.stream.decide import Rules, decide
from app.stream.landing import Landing
from app.stream.run import _CONSUMER_CONFIG
from app.stream.start_positions import describe_topic
from benchmarks.harness.measure import TOPIC, Landings, report, size
from lake.security import masking_policy
from lake.security.encryption import LakeKey
from lake.storage import record_batch, store
from lake.storage.record_batch import Messages

# isort: split
from quixstreams import Application
from quixstreams.sinks import BatchingSink, SinkBatch


class MicroBatchSink(BatchingSink):
    """Lands what came since the last checkpoint as one micro-batch of all partitions."""

    def __init__(self, topic_id: str, key: LakeKey, decided: Callable[[RawBatch], MaskedBatch], land: Landing) -> None:
        super().__init__()
        self._topic_id, self._key, self._decided, self._landing = topic_id, key, decided, land
        self._encrypter, self._lander = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self._under_way: Future[None] | None = None
        self.landings = Landings([], [], [])

    def write(self, batch: SinkBatch) -> None:
        """Not called: four partitions would be four landings."""

    def flush(self) -> None:
        """Decide what was collected and begin to land it, after the landing before."""
        held = sorted(self._batches.values(), key=lambda batch: batch.partition)
        self._batches.clear()
        if held:
            batch = self._decided(self._raw(held))
            self.settle()
            self._under_way = self._lander.submit(self._land, batch)

    def settle(self) -> None:
        """Wait for the landing under way."""
        if self._under_way is not None:
            self._under_way.result()

    def _land(self, batch: MaskedBatch) -> None:
        self._landing.land(batch)
        self.landings.note(batch.raw.messages.height)

    def _raw(self, held: list[SinkBatch]) -> RawBatch:
        columns, now = {batch.partition: _columns(batch) for batch in held}, datetime.now(UTC)
        bronze = self._encrypter.submit(record_batch.encrypted, TOPIC, self._topic_id, columns.items(), self._key, now)
        return RawBatch.of(TOPIC, self._topic_id, columns, now, bronze)


def _columns(batch: SinkBatch) -> Messages:
    items = list(batch)
    return Messages(
        offsets=[item.offset for item in items],
        times=[item.timestamp for item in items],
        keys=[item.key for item in items],
        headers=[None] * len(items),  # the benchmark sends none
        values=[item.value for item in items],
    )


def main(bootstrap: str, events: str, out: str) -> None:
    """Stream until all events came, or nothing did for a few seconds."""
    key = LakeKey(bytes(32))
    with tempfile.TemporaryDirectory() as scratch:
        settings = configuration.load(kafka=bootstrap, data=scratch)
        lake = store.create(Path(scratch) / "lake", key)
        rules = Rules(masking_policy.load("display"), settings.dedup_key)
        landing = Landing(lake, rules, lambda: datetime.now(UTC))
        topic_id, partitions = describe_topic(AdminClient(settings.connection.client()), TOPIC)
        for partition in partitions:
            landing.expect(topic_id, partition)
        app = Application(
            bootstrap,
            consumer_group=f"stock-{uuid.uuid4().hex}",
            auto_offset_reset="earliest",
            commit_every=settings.batch_messages,
            commit_interval=5.0,  # so that the count decides
            loglevel=None,
            state_dir=f"{scratch}/state",
            consumer_extra_config=_CONSUMER_CONFIG,
        )
        sink = MicroBatchSink(topic_id, key, lambda batch: decide(batch, rules, key), landing)
        app.dataframe(app.topic(TOPIC, key_deserializer="bytes", value_deserializer="bytes")).sink(sink)
        app.run(count=int(events), timeout=10.0, collect=False)
        sink.settle()
        landing.close()
        report(out, sink.landings, size(lake.root))


if __name__ == "__main__":
    main(*sys.argv[1:4])
