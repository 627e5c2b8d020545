"""``verify``: what the lake promises, proved on what is stored.

Each check scans stored rows in slices of bounded size and counts breaches. It tells checks, tables, fields and
counts, never a value. It is written apart from the code that it checks: the conservation law is counted from rows,
and ``app.stored`` looks for broken forms and surviving identifiers.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import polars as pl

from app.steps.deduplicate import key_columns
from app.stored import PARTITION, open_payloads, slices, survivors
from lake.errors import LakeError
from lake.quality.forms import form_breaches
from lake.store import Lake
from lake.tables import BRONZE, INGEST, PLACE, QUARANTINE, SILVER, Table


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


def verify(lake: Lake, dedup_key: Sequence[str], progress: Callable[[str], None] = lambda _: None) -> list[Check]:
    """Run every check on the lake's current snapshots. Needs the lake's key.

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
        "sealed payloads": _payloads,
        "raw identifiers": _raw_identifiers,
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
    checks = []
    bronze = lake.store(BRONZE).scan().select(PLACE)
    silver = lake.store(SILVER).scan().select(PLACE)
    held = lake.store(QUARANTINE).scan().filter(pl.col("resolved_at").is_null()).select(PLACE)
    for name, rows in (("bronze/events", bronze), ("silver and quarantine", pl.concat([silver, held]))):
        counts = rows.group_by(PLACE).len().select(rows=pl.col("len").sum(), repeats=(pl.col("len") > 1).sum())
        found = counts.collect(engine="streaming").row(0)
        checks.append(Check("one row per message", name, found[0] or 0, found[1] or 0))
    for name, rows in ((SILVER.name, silver), (QUARANTINE.name, held)):
        orphans = rows.join(bronze, on=PLACE, how="anti").select(pl.len()).collect(engine="streaming").item()
        checks.append(Check("rows point to Bronze", name, _count(rows), orphans))
    return checks


def _duplicate_keys(lake: Lake, key: Sequence[str]) -> Check:
    rows = lake.store(SILVER).scan()
    found = rows.group_by(key).len().select(rows=pl.col("len").sum(), repeats=(pl.col("len") > 1).sum())
    scanned, repeats = found.collect(engine="streaming").row(0)
    return Check("no duplicate key", SILVER.name, scanned or 0, repeats or 0, "key: " + ", ".join(key))


def _contracts(lake: Lake) -> list[Check]:
    checks = []
    for table in (BRONZE, QUARANTINE, SILVER, INGEST):
        scanned, broken = 0, Counter[str]()
        for rows in slices(lake, table):
            _, failure = table.schema.filter(rows)
            scanned += rows.height
            broken.update(failure.counts())
        checks.append(Check("contract", table.name, scanned, sum(broken.values()), ", ".join(sorted(broken))))
    return checks


def _masked_forms(lake: Lake) -> list[Check]:
    """Every stored value has the form its row's policy gives it."""
    scanned, breaches = Counter[str](), Counter[str]()
    for rows in slices(lake, SILVER):
        for (name,), part in rows.partition_by("policy", as_dict=True).items():
            for column, broken in form_breaches(str(name)).items():
                scanned[column] += part.height
                breaches[column] += part.filter(broken.fill_null(value=False)).height
    return [Check("masked form", f"{SILVER.name}.{column}", scanned[column], breaches[column]) for column in scanned]


def _payloads(lake: Lake) -> list[Check]:
    """Every sealed payload opens, with the lake's key and in its own place."""
    checks = []
    for table in (BRONZE, QUARANTINE):
        scanned, closed = 0, 0
        for rows in slices(lake, table):
            scanned += rows.height
            closed += open_payloads(lake, rows)[1]
        checks.append(Check("payload opens", table.name, scanned, closed))
    return checks


def _raw_identifiers(lake: Lake) -> list[Check]:
    """Search each Silver row's strings for its own record's raw identifiers."""
    scanned, breaches = Counter[str](), Counter[str]()
    for rows in slices(lake, SILVER):
        for field, looked_at, found in survivors(lake, rows):
            scanned[field] += looked_at
            breaches[field] += len(found)
    return [Check("no raw identifier", f"{SILVER.name}, {field}", scanned[field], breaches[field]) for field in scanned]


def _count(rows: pl.LazyFrame) -> int:
    return int(rows.select(pl.len()).collect().item())
