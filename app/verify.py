"""``verify``: what the lake promises, proved on what is stored.

Each check scans stored rows in slices of bounded size and counts breaches. It tells checks, tables, fields and
counts, never a value. It is written apart from the code that it checks: masked forms are matched by the policy's
own patterns, survivors are searched for with regular expressions, the conservation law is counted from rows.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from app.steps.decode import decode
from app.steps.deduplicate import key_columns
from lake import policy as policies
from lake.contract import FIELDS
from lake.errors import LakeError
from lake.identifiers import REDACTED
from lake.policy import MASKED_FORMS
from lake.sealing import places
from lake.store import Lake
from lake.tables import BRONZE, INGEST, PLACE, QUARANTINE, SILVER, Table

_SLICE_ROWS: Final = 100_000
_PARTITION: Final = ["topic_id", "kafka_partition"]
_RAW: Final = {
    "patient_name": "patient_name",
    "ssn": "ssn",
    "phone": "phone",
    "email": "email",
    "street": "address",
    "patient_id": "patient_id",
    "visit_id": "visit_id",
    "date_of_birth": "date_of_birth",
}
_NOT_SEARCHED: Final = {
    # Values of a closed set or of a form that is checked by itself.
    *PLACE, "event_type", "sex", "severity", "disposition", "patient_key", "visit_key", "policy", "policy_fingerprint",
}  # fmt: skip
_MIN_CHARS: Final = 3


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
    """Run every check on the lake's current snapshots. Needs the lake's key. Raises ``LakeError`` without it.

    Snapshots are taken together under the landing lock, so a running stream does not disturb the law.
    """
    with lake.landing_lock():
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
    for name, run in parts.items():
        progress(name)
        checks += run(lake)
    return checks


def _conservation(lake: Lake) -> list[Check]:
    """Per partition: messages = silver + quarantined + duplicates, and the books agree with the rows."""

    def counted(table: Table, name: str, rows: pl.LazyFrame | None = None) -> pl.LazyFrame:
        rows = lake.store(table).scan() if rows is None else rows
        return rows.group_by(_PARTITION).agg(pl.len().cast(pl.Int64).alias(name))

    unresolved = lake.store(QUARANTINE).scan().filter(pl.col("resolved_at").is_null())
    books = (
        lake.store(INGEST)
        .scan()
        .group_by(_PARTITION)
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
        law = law.join(counts, on=_PARTITION, how="full", coalesce=True)
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
        for rows in _slices(lake, table):
            _, failure = table.schema.filter(rows)
            scanned += rows.height
            broken.update(failure.counts())
        checks.append(Check("contract", table.name, scanned, sum(broken.values()), ", ".join(sorted(broken))))
    return checks


def _masked_forms(lake: Lake) -> list[Check]:
    """Every stored value has the form its row's policy gives it."""
    scanned, breaches = Counter[str](), Counter[str]()
    for rows in _slices(lake, SILVER):
        for (name,), part in rows.partition_by("policy", as_dict=True).items():
            for column, broken in _form_breaches(str(name)).items():
                scanned[column] += part.height
                breaches[column] += part.filter(broken.fill_null(value=False)).height
    return [Check("masked form", f"{SILVER.name}.{column}", scanned[column], breaches[column]) for column in scanned]


def _form_breaches(name: str) -> dict[str, pl.Expr]:
    """Column → whether its value breaks its rule, under the policy called ``name``."""
    policy = policies.load(name)
    broken: dict[str, pl.Expr] = {}
    for column in SILVER.polars_schema:
        rule = policy.columns.get(column)
        if rule in MASKED_FORMS:
            broken[column] = ~pl.col(column).str.contains(MASKED_FORMS[rule])
        elif rule == "year":
            broken[column] = ~pl.col(column).is_between(1850, pl.col("ingested_at").dt.year() + 1)
        elif rule is None and column in map(policies.silver_column, FIELDS):
            broken[column] = pl.col(column).is_not_null()
    return broken


def _payloads(lake: Lake) -> list[Check]:
    """Every sealed payload opens, with the lake's key and in its own place."""
    checks = []
    for table in (BRONZE, QUARANTINE):
        scanned, closed = 0, 0
        for rows in _slices(lake, table):
            scanned += rows.height
            closed += _open(lake, rows)[1]
        checks.append(Check("payload opens", table.name, scanned, closed))
    return checks


