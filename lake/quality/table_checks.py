"""Kinds that ask one question of a whole table, or of two."""

import statistics
from collections.abc import Collection
from datetime import date, timedelta
from typing import Annotated, Final, Literal

import polars as pl
from pydantic import Field
from pydantic.dataclasses import dataclass

from lake.contracts.event import OUTCOMES
from lake.contracts.tables import BRONZE, KAFKA_COORDINATES, QUARANTINE, SILVER, VISITS, Table
from lake.quality.check_kinds import (
    STRICT,
    Condition,
    Number,
    Rate,
    TableKind,
    Verdict,
    columns_in,
    condition,
    percent,
    rows_in,
    some_rows,
    sum_of,
)
from lake.quality.source import KNOWN, NothingToCheckError, Source, stored_schema

Dimension = Literal["facility", "department", "ward"]

_DAY: Final = timedelta(days=1)
_PARTITION: Final = list(KAFKA_COORDINATES[:2])


@dataclass(frozen=True, config=STRICT)
class Schema(TableKind):
    """The stored table has the columns of its contract, of its types, and no others."""

    expected = "the columns and types of the contract"

    def observe(self, source: Source, table: Table) -> Verdict:
        """Names the contract's columns that are missing or of another type; others are only counted."""
        stored, contract = stored_schema(source.handle(table)), table.polars_schema
        off = [f"{name} is not there" for name in contract if name not in stored]
        off += [f"{name} is of another type" for name in contract if name in stored and stored[name] != contract[name]]
        more = len(set(stored) - set(contract))
        off += [f"{more} columns more"] if more else []
        return Verdict(", ".join(off) or f"{len(contract)} columns", not off)


@dataclass(frozen=True, config=STRICT)
class Freshness(TableKind):
    """The newest time in a column is not older than some hours."""

    column: str
    max_hours: Annotated[float, Field(gt=0)]

    @property
    def expected(self) -> str:
        """The limit."""
        return f"at most {self.max_hours:g} hours old"

    def columns(self) -> Collection[str]:
        """The column."""
        return (self.column,)

    def observe(self, source: Source, table: Table) -> Verdict:
        """The age of the newest row."""
        newest = source.whole(table).select(pl.col(self.column).max()).collect(engine="streaming").item()
        some_rows(0 if newest is None else 1)
        hours = (source.now - newest) / timedelta(hours=1)
        return Verdict(f"{hours:.1f} hours old", hours <= self.max_hours)


@dataclass(frozen=True, config=STRICT)
class Volume(TableKind):
    """The rows of the latest complete day against the median of the days before it.

    Compared with the same weekday of the ``weeks`` before; with the ``days`` before it where those weekdays are
    fewer than ``min_weeks``; not at all where the data is shorter than that. A day is a partition of the table; the
    first and the last day of the data count as incomplete.
    """

    at_least: Annotated[float, Field(ge=0)]
    at_most: Annotated[float, Field(gt=0)]
    weeks: Number = 8
    min_weeks: Number = 4
    days: Number = 7

    @property
    def expected(self) -> str:
        """The limits."""
        return f"{self.at_least:g} to {self.at_most:g} times the median of comparable days"

    def observe(self, source: Source, table: Table) -> Verdict:
        """The latest complete day as a multiple of the median."""
        counted = source.whole(table).group_by(table.partition).len().collect(engine="streaming")
        per_day: dict[date, int] = dict(counted.iter_rows())
        some_rows(len(per_day))
        latest = min(max(per_day), source.now.date()) - _DAY
        median = statistics.median(per_day.get(day, 0) for day in self._comparable(latest, min(per_day)))
        some_rows(int(median))
        times = per_day.get(latest, 0) / median
        return Verdict(
            f"{per_day.get(latest, 0):,} rows, {times:.2f} times {median:g}", self.at_least <= times <= self.at_most
        )

    def _comparable(self, latest: date, first: date) -> list[date]:
        weekly = [latest - 7 * number * _DAY for number in range(1, self.weeks + 1)]
        daily = [latest - number * _DAY for number in range(1, self.days + 1)]
        for days, least in ((weekly, self.min_weeks), (daily, self.days)):
            inside = [day for day in days if day > first]
            if len(inside) >= least:
                return inside
        raise NothingToCheckError(f"fewer than {self.days} complete days before the latest")


@dataclass(frozen=True, config=STRICT)
class Ratio(TableKind):
    """The table has at most so many rows (that meet ``where``) for each row of another table.

    With ``adding_up``, for each one of that column's sum.
    """

    to: str
    at_most: Rate
    where: Condition | None = None
    adding_up: str | None = None
    min_rows: Number = 1

    @property
    def expected(self) -> str:
        """The limit."""
        return f"at most {percent(self.at_most)} of the {self.adding_up or 'rows'} of {self.to}"

    def columns(self) -> Collection[str]:
        """The columns of ``where``."""
        return columns_in(self.where)

    def others(self) -> Collection[str]:
        """The other table."""
        return (self.to,)

    def observe(self, source: Source, table: Table) -> Verdict:
        """The rows of both."""
        other = source.rows(KNOWN[self.to])
        base = rows_in(other) if self.adding_up is None else sum_of(other, self.adding_up)
        some_rows(base, self.min_rows)
        rows = rows_in(source.rows(table).filter(condition(self.where)))
        return Verdict(f"{rows:,} against {base:,} ({percent(rows / base)})", rows / base <= self.at_most)


