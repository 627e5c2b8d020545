"""A JSON array of events, read as a stream, however long it is.

Where the array is broken, the broken element is sent as the bytes it is, reported with its line, and
reading goes on with the element after it. Where there is no telling the end of the broken element, what
is left of the file is sent in pieces of ``MAX_LINE`` bytes under one report.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import ijson

from producer.batches import MessageBatch
from producer.sources.lines import MAX_LINE, Collector, fault, key_of, to_json

_CHUNK: Final = 64 * 1024
_SPACE: Final = b" \t\r\n"
_OUTSIDE: Final = re.compile(rb'\n|["{}\[\],]|[^\s"{}\[\],]+')
_INSIDE: Final = re.compile(rb'\\.|"|\n', re.DOTALL)


def read_array(path: Path, start: int) -> Iterator[MessageBatch]:
    """Yield blocks of events from the array whose opening bracket is at byte ``start`` of the file."""
    with path.open("rb") as file, path.open("rb") as second:
        yield from _Array(file, _Places(second, start + 1)).blocks(start + 1)


class _Array:
    """Reads elements with ijson, and where it fails, by their places in the file."""

    def __init__(self, file: BinaryIO, places: "_Places") -> None:
        self._file = file
        self._places = places
        self._collector = Collector()
        self._done = 0

    def blocks(self, resume: int) -> Iterator[MessageBatch]:
        collector = self._collector
        position: int | None = resume
        while position is not None:
            self._file.seek(position)
            try:
                for element in ijson.items(_Reopened(self._file), "item", use_float=True):
                    self._add(element)
                    if collector.full:
                        yield collector.take()
                position = None
            except ijson.JSONError:
                position, left = self._recover()
                if left is not None:
                    yield from self._pieces(*left)
        if not collector.empty:
            yield collector.take()

    def _add(self, element: object) -> None:
        text = to_json(element).encode(errors="surrogatepass")
        if isinstance(element, dict):
            self._collector.add(key_of(element), text)
        else:
            span = self._places.find(self._done)
            self._collector.bad(span.line if span else self._places.line, "not_an_object", text)
        self._done += 1

    def _recover(self) -> tuple[int | None, tuple[int, int] | None]:
        """Deal with the element that could not be read.

        Returns the byte at which to read on, if any, and else where the unreadable rest begins and its line.
        """
        places = self._places
        span = places.find(self._done)
        if span is None and places.closed is None:
            self._collector.bad(places.line, "json")
            return None, None
        if span is None:
            return None, (places.closed or 0, places.line)
        if span.end is None or span.end - span.start > MAX_LINE:
            return None, (span.start, span.line)
        self._file.seek(span.start)
        raw = self._file.read(span.end - span.start)
        self._collector.bad(span.line, fault(raw)[0] or "json", *([raw] if raw else []))
        self._done += 1
        return self._after(span.end), None

    def _after(self, end: int) -> int:
        """Return the byte after the comma that follows, or that of whatever follows instead."""
        self._file.seek(end)
        while chunk := self._file.read(_CHUNK):
            rest = chunk.lstrip(_SPACE)
            end += len(chunk) - len(rest)
            if rest:
                return end + rest.startswith(b",")
        return end

    def _pieces(self, start: int, line: int) -> Iterator[MessageBatch]:
        self._collector.bad(line, "json")
        self._file.seek(start)
        while piece := self._file.read(MAX_LINE):
            if piece.strip():
                self._collector.add(None, piece)
            if self._collector.full:
                yield self._collector.take()


class _Reopened:
    """The rest of a file that is inside an array, with the opening bracket it needs to be one."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._opened = False

    def read(self, size: int = -1) -> bytes:
        """Read as a file does."""
        if self._opened or not size:
            return self._file.read(size)
        self._opened = True
        return b"["


class _Span(NamedTuple):
    """Where an element is: bytes ``start`` to ``end`` (None when the file ends first), and its line."""

    start: int
    end: int | None
    line: int


class _Places:
    """Finds elements by brackets and quotes alone, without reading their values; goes forward only.

    ``line`` is the line it has come to, ``closed`` the byte after the array's closing bracket, once met.
    """

    def __init__(self, file: BinaryIO, start: int) -> None:
        self._file = file
        self._found = 0
        self._spans = self._scan(start)
        self.closed: int | None = None
        file.seek(0)
        self.line = 1 + file.read(start).count(b"\n")

    def find(self, index: int) -> _Span | None:
        """Return the element of that number, from 0; None when the array ends before it."""
        for span in self._spans:
            self._found += 1
            if self._found > index:
                return span
        return None

    def _scan(self, base: int) -> Iterator[_Span]:
        """Yield the elements; where commas are missing or doubled, take what stands between for elements."""
        depth, start, line, last, separated = 0, -1, 0, 0, True
        for token, at, end, at_line in self._tokens(base):
            apart = token in b"{[" or (at > last and token not in b",]}")
            if start >= 0 and not depth and apart:
                yield _Span(start, last, line)
                start = -1
            if not depth and token in b",]":
                if start >= 0 or (token == b"," and separated):
                    yield _Span(start if start >= 0 else at, last if start >= 0 else at, line)
                start, line, separated = -1, at_line, True
                if token == b"]":
                    self.closed = end
                    return
                continue
            if start < 0:
                start, line = at, at_line
            depth += (token in b"{[") - (token in b"]}" and depth > 0)
            last, separated = end, False
            if token in b"]}" and not depth:
                yield _Span(start, last, line)
                start = -1
        if start >= 0:
            yield _Span(start, None, line)

    def _tokens(self, base: int) -> Iterator[tuple[bytes, int, int, int]]:
        """Yield brackets, commas, strings (as a quote) and other text: token, start, end and line."""
        string = line = -1
        for chunk in self._chunks(base):
            place = 0
            while match := (_OUTSIDE if string < 0 else _INSIDE).search(chunk, place):
                token, at, place = match[0], base + match.start(), match.end()
                if string >= 0 and token == b'"':
                    yield token, string, base + place, line
                    string = -1
                elif string < 0 and token == b'"':
                    string, line = at, self.line
                elif string < 0 and token != b"\n":
                    yield token, at, base + place, self.line
                self.line += token.endswith(b"\n")
            base += len(chunk)
        if string >= 0:
            yield b"{", string, base, line  # never closed, as a bracket that is not

    def _chunks(self, start: int) -> Iterator[bytes]:
        """Yield the file's bytes from ``start``; none ends between a backslash and what it escapes."""
        self._file.seek(start)
        while chunk := self._file.read(_CHUNK):
            while chunk.endswith(b"\\") and (more := self._file.read(1)):
                chunk += more
            yield chunk
