"""Looking at what is stored: masked forms, and raw identifiers that survived.

Written apart from the code that masks: forms are matched by the policy's own patterns, and each row is searched for the
identifiers of the message that it comes from (``lake.quality.identifier_search``). What is opened stays in memory.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

import polars as pl

from app.stream.decoders.json_event import decode
from lake.contracts.tables import EVENT_COORDINATES, KAFKA_COORDINATES, SILVER, Table
from lake.quality.identifier_search import anybodys, surviving
from lake.quality.masked_forms import form_breaches
from lake.security.identifiers.finding import REDACTED
from lake.security.identifiers.spellings import IDENTIFIERS
from lake.storage import bronze
from lake.storage.chunked_scan import Positions
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
    for messages in bronze.messages(lake, above=above):
        offsets = messages["kafka_offset"]
        at = (messages["topic_id"][0], messages["kafka_partition"][0], offsets[0], offsets[-1])
        rows = at_offsets(lake, SILVER, *at).collect()
        if rows.is_empty():
            continue
        broken = (
            rows.select(EVENT_COORDINATES)
            .hstack([_any_form_broken(rows)])
            .join(_surviving(messages, rows, dimensions), on=EVENT_COORDINATES, how="left", maintain_order="left")
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


def at_offsets(lake: Lake, table: Table, topic_id: str, partition: int, first: int, last: int) -> pl.LazyFrame:
    """The table's rows of one partition from the first to the last of these offsets."""
    here = (pl.col("topic_id") == topic_id) & (pl.col("kafka_partition") == partition)
    return lake.store(table).scan().filter(here, pl.col("kafka_offset").is_between(first, last))


def surviving_identifiers(both: pl.DataFrame, rows: pl.DataFrame) -> Iterator[tuple[str, int, list[int]]]:
    """Per identifier: its name, how many rows have one to search for, and in which rows (``row``) it survived.

    ``both``: rows ``with_their_messages``. The last is ``anybody's``: forms that no free text may hold.
    """
    for field, (looked_at, found) in surviving(both).items():
        yield field, looked_at, found
    free = rows.select(pl.any_horizontal(anybodys(pl.col(name)).fill_null(value=False) for name in FREE)).to_series()
    yield "anybody's", rows.height, free.arg_true().to_list()


def with_their_messages(messages: pl.DataFrame, rows: pl.DataFrame, dimensions: Dimensions) -> pl.DataFrame:
    """Per Silver row (``row`` from 0): its text, a column a line, and its own record's identifiers (``IDENTIFIERS``).

    ``messages``: theirs, as Bronze has them. Values of the reference table are left out of the text.
    """
    shown = [pl.when(~pl.col(c).is_in(dimensions[c])).then(c) if c in dimensions else pl.col(c) for c in SEARCHED]
    text = pl.concat_str(shown, separator="\n", ignore_nulls=True).str.replace_all(REDACTED, "\n", literal=True)
    records = messages.select(KAFKA_COORDINATES).hstack(decode(messages["value"].to_list()).select(IDENTIFIERS))
    return (
        rows.select(*KAFKA_COORDINATES, text=text)
        .with_row_index("row")
        .join(records.unique(KAFKA_COORDINATES), on=KAFKA_COORDINATES, how="inner", maintain_order="left")
    )


def _any_form_broken(rows: pl.DataFrame) -> pl.Series:
    """Whether a row breaks one of its policy's rules."""
    broken = pl.lit(value=False)
    for name in rows["policy"].unique():
        any_broken = pl.any_horizontal(e.fill_null(value=False) for e in form_breaches(name).values())
        broken = broken | ((pl.col("policy") == name) & any_broken)
    return rows.select(form=broken).to_series()


def _surviving(messages: pl.DataFrame, rows: pl.DataFrame, dimensions: Dimensions) -> pl.DataFrame:
    """The places of the rows that hold an identifier."""
    both = with_their_messages(messages, rows, dimensions)
    found = sorted({row for _, _, held in surviving_identifiers(both, rows) for row in held})
    return rows[found].select(*EVENT_COORDINATES, survives=pl.lit(value=True))
