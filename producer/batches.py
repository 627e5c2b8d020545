"""A block: the messages that a source hands to the publisher in one piece."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class BadLine:
    """A place in a source file that could not be read as an event: where and why, never what."""

    line: int
    """Line number, from 1, of the first line of the bad part."""
    reason: str
    """One of ``producer.sources.files.REASONS``."""


@dataclass
class MessageBatch:
    """Kafka messages in the order they are sent, and what the source has to say about them.

    ``keys`` and ``values`` have the same length; a key is the patient's identifier, or None where none
    can be read. ``bad_lines`` and ``blank_lines`` are those met since the block before; a bad line's
    bytes are among ``values`` all the same.
    """

    keys: list[bytes | None] = field(default_factory=list)
    values: list[bytes] = field(default_factory=list)
    bad_lines: list[BadLine] = field(default_factory=list)
    blank_lines: int = 0

    def __len__(self) -> int:
        """Messages in the block."""
        return len(self.values)

    def pairs(self) -> Iterator[tuple[bytes | None, bytes]]:
        """(key, value) of each message, in the order sent."""
        return zip(self.keys, self.values, strict=True)


class Source(Protocol):
    """Whatever the publisher can publish: the simulator, a file."""

    def blocks(self) -> Iterator[MessageBatch]:
        """Blocks in the order their messages are to be sent; can be taken once."""
        ...
