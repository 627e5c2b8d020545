"""The Quix application: decode → validate → mask → (sink) deduplicate → land, one checkpoint per micro-batch."""

import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from tempfile import TemporaryDirectory
from typing import Any, cast

from confluent_kafka.admin import AdminClient
from quixstreams import Application
from quixstreams.kafka.configuration import ConnectionConfig
from quixstreams.models import TopicConfig

from app.services import heartbeat
from app.settings import Settings
from app.stream.caught_up import PATIENCE_SECONDS, Goal
from app.stream.collect_batches import BatchLimits
from app.stream.consumer import MicroBatchConsumer
from app.stream.decide import Rules, decide
from app.stream.exactly_once_writer import Landed, PositionMoved
from app.stream.landing import Landing
from app.stream.sink import LandingSink
from app.stream.start_positions import Positions
from lake.kafka import reach
from lake.storage.store import Lake

_CONSUMER_CONFIG = {
    # A group join takes up to half of it with the embedded broker.
    "session.timeout.ms": 6000,
    "heartbeat.interval.ms": 1500,
    # One batch ahead, not the default 64 MiB per partition: memory stays bounded.
    "queued.max.messages.kbytes": 16 * 1024,
    "fetch.queue.backoff.ms": 5,
    "log_level": 3,
}
PARTITIONS = 4


class StreamApplication(Application):
    """A Quix application whose polls are micro-batches, each a checkpoint of its own."""

    def __init__(
        self,
        *args: Any,
        make_consumer: Callable[..., MicroBatchConsumer],
        beat: Callable[[], None],
        **kwargs: Any,
    ) -> None:
        self._make_consumer = make_consumer
        self._goal: Goal | None = None
        self._beat = beat
        self._stopped = False
        super().__init__(*args, **kwargs)

    def stop(self, fail: bool = False) -> None:
        """End the run after the micro-batch in hand.

        Holds before the run begins too: Quix takes signals from then on, and forgets a stop when it begins to poll.
        """
        self._stopped = True
        super().stop(fail)

    def end_when_caught_up(self, goal: Goal) -> None:
        """End the run when the goal is reached, or missed."""
        self._goal = goal

    def _end_if_caught_up(self) -> None:
        if self._goal is None:
            return
        if self._goal.reached(self.consumer.assigned(), self.consumer.under_way()) or self._goal.missed():
            self.stop()

    @property
    def consumer(self) -> MicroBatchConsumer:
        """The consumer."""
        return cast("MicroBatchConsumer", self._consumer)

    def _get_internal_consumer(self, on_error: Any = None, extra_config_overrides: Any = None) -> MicroBatchConsumer:
        return self._make_consumer(
            broker_address=self._config.broker_address,
            consumer_group=self._config.consumer_group,
            auto_offset_reset=self._config.auto_offset_reset,
            auto_commit_enable=False,
            extra_config={**self._config.consumer_extra_config, **(extra_config_overrides or {})},
            on_error=on_error,
        )

    def _process_message(self, dataframe_composed: Any) -> None:
        """Take one micro-batch; Quix notes the offset that its row bears, this those of the other partitions."""
        if self._stopped:
            self.stop()
            return
        self._beat()
        super()._process_message(dataframe_composed)  # type: ignore[no-untyped-call]
        for partition, offset in self.consumer.take_landed().items():
            self._processing_context.store_offset(self.consumer.topic, partition, offset)
        if self._run_tracker._message_consumed:
            self._end_if_caught_up()
        else:
            self._settle()

    def _settle(self) -> None:
        try:
            self.consumer.settle()
        except PositionMoved:
            self.consumer.trigger_backpressure({}, 0)
        else:
            self._end_if_caught_up()


def run_stream(
    settings: Settings,
    lake: Lake,
    rules: Rules,
    *,
    until_caught_up: bool = False,
    patience: float = PATIENCE_SECONDS,
    leave_group: bool = True,
    on_landed: Callable[[list[Landed], int | None], None] = lambda landed, lag: None,  # noqa: ARG005
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> bool:
    """Run the stream until SIGTERM or Ctrl-C, or until it has caught up; returns whether it was the latter.

    Caught up is when all that the topic held as the run began has landed, by whichever stream (``Goal``).
    ``on_landed`` gets each landed batch and the lag after it. Without ``leave_group`` the group finds out by
    itself, in 6 s, that this member has ended: for members that end together, each of which would make the others join
    again.

    Raises ``NotCaughtUpError`` when for ``patience`` seconds nothing landed of what is left, ``BrokerError`` when no
    broker answers, ``StreamPositionError`` when the lake is ahead of it, and ``TopicRecreatedError`` when the topic was
    made again meanwhile: the next run lands the new one, best in a new process (what is left of the old client stays
    until this one ends).
    """
    kafka = settings.connection
    reach(kafka)
    admin = AdminClient(kafka.client())
    landing = Landing(lake, rules, now)
    positions = Positions(landing, admin, kafka, settings.topic)
    limits = BatchLimits(settings.batch_messages, settings.batch_seconds)

    goal: Goal | None = None

    def note(landed: list[Landed], lag: int | None) -> None:
        if goal is not None:
            goal.note(landed)
        on_landed(landed, lag)

    sink = LandingSink(landing, note)

    def make_consumer(**config: Any) -> MicroBatchConsumer:
        return MicroBatchConsumer(
            **config,
            topic=settings.topic,
            positions=positions,
            key=lake.key,
            limits=limits,
            now=now,
            settle=sink.settle,
            leave_group=leave_group,
        )

    state = TemporaryDirectory(prefix="wardlake-quix-")  # Quix makes this folder; no state is kept in it
    app = StreamApplication(
        broker_address=ConnectionConfig.from_librdkafka_dict(kafka.access()),
        consumer_group=settings.group,
        auto_offset_reset="earliest",
        commit_interval=0.0,
        consumer_extra_config=_CONSUMER_CONFIG,
        producer_extra_config={"log_level": 0},
        use_changelog_topics=False,
        state_dir=state.name,
        loglevel=None,
        make_consumer=make_consumer,
        beat=heartbeat.of(settings.heartbeat),
    )
    topic = app.topic(settings.topic, config=TopicConfig(num_partitions=PARTITIONS, replication_factor=1))
    app.dataframe(topic).apply(lambda batch: decide(batch, rules, lake.key)).sink(sink)
    with state, closing(sink):
        if until_caught_up:
            goal = Goal(settings, patience)
            if goal.reached():  # without a member that joins the group for nothing: the others would wait for it
                return True
            positions.topic_id = goal.topic_id
            app.end_when_caught_up(goal)
        with _own_signals():
            app.run()
    app.consumer.raise_failure()
    if goal is not None and not goal.reached() and goal.missed():
        raise goal.error()
    return goal is not None and goal.reached()


@contextmanager
def _own_signals() -> Iterator[None]:
    """Put back the signal handlers that were there: Quix leaves its own behind, which would ignore a later SIGTERM."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
