"""Looking at what is stored: masked forms, and raw identifiers that survived.

Written apart from the code that masks: forms are matched by the policy's own patterns, survivors are searched for in
the opened message of each row. What is opened stays in memory.
"""

import re
from collections.abc import Iterator
from typing import Final

import polars as pl

from app.steps.decode import decode
from lake.errors import LakeError
from lake.identifiers import REDACTED
from lake.quality.forms import form_breaches
from lake.sealing import places
from lake.slices import PARTITION, Positions, slices
from lake.store import Lake
from lake.tables import BRONZE, PLACE, SILVER

RAW: Final = {
    "patient_name": "patient_name",
    "ssn": "ssn",
    "phone": "phone",
    "email": "email",
    "street": "address",
    "patient_id": "patient_id",
    "visit_id": "visit_id",
    "date_of_birth": "date_of_birth",
}
"""What is searched for → the field of the event that it comes from."""

MEASURED: Final = pl.Schema({"day": pl.Date, "policy": pl.String, "rows_scanned": pl.Int64, "rows_broken": pl.Int64})

_NOT_SEARCHED: Final = {
    # Values of a closed set or of a form that is checked by itself.
    *PLACE, "event_type", "sex", "severity", "disposition", "patient_key", "visit_key", "policy", "policy_fingerprint",
}  # fmt: skip
_MIN_CHARS: Final = 3


def measure_masking(lake: Lake, above: Positions, timezone: str) -> pl.DataFrame:
    """Per local day of ingest and policy, how many Silver rows were looked at and how many are broken (``MEASURED``).

    A row is broken when a masked value has not the form that its rule gives, or one of its own record's raw
    identifiers stands in it. Looks at the rows above these offsets of Silver's snapshot in hand.
    """
    counts = [pl.DataFrame(schema=MEASURED)]
    for rows in slices(lake, SILVER, above=above):
        broken = rows.select(PLACE).hstack([_any_form_broken(rows)]).join(_surviving(lake, rows), on=PLACE, how="left")
        days = rows["ingested_at"].dt.convert_time_zone(timezone).dt.date()
        looked_at = broken.select(
            days.alias("day"), rows["policy"], broken=pl.col("form") | pl.col("survives").fill_null(value=False)
        )
        counts.append(
            looked_at.group_by("day", "policy").agg(
                rows_scanned=pl.len().cast(pl.Int64), rows_broken=pl.col("broken").sum().cast(pl.Int64)
            )
        )
    return pl.concat(counts).group_by("day", "policy").sum().sort("day", "policy")


def survivors(lake: Lake, rows: pl.DataFrame) -> Iterator[tuple[str, int, list[int]]]:
    """Per raw identifier: its name, how many rows have one to search for, and in which rows (``row``) it survived."""
    both = _beside_its_message(lake, rows)
    for field in RAW:
        needle = pl.col(field).str.strip_chars().str.to_lowercase()
        held = both.filter(needle.str.len_chars() >= _MIN_CHARS)
        suspects = held.filter(pl.col("text").str.contains(needle, literal=True)).select("row", "text", needle)
        yield field, held.height, [row for row, text, raw in suspects.iter_rows() if _stands(text, raw)]


def open_payloads(lake: Lake, rows: pl.DataFrame) -> tuple[list[bytes | None], int]:
    """The payloads of rows of one topic, None for those that do not open, and how many those are."""
    sealed = rows["payload"].to_list()
    where = list(places(rows["topic_id"][0], rows["kafka_partition"], rows["kafka_offset"])) if sealed else []
    try:
        return lake.key.unseal(sealed, where, rows["key_id"]), 0
    except LakeError:
        return _open_each(lake, sealed, where, rows["key_id"].to_list())


def _any_form_broken(rows: pl.DataFrame) -> pl.Series:
    """Whether a row breaks one of its policy's rules."""
    broken = pl.lit(value=False)
    for name in rows["policy"].unique():
        any_broken = pl.any_horizontal(e.fill_null(value=False) for e in form_breaches(name).values())
        broken = broken | ((pl.col("policy") == name) & any_broken)
    return rows.select(form=broken).to_series()


def _surviving(lake: Lake, rows: pl.DataFrame) -> pl.DataFrame:
    """The places of the rows in which a raw identifier stands."""
    found = sorted({row for _, _, stands in survivors(lake, rows) for row in stands})
    return rows[found].select(*PLACE, survives=pl.lit(value=True))


def _beside_its_message(lake: Lake, rows: pl.DataFrame) -> pl.DataFrame:
    """Per Silver row (``row`` from 0): its text in lower case, and its own record's raw identifiers."""
    records = _unsealed(lake, rows.select(PLACE).unique()).unique(PLACE)
    text = (
        pl.concat_str(
            [pl.col(c).fill_null("") for c, t in rows.schema.items() if t == pl.String and c not in _NOT_SEARCHED],
            separator="\n",
        )
        .str.to_lowercase()
        .str.replace_all(REDACTED, "\n", literal=True)
    )
    return rows.select(*PLACE, text=text).with_row_index("row").join(records, on=PLACE, how="inner")


def _stands(text: str, raw: str) -> bool:
    """Whether the raw identifier stands in the text as a whole word."""
    return re.search(rf"(?<![^\W_]){re.escape(raw)}(?![^\W_])", text) is not None


def _open_each(
    lake: Lake, sealed: list[bytes | None], where: list[bytes], key_ids: list[str]
) -> tuple[list[bytes | None], int]:
    opened: list[bytes | None] = []
    closed = 0
    for payload, at, key_id in zip(sealed, where, key_ids, strict=True):
        try:
            opened += lake.key.unseal([payload], [at], [key_id])
        except LakeError:
            opened.append(None)
            closed += 1
    return opened, closed


def _unsealed(lake: Lake, wanted: pl.DataFrame) -> pl.DataFrame:
    """The raw identifiers of these messages, read from sealed Bronze into memory."""
    bounds = wanted.group_by(PARTITION).agg(low=pl.col("kafka_offset").min(), high=pl.col("kafka_offset").max())
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
            .select(*PLACE, "key_id", "payload")
            .collect()
            .join(wanted, on=PLACE, how="semi")
        )
        payloads, _ = open_payloads(lake, sealed)
        raw = decode(payloads).select(
            *(pl.col(source).alias(name) for name, source in RAW.items() if name != "street"),
            # Of "Springfield, IL 62704" the first part is the city, which may be shown.
            street=pl.when(~pl.col("address").str.contains(r"^[^,\n\d]+, *[A-Z]{2}( +\d{5}(-\d{4})?)?\s*$")).then(
                pl.col("address").str.extract(r"^\s*([^,\n]+)")
            ),
        )
        parts.append(sealed.select(PLACE).hstack(raw))
    return pl.concat(parts)
