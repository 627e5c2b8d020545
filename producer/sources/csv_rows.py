"""CSV rows as JSON events: RFC 4180, a header of field names, an empty cell is null."""

import csv
from collections import deque
from collections.abc import Iterator
from typing import BinaryIO

from lake.contracts.event import FIELDS
from lake.errors import UsageError
from producer.batches import MessageBatch
from producer.sources.lines import UTF8_BOM, Collector, Lines, key_of, to_json, without_end


def read_csv(file: BinaryIO, name: str) -> Iterator[MessageBatch]:
    """Yield blocks of events from a CSV file; ``name`` is for the error about its header.

    A row that is not as wide as the header, or whose quotes do not match, is sent as its raw lines; after
    a quote that is never closed, reading goes on with the line after it. A row with bytes that are not
    UTF-8 becomes JSON with those bytes in it.
    """
    rows = _Rows(file)
    header = _header(rows, name)
    collector = Collector()
    for row in rows:
        if not row or (len(row) == 1 and not row[0].strip()):
            collector.blank()
        elif row is _BROKEN:
            collector.bad(rows.line, rows.reason, without_end(rows.raw))
        elif len(row) != len(header):
            collector.bad(rows.line, "cells", without_end(rows.raw))
        else:
            _add(collector, rows.line, {name: cell for name, cell in zip(header, row, strict=True) if cell})
        if collector.full:
            yield collector.take()
    if not collector.empty:
        yield collector.take()


def _add(collector: Collector, line: int, event: dict[str, object]) -> None:
    text = to_json(event)
    try:
        collector.add(key_of(event), text.encode())
    except UnicodeEncodeError:
        collector.bad(line, "encoding")
        collector.add(key_of(event), text.encode(errors="surrogateescape"))


def _header(rows: "_Rows", name: str) -> list[str]:
    header = next(iter(rows), [])
    names = [column.strip() for column in header]
    known = len(set(names) & set(FIELDS))
    # Without the names: where the header is missing, the first line is a patient's.
    if not known or header is _BROKEN:
        raise UsageError(
            f"{name} has no header of event fields",
            got=f"{known} known fields in its first line",
            expected="the names of the event contract, separated by commas",
        )
    if len(set(names)) < len(names) or "" in names:
        raise UsageError(
            f"{name} has a header with names that are empty or given twice",
            expected="one name for each column",
        )
    return names


_BROKEN: list[str] = ["\0broken"]


class _Rows:
    """The rows of a CSV file; ``_BROKEN`` stands for a line that is no row.

    ``line`` is the first line of the row last given, ``raw`` its bytes, ``reason`` why it is broken.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._lines = Lines(file)
        self._again: deque[tuple[int, bool, bytes]] = deque()
        self._held: list[tuple[int, bool, bytes]] = []
        self._reader = self._new_reader()
        self.line = 0
        self.raw = b""
        self.reason = ""

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        self._held.clear()
        try:
            row = next(self._reader)
        except csv.Error:
            return self._broken()
        self.line, whole, self.raw = self._held[0]
        if len(self._held) > 1:
            self.raw = b"".join(raw for _, _, raw in self._held)
        return row if whole else self._broken()

    def _broken(self) -> list[str]:
        """Give up the first line held, and put those after it back: they may well be rows."""
        self.line, whole, self.raw = self._held[0]
        self.reason = "quotes" if whole else "too_long"
        self._again.extendleft(reversed(self._held[1:]))
        self._reader = self._new_reader()
        return _BROKEN

    def _new_reader(self) -> Iterator[list[str]]:
        return csv.reader(self._feed(), strict=True)

    def _feed(self) -> Iterator[str]:
        while True:
            if self._again:
                held = self._again.popleft()
            else:
                raw = next(self._lines, None)
                if raw is None:
                    return
                raw = raw.removeprefix(UTF8_BOM) if not self.line and not self._held else raw
                held = self._lines.number, self._lines.whole, raw
            self._held.append(held)
            yield held[2].decode(errors="surrogateescape")
