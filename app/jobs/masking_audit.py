"""Looking at what is stored: masked forms, and raw identifiers that survived.

Written apart from the code that masks: forms are matched by the policy's own patterns, and each row is searched for the
identifiers of the message that it comes from (``lake.quality.identifier_search``). What is opened stays in memory.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

import polars as pl

from app.stream.decoders.json_event import decode
from lake.contracts.tables import BRONZE, KAFKA_COORDINATES, SILVER
from lake.errors import LakeError
from lake.quality.identifier_search import anybodys, surviving
from lake.quality.masked_forms import form_breaches
from lake.security.encryption import associated_data
from lake.security.identifiers.finding import REDACTED
from lake.security.identifiers.spellings import IDENTIFIERS
from lake.storage.chunked_scan import PARTITION, Positions, chunks
from lake.storage.store import Lake

MEASURED: Final = pl.Schema({"day": pl.Date, "policy": pl.String, "rows_scanned": pl.Int64, "rows_broken": pl.Int64})

FREE: Final = ("ward", "bed", "treatment", "notes")
"""Texts that may hold nobody's identifier in a plain form either."""

SEARCHED: Final = (
    *("message_id", "facility", "department", "ward", "bed", "doctor_id", "diagnosis_code", "treatment", "notes"),
    *("patient_name", "ssn", "phone", "email", "address"),
)
"""What is shown of a record and may hold anything; the other columns are keys, or of a closed set or form."""

Dimensions = Mapping[str, frozenset[str]]


def measure_masking(
    lake: Lake, above: Positions, timezone: str, dimensions: Dimensions = MappingProxyType({})
) -> pl.DataFrame:
    """Per local day of ingest and policy, how many Silver rows were looked at and how many are broken (``MEASURED``).

    A row is broken when a masked value has not the form that its rule gives, or an identifier is in it. Looks at
    the rows above these offsets of Silver's snapshot in hand.
    """
    counts = [pl.DataFrame(schema=MEASURED)]
    for rows in chunks(lake, SILVER, above=above):
        broken = (
            rows.select(KAFKA_COORDINATES)
            .hstack([_any_form_broken(rows)])
            .join(_surviving(lake, rows, dimensions), on=KAFKA_COORDINATES, how="left")
        )
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


def surviving_identifiers(both: pl.DataFrame, rows: pl.DataFrame) -> Iterator[tuple[str, int, list[int]]]:
    """Per identifier: its name, how many rows have one to search for, and in which rows (``row``) it survived.

    ``both``: rows ``with_their_messages``. The last is ``anybody's``: forms that no free text may hold.
    """
    for field, (looked_at, found) in surviving(both).items():
        yield field, looked_at, found
    free = rows.select(pl.any_horizontal(anybodys(pl.col(name)).fill_null(value=False) for name in FREE)).to_series()
    yield "anybody's", rows.height, free.arg_true().to_list()


def with_their_messages(lake: Lake, rows: pl.DataFrame, dimensions: Dimensions) -> pl.DataFrame:
    """Per Silver row (``row`` from 0): its text, a column a line, and its own record's identifiers (``IDENTIFIERS``).

    Values of the reference table are left out of the text.
    """
    shown = [pl.when(~pl.col(c).is_in(dimensions[c])).then(c) if c in dimensions else pl.col(c) for c in SEARCHED]
    text = pl.concat_str(shown, separator="\n", ignore_nulls=True).str.replace_all(REDACTED, "\n", literal=True)
    records = _decrypted(lake, rows.select(KAFKA_COORDINATES).unique()).unique(KAFKA_COORDINATES)
    return (
        rows.select(*KAFKA_COORDINATES, text=text)
        .with_row_index("row")
        .join(records, on=KAFKA_COORDINATES, how="inner")
    )


def open_payloads(lake: Lake, rows: pl.DataFrame) -> tuple[list[bytes | None], int]:
    """The payloads of rows of one topic, None for those that do not open, and how many those are."""
    encrypted = rows["payload"].to_list()
    where = (
        list(associated_data(rows["topic_id"][0], rows["kafka_partition"], rows["kafka_offset"])) if encrypted else []
    )
    try:
        return lake.key.decrypt(encrypted, where, rows["key_id"]), 0
    except LakeError:
        return _open_each(lake, encrypted, where, rows["key_id"].to_list())


def _any_form_broken(rows: pl.DataFrame) -> pl.Series:
    """Whether a row breaks one of its policy's rules."""
    broken = pl.lit(value=False)
    for name in rows["policy"].unique():
        any_broken = pl.any_horizontal(e.fill_null(value=False) for e in form_breaches(name).values())
        broken = broken | ((pl.col("policy") == name) & any_broken)
    return rows.select(form=broken).to_series()


def _surviving(lake: Lake, rows: pl.DataFrame, dimensions: Dimensions) -> pl.DataFrame:
    """The places of the rows that hold an identifier."""
    found = sorted(
        {row for _, _, held in surviving_identifiers(with_their_messages(lake, rows, dimensions), rows) for row in held}
    )
    return rows[found].select(*KAFKA_COORDINATES, survives=pl.lit(value=True))


def _open_each(
    lake: Lake, encrypted: list[bytes | None], where: list[bytes], key_ids: list[str]
) -> tuple[list[bytes | None], int]:
    opened: list[bytes | None] = []
    closed = 0
    for payload, at, key_id in zip(encrypted, where, key_ids, strict=True):
        try:
            opened += lake.key.decrypt([payload], [at], [key_id])
        except LakeError:
            opened.append(None)
            closed += 1
    return opened, closed


def _decrypted(lake: Lake, wanted: pl.DataFrame) -> pl.DataFrame:
    """The raw identifiers of these messages, read from encrypted Bronze into memory."""
    bounds = wanted.group_by(PARTITION).agg(low=pl.col("kafka_offset").min(), high=pl.col("kafka_offset").max())
    parts = []
    for topic_id, partition, low, high in bounds.iter_rows():
        encrypted = (
            lake.store(BRONZE)
            .scan()
            .filter(
                pl.col("topic_id") == topic_id,
                pl.col("kafka_partition") == partition,
                pl.col("kafka_offset").is_between(low, high),
            )
            .select(*KAFKA_COORDINATES, "key_id", "payload")
            .collect()
            .join(wanted, on=KAFKA_COORDINATES, how="semi")
        )
        payloads, _ = open_payloads(lake, encrypted)
        raw = decode(payloads).select(IDENTIFIERS)
        parts.append(encrypted.select(KAFKA_COORDINATES).hstack(raw))
    return pl.concat(parts)
