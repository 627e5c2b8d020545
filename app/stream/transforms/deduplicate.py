"""Deduplicate: one event per key; an exact duplicate is a duplicate, the same key with other content a conflict."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import polars as pl

from lake.security.masking_policy import silver_column

ORDER: Final = ("kafka_partition", "kafka_offset")
CONFLICT: Final = "duplicate_key_conflict"


class Deduplicated(NamedTuple):
    """``fresh`` rows go to Silver, ``duplicates`` are only counted, ``conflicts`` go to quarantine."""

    fresh: pl.DataFrame
    duplicates: pl.DataFrame
    conflicts: pl.DataFrame


def key_columns(fields: Sequence[str]) -> list[str]:
    """The Silver columns of a deduplication key given as event fields."""
    return [silver_column(field) for field in fields]


def deduplicate(rows: pl.DataFrame, known: pl.DataFrame, key: Sequence[str]) -> Deduplicated:
    """Split masked rows by what is known already.

    ``key`` names Silver columns; ``known`` holds them and ``content_hash`` for the keys that stand in Silver
    (others do no harm), each once. Of rows with one key the first by partition and offset counts, so the answer
    does not depend on the order in which partitions were polled.
    """
    columns = rows.select(*ORDER, *key, "content_hash").with_row_index("at").sort(ORDER)  # the rest is many times wider
    standing = known.select(*key, standing="content_hash")
    judged = columns.join(standing, on=list(key), how="left", nulls_equal=True, maintain_order="left").select(
        "at",
        first=pl.col("standing").is_null() & pl.struct(key).is_first_distinct(),
        exact_duplicate=pl.col("content_hash") == pl.coalesce("standing", pl.col("content_hash").first().over(key)),
    )

    def those(fit: pl.Expr) -> pl.DataFrame:
        return rows[judged.filter(fit)["at"]]

    first, exact_duplicate = pl.col("first"), pl.col("exact_duplicate")
    return Deduplicated(
        fresh=those(first), duplicates=those(~first & exact_duplicate), conflicts=those(~first & ~exact_duplicate)
    )
