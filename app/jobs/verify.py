"""``verify``: what the lake promises, proved on what is stored.

Each check scans stored rows in slices of bounded size and counts breaches. It tells checks, tables, fields and
counts, never a value. It is written apart from the code that it checks: the conservation law is counted from rows,
and ``app.jobs.masking_audit`` looks for broken forms and surviving identifiers.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import polars as pl

from app.jobs.masking_audit import Dimensions, open_payloads, surviving_identifiers, with_their_messages
from app.stream.transforms.deduplicate import key_columns
from lake import reference
from lake.contracts.tables import BRONZE, INGEST, QUARANTINE, SILVER, Table
from lake.errors import LakeError
from lake.quality.identifier_search import in_texts
from lake.quality.masked_forms import form_breaches
from lake.quality.published_texts import published_texts
from lake.storage.chunked_scan import PARTITION, chunks, windows
from lake.storage.store import Lake

_PART_ROWS: Final = 2_000_000
"""How many rows are compared with each other at once: that took 0.3 GB for places, 0.65 GB for keys."""


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
        "conservation": _conservation,
        "places": _places,
        "duplicate keys": lambda opened: [_duplicate_keys(opened, key_columns(dedup_key))],
        "contracts": _contracts,
        "masked forms": _masked_forms,
        "encrypted payloads": _payloads,
        "raw identifiers": lambda opened: _raw_identifiers(opened, dimensions, export),
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


def _conservation(lake: Lake) -> list[Check]:
    """Per partition: messages = silver + quarantined + duplicates, and the books agree with the rows."""

    def counted(table: Table, name: str, rows: pl.LazyFrame | None = None) -> pl.LazyFrame:
        rows = lake.store(table).scan() if rows is None else rows
        return rows.group_by(PARTITION).agg(pl.len().cast(pl.Int64).alias(name))

    unresolved = lake.store(QUARANTINE).scan().filter(pl.col("resolved_at").is_null())
    books = (
        lake.store(INGEST)
        .scan()
        .group_by(PARTITION)
        .agg(
            pl.col("messages", "duplicates").sum(),
            booked_silver=pl.col("silver").sum(),
            booked_quarantined=pl.col("quarantined").sum(),
        )
    )
    law = books
    for counts in (
        counted(BRONZE, "bronze"),
        counted(SILVER, "silver"),
        counted(QUARANTINE, "quarantined", unresolved),
    ):
        law = law.join(counts, on=PARTITION, how="full", coalesce=True)
    frame = law.collect().fill_null(0)
    off = frame.filter(
        (pl.col("bronze") != pl.col("silver") + pl.col("quarantined") + pl.col("duplicates"))
        | (pl.col("bronze") != pl.col("messages"))
        | (pl.col("silver") != pl.col("booked_silver"))
        | (pl.col("quarantined") != pl.col("booked_quarantined"))
    )
    detail = "; ".join(
        f"partition {row['kafka_partition']}: {row['bronze']} messages, {row['silver']} silver, "
        f"{row['quarantined']} quarantined, {row['duplicates']} duplicates"
        for row in off.head(5).iter_rows(named=True)
    )
    return [Check("conservation", "all", int(frame["bronze"].sum()), off.height, detail)]


def _places(lake: Lake) -> list[Check]:
    """A message has one Bronze row; Silver and quarantine rows each stand for one, and not for the same."""
    unresolved = lake.store(QUARANTINE).scan().filter(pl.col("resolved_at").is_null())
    scans = (lake.store(BRONZE).scan(), lake.store(SILVER).scan(), unresolved)
    found = Counter[str]()
    for within in windows(scans, _PART_ROWS):
        bronze, silver, held = (scan.filter(within).select("kafka_offset").collect().to_series() for scan in scans)
        both = pl.concat([silver, held])
        found.update(bronze=bronze.len(), both=both.len(), silver=silver.len(), held=held.len())
        found.update(bronze_repeats=_repeats(bronze), both_repeats=_repeats(both))
        found.update(silver_orphans=_orphans(silver, bronze), held_orphans=_orphans(held, bronze))
    once, known = "one row per message", "rows point to Bronze"
    return [
        Check(once, BRONZE.name, found["bronze"], found["bronze_repeats"]),
        Check(once, "silver and quarantine", found["both"], found["both_repeats"]),
        Check(known, SILVER.name, found["silver"], found["silver_orphans"]),
        Check(known, QUARANTINE.name, found["held"], found["held_orphans"]),
    ]


def _repeats(offsets: pl.Series) -> int:
    """How many offsets stand more than once."""
    return offsets.filter(offsets.is_duplicated()).n_unique()


def _orphans(offsets: pl.Series, bronze: pl.Series) -> int:
    return offsets.len() - int(offsets.is_in(bronze.implode()).sum())


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
    for table in (BRONZE, QUARANTINE, SILVER, INGEST):
        scanned, broken = 0, Counter[str]()
        for rows in chunks(lake, table):
            _, failure = table.schema.filter(rows)
            scanned += rows.height
            broken.update(failure.counts())
        checks.append(Check("contract", table.name, scanned, sum(broken.values()), ", ".join(sorted(broken))))
    return checks


def _masked_forms(lake: Lake) -> list[Check]:
    """Every stored value has the form its row's policy gives it."""
    scanned, breaches = Counter[str](), Counter[str]()
    for rows in chunks(lake, SILVER):
        for (name,), part in rows.partition_by("policy", as_dict=True).items():
            for column, broken in form_breaches(str(name)).items():
                scanned[column] += part.height
                breaches[column] += part.filter(broken.fill_null(value=False)).height
    return [Check("masked form", f"{SILVER.name}.{column}", scanned[column], breaches[column]) for column in scanned]


def _payloads(lake: Lake) -> list[Check]:
    """Every encrypted payload opens, with the lake's key and in its own place."""
    checks = []
    for table in (BRONZE, QUARANTINE):
        scanned, closed = 0, 0
        for rows in chunks(lake, table):
            scanned += rows.height
            closed += open_payloads(lake, rows)[1]
        checks.append(Check("payload opens", table.name, scanned, closed))
    return checks


def _raw_identifiers(lake: Lake, dimensions: Dimensions, export: Path | None) -> list[Check]:
    """Search each Silver row for its own record's identifiers, and what has left the lake for anybody's."""
    scanned, breaches = Counter[str](), Counter[str]()
    known = [*(value for values in dimensions.values() for value in values), *reference.diagnosis_titles()["title"]]
    texts = {where: found.filter(~found.is_in(known)) for where, found in published_texts(lake.root, export).items()}
    held: dict[str, set[str]] = {where: set() for where in texts}
    for rows in chunks(lake, SILVER):
        both = with_their_messages(lake, rows, dimensions)
        for field, looked_at, found in surviving_identifiers(both, rows):
            scanned[field] += looked_at
            breaches[field] += len(found)
        for where, distinct in texts.items():
            held[where].update(in_texts(distinct, both))
    checks = [
        Check("no raw identifier", f"{SILVER.name}, {field}", scanned[field], breaches[field]) for field in scanned
    ]
    for where, distinct in texts.items():
        checks.append(
            Check("no raw identifier", where, distinct.len(), len(held[where]), ", ".join(sorted(held[where])))
        )
    return checks
