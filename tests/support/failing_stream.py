"""``wardlake stream --until-caught-up`` in which one step fails with an error that quotes the messages' values.

Run by ``test_canary.py`` as a process of its own: the step to fail, and how, come as arguments.
"""

import sys
from collections.abc import Callable
from typing import Any, NoReturn

import polars as pl
from deltalake.exceptions import DeltaError

import app.stream.decide
import app.stream.exactly_once_writer
from app.cli import main
from app.stream.consumer import MicroBatchConsumer
from lake.security.encryption import LakeKey
from lake.storage.dedup_index import DedupIndex
from lake.storage.store import DeltaStore, Lake

SEEN: list[str] = []
"""Every payload that the stream decoded or encrypted, as text."""


def library_error() -> NoReturn:
    """What Polars really raises: the values that it stumbled over are in its text."""
    pl.Series(SEEN).cast(pl.Int64)
    raise AssertionError("it stumbled over nothing")


def chained_error() -> NoReturn:
    try:
        library_error()
    except Exception as error:
        raise DeltaError(f"cannot write {SEEN}") from error


def os_error() -> NoReturn:
    raise OSError(28, f"No space left for {SEEN}", f"/{SEEN[0]}")


def panic() -> NoReturn:
    """What a bug in Polars ends in: no ``Exception``."""
    raise pl.exceptions.PanicException(f"called `Result::unwrap()` on {SEEN}")


HOW = {"library": library_error, "chained": chained_error, "os": os_error, "panic": panic}


def remember(payloads: list[bytes | None]) -> None:
    SEEN.extend(str(payload) for payload in payloads if payload)


def listening(decode: Callable[..., Any]) -> Callable[..., Any]:
    def listen(payloads: list[bytes | None]) -> Any:
        remember(payloads)
        return decode(payloads)

    return listen


def failing_append(table: str, fail: Callable[[], NoReturn]) -> Callable[..., None]:
    append = DeltaStore.append

    def fail_for_one(self: DeltaStore, *arguments: Any, **how: Any) -> None:
        if self.table.name == table:
            fail()
        append(self, *arguments, **how)

    return fail_for_one


def break_step(step: str, fail: Callable[[], NoReturn]) -> None:
    """Have the step fail; messages are noted as they are decoded, before anything can go wrong."""

    def failing(*_: Any, **__: Any) -> NoReturn:
        fail()

    def failing_encrypt(_: LakeKey, payloads: list[bytes | None], __: Any) -> NoReturn:
        remember(payloads)
        fail()

    decode = listening(app.stream.decide.decode)
    app.stream.decide.decode = lambda payloads: failing(decode(payloads)) if step == "decode" else decode(payloads)
    if step in {"validate", "mask"}:
        setattr(app.stream.decide, step, failing)
    elif step == "deduplicate":
        app.stream.exactly_once_writer.deduplicate = failing
    elif step.startswith("append "):
        DeltaStore.append = failing_append(step.removeprefix("append "), fail)
    elif step in {"encrypt", "index", "refresh", "commit"}:
        owner, name = {
            "encrypt": (LakeKey, "encrypt"),
            "index": (DedupIndex, "known"),
            "refresh": (Lake, "landing_lock"),
            "commit": (MicroBatchConsumer, "commit"),
        }[step]
        setattr(owner, name, failing_encrypt if step == "encrypt" else failing_once_seen(getattr(owner, name), fail))


def failing_once_seen(work: Callable[..., Any], fail: Callable[[], NoReturn]) -> Callable[..., Any]:
    def run(*arguments: Any, **named: Any) -> Any:
        if SEEN:
            fail()
        return work(*arguments, **named)

    return run


if __name__ == "__main__":
    _, chosen, how = sys.argv
    break_step(chosen, HOW[how])
    sys.argv = ["wardlake", "stream", "--until-caught-up"]
    main()
