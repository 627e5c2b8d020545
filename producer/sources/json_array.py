"""A JSON array of events, read as a stream, however long it is."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

import ijson

from producer.batches import MessageBatch
from producer.sources.lines import MAX_LINE, Collector, key_of, to_json

_CHUNK: Final = 64 * 1024


def read_array(path: Path, start: int) -> Iterator[MessageBatch]:
    """Yield batches of events from the array that begins at byte ``start`` of the file.

    An element that is no object is sent all the same, and reported. Where the array is broken, reading stops: the bad
    line ``array`` names the place, and nothing after it is sent.
    """
    collector = Collector()
    sent = 0
    # In chunks first. From the first trouble on by line, which says where it is and takes three times as long.
    for by_line in (False, True):
        with path.open("rb") as file:
            lines = _Lines(file, start, by_line)
            try:
                for element in islice(ijson.items(lines, "item", use_float=True), sent, None):
                    if not _add(collector, element, lines.number if by_line else None):
                        break
                    sent += 1
                    if collector.full:
                        yield collector.take()
                else:
                    break
            except (ijson.JSONError, UnicodeDecodeError):
                if by_line:
                    collector.bad(lines.number, "array")
    if not collector.empty:
        yield collector.take()


def _add(collector: Collector, element: object, line: int | None) -> bool:
    """Add an element; False, and nothing added, where it is bad and its ``line`` is not known."""
    text = to_json(element).encode(errors="surrogatepass")
    if len(text) <= MAX_LINE and isinstance(element, dict):
        collector.add(key_of(element), text)
    elif line is None:
        return False
    elif len(text) > MAX_LINE:
        collector.bad(line, "too_long", *(text[at : at + MAX_LINE] for at in range(0, len(text), MAX_LINE)))
    else:
        collector.bad(line, "not_an_object", text)
    return True


class _Lines:
    """A file that is read in chunks or, with ``by_line``, so that ``number`` is the line the parser has come to."""

    def __init__(self, file: BinaryIO, start: int, by_line: bool) -> None:
        self.number = 1 + file.read(start).count(b"\n")
        self._read = file.readline if by_line else file.read
        self._ended = False

    def read(self, size: int = -1) -> bytes:
        """Read as a file does."""
        if not size:
            return b""
        self.number += self._ended
        piece = self._read(_CHUNK)
        self._ended = piece.endswith(b"\n")
        return piece
