"""Kinds that look at each row by itself: all of a table's share one pass over it."""

from collections import Counter
from collections.abc import Collection
from typing import Final, Literal

import polars as pl
from pydantic.dataclasses import dataclass

from lake.contracts.event import ICD10_PATTERN, VALUE_SETS
from lake.contracts.tables import Table
from lake.quality.check_kinds import (
    ROWS,
    STRICT,
    Condition,
    Number,
    Rate,
    RowKind,
    Verdict,
    columns_in,
    condition,
    none_of,
    percent,
    some_rows,
    tally,
)
from lake.quality.masked_forms import broken_forms

Coded = Literal["event_type", "sex", "severity", "disposition", "diagnosis_code"]

_MET: Final = "met"


@dataclass(frozen=True, config=STRICT)
class Contract(RowKind):
    """Every row keeps to the table's contract, rule by rule. Keys that stand twice are ``unique``'s business."""

    expected = "no row breaks a rule"

    def count(self, rows: pl.DataFrame, table: Table) -> Counter[str]:
        """Broken rules by name."""
        _, failure = table.schema.filter(rows)
        return Counter({ROWS: rows.height, **failure.counts()})

    def judge(self, counts: Counter[str]) -> Verdict:
        """Passed where no rule is broken."""
        return none_of(counts)


@dataclass(frozen=True, config=STRICT)
class Masked(RowKind):
    """Every value has the form that its row's policy gives it, and what the policy drops is null."""

    expected = "every value in the form of its policy"

    def count(self, rows: pl.DataFrame, table: Table) -> Counter[str]:  # noqa: ARG002
        """Broken forms by column, and rows under a policy that is not known."""
        return tally(rows, broken_forms())

    def judge(self, counts: Counter[str]) -> Verdict:
        """Passed where no form is broken."""
        return none_of(counts)


@dataclass(frozen=True, config=STRICT)
class Accepted(RowKind):
    """Coded columns are null or hold a value of the event contract."""

    values: tuple[Coded, ...]

    expected = "no value but those of the event contract"

    def columns(self) -> Collection[str]:
        """The coded columns."""
        return self.values

    def count(self, rows: pl.DataFrame, table: Table) -> Counter[str]:  # noqa: ARG002
        """Values that are not accepted, by column."""
        return tally(rows, {column: ~_accepted(column) for column in self.values})

    def judge(self, counts: Counter[str]) -> Verdict:
        """Passed where all are accepted."""
        return none_of(counts)


def _accepted(column: Coded) -> pl.Expr:
    if column == "diagnosis_code":
        return pl.col(column).str.contains(ICD10_PATTERN)
    return pl.col(column).is_in(VALUE_SETS[column])


@dataclass(frozen=True, config=STRICT)
class Nulls(RowKind):
    """No column is null in a larger share of the rows than its own ``at_most``, of those that meet ``where``."""

    at_most: dict[str, Rate]
    where: Condition | None = None
    min_rows: Number = 1

    @property
    def expected(self) -> str:
        """The limits."""
        return "null at most: " + ", ".join(f"{column} {percent(most)}" for column, most in self.at_most.items())

    def columns(self) -> Collection[str]:
        """The columns that have a limit, and those of ``where``."""
        return [*self.at_most, *columns_in(self.where)]

    def count(self, rows: pl.DataFrame, table: Table) -> Counter[str]:  # noqa: ARG002
        """Nulls by column."""
        return tally(rows.filter(condition(self.where)), {column: pl.col(column).is_null() for column in self.at_most})

    def judge(self, counts: Counter[str]) -> Verdict:
        """Passed where no column is over its limit; tells those that are, else the one with most nulls."""
        rows = counts[ROWS]
        some_rows(rows, self.min_rows)
        rates = {column: counts[column] / rows for column in self.at_most}
        over = [column for column, most in self.at_most.items() if rates[column] > most]
        told = over or [max(rates, key=rates.__getitem__)]
        return Verdict(f"{rows:,} rows: " + ", ".join(f"{c} {percent(rates[c])}" for c in told), not over)


@dataclass(frozen=True, config=STRICT)
class Share(RowKind):
    """At most a share of the rows meets a condition."""

    where: Condition
    at_most: Rate
    min_rows: Number = 1

    @property
    def expected(self) -> str:
        """The limit."""
        share = f"at most {percent(self.at_most)} of the rows" if self.at_most else "no row"
        return f"{share} with {self.where}"

    def columns(self) -> Collection[str]:
        """The columns of ``where``."""
        return columns_in(self.where)

    def count(self, rows: pl.DataFrame, table: Table) -> Counter[str]:  # noqa: ARG002
        """Rows that meet the condition."""
        return tally(rows, {_MET: condition(self.where)})

    def judge(self, counts: Counter[str]) -> Verdict:
        """Passed where the share is within its limit."""
        rows, met = counts[ROWS], counts[_MET]
        some_rows(rows, self.min_rows)
        return Verdict(f"{met:,} of {rows:,} rows ({percent(met / rows)})", met / rows <= self.at_most)
