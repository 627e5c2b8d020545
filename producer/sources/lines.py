"""What the file sources share: lines of bounded length, and blocks that fill up by number and by bytes."""

import json
from collections.abc import Iterator
from typing import BinaryIO, Final

from producer.batches import BadLine, MessageBatch

MAX_LINE: Final = 512 * 1024
"""Longest line, or array element, that is read as one message; a longer one is sent in pieces of it.

Half of what brokers take by default (1 MB), and far more than any event.
"""

UTF8_BOM: Final = b"\xef\xbb\xbf"
to_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""Compact JSON text of a value: made once, for ``json.dumps`` would make an encoder on every call."""

_BLOCK_MESSAGES: Final = 4_096
_BLOCK_BYTES: Final = 8 * 1024 * 1024


class Collector:
    """Fills one block; ``take`` hands it over and begins the next."""

    def __init__(self) -> None:
        self._block = MessageBatch()
        self._bytes = 0
        self._last = (0, "")

    def add(self, key: bytes | None, value: bytes) -> None:
        """Add one message."""
        self._block.keys.append(key)
        self._block.values.append(value)
        self._bytes += len(value)

    def bad(self, line: int, reason: str, *pieces: bytes) -> None:
        """Report a bad part of the file, and send its bytes on all the same; a long line is reported once."""
        if reason != "too_long" or self._last != (line, reason):
            self._block.bad_lines.append(BadLine(line, reason))
        self._last = line, reason
        for piece in pieces:
            self.add(None, piece)

    def blank(self) -> None:
        """Count a blank line, which sends nothing."""
        self._block.blank_lines += 1

    @property
    def full(self) -> bool:
        """Whether it is time to take the block."""
        return len(self._block) >= _BLOCK_MESSAGES or self._bytes >= _BLOCK_BYTES

    @property
    def empty(self) -> bool:
        """Whether the block has nothing to tell."""
        return not (self._block.values or self._block.bad_lines or self._block.blank_lines)

    def take(self) -> MessageBatch:
        """Return the block as it is, and begin a new one."""
        block, self._block, self._bytes = self._block, MessageBatch(), 0
        return block


class Lines:
    """The lines of a file as bytes with their ends, counted from 1; a very long one comes in pieces.

    ``number`` is the line last given; ``whole`` says whether that was the line's first piece and all of it.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._inside = False
        self.number = 0
        self.whole = True

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = self._file.readline(MAX_LINE)
        if not piece:
            raise StopIteration
        began_inside, self._inside = self._inside, not piece.endswith(b"\n") and len(piece) == MAX_LINE
        self.number += not began_inside
        self.whole = not began_inside and not self._inside
        return piece


def without_end(line: bytes) -> bytes:
    """Return the line without its line feed and the carriage return before it."""
    return line.removesuffix(b"\n").removesuffix(b"\r")


def key_of(event: dict[str, object]) -> bytes | None:
    """Return the Kafka key of an event: its patient_id where that is text, else None."""
    patient = event.get("patient_id")
    if not isinstance(patient, str) or not patient:
        return None
    try:
        return patient.encode()
    except UnicodeEncodeError:
        return None


def fault(text: bytes) -> tuple[str | None, bytes | None]:
    """Return what is wrong with a JSON text as an event (None when nothing is), and its key."""
    try:
        event = json.loads(text.decode())
    except UnicodeDecodeError:
        return "encoding", None
    except (ValueError, RecursionError):
        return "json", None
    if not isinstance(event, dict):
        return "not_an_object", None
    return None, key_of(event)
