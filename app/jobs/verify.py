"""``verify``: what the lake promises, proved on what is stored.

Bronze is opened once, in frames of bounded size, and what came of its messages is held against them; breaches are
counted. It tells checks, tables, fields and counts, never a value. It is written apart from the code that it checks:
the conservation law is counted from rows, and ``app.jobs.masking_audit`` looks for broken forms and surviving
identifiers.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import polars as pl

from app.jobs.masking_audit import Dimensions, at_offsets, surviving_identifiers, with_their_messages
from app.stream.recovery import Partition
from app.stream.transforms.deduplicate import key_columns
from lake import reference
from lake.contracts.event import OUTCOMES
from lake.contracts.tables import (
    BRONZE,
    EVENT_COORDINATES,
    INGEST,
    KAFKA_COORDINATES,
    QUARANTINE,
    SILVER,
    Table,
)
from lake.errors import LakeError
from lake.quality.identifier_search import in_texts
from lake.quality.masked_forms import form_breaches
from lake.quality.published_texts import published_texts
from lake.storage import bronze, record_batch
from lake.storage.chunked_scan import PARTITION
from lake.storage.store import Lake

_PART_ROWS: Final = 2_000_000
"""How many keys are compared with each other at once: that took 0.65 GB."""

_ONCE: Final = "one row per message"
_KNOWN: Final = "rows point to Bronze"
_OPENS: Final = "payload opens"
_IDENTIFIER: Final = "no raw identifier"


@dataclass(frozen=True)
class Check:
    """One check's outcome: what was scanned, how often it was broken, and the seat of a breach in plain words."""

    check: str
    table: str
    rows_scanned: int
    breaches: int
    detail: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing was wrong."""
        return self.breaches == 0


def verify(
    lake: Lake,
    dedup_key: Sequence[str],
    progress: Callable[[str], None] = lambda _: None,
    *,
    dimensions: Dimensions = MappingProxyType({}),
    export: Path | None = None,
) -> list[Check]:
    """Run every check on the lake's current snapshots, and on what has left it. Needs the lake's key.

    ``dimensions``: the values of the reference table by column, which are not searched for identifiers. ``export``: the
    folder of exports, if it is to be searched.

    Snapshots are taken together under the landing lock, so a running stream does not disturb the law. Raises
    ``LakeError`` without the key, and where ``maintain`` removed files of a snapshot that was replaced an hour ago.
    """
    with lake.landing_lock():
        lake.require_current_key()
        lake.refresh()
    checks: list[Check] = []
    parts: dict[str, Callable[[Lake], list[Check]]] = {
        "every message": lambda opened: _Messages(opened, dimensions, export).checks(),
        "duplicate keys": lambda opened: [_duplicate_keys(opened, key_columns(dedup_key))],
        "contracts": _contracts,
    }
    with suppress(FileNotFoundError):
        for name, run in parts.items():
            progress(name)
            checks += run(lake)
        return checks
    raise LakeError(
        "files of the lake went while it was verified, or were gone before",
        got=f"a file missing after {len(checks)} checks",
        expected="the files of the beginning, which stay for an hour after they were replaced",
        next_move="run it again, over an hour without 'wardlake flow maintain'; if it ends so again, restore a backup",
    )


def _duplicate_keys(lake: Lake, key: Sequence[str]) -> Check:
    """Keys are looked at in parts by their hash: a key's rows may lie anywhere, and all keys at once take memory."""
    rows = lake.store(SILVER).scan().select(key)
    scanned, repeats = int(rows.select(pl.len()).collect().item()), 0
    parts = 1 + scanned // _PART_ROWS
    for part in range(parts):
        counts = rows.filter(pl.struct(key).hash() % parts == part).group_by(key).len()
        repeats += counts.select((pl.col("len") > 1).sum()).collect(engine="streaming").item()
    return Check("no duplicate key", SILVER.name, scanned, repeats, "key: " + ", ".join(key))


