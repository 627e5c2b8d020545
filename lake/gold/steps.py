"""The steps of a build, on its private DuckDB: read, fold, KPIs, compliance. Each writes months of derived tables."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from itertools import zip_longest
from typing import Final, cast

import duckdb
import polars as pl

from lake.contracts.tables import INCOMPLETE, INGEST, SILVER, STAYS, UTC, VISITS, Table
from lake.gold import compute, duckdb_session, fold, replace_months, snapshot
from lake.gold.fold import FOLDED, name_of
from lake.gold.published import Published
from lake.gold.snapshot import Positions, Snapshot
from lake.gold.staffed_beds import StaffedBeds
from lake.gold.tables import COMPLIANCE, sql
from lake.storage.store import DeltaStore, Lake, live_files

Measure = Callable[[Positions], pl.DataFrame]
"""Looks at the Silver rows above these positions: ``day``, ``policy``, ``rows_scanned``, ``rows_broken``."""

_SORTED_ROWS: Final = 500_000
"""DuckDB does not spill a sort as it should: in 1 GB it sorts 0.8 million visits, and not 2 million."""

_TOUCHED_NOW: Final = """INSERT INTO touched_visits
SELECT admitted_at, discharged_at, first_event_at, last_event_at, events FROM visits"""

_SORTED_BY: Final = {VISITS: "admitted_at", STAYS: "from_time", INCOMPLETE: "first_event_at"}


@dataclass
class Run:
    """A build under way. ``before`` is the build that it goes on from, None where all is built anew.

    ``stores``: the derived tables by name; ``old``: their files as ``before`` published them. ``folded_events``: how
    many ``events`` there are, or some more.
    """

    lake: Lake
    connection: duckdb.DuckDBPyConnection
    seen: Snapshot
    before: Published | None
    stores: Mapping[str, DeltaStore]
    old: Mapping[str, list[str]]
    beds: StaffedBeds
    timezone: str
    stale_visit_days: int
    new_events: int = 0
    folded_events: int = 0
    months: int = 0
    data_start: datetime | None = None
    data_end: datetime | None = None

    @property
    def positions(self) -> Positions:
        """How far the build that this one goes on from had read."""
        return self.before.positions if self.before else {}

    @property
    def metadata(self) -> dict[str, str]:
        """What each commit says of where it comes from."""
        return {"wardlake.silver_version": str(self.seen.silver_version)}

    def one(self, query: str) -> tuple[object, ...]:
        """The first row of a query."""
        rows = self.connection.sql(query).fetchall()
        return tuple(rows[0])

    def days(self, query: str) -> list[date]:
        """The first column of a query."""
        return [row[0] for row in self.connection.sql(query).fetchall()]


def read(run: Run) -> None:
    """Make ``events``: all events in a full build, else all those of the visits that have new ones (``touched``)."""
    duckdb_session.view(run.connection, "seen", snapshot.as_frame(run.positions))
    for table in FOLDED:
        duckdb_session.files(run.connection, f"old_{name_of(table)}", table, run.old[table.name] if run.before else [])
    if run.before is None:
        duckdb_session.files(run.connection, "events", SILVER, snapshot.files(run.lake, SILVER)["path"].to_list())
        fresh = "events"
    else:
        new = snapshot.new_files(run.lake, run.seen.positions, run.positions)
        duckdb_session.files(run.connection, "silver_new", SILVER, new)
        run.connection.execute(sql("refresh/touched"))
        dates = run.days("FROM touched_dates")
        duckdb_session.files(run.connection, "silver_touched", SILVER, snapshot.files_of_dates(run.lake, dates))
        run.connection.execute("CREATE TEMP VIEW events AS FROM silver_touched SEMI JOIN touched USING (visit_key)")
        fresh = "fresh"
    count, latest = run.one(f"SELECT count(*), max(event_time) FROM {fresh}")  # noqa: S608
    known = [run.before.data_end] if run.before else []
    (known_events,) = run.one("SELECT coalesce(sum(events), 0) FROM touched_before") if run.before else (0,)
    run.new_events = int(str(count))
    run.folded_events = run.new_events + int(str(known_events))
    run.data_end = max((at for at in (*known, latest) if isinstance(at, datetime)), default=None)
    fold.set_clock(run.connection, run.data_end, run.stale_visit_days)
    if run.before:
        run.connection.execute(sql("refresh/stale"))


def visits(run: Run) -> None:
    """Fold ``events``, and put what comes out in the place of what these visits were."""
    parts = fold.in_parts(
        run.connection, _to_fold(run), run.folded_events, run.lake.root / duckdb_session.SPILL / "events"
    )
    for number, _ in enumerate(parts):
        if run.before:
            run.connection.execute(_TOUCHED_NOW)
        for table in FOLDED:
            if number == 0:
                _put_first(run, table)
            else:
                _write(run, table, _folded(table), [])
    for table in FOLDED:
        run.connection.execute(f"DROP TABLE {name_of(table)}")
        duckdb_session.files(run.connection, name_of(table), table, live_files(run.stores[table.name].handle))


def _to_fold(run: Run) -> pl.LazyFrame:
    """What ``events`` holds."""
    silver = run.lake.store(SILVER).scan()
    if run.before is None:
        return silver
    touched = cast("pl.DataFrame", run.connection.sql("FROM touched").pl())
    dated = silver.filter(pl.col("event_date").is_in(run.days("FROM touched_dates")))
    return dated.join(touched.lazy(), on="visit_key", how="semi")


def _put_first(run: Run, table: Table) -> None:
    """Write what was folded first; whatever else the table holds from then on, no touched visit as it was."""
    if run.before is None:
        _write(run, table, _folded(table), None)
        return
    name, part = name_of(table), table.partition
    was = f"old_{name} SEMI JOIN touched USING (visit_key)"
    moved = " UNION FROM newly_stale_months" if table is VISITS else ""
    which = run.days(f"SELECT {part} FROM {was} UNION SELECT {part} FROM {name}{moved}")  # noqa: S608
    old = "old_visits_now" if table is VISITS else f"old_{name}"
    stay = (
        f"SELECT {replace_months.columns(table)} FROM {old} ANTI JOIN touched USING (visit_key) "  # noqa: S608
        f"WHERE {part} IN ({replace_months.listed(which) or 'NULL'})"
    )
    _write(run, table, f"{_folded(table)} UNION ALL {stay}", which)


def _folded(table: Table) -> str:
    return f"SELECT {replace_months.columns(table)} FROM {name_of(table)}"  # noqa: S608


def _write(run: Run, table: Table, query: str, which: list[date] | None) -> None:
    """Make a query's rows all that the table holds of these months, of all with None; add them to it with no month."""
    store, time = run.stores[table.name], _SORTED_BY[table]
    nothing = [] if which == [] else ["true"]  # to add nothing takes no commit
    for number, span in enumerate(_spans(run, query, time) or nothing):
        rows = run.connection.sql(f"FROM ({query}) WHERE {span} ORDER BY {table.partition}, {time}, visit_key")
        if number == 0 and which != []:
            replace_months.months(store, rows, which, run.metadata)
        else:
            replace_months.add(store, rows, run.metadata)


