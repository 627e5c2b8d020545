"""Landing: decided micro-batches become Delta commits, each message exactly once.

Guarantee, at rest and after any crash: per partition, messages = silver + quarantined + duplicates + ignored.

* A batch is written by four commits, Silver's last (``exactly_once_writer``). Whoever lands, replays or opens the lake
  next first finishes a landing that was cut short (``recovery``).
* Whoever works from an outdated position (a consumer that lost its partition, a flush left behind by a rebalance)
  fails, either here (``PositionMoved``) or in the Delta commit, and writes nothing.

Whether landings wait for each other is the rules' ``dedup_scope``:

* ``lake``: one after the other in the whole lake (by a lock, and failing that by their number), and each looks at the
  Silver of the one before it: exact duplicates are found whichever partitions and streams they came through.
* ``partition``: streams do not wait for each other. A patient's messages are all in one partition, which the rule
  ``not_keyed_by_patient`` sees to, so an exact duplicate comes through the same one.
"""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime

from app.stream.batches import MaskedBatch
from app.stream.decide import Rules
from app.stream.exactly_once_writer import BatchWriter, Landed, PositionMoved
from app.stream.recovery import Partition, recover
from lake.errors import kind_of
from lake.storage import table_swap
from lake.storage.store import COMPACT_EVERY, Lake

logger = logging.getLogger(__name__)


class Landing:
    """Lands micro-batches in a lake, each from the position that the one before it left. One per process.

    After every 100th landing, the 51st the first, small files are compacted, on a thread of its own: where batches are
    small, that takes as long as several landings. Otherwise not thread-safe. The arguments are ``BatchWriter``'s.
    """

    def __init__(self, lake: Lake, rules: Rules, now: Callable[[], datetime], kind: str = "stream") -> None:
        self._lake = lake
        self._alone = rules.dedup_scope == "lake"
        self._writer = BatchWriter(lake, rules, now, kind)
        self._expected: dict[Partition, int] = {}
        self._landings = 0
        self._tidier = ThreadPoolExecutor(1, thread_name_prefix="tidy")
        self._tidying: Future[None] | None = None

    def close(self) -> None:
        """Wait for the compaction under way, if there is one."""
        self._tidier.shutdown()

    def expect(self, topic_id: str, partition: int) -> int:
        """Start (again) from what the lake holds of a partition. Returns the last offset that landed."""
        with self._turn(partition):
            recover(self._writer, [(topic_id, partition)])
            self._expected[topic_id, partition] = self._lake.landed(topic_id, partition)
        return self._expected[topic_id, partition]

    def land(self, batch: MaskedBatch) -> list[Landed]:
        """Land a micro-batch; returns what it came to, per partition.

        Raises ``PositionMoved`` when another writer moved one of its partitions, or a commit failed and may have been
        made all the same; ``StepError`` for any other trouble. Starting again from the lake completes what was not
        written.
        """
        topic_id, last = batch.raw.topic_id, batch.raw.last_offsets()
        with self._turn(min(last)):
            recover(self._writer, [(topic_id, partition) for partition in last])
            for partition in last:
                if self._lake.landed(topic_id, partition) != self._expected.get((topic_id, partition)):
                    raise PositionMoved.of(partition)
            number = self._lake.landings_begun() + 1 if self._alone else None
            landed = self._writer.write(batch, number)
        for partition, offset in last.items():
            self._expected[topic_id, partition] = offset
        self._landings = number or self._landings + 1
        # Halfway, so that a stream soon takes the memory that it will take: the first time loads 4 MB of code.
        due = self._landings % COMPACT_EVERY == COMPACT_EVERY // 2
        if due and (self._tidying is None or self._tidying.done()):
            self._tidying = self._tidier.submit(self._tidy)
        return landed

    @contextmanager
    def _turn(self, partition: int) -> Iterator[None]:
        """Hold the whole lake or, while no table swap is half-way, only this partition."""
        if self._alone:
            with self._lake.landing_lock():
                yield
            return
        while True:
            if table_swap.begun(self._lake.root):
                with self._lake.landing_lock():
                    table_swap.finish(self._lake)
            with self._lake.partition_lock(partition):
                if not table_swap.begun(self._lake.root):
                    yield
                    return

    def _tidy(self) -> None:
        """Compact; what goes wrong is logged: landings go on, and the next time is the next try."""
        try:
            self._lake.tidy()
        except Exception as error:
            logger.warning("small files were not compacted: %s", kind_of(error))
