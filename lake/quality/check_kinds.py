"""What every kind of check is: parameters as fields, and a way from rows to a verdict."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection
from typing import Annotated, Any, Final, NamedTuple

import polars as pl
from pydantic import AfterValidator, ConfigDict, Field

from lake.contracts.tables import Table
from lake.quality.source import NothingToCheckError, Source

STRICT: Final = ConfigDict(extra="forbid")
"""A parameter that a kind does not have is refused."""


def _is_sql(text: str) -> str:
    try:
        pl.sql_expr(text)
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"not a condition in SQL ({type(error).__name__})") from None
    return text


Condition = Annotated[str, AfterValidator(_is_sql)]
"""A condition on a row, in the SQL of Polars."""

Rate = Annotated[float, Field(ge=0, le=1)]
Number = Annotated[int, Field(ge=1)]

ROWS: Final = "rows"


class Verdict(NamedTuple):
    """``observed``: counts, rates and rule names, never a value."""

    observed: str
    passed: bool


class Kind(ABC):
    """A check without its table: what it expects, and what it has to be given."""

    @property
    @abstractmethod
    def expected(self) -> str:
        """What a passed check observes, in a few words."""

    def columns(self) -> Collection[str]:
        """The columns of its table that its parameters name."""
        return ()

    def others(self) -> Collection[str]:
        """The other tables that its parameters name."""
        return ()


class RowKind(Kind):
    """A check that is counted row by row, so that all of a table's share one pass over it."""

    @abstractmethod
    def count(self, rows: pl.DataFrame, table: Table) -> Counter[str]:
        """Counts over some rows of the table, which add up; ``rows`` is how many it looked at."""

    @abstractmethod
    def judge(self, counts: Counter[str]) -> Verdict:
        """The verdict on the counts of all the rows. Raises ``NothingToCheckError`` where they are too few."""


class TableKind(Kind):
    """A check that asks its own question of a table, or of several."""

    @abstractmethod
    def observe(self, source: Source, table: Table) -> Verdict:
        """The verdict. Raises ``NothingToCheckError`` where a table is absent, empty or not of its schema."""


def tally(rows: pl.DataFrame, counts: dict[str, pl.Expr]) -> Counter[str]:
    """How many rows meet each condition, and how many there are."""
    summed: dict[str, Any] = rows.select(met.sum().alias(name) for name, met in counts.items()).row(0, named=True)
    return Counter({ROWS: rows.height, **{name: number or 0 for name, number in summed.items()}})


def none_of(counts: Counter[str]) -> Verdict:
    """The verdict on counts of what should not be: passed where there is none."""
    some_rows(counts[ROWS])
    found = [f"{name} {number:,}" for name, number in sorted(counts.items()) if number and name != ROWS]
    return Verdict(f"{counts[ROWS]:,} rows: {', '.join(found) or 'none'}", not found)


def some_rows(rows: int, least: int = 1) -> None:
    """Raise ``NothingToCheckError`` where there are fewer rows than ``least``."""
    if rows < least:
        raise NothingToCheckError(f"too few rows: {rows:,} of at least {least:,}" if rows else "no row to check")


def rows_in(rows: pl.LazyFrame) -> int:
    """How many rows there are."""
    return int(rows.select(pl.len()).collect(engine="streaming").item())


def sum_of(rows: pl.LazyFrame, column: str) -> int:
    """What a column adds up to."""
    return int(rows.select(pl.col(column).sum()).collect(engine="streaming").item())


def percent(share: float) -> str:
    """A share as it is shown."""
    return f"{100 * share:.1f} %"


def condition(sql: Condition | None) -> pl.Expr:
    """A condition in SQL as an expression: unknown counts as not met; none given, as met."""
    return pl.lit(value=True) if sql is None else pl.sql_expr(sql).fill_null(value=False)


def columns_in(sql: Condition | None) -> list[str]:
    """The columns that a condition names."""
    return [] if sql is None else pl.sql_expr(sql).meta.root_names()