def _contracts(lake: Lake) -> list[Check]:
    checks = []
    for table in (BRONZE, QUARANTINE, INGEST):
        rows = lake.store(table).scan().with_columns(_unread(table)).collect()
        _, failure = table.schema.filter(rows)
        broken = failure.counts()
        checks.append(Check("contract", table.name, rows.height, sum(broken.values()), ", ".join(sorted(broken))))
    return checks


def _unread(table: Table) -> list[pl.Expr]:
    """Payloads are opened elsewhere, and not read for the contract."""
    return [pl.lit(b"").alias("payload")] if table is BRONZE else []


class _Messages:
    """Holds every message of Bronze against what came of it, partition by partition, in the order of offsets."""

    def __init__(self, lake: Lake, dimensions: Dimensions, export: Path | None) -> None:
        self._lake = lake
        self._dimensions = dimensions
        self._scanned, self._breaches = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
        self._details: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._found: dict[Partition, Counter[str]] = defaultdict(Counter)
        known = [*(value for values in dimensions.values() for value in values), *reference.diagnosis_titles()["title"]]
        self._texts = {
            where: found.filter(~found.is_in(known)) for where, found in published_texts(lake.root, export).items()
        }

    def checks(self) -> list[Check]:
        """Open all of Bronze, and say what was found."""
        ends: dict[Partition, int] = {}
        for rows in bronze.slices(self._lake):
            at = (rows["topic_id"][0], rows["kafka_partition"][0])
            ends[at] = self._batches(rows, self._found[at], ends.get(at, -1))
            for messages in bronze.together(self._opened(rows, self._found[at])):
                self._messages(messages, self._found[at])
        self._strays()
        self._conservation()
        for where, distinct in self._texts.items():
            self._note(_IDENTIFIER, where, distinct.len(), 0)
        return [
            Check(*at, scanned, self._breaches[at], ", ".join(sorted(self._details[at])))
            for at, scanned in self._scanned.items()
        ]

    def _note(self, check: str, table: str, scanned: int, breaches: int, *details: str) -> None:
        self._scanned[check, table] += scanned
        self._breaches[check, table] += breaches
        self._details[check, table].update(details)

    def _batches(self, rows: pl.DataFrame, found: Counter[str], end: int) -> int:
        """No message is in two record batches: each begins after the one before. Returns where the last one ends."""
        before = pl.concat([pl.Series([end], dtype=pl.Int64), rows["last_offset"].cum_max()[:-1]])
        again = int((rows["first_offset"] <= before).sum())
        found["bronze"] += int(rows["messages"].sum())
        self._note(_ONCE, BRONZE.name, int(rows["messages"].sum()), again)
        last: int = rows["last_offset"].cum_max()[-1]
        return max(end, last)

    def _opened(self, rows: pl.DataFrame, found: Counter[str]) -> Iterator[pl.DataFrame]:
        """The messages of each record batch; one that does not open, or holds other messages, is a breach."""
        for row, messages in zip(
            rows.iter_rows(named=True), record_batch.opened_each(rows, self._lake.key), strict=True
        ):
            self._note(_OPENS, BRONZE.name, row["messages"], 0 if messages is not None else row["messages"])
            if messages is not None:
                yield messages
                continue
            place = (row["topic_id"], row["kafka_partition"], row["first_offset"], row["last_offset"])
            self._count(*self._outcomes(*place), found)

    def _messages(self, messages: pl.DataFrame, found: Counter[str]) -> None:
        """What came of messages that were opened."""
        offsets = messages["kafka_offset"]
        silver, held = self._outcomes(
            messages["topic_id"][0],
            messages["kafka_partition"][0],
            offsets[0],
            offsets[-1],
        )
        self._count(silver, held, found)
        for table, rows in ((SILVER, silver), (QUARANTINE, held)):
            orphans = rows.height - int(rows["kafka_offset"].is_in(offsets.implode()).sum())
            self._note(_KNOWN, table.name, rows.height, orphans)
        both = pl.concat([silver["kafka_offset"].unique(), held["kafka_offset"]])
        twice = both.filter(both.is_duplicated()).n_unique() + (
            silver.height - silver.select(EVENT_COORDINATES).n_unique()
        )
        self._note(_ONCE, "silver and quarantine", silver.height + held.height, twice)
        self._silver(messages, silver)

    def _silver(self, messages: pl.DataFrame, silver: pl.DataFrame) -> None:
        """Silver rows keep their contract and their masked forms, and hold no identifier of their own record."""
        _, failure = SILVER.schema.filter(silver)
        self._note("contract", SILVER.name, silver.height, sum(failure.counts().values()), *failure.counts())
        for (name,), part in silver.partition_by("policy", as_dict=True).items():
            for column, broken in form_breaches(str(name)).items():
                breaches = part.filter(broken.fill_null(value=False)).height
                self._note("masked form", f"{SILVER.name}.{column}", part.height, breaches)
        both = with_their_messages(messages, silver, self._dimensions)
        for field, looked_at, still in surviving_identifiers(both, silver):
            self._note(_IDENTIFIER, f"{SILVER.name}, {field}", looked_at, len(still))
        for where, distinct in self._texts.items():
            for field in set(in_texts(distinct, both)) - self._details[_IDENTIFIER, where]:
                self._note(_IDENTIFIER, where, 0, 1, field)

    def _outcomes(self, topic_id: str, partition: int, first: int, last: int) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The Silver rows, and the messages in quarantine, at these offsets."""
        at = (topic_id, partition, first, last)
        silver, held = (at_offsets(self._lake, table, *at) for table in (SILVER, QUARANTINE))
        waiting = held.filter(pl.col("resolved_at").is_null())
        return silver.select(SILVER.polars_schema.names()).collect(), waiting.select(KAFKA_COORDINATES).collect()

    def _count(self, silver: pl.DataFrame, held: pl.DataFrame, found: Counter[str]) -> None:
        found.update(silver=silver["kafka_offset"].n_unique(), events=silver.height, quarantined=held.height)

    def _strays(self) -> None:
        """Rows at offsets that Bronze does not cover."""
        for table, events in ((SILVER, "events"), (QUARANTINE, "quarantined")):
            rows = self._lake.store(table).scan()
            rows = rows.filter(pl.col("resolved_at").is_null()) if table is QUARANTINE else rows
            counted = rows.group_by(PARTITION).len().collect(engine="streaming")
            for topic_id, partition, number in counted.iter_rows():
                found = self._found[topic_id, partition]
                more = number - found[events]
                self._note(_KNOWN, table.name, max(more, 0), max(more, 0))
                found.update({"silver": more, "events": more} if table is SILVER else {"quarantined": more})

    def _conservation(self) -> None:
        """Per partition: messages = silver + quarantined + duplicates + ignored, and the books agree with the rows."""
        sums = ("messages", "events", *OUTCOMES)
        books = self._lake.store(INGEST).scan().group_by(PARTITION).agg(pl.col(sums).sum()).collect()
        booked = {(row["topic_id"], row["kafka_partition"]): row for row in books.iter_rows(named=True)}
        off = []
        for at in sorted(self._found.keys() | booked.keys()):
            found, book = self._found[at], booked.get(at, dict.fromkeys(sums, 0))
            rows = {name: found[name] for name in ("silver", "quarantined")}
            rows |= {name: book[name] for name in ("duplicates", "ignored")}
            agree = all(found[name] == book[name] for name in ("silver", "events", "quarantined"))
            if not (found["bronze"] == sum(rows.values()) == book["messages"] and agree):
                parts = ", ".join(f"{number} {name}" for name, number in rows.items())
                off.append(f"partition {at[1]}: {found['bronze']} messages, {parts}")
        total = sum(found["bronze"] for found in self._found.values())
        self._note("conservation", "all", total, len(off), "; ".join(off[:5]))
