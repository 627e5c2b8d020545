"""Child processes that run the product, and what a story does to them."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from lake.security.encryption import LakeKey
from lake.storage.store import Lake, open_lake
from tests.support import topics
from tests.support.commands import SECONDS

CHILD = Path(__file__).with_name("child.py")
# A group join takes half the session timeout with the embedded broker; a Kafka refuses less than 6 s.
SESSION_MS = 6000 if topics.OUTSIDE else 2000


class Child:
    """One process at work on a lake. A context manager: whatever happens, it is gone at the end."""

    def __init__(self, order: dict[str, Any], folder: Path) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("WARDLAKE_")}
        self._errors = folder / f"errors-{uuid.uuid4().hex}.txt"
        with self._errors.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, str(CHILD), json.dumps(order)],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=kept | {"TMPDIR": str(folder)},
            )
        self.lines: list[str] = []
        self._heard: queue.Queue[str | None] = queue.Queue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        for line in self.process.stdout or ():
            self._heard.put(line.strip())
        self._heard.put(None)

    def hear(self, word: str, seconds: float = SECONDS) -> str:
        """Wait for a line that begins with ``word``."""
        while True:
            line = self._heard.get(timeout=seconds)
            assert line is not None, f"the child ended without saying {word!r}: {self.last_words()}"
            self.lines.append(line)
            if line.startswith(word):
                return line

    def last_words(self) -> str:
        return " | ".join(self._errors.read_text().splitlines()[-3:])

    def outlives(self, seconds: float) -> None:
        time.sleep(seconds)
        assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.last_words()}"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(SECONDS)

    def hear_caught_up(self) -> None:
        """Wait until a batch was landed after which nothing was left."""
        while not self.hear("landed").endswith(" 0"):
            pass

    def stop(self) -> None:
        """As Ctrl-C or SIGTERM do: finish the batch in hand."""
        self.process.terminate()
        self.ends_well()

    def ends_well(self) -> None:
        assert self.process.wait(SECONDS) == 0, self.last_words()

    def ends(self, within: float) -> int | None:
        """Exit status, or None where it still runs by then."""
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            return None

    def goes_on_or_crashes(self, seconds: float) -> None:
        assert self.ends(seconds) in {None, -signal.SIGSEGV}, self.last_words()

    def is_killed(self) -> None:
        assert self.process.wait(SECONDS) == -signal.SIGKILL, self.last_words()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()
        self._listener.join()
        if self.process.stdout:
            self.process.stdout.close()


@dataclass(frozen=True)
class House:
    """A lake of a story, the topic that feeds it, and the processes that work on it.

    Each process joins a consumer group of its own (the lake, not the group, holds the positions) unless told
    ``group``: that saves waiting until the broker has given up on the killed one.
    """

    folder: Path
    broker: str
    topic: str
    key_file: Path
    batch_messages: int = 400
    batch_seconds: float = 0.2
    dedup_scope: str = "lake"

    def stream(
        self, *, until_caught_up: bool = True, group: str | None = None, die: Any = None, rest: float = 0
    ) -> Child:
        """The stream; ``rest``: seconds before each poll."""
        consumer = {"session.timeout.ms": SESSION_MS, "heartbeat.interval.ms": SESSION_MS // 4}
        settings = {"group": group or uuid.uuid4().hex}
        return self._child("stream", settings, die, consumer=consumer, until_caught_up=until_caught_up, rest=rest)

    def replay(self, *, quarantine: bool = False, die: Any = None, slice_rows: int = 500) -> Child:
        return self._child("quarantine" if quarantine else "replay", {}, die, slice_rows=slice_rows)

    def rotate(self, *, reencrypt: bool = False, die: Any = None) -> Child:
        return self._child("rotate", {}, die, reencrypt=reencrypt)

    def reencrypt(self, *, die: Any = None) -> Child:
        return self._child("reencrypt", {}, die, reencrypt=True)

    def catch_up(self, group: str | None = None) -> Lake:
        """Run the stream until its lag is 0, and open the lake."""
        with self.stream(group=group) as child:
            child.ends_well()
        return self.lake()

    def crash(self, *point: Any, group: str | None = None) -> None:
        """Run the stream, which dies at a point: name, before or after, and which time."""
        with self.stream(die=point, group=group) as child:
            child.is_killed()

    def lake(self) -> Lake:
        return open_lake(self.folder / "lake", LakeKey.from_file(self.key_file))

    def _child(self, do: str, settings: dict[str, Any], die: Any, **order: Any) -> Child:
        named = {
            "data": str(self.folder),
            "lake": str(self.folder / "lake"),
            "key_file": str(self.key_file),
            "kafka": self.broker,
            "topic": self.topic,
            "batch_messages": self.batch_messages,
            "batch_seconds": self.batch_seconds,
            "dedup_scope": self.dedup_scope,
        }
        return Child({"do": do, "settings": named | settings, "die": die, **order}, self.folder)


@contextmanager
def paused(pid: int) -> Iterator[None]:
    """A process that neither runs nor dies."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
