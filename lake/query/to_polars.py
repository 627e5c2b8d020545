"""A DuckDB result as a frame, whatever the types of its columns."""

import re
from collections.abc import Sequence
from datetime import date
from operator import or_
from typing import Final, cast

import duckdb
import polars as pl

_NO_FRAME_HAS: Final = re.compile(
    r"\b(?:INTERVAL|UNION|BIT|BIGNUM|VARIANT|GEOMETRY|TIME WITH TIME ZONE|MAP\((?!VARCHAR\b))"
)
"""Types that Polars or JSON has no like of, at any depth. A field of that name matches too, and does no harm."""
_DAYS_OF_PYTHON: Final = [(day - date(1970, 1, 1)).days for day in (date.min, date.max)]
_PER_DAY: Final = {"ms": 86_400_000, "us": 86_400_000_000}


def to_polars(found: duckdb.DuckDBPyRelation) -> pl.DataFrame:
    """Run a relation; what no frame can show comes as DuckDB's text of it.

    That is a column of a type that no frame has (``1 day 02:00:00``), and one with a date outside of the years 1 to
    9999 (``infinity``): then the relation is run twice.
    """
    as_text = [_NO_FRAME_HAS.search(str(kind)) is not None for kind in found.types]
    shown = _run(found, as_text)
    beyond = [_beyond_calendar(column) for column in shown]
    return _run(found, list(map(or_, as_text, beyond))) if any(beyond) else shown


def _run(found: duckdb.DuckDBPyRelation, as_text: Sequence[bool]) -> pl.DataFrame:
    if any(as_text):
        # By position, for names may stand twice.
        found = found.select(*map(_column, range(1, len(as_text) + 1), found.columns, as_text))
    return cast("pl.DataFrame", found.pl())


def _column(at: int, name: str, as_text: bool) -> duckdb.Expression:
    column = duckdb.SQLExpression(f"#{at}")
    return (column.cast("VARCHAR") if as_text else column).alias(name)


def _beyond_calendar(column: pl.Series) -> bool:
    """Whether a date or timestamp, at any depth, lies where Python has none; Polars panics when it is to show it."""
    if isinstance(column.dtype, pl.Map):
        return _beyond_calendar(column.map.values())
    if isinstance(column.dtype, pl.List | pl.Array):
        return _beyond_calendar(column.explode())
    if isinstance(column.dtype, pl.Struct):
        return any(map(_beyond_calendar, column.struct.unnest()))
    if column.dtype == pl.Date:
        a_day = 1
    elif isinstance(column.dtype, pl.Datetime) and column.dtype.time_unit in _PER_DAY:
        a_day = _PER_DAY[column.dtype.time_unit]
    else:
        return False
    first, last = _DAYS_OF_PYTHON
    return not (column.to_physical() // a_day).is_between(first, last).all()  # nulls count as within
