"""What the gremlin does. Each fault is a function of the scene and its dice, and says to whom it did what."""

import itertools
import json
import random
import signal
import time
from collections.abc import Callable, Iterator
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from lake.kafka import Kafka
from producer.batches import MessageBatch
from producer.publisher import Publisher
from producer.simulator.simulator import Simulator, SimulatorSettings
from tests.corpus.bad_input import CASES
from tests.soak import exits
from tests.soak.house import SoakError
from tests.soak.scene import Scene
from tests.soak.stage import PARTITIONS
from tests.soak.worker import Worker

GROUP: Final = "wardlake"

_KILLED: Final = (
    *("stream", "stream 2", "stream", "producer", "gold", "verify", "sql", "dashboard", "reader"),
    *("quality", "maintain", "export"),
)
_PAUSED: Final = ("stream", "gold", "stream 2", "producer", "reader", "verify", "dashboard", "maintain", "sql")
_SKEWED: Final = ("stream", "gold", "stream 2", "maintain", "quality", "verify", "sql")
# Well beyond a minute, after which old log files go; within the hour for which replaced files stay.
_SKEWS: Final = (-2400, -90, 90, 1200, 2400)
# The longest are beyond the stream's session of 6 s.
_PAUSE_SECONDS: Final = (2, 4, 9, 14)
_MANGLED: Final = 200

Dice = random.Random
Fault = Callable[[Scene, Dice], str]


def kill(scene: Scene, dice: Dice) -> str:
    """SIGKILL a process at some moment of its work."""
    worker = _at_work(scene, _next(scene, "kill", _KILLED, dice), dice)
    worker.kill()
    scene.house.recovering("kill", [worker])
    return worker.name


def pause(scene: Scene, dice: Dice) -> str:
    """SIGSTOP a process for some seconds, at times longer than the consumer's session, then SIGCONT."""
    worker, seconds = _at_work(scene, _next(scene, "pause", _PAUSED, dice), dice), dice.choice(_PAUSE_SECONDS)
    worker.freeze()
    scene.house.live(seconds)
    worker.thaw()
    scene.house.recovering("pause", [worker])
    return f"{worker.name} for {seconds} s"


def fill_disk(scene: Scene, dice: Dice) -> str:
    """Leave the lake's disk without a free byte for some seconds."""
    seconds = dice.uniform(3, 8)
    if scene.stage.disk is None:
        raise SoakError("there is no disk to fill")
    with scene.house.trouble(exits.FULL_DISK), scene.stage.disk.full():
        scene.house.live(seconds)
    scene.house.recovering("fill the disk", scene.streams())
    return f"for {seconds:.0f} s"


def corrupt_input(scene: Scene, dice: Dice) -> str:
    """Publish the bad-input corpus, and simulated messages that were cut, spliced and overwritten."""
    block = next(iter(Simulator(SimulatorSettings(seed=dice.randrange(2**31), events=_MANGLED, corrupt=0)).blocks()))
    values = [case.payload for case in CASES] + [_mangled(value, dice) for value in block.values]
    keys = [b"%d" % dice.randrange(1000) for _ in values]
    result = Publisher(Kafka(scene.stage.bootstrap), scene.stage.topic).publish([MessageBatch(keys, values)])  # type: ignore[arg-type]
    scene.published += result.delivered
    return f"{result.delivered} messages"


def lose_offsets(scene: Scene, dice: Dice) -> str:
    """Kill the streams and, before they are back, delete the group; at times commit offsets that are wrong."""
    since = time.monotonic()
    for worker in scene.streams():
        worker.held = True
        worker.kill()
    scene.house.live_until(lambda: all(worker.pid is None for worker in scene.streams()), 10, "the streams killed")
    _delete_group(scene)
    scrambled = dice.random() < 1 / 2
    if scrambled:
        _scramble_offsets(scene, dice)
    for worker in scene.streams():
        worker.held = False
    scene.house.recovering("lose the offsets", scene.streams(), since)
    return "the group deleted, wrong ones committed" if scrambled else "the group deleted"


def skew_clock(scene: Scene, dice: Dice) -> str:
    """Start a process with a wall clock that is wrong, and when it has been of use again with the right one."""
    worker, seconds = scene.worker(_next(scene, "skew", _SKEWED, dice)), dice.choice(_SKEWS)
    if scene.stage.clock is None:
        raise SoakError("there is no wrong clock")
    worker.more = scene.stage.clock.off_by(seconds)
    _again(scene, worker)
    scene.house.recovering("skew the clock", [worker])
    scene.settle()
    scene.house.live(dice.uniform(1, 5))
    worker.more = {}
    _again(scene, worker)
    scene.house.recovering("skew the clock", [worker])
    return f"{worker.name} by {seconds:+} s"


