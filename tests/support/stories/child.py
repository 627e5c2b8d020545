"""Runs the stream or a replay in a process of its own, which may be told to die (SIGKILL) at a named point.

Started by ``tests.support.stories.process``. The product has no hook for this: its functions are wrapped here.
"""

import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from itertools import count
from typing import Any

from app.cli.stream import start_again
from app.jobs import replay as rebuilding
from app.jobs import rotate_key as rotating
from app.jobs.active_policy import rules
from app.jobs.lake_session import open_or_create, open_with_key
from app.settings import Settings
from app.stream import run as streaming
from app.stream.consumer import MicroBatchConsumer
from app.stream.run import StreamApplication
from lake.errors import TopicRecreatedError
from lake.storage import bronze, table_swap
from lake.storage import reencryption as reencrypting
from lake.storage.store import DeltaStore

_REBUILD = table_swap.FOLDER


def point(name: str) -> tuple[Any, str, Callable[..., bool]]:
    """Owner and name of the function at a point, and whether a call of it is meant."""
    if name.startswith("build "):
        table = name.removeprefix("build ")
        return DeltaStore, "append", lambda store, *_: store.table.name == table and _REBUILD in store.path.parts
    named = {
        "offsets": (MicroBatchConsumer, "commit"),
        "revoke": (StreamApplication, "_on_revoke"),
        "assign": (StreamApplication, "_on_assign"),
        "table swap": (table_swap, "commit"),
        "taking": (table_swap, "_take"),
        "new key": (rotating, "_new_key"),
        "old key kept": (rotating, "keep_old"),
        "rotation": (rotating, "change"),
        "key in place": (rotating, "take_up_new_key"),
        "day re-encrypted": (reencrypting, "_reencrypt_day"),
        "keys forgotten": (reencrypting, "_forgotten"),
    }
    if name in named:
        return *named[name], lambda *_: True
    return DeltaStore, "append", lambda store, *_: store.table.name == name and _REBUILD not in store.path.parts


def die_at(name: str, when: str, nth: int) -> None:
    """Die before or after the ``nth`` call of a point."""
    owner, attribute, is_meant = point(name)
    original, calls = getattr(owner, attribute), count(1)

    @wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        now = is_meant(*args) and next(calls) == nth
        if now and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **kwargs)
        if now:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, attribute, wrapped)


def say(*words: object) -> None:
    print(*words, flush=True)  # noqa: T201


def say_of_the_group() -> None:
    """Say when the stream has asked to join, and how many partitions it is given and has to give up."""

    def saying(owner: type, name: str, word: str) -> None:
        original = getattr(owner, name)

        def wrapped(self: Any, *args: Any, **kwargs: Any) -> None:
            original(self, *args, **kwargs)
            say(word, *map(len, args[-1:]))  # of the partitions; to join takes none

        setattr(owner, name, wrapped)

    saying(MicroBatchConsumer, "subscribe", "joins")
    saying(StreamApplication, "_on_assign", "assigned")
    saying(StreamApplication, "_on_revoke", "revoked")


def slow_down(seconds: float) -> None:
    """Rest before each poll, without the landing lock: another stream can land meanwhile."""
    poll_row = MicroBatchConsumer.poll_row

    @wraps(poll_row)
    def later(*args: Any, **kwargs: Any) -> Any:
        time.sleep(seconds)
        return poll_row(*args, **kwargs)

    MicroBatchConsumer.poll_row = later


def stream(settings: Settings, order: dict[str, Any]) -> None:
    streaming._CONSUMER_CONFIG |= order["consumer"]
    slow_down(order["rest"])
    say_of_the_group()
    try:
        streaming.run_stream(
            settings,
            open_or_create(settings),
            rules(settings),
            until_caught_up=order["until_caught_up"],
            on_landed=lambda landed, lag: say("landed", sum(batch.messages for batch in landed), lag),
        )
    except TopicRecreatedError:
        say("starting again")
        start_again()


def replay(settings: Settings, order: dict[str, Any]) -> None:
    bronze._MOST_MESSAGES = order["slice_rows"]
    lake = open_with_key(settings)
    work = rebuilding.replay if order["do"] == "replay" else rebuilding.replay_quarantine
    work(lake, rules(settings), lambda: datetime.now(UTC))
    say("replayed")


def rotate(settings: Settings, order: dict[str, Any]) -> None:
    lake = rotating.rotate(settings).lake if order["do"] == "rotate" else open_with_key(settings)
    if order["reencrypt"]:
        rotating.reencrypt(lake)
    say("rotated")


def die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


if __name__ == "__main__":
    die_with_parent()
    told = json.loads(sys.argv[1])
    if told["die"]:
        die_at(*told["die"])
    work = {"stream": stream, "replay": replay, "quarantine": replay, "rotate": rotate, "reencrypt": rotate}
    work[told["do"]](Settings(**told["settings"]), told)
