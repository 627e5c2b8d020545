"""Which deduplication keys stand in Silver: exact over all history, in bounded memory.

The key holds the event time, so a exact duplicate can only be in that date's partition. The index keeps the keys of the
dates in use (least recently used first out) and reads a date's partition when it comes into use.
"""

import json
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Final

import polars as pl

from lake.storage.store import DeltaStore

# 25 MB less than with three times as many, and no more CPU: not with 17,000 events a day, nor with 170,000.
MAX_ROWS: Final = 100_000


class DedupIndex:
    """Keys and content hashes of Silver, by event date. Not thread-safe.

    Guarantee: ``known`` answers for the Silver snapshot of the last ``sync`` plus what was ``add``-ed since.
    Memory is bounded by ``max_rows`` keys (about 130 bytes each) or by the dates of one batch, if those are more.
    """

    def __init__(self, silver: DeltaStore, key: Sequence[str], max_rows: int = MAX_ROWS) -> None:
        self._silver = silver
        self._key = list(key)
        self._max_rows = max_rows
        schema = silver.table.polars_schema
        self._nothing = pl.DataFrame(schema={name: schema[name] for name in (*self._key, "content_hash")})
        self._dates: OrderedDict[date, pl.DataFrame] = OrderedDict()
        self._version = silver.handle.version()

    def sync(self) -> None:
        """Take in what others committed to Silver since. Call after ``refresh``, before ``known``.

        Compaction changes no rows and costs nothing here; a rewrite (``replay``) empties the index.
        """
        version = self._silver.handle.version()
        if version != self._version and self._dates and not self._apply(range(self._version + 1, version + 1)):
            self._dates.clear()
        self._version = version

    def known(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Key columns and ``content_hash`` of every Silver row with an ``event_time`` (and date) of one of ``rows``.

        All exact duplicates are among them, for the key holds the event time. A busy day has more rows than a batch by
        far: to compare the keys of them all would cost each batch a multiple of its own work.
        """
        wanted = rows["event_date"].unique().to_list()
        self._load([d for d in wanted if d not in self._dates])
        for d in wanted:
            self._dates.move_to_end(d)
        at_these = pl.col("event_time").is_in(rows["event_time"].unique().implode())
        frames = [self._dates[d].filter(at_these) for d in wanted]
        self._evict(keep=len(wanted))
        return pl.concat([self._nothing, *frames])

    def add(self, rows: pl.DataFrame) -> None:
        """Take in rows that this process just committed to Silver."""
        version = self._silver.handle.version()
        if version == self._version + 1:
            self._version = version
            self._extend(rows)
        # Otherwise others committed in between: ``sync`` reads their commits and ours from the log.

    def _extend(self, rows: pl.DataFrame) -> None:
        for (day,), part in (
            rows.select("event_date", *self._key, "content_hash")
            .partition_by("event_date", as_dict=True, include_key=False)
            .items()
        ):
            if day in self._dates:
                self._dates[day] = pl.concat([self._dates[day], part], rechunk=self._dates[day].n_chunks() > 64)

    def _load(self, dates: list[date]) -> None:
        if not dates:
            return
        for day in dates:
            self._dates[day] = self._nothing
        self._extend(self._silver.scan(dates).select("event_date", *self._key, "content_hash").collect())

    def _evict(self, keep: int) -> None:
        held = sum(frame.height for frame in self._dates.values())
        while held > self._max_rows and len(self._dates) > keep:
            _, frame = self._dates.popitem(last=False)
            held -= frame.height

    def _apply(self, versions: Iterable[int]) -> bool:
        """Add the rows of these commits; ``False`` where they did more than add rows."""
        added: list[Path] = []
        for version in versions:
            log = self._silver.path / "_delta_log" / f"{version:020d}.json"
            try:
                actions = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
            except FileNotFoundError:
                return False
            if any(action.get("remove", {}).get("dataChange") for action in actions):
                return False
            adds = [action["add"] for action in actions if "add" in action]
            added += [self._silver.path / add["path"] for add in adds if add["dataChange"]]
        if added:
            columns = pl.scan_parquet(added, hive_partitioning=True, hive_schema={"event_date": pl.Date})
            self._extend(columns.select("event_date", *self._key, "content_hash").collect())
        return True
