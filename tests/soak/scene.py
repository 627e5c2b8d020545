"""A soak from its first process to its last message: entrances, broker generations, exits."""

import signal
from collections.abc import Callable, Iterator
from typing import Final

from lake.gold.published import last
from lake.storage.store import exists
from tests.soak import accounts
from tests.soak.accounts import Account, Generation
from tests.soak.cast import NEEDS_GOLD, cast, wardlake
from tests.soak.house import House
from tests.soak.stage import Stage
from tests.soak.worker import Role, Worker
from tests.support import golds

_ENTER_SECONDS: Final = 90.0
_DRAIN_SECONDS: Final = 300.0
_RECOVER_SECONDS: Final = 300.0
_REST_SECONDS: Final = 600.0
_LONGEST_SECONDS: Final = 1800.0
_NEED_NO_END: Final = ("producer", "reader")


class Scene:
    """A house on a stage. ``published`` counts what the gremlin sent itself."""

    def __init__(self, stage: Stage, say: Callable[[str], None]) -> None:
        self.stage = stage
        self.say = say
        self.house = House(Worker(role, stage.environment, stage.logs) for role in cast(stage))
        self.generations: list[Generation] = []
        self.published = 0
        self.turns: dict[str, Iterator[str]] = {}

    def worker(self, name: str) -> Worker:
        return self.house.workers[name]

    def streams(self) -> list[Worker]:
        return [self.worker(name) for name in self.stage.streams]

    def enter(self) -> None:
        """Begin: broker, streams and producer, the first Gold, then everybody else."""
        self._enters("broker")
        self._enters(*self.stage.streams, "producer")
        self.house.live_until(lambda: exists(self.stage.lake), _ENTER_SECONDS, "a lake")
        self._enters("gold")
        self.house.live_until(lambda: last(self.stage.lake) is not None, _ENTER_SECONDS, "a first build")
        self.house.enter(*NEEDS_GOLD)

    def _enters(self, *names: str) -> None:
        self.house.enter(*names)
        workers = [self.worker(name) for name in names]
        self.house.live_until(
            lambda: all(worker.useful_at for worker in workers), _ENTER_SECONDS, f"{', '.join(names)} at work"
        )

    def settle(self) -> None:
        """Let everybody recover from what was done so far."""
        self.house.live_until(lambda: self.house.recovered, _RECOVER_SECONDS, f"{self._waiting()} recovered")

    def _waiting(self) -> str:
        return ", ".join(one.worker for one in self.house.recoveries if one.seconds is None)

    def rest(self, worker: Worker) -> None:
        """Let a worker come to rest and stay there: a service is asked to stop, a run goes on to its end.

        Producer and reader, whose ends mean nothing, are killed.
        """
        worker.held = True
        if worker.name in _NEED_NO_END:
            worker.kill()
        elif worker.role.rest is None:
            worker.signal(signal.SIGTERM, "stopped")
        self.house.live_until(lambda: worker.pid is None, _REST_SECONDS, f"{worker.name} at rest")

    def drain(self) -> Generation:
        """Stop the producer, wait until all has landed, and note how far the topic goes."""
        self.rest(self.worker("producer"))
        found: list[Generation] = []

        def landed() -> bool:
            found[:] = filter(None, [accounts.drained(self.stage)])
            return bool(found)

        self.house.live_until(landed, _DRAIN_SECONDS, "all messages landed")
        self.generations.append(found[0])
        return found[0]

    def leave(self) -> Account:
        """Land what is left, stop, verify, hold a refreshed Gold against a full one, and account for every message."""
        self.settle()
        self.drain()
        for worker in list(self.house.workers.values()):
            if worker.role.name != "broker":
                self.rest(worker)
        for arguments in (("verify",), ("flow", "quality"), ("flow", "gold")):
            self._once(*arguments)
        self._gold_is_the_full_one()
        self.rest(self.worker("broker"))
        return accounts.judge(self.stage.lake, self.generations, whole=True)

    def _gold_is_the_full_one(self) -> None:
        before = {table.name: golds.published(self.stage.lake, table) for table in golds.DERIVED}
        self._once("flow", "gold", "--full")
        for table in golds.DERIVED:
            full = golds.published(self.stage.lake, table)
            if not full.equals(before[table.name]):
                self.house.findings.append(
                    f"{table.name}: refreshed {before[table.name].height} rows, full {full.height}"
                )

    def _once(self, *arguments: str) -> None:
        """Run a command to its end; one that does not end with 0 is a finding."""
        self.say(f"at the end: {' '.join(arguments)}")
        role = Role(f"final {'-'.join(arguments)}", lambda _: wardlake(*arguments), _LONGEST_SECONDS)
        worker = Worker(role, self.stage.environment, self.stage.logs)
        self.house.workers[role.name] = worker
        self.house.enter(role.name)
        ended = lambda: worker.runs > 0 and worker.pid is None  # noqa: E731
        self.house.live_until(ended, _LONGEST_SECONDS, role.name)
        worker.held = True
