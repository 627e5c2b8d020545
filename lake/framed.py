"""A DuckDB result as a frame, whatever the types of its columns."""

import re
from typing import Final, cast

import duckdb
import polars as pl

_NO_FRAME_HAS: Final = re.compile(
    r"\b(?:INTERVAL|UNION|BIT|BIGNUM|VARIANT|GEOMETRY|TIME WITH TIME ZONE|MAP\((?!VARCHAR\b))"
)
"""Types that Polars or JSON has no like of, at any depth. A field of that name matches too, and does no harm."""


def framed(found: duckdb.DuckDBPyRelation) -> pl.DataFrame:
    """Run a relation; columns of a type that no frame has come as DuckDB's text of them (``1 day 02:00:00``)."""
    kinds = list(map(str, found.types))
    if any(map(_NO_FRAME_HAS.search, kinds)):
        # By position, for names may stand twice.
        found = found.select(*map(_column, range(1, len(kinds) + 1), found.columns, kinds))
    return cast("pl.DataFrame", found.pl())


def _column(at: int, name: str, kind: str) -> duckdb.Expression:
    column = duckdb.SQLExpression(f"#{at}")
    return (column.cast("VARCHAR") if _NO_FRAME_HAS.search(kind) else column).alias(name)
