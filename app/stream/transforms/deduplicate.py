"""Deduplicate: one event per key; an exact duplicate is a duplicate, the same key with other content a conflict."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import polars as pl

from lake.security.masking_policy import silver_column

MESSAGE: Final = ("kafka_partition", "kafka_offset")
ORDER: Final = (*MESSAGE, "event_index")
CONFLICT: Final = "duplicate_key_conflict"


class Deduplicated(NamedTuple):
    """``fresh`` events go to Silver; ``duplicates`` are messages that are only counted, ``conflicts`` are quarantined.

    The last two have one row per message: its first event.
    """

    fresh: pl.DataFrame
    duplicates: pl.DataFrame
    conflicts: pl.DataFrame


def key_columns(fields: Sequence[str]) -> list[str]:
    """The Silver columns of a deduplication key given as event fields."""
    return [silver_column(field) for field in fields]


def deduplicate(rows: pl.DataFrame, known: pl.DataFrame, key: Sequence[str]) -> Deduplicated:
    """Split masked events by what is known already, each message as a whole.

    ``key`` names Silver columns; ``known`` holds them and ``content_hash`` for the keys that are in Silver
    (others do no harm), each once. Of events with one key the first by partition, offset and index counts, so the
    answer does not depend on the order in which partitions were polled. A message is a conflict if one of its events
    is, and then none of them counts; a duplicate if all are exact duplicates; else those that are not are fresh.
    """
    columns = rows.select(*ORDER, *key, "content_hash").with_row_index("at").sort(ORDER)  # the rest is many times wider
    standing = known.select(*key, standing="content_hash")
    columns = columns.join(standing, on=list(key), how="left", nulls_equal=True, maintain_order="left")
    out: list[pl.DataFrame] = []
    while True:
        judged = _judged(columns, key)
        # A conflict that would have taken other events into Silver takes them out again, and what follows it is judged
        # without it. Only a message of several events can be one.
        if not judged["conflict"].any():
            break
        mixed = judged.filter(pl.col("conflict").any().over(MESSAGE) & pl.col("first").any().over(MESSAGE)).head(1)
        if mixed.is_empty():
            break
        out.append(columns.join(mixed, on=MESSAGE, how="semi"))
        columns = columns.join(mixed, on=MESSAGE, how="anti", maintain_order="left")
    return _split(rows, judged, pl.concat([columns.clear(), *out]))


def _judged(columns: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    first = pl.col("standing").is_null() & pl.struct(key).is_first_distinct()
    exact = pl.col("content_hash") == pl.coalesce("standing", pl.col("content_hash").first().over(key))
    return columns.select("at", *ORDER, first=first, conflict=~first & ~exact)


def _split(rows: pl.DataFrame, judged: pl.DataFrame, refused: pl.DataFrame) -> Deduplicated:
    """``refused``: events of messages that are a conflict, and of which some would have been the first of their key."""

    def those(numbers: pl.DataFrame) -> pl.DataFrame:
        return rows[numbers["at"]]

    conflicts = pl.concat([judged.filter("conflict").select("at", *ORDER), refused.select("at", *ORDER)])
    conflicts = conflicts.sort(ORDER).unique(MESSAGE, keep="first", maintain_order=True)
    fresh = judged.filter("first")
    rest = judged.filter(~pl.col("first"))
    duplicates = rest.join(pl.concat([conflicts, fresh.select(conflicts.columns)]), on=MESSAGE, how="anti")
    return Deduplicated(
        fresh=those(fresh),
        duplicates=those(duplicates.unique(MESSAGE, keep="first", maintain_order=True)),
        conflicts=those(conflicts),
    )