@dataclass(frozen=True, config=STRICT)
class Total(TableKind):
    """A column adds up to the number of rows of another table that meet ``where``."""

    column: str
    of: str
    where: Condition | None = None

    @property
    def expected(self) -> str:
        """What the column adds up to."""
        return f"as many as rows of {self.of}" + (f" with {self.where}" if self.where else "")

    def columns(self) -> Collection[str]:
        """The column."""
        return (self.column,)

    def others(self) -> Collection[str]:
        """The other table."""
        return (self.of,)

    def observe(self, source: Source, table: Table) -> Verdict:
        """Both numbers."""
        total = int(source.whole(table).select(pl.col(self.column).sum()).collect(engine="streaming").item())
        rows = rows_in(source.whole(KNOWN[self.of]).filter(condition(self.where)))
        some_rows(max(total, rows))
        return Verdict(f"{total:,} against {rows:,}", total == rows)


@dataclass(frozen=True, config=STRICT)
class Census(TableKind):
    """On no day more beds are occupied at midnight, all departments together, than visits are open then.

    A visit that had no event for so long that it is stale counts as open to the day on which it became so.
    """

    expected = "no day with more occupied beds than open visits"

    def observe(self, source: Source, table: Table) -> Verdict:
        """Counts the days on which there are more."""
        zone, stale_days = (source.build.timezone, source.build.stale_visit_days) if source.build else ("UTC", 0)
        visits = source.whole(VISITS)

        def day(moment: pl.Expr) -> pl.Expr:
            return moment.dt.convert_time_zone(zone).dt.date()

        gone_quiet = day(pl.col("last_event_at") + pl.duration(hours=24 * stale_days)) + _DAY
        left = pl.coalesce(day(pl.col("discharged_at")), gone_quiet)
        moves = [
            visits.select(day=moved, change=pl.lit(change))
            for moved, change in ((day(pl.col("admitted_at")), 1), (left, -1))
        ]
        net = pl.concat(moves).drop_nulls().group_by("day").agg(pl.col("change").sum()).sort("day")
        opened = net.select("day", open=pl.col("change").cum_sum())
        beds = source.whole(table).group_by("day").agg(beds=pl.col("occupied_midnight").sum()).sort("day")
        both = beds.join_asof(opened, on="day").with_columns(pl.col("open").fill_null(0)).collect()
        some_rows(both.height)
        over = both.filter(pl.col("beds") > pl.col("open")).height
        return Verdict(f"{both.height:,} days: {over:,} with more", over == 0)


@dataclass(frozen=True, config=STRICT)
class Conservation(TableKind):
    """Per partition: messages = silver + quarantined + duplicates + ignored, and the books agree with the rows.

    A landing that a crash cut short does not count yet: the next one completes it.
    """

    expected = "messages = silver + quarantined + duplicates + ignored"

    def others(self) -> Collection[str]:
        """The tables that a message can be in."""
        return (BRONZE.name, QUARANTINE.name, SILVER.name)

    def observe(self, source: Source, table: Table) -> Verdict:
        """Counts the partitions in which it does not hold."""
        landed, last = source.landed(), {"last_offset": KAFKA_COORDINATES[2]}
        rows = pl.len().cast(pl.Int64)
        waiting = pl.col("resolved_at").is_null().sum().cast(pl.Int64)
        law = (
            source.rows(table)
            .rename(last)
            .filter(landed)
            .group_by(_PARTITION)
            .agg(pl.col("messages", "events", *OUTCOMES).sum())
        )
        for other, counted in (
            (source.rows(BRONZE).rename(last), pl.col("messages").sum().alias(BRONZE.name)),
            (source.rows(SILVER), rows.alias(SILVER.name)),
            (source.rows(QUARANTINE), waiting.alias(QUARANTINE.name)),
        ):
            law = law.join(
                other.filter(landed).group_by(_PARTITION).agg(counted), on=_PARTITION, how="full", coalesce=True
            )
        frame = law.collect(engine="streaming").fill_null(0)
        some_rows(frame.height)
        off = frame.filter(
            (pl.col("messages") != pl.sum_horizontal(OUTCOMES))
            | (pl.col("messages") != pl.col(BRONZE.name))
            | (pl.col("events") != pl.col(SILVER.name))
            | (pl.col("quarantined") != pl.col(QUARANTINE.name))
        )
        return Verdict(
            f"{frame['messages'].sum():,} messages in {frame.height} partitions: {off.height} off", off.is_empty()
        )


@dataclass(frozen=True, config=STRICT)
class Referenced(TableKind):
    """Columns hold values of the reference table alone; a column of which it has none is not looked at."""

    values: Annotated[tuple[Dimension, ...], Field(min_length=1)]

    expected = "no value but those of the reference table"

    def columns(self) -> Collection[str]:
        """The columns."""
        return self.values

    def observe(self, source: Source, table: Table) -> Verdict:
        """Counts the rows with other values by column; tells no value, which may be a name."""
        known = {column: values for column in self.values if (values := source.dimensions.get(column))}
        if not known:
            raise NothingToCheckError("no table of staffed beds")
        other = (~pl.col(column).is_in(values) for column, values in known.items())
        rows = source.rows(table).select(pl.len().alias("rows"), *(met.sum() for met in other))
        counts = rows.collect(engine="streaming").row(0, named=True)
        some_rows(counts.pop("rows"))
        found = [f"{column} {number:,} rows" for column, number in counts.items() if number]
        return Verdict(", ".join(found) or "none", not found)