def pause_broker(scene: Scene, dice: Dice) -> str:
    """SIGSTOP the broker for some seconds, then SIGCONT."""
    broker, seconds = scene.worker("broker"), dice.choice(_PAUSE_SECONDS)
    with scene.house.trouble(exits.BROKER_AWAY):
        broker.freeze()
        scene.house.live(seconds)
        broker.thaw()
    scene.house.recovering("pause the broker", [*scene.streams(), scene.worker("producer")])
    return f"for {seconds} s"


def restart_broker(scene: Scene, dice: Dice) -> str:
    """Kill the broker when all that it holds has landed: it forgets its topics, and the topic is made again."""
    scene.settle()
    generation = scene.drain()
    broker, producer = scene.worker("broker"), scene.worker("producer")
    with scene.house.trouble(exits.BROKER_AWAY), scene.house.trouble(exits.TOPIC_AGAIN):
        broker.kill()
        killed = time.monotonic()
        scene.house.recovering("restart the broker", [broker, producer, *scene.streams()])
        scene.house.live_until(lambda: broker.useful_at > killed, 30, "the broker is back")
        producer.held = False
        scene.settle()
    return f"after {sum(generation.ends.values())} messages"


FAULTS: Final[dict[str, Fault]] = {
    "kill": kill,
    "pause": pause,
    "fill the disk": fill_disk,
    "corrupt the input": corrupt_input,
    "lose the offsets": lose_offsets,
    "skew the clock": skew_clock,
    "pause the broker": pause_broker,
    "restart the broker": restart_broker,
}


def _next(scene: Scene, fault: str, names: tuple[str, ...], dice: Dice) -> str:
    """Whose turn it is to be hit: everybody's, in an order of the dice."""
    here = tuple(name for name in names if name in scene.house.workers)
    return next(scene.turns.setdefault(fault, _turns(here, dice)))


def _turns(names: tuple[str, ...], dice: Dice) -> Iterator[str]:
    return itertools.cycle(dice.sample(names, len(names)))


def _at_work(scene: Scene, name: str, dice: Dice) -> Worker:
    """The worker, some moments into a run."""
    worker = scene.worker(name)
    while True:
        worker.start()
        scene.house.live(dice.uniform(0.1, 2.5))
        if worker.pid is not None:
            return worker


def _again(scene: Scene, worker: Worker) -> None:
    """Stop the run under way and start the next one."""
    worker.signal(signal.SIGKILL, "killed")
    scene.house.live_until(lambda: worker.pid is None, 10, f"{worker.name} killed")
    worker.start()


def _mangled(value: bytes, dice: Dice) -> bytes:
    """A message that something happened to on its way."""
    at, upto = sorted(dice.sample(range(len(value)), 2))
    return dice.choice(
        (
            value[:at],
            value[:at] + value[upto:],
            value[:at] + dice.randbytes(8) + value[at:],
            value[:at] + bytes([dice.randrange(256)]) + value[at + 1 :],
            json.dumps(json.loads(value) | {"event_time": "yesterday"}).encode(),
        )
    )


def _delete_group(scene: Scene) -> None:
    admin = AdminClient({"bootstrap.servers": scene.stage.bootstrap, "log_level": 0})
    _insist(scene, lambda: admin.delete_consumer_groups([GROUP])[GROUP].result(10))


def _scramble_offsets(scene: Scene, dice: Dice) -> None:
    offsets = [
        TopicPartition(scene.stage.topic, p, dice.randrange(10 ** dice.randrange(1, 8))) for p in range(PARTITIONS)
    ]
    consumer = Consumer({"bootstrap.servers": scene.stage.bootstrap, "group.id": GROUP, "log_level": 0})
    _insist(scene, lambda: consumer.commit(offsets=offsets, asynchronous=False))
    consumer.close()


def _insist(scene: Scene, act: Callable[[], object]) -> None:
    """Again until it works: the broker keeps a group until its members' sessions end."""

    def done() -> bool:
        try:
            act()
        except KafkaException:
            return False
        return True

    scene.house.live_until(done, 30, "the group's offsets are changed")