def _open(lake: Lake, rows: pl.DataFrame) -> tuple[list[bytes | None], int]:
    """The payloads of rows of one topic, None for those that do not open, and how many those are."""
    sealed = rows["payload"].to_list()
    where = list(places(rows["topic_id"][0], rows["kafka_partition"], rows["kafka_offset"])) if sealed else []
    try:
        return lake.key.unseal(sealed, where), 0
    except LakeError:
        return _open_each(lake, sealed, where)


def _open_each(lake: Lake, sealed: list[bytes | None], where: list[bytes]) -> tuple[list[bytes | None], int]:
    opened: list[bytes | None] = []
    closed = 0
    for payload, at in zip(sealed, where, strict=True):
        try:
            opened += lake.key.unseal([payload], [at])
        except LakeError:
            opened.append(None)
            closed += 1
    return opened, closed


def _raw_identifiers(lake: Lake) -> list[Check]:
    """Search each Silver row's strings for its own record's raw identifiers."""
    scanned, breaches = Counter[str](), Counter[str]()
    for rows in _slices(lake, SILVER):
        records = _unsealed(lake, rows.select(PLACE).unique()).unique(PLACE)
        text = (
            pl.concat_str(
                [pl.col(c).fill_null("") for c, t in rows.schema.items() if t == pl.String and c not in _NOT_SEARCHED],
                separator="\n",
            )
            .str.to_lowercase()
            .str.replace_all(REDACTED, "\n", literal=True)
        )
        both = rows.select(*PLACE, text=text).join(records, on=PLACE, how="inner")
        for field in _RAW:
            needle = pl.col(field).str.strip_chars().str.to_lowercase()
            held = both.filter(needle.str.len_chars() >= _MIN_CHARS)
            scanned[field] += held.height
            suspects = held.filter(pl.col("text").str.contains(needle, literal=True)).select("text", needle)
            breaches[field] += sum(_stands(text, raw) for text, raw in suspects.iter_rows())
    return [Check("no raw identifier", f"{SILVER.name}, {field}", scanned[field], breaches[field]) for field in scanned]


def _stands(text: str, raw: str) -> bool:
    """Whether the raw identifier stands in the text as a whole word."""
    return re.search(rf"(?<![^\W_]){re.escape(raw)}(?![^\W_])", text) is not None


def _unsealed(lake: Lake, wanted: pl.DataFrame) -> pl.DataFrame:
    """The raw identifiers of these messages, read from sealed Bronze into memory."""
    bounds = wanted.group_by(_PARTITION).agg(low=pl.col("kafka_offset").min(), high=pl.col("kafka_offset").max())
    parts = []
    for topic_id, partition, low, high in bounds.iter_rows():
        sealed = (
            lake.store(BRONZE)
            .scan()
            .filter(
                pl.col("topic_id") == topic_id,
                pl.col("kafka_partition") == partition,
                pl.col("kafka_offset").is_between(low, high),
            )
            .select(*PLACE, "payload")
            .collect()
            .join(wanted, on=PLACE, how="semi")
        )
        payloads, _ = _open(lake, sealed)
        raw = decode(payloads).select(
            *(pl.col(source).alias(name) for name, source in _RAW.items() if name != "street"),
            # Of "Springfield, IL 62704" the first part is the city, which may be shown.
            street=pl.when(~pl.col("address").str.contains(r"^[^,\n\d]+, *[A-Z]{2}( +\d{5}(-\d{4})?)?\s*$")).then(
                pl.col("address").str.extract(r"^\s*([^,\n]+)")
            ),
        )
        parts.append(sealed.select(PLACE).hstack(raw))
    return pl.concat(parts)


def _slices(lake: Lake, table: Table) -> Iterator[pl.DataFrame]:
    """The table's rows in frames of about ``_SLICE_ROWS``, in the order that keeps reads short.

    Slices follow (topic, partition, offset), which file statistics are kept for; ``ops/ingest`` is small.
    """
    store = lake.store(table)
    if table is INGEST:
        yield store.scan().select(table.polars_schema.names()).collect()
        return
    bounds = store.scan().group_by(_PARTITION).agg(low=pl.col("kafka_offset").min(), high=pl.col("kafka_offset").max())
    for topic_id, partition, low, high in bounds.sort(_PARTITION).collect().iter_rows():
        for start in range(low, high + 1, _SLICE_ROWS):
            rows = (
                store.scan()
                .filter(
                    pl.col("topic_id") == topic_id,
                    pl.col("kafka_partition") == partition,
                    pl.col("kafka_offset").is_between(start, start + _SLICE_ROWS - 1),
                )
                .select(table.polars_schema.names())
                .collect()
            )
            if not rows.is_empty():
                yield rows


def _count(rows: pl.LazyFrame) -> int:
    return int(rows.select(pl.len()).collect().item())
