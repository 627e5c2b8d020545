"""The project's errors: what is wrong, what was got, what was expected, the next move."""

import errno
import os
from typing import Final

FULL_DISK: Final = "a full disk"
"""What ``kind_of`` calls it."""


class WardlakeError(Exception):
    """An error that a user can act on; the command line prints it as one line and exits with ``exit_code``.

    The text never holds a patient value: it names files, settings, rules, topics, partitions and offsets only.
    """

    exit_code = 2

    def __init__(self, what: str, *, got: object = None, expected: object = None, next_move: str = "") -> None:
        parts = [what]
        if got is not None:
            parts.append(f"got {got}")
        if expected is not None:
            parts.append(f"expected {expected}")
        if next_move:
            parts.append(next_move)
        super().__init__("; ".join(parts))
        self.what = what


class UsageError(WardlakeError):
    """Wrong use or configuration: a flag, a setting, a file, a query."""


class QueryInterruptedError(WardlakeError):
    """The user ended a query, with Ctrl-C."""

    exit_code = 130

    def __init__(self) -> None:
        super().__init__("the query was interrupted", next_move="run it again, or ask for less")


class LakeError(WardlakeError):
    """The lake at this path cannot be used as asked: not a lake, another key, a newer format."""


class BrokerError(WardlakeError):
    """The Kafka broker cannot be reached or refused."""


class TopicRecreatedError(WardlakeError):
    """The topic was deleted and made again: a client of the old one is to be started anew."""


class StreamPositionError(WardlakeError):
    """The lake's position and the topic's offsets contradict each other."""


class NotCaughtUpError(WardlakeError):
    """What the topic held has not landed in full, and no more of it did for a while."""

    exit_code = 1


class StepError(WardlakeError):
    """A step failed in a way that nobody foresaw. Names the step, the place and the kind of error, never its text.

    The text of a library's error can quote the values it stumbled over, and so can the chained original:
    raise this one outside the handler that caught it.
    """


def kind_of(error: BaseException) -> str:
    """What may be said of a library's error without its text, which can quote values.

    That is *a full disk*, or its kind, and the system's reason where it has one.
    """
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.ENOSPC or "No space left" in str(error):
        return FULL_DISK
    return type(error).__name__ + (f" ({os.strerror(number)})" if number else "")