def _spans(run: Run, query: str, time: str) -> list[str]:
    """Conditions that part a query's rows by days: not more rows than can be sorted in memory meet one, or a day's."""
    begins = run.days(
        f"SELECT min(day) FROM (SELECT day, (sum(n) OVER (ORDER BY day) - n) // {_SORTED_ROWS} AS span "  # noqa: S608
        f"FROM (SELECT {time}::DATE AS day, count(*) AS n FROM ({query}) GROUP BY day)) GROUP BY span ORDER BY span"
    )
    ends = [f" AND {time} < TIMESTAMPTZ '{day}'" for day in begins[1:]]
    return [f"{time} >= TIMESTAMPTZ '{day}'{end}" for day, end in zip_longest(begins, ends, fillvalue="")]


def kpis(run: Run) -> None:
    """Rebuild the KPI tables in the months in which something may have changed."""
    (start,) = run.one("SELECT min(admitted_at) FROM visits")
    run.data_start = start if isinstance(start, datetime) else None
    compute.prepare(run.connection, run.beds.rows, run.data_start, run.data_end, run.stale_visit_days)
    every = run.before is None or run.before.staffed_beds != run.beds.fingerprint
    if every or run.before is None:
        compute.all_months(run.connection)
    else:
        before = {"data_start": [run.before.data_start], "data_end": [run.before.data_end]}
        duckdb_session.view(
            run.connection, "previous", pl.DataFrame(before, schema={"data_start": UTC, "data_end": UTC})
        )
        run.connection.execute(sql("refresh/months"))
    months = run.days("FROM months")
    run.months = len(months)
    for table, rows in compute.tables(run.connection):
        replace_months.months(run.stores[table.name], rows, None if every else months, run.metadata)


def compliance(run: Run, measure: Measure) -> None:
    """Count what became of the messages and look at the new Silver rows, for the months in which any came in."""
    duckdb_session.view(run.connection, "measured", measure(run.positions))
    duckdb_session.files(run.connection, "ingest", INGEST, snapshot.files(run.lake, INGEST)["path"].to_list())
    duckdb_session.files(run.connection, "old_compliance", COMPLIANCE, run.old[COMPLIANCE.name] if run.before else [])
    run.connection.execute(sql("refresh/ingest_months"))
    run.connection.execute(sql("refresh/masking"))
    rows = duckdb_session.frame(run.connection, sql("compliance"), COMPLIANCE)
    which = run.days("FROM ingest_months") if run.before else None
    replace_months.months(run.stores[COMPLIANCE.name], rows, which, run.metadata)
