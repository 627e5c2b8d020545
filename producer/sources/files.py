"""Source files as Kafka messages: CSV, JSON arrays, NDJSON.

Memory stays the same however long a file is. What cannot be read as an event is sent on as it is in the file, for the
stream to quarantine, and reported by line and reason, never by content. Two things send nothing: blank lines, which are
counted, and what follows the place where a JSON array is broken (reason ``array``).
"""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from lake.errors import UsageError
from producer.batches import BadLine, MessageBatch
from producer.sources.csv_rows import read_csv
from producer.sources.json_array import read_array
from producer.sources.lines import UTF8_BOM, Collector, Lines, fault, without_end

FORMATS: Final = ("csv", "json", "ndjson")
"""Formats by name; the suffixes are the same, and .jsonl is ndjson."""

REASONS: Final = {
    "cells": "a CSV row with more or fewer cells than the header",
    "quotes": "CSV quotes that do not match",
    "encoding": "bytes that are not UTF-8",
    "json": "not JSON",
    "array": "the JSON array is broken here",
    "not_an_object": "JSON, but not an object",
    "too_long": "a line too long to be an event",
}
"""Why a line is bad."""

_SUFFIXES: Final = {".csv": "csv", ".json": "json", ".ndjson": "ndjson", ".jsonl": "ndjson"}
_LISTED: Final = 20
_HEAD: Final = 64 * 1024


class FileSource:
    """One source file; ``blocks`` can be taken more than once, and reads the file anew each time.

    Raises ``UsageError`` when made, for a file that is missing, empty, or of a format that is not known.
    While blocks are taken, ``messages``, ``blank_lines`` and ``bad`` (reason -> number) count up, and
    ``first_bad`` lists the first 20 bad lines.
    """

    def __init__(self, path: Path, format: str | None = None) -> None:  # noqa: A002
        self.path = path
        self.format = _format_of(path, format)
        self._start = _first_byte(path, self.format)
        self._reset()

    def blocks(self) -> Iterator[MessageBatch]:
        """Yield blocks of messages in the order of the file.

        Raises ``UsageError`` for a CSV file without a header of event fields.
        """
        self._reset()
        for block in self._read():
            self.messages += len(block)
            self.blank_lines += block.blank_lines
            self.bad.update(line.reason for line in block.bad_lines)
            self.first_bad += block.bad_lines[: _LISTED - len(self.first_bad)]
            yield block

    def _reset(self) -> None:
        self.messages = 0
        self.blank_lines = 0
        self.bad: Counter[str] = Counter()
        self.first_bad: list[BadLine] = []

    def _read(self) -> Iterator[MessageBatch]:
        if self.format == "json":
            yield from read_array(self.path, self._start)
            return
        with self.path.open("rb") as file:
            yield from read_csv(file, self.path.name) if self.format == "csv" else read_ndjson(file)


def read_ndjson(file: BinaryIO) -> Iterator[MessageBatch]:
    """Yield blocks of the file's lines as they stand, each one message; reports those that are no event."""
    lines, collector = Lines(file), Collector()
    for raw in lines:
        line = without_end(raw.removeprefix(UTF8_BOM) if lines.number == 1 else raw)
        if not lines.whole:
            collector.bad(lines.number, "too_long", line)
        elif not line.strip():
            collector.blank()
        else:
            reason, key = fault(line)
            if reason is None:
                collector.add(key, line)
            else:
                collector.bad(lines.number, reason, line)
        if collector.full:
            yield collector.take()
    if not collector.empty:
        yield collector.take()


def _format_of(path: Path, asked: str | None) -> str:
    name = asked.lower() if asked is not None else _SUFFIXES.get(path.suffix.lower())
    if name in FORMATS:
        return name
    raise UsageError(
        f"the format of {path.name} is not known",
        got=asked or path.suffix or "no suffix",
        expected="csv, json or ndjson",
        next_move="name it with --format",
    )


def _first_byte(path: Path, format: str) -> int:  # noqa: A002
    """Return where the first byte that is not blank is; for JSON, that must be the array's bracket."""
    try:
        with path.open("rb") as file:
            start, first = _skip_blank(file.read)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read", got=error.strerror, expected="a readable file", next_move="check the path"
        ) from error
    if not first:
        raise UsageError(f"{path} is empty", got="no bytes", expected="at least one event", next_move="check the path")
    if format == "json" and first != b"[":
        move = "use --format ndjson for one object a line" if first == b"{" else ""
        raise UsageError(f"{path} does not hold a JSON array", expected="[ at its beginning", next_move=move)
    return start


def _skip_blank(read: Callable[[int], bytes]) -> tuple[int, bytes]:
    position = 0
    while chunk := read(_HEAD):
        start = len(UTF8_BOM) if not position and chunk.startswith(UTF8_BOM) else 0
        rest = chunk[start:].lstrip()
        if rest:
            return position + len(chunk) - len(rest), rest[:1]
        position += len(chunk)
    return position, b""
