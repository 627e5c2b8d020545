"""Every check passes on a sound lake, and each is seen to fail on a lake that is damaged in its own way."""

import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake

from lake.contracts.tables import (
    BRONZE,
    BUILDS,
    INCOMPLETE,
    INGEST,
    LANDED,
    QUALITY,
    QUARANTINE,
    SILVER,
    STAYS,
    VISITS,
    Table,
)
from lake.gold.tables import ADMISSIONS, COMPLIANCE, GOLD, LENGTH_OF_STAY, OCCUPANCY
from lake.quality.declared_checks import declared
from lake.quality.run import Result, record, run
from lake.quality.source import KNOWN, PUBLISHED
from lake.storage.store import open_lake
from producer.simulator.hospital import DEPARTMENTS, FACILITIES
from producer.simulator.simulator import SimulatorSettings
from tests.support import golds
from tests.support.lakes import NOW, make_lake, messages_of, overwrite, quarantined

KEY: Final = ["patient_key", "event_time"]
CHECKS: Final = {check.name: check for check in declared()}
SECRET: Final = "Quentin Zuckerby"
DIMENSIONS: Final = {
    "facility": frozenset(facility.name for facility in FACILITIES),
    "department": frozenset(department.name for department in DEPARTMENTS),
}
BEDS: Final = "facility,department,staffed_beds,valid_from\n"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two months of a small hospital, built."""
    root = tmp_path_factory.mktemp("quality") / "lake"
    settings = SimulatorSettings(seed=7, events=4000, days=60, duplicates=0.05, corrupt=0.05)
    messages = messages_of(settings)
    lake = make_lake(root, messages[:2000], messages[2000:])
    golds.build(lake)
    units = published(root, ADMISSIONS).select("facility", "department").unique().rows()
    reference = BEDS + "".join(f"{facility},{department},40,2000-01-01\n" for facility, department in units)
    golds.build(lake, full=True, reference=golds.beds(root.parent, reference))
    record(lake, run(lake, NOW, dedup_key=KEY))
    return root


@pytest.fixture
def root(sound: Path, tmp_path: Path) -> Path:
    """A sound lake of this test's own."""
    return copied(sound, tmp_path / "lake")


def copied(root: Path, other: Path) -> Path:
    """A copy in no time: what Delta has written it does not change."""
    return Path(shutil.copytree(root, other, copy_function=os.link))


def results(root: Path, *names: str, now: timedelta = timedelta()) -> dict[str, Result]:
    chosen = [CHECKS[name] for name in names] or list(CHECKS.values())
    report = run(open_lake(root), NOW + now, dedup_key=KEY, dimensions=DIMENSIONS, checks=chosen)
    return {result.check: result for result in report.results}


def stored(root: Path, table: Table) -> pl.DataFrame:
    return pl.scan_delta(DeltaTable(root / table.name)).select(table.polars_schema.names()).collect()


def published(root: Path, table: Table) -> pl.DataFrame:
    return golds.published(root, table) if table.name in PUBLISHED else stored(root, table)


def replace(root: Path, table: Table, frame: pl.DataFrame) -> None:
    """Put these rows in the place of the table's, and publish them where the table is a part of a build."""
    overwrite(root, table, frame)
    publish(root, table)


def publish(root: Path, table: Table) -> None:
    if table.name not in PUBLISHED:
        return
    version = DeltaTable(root / table.name).version()
    builds = stored(root, BUILDS)
    renewed = [
        [entry | ({"version": version} if entry["table"] == table.name else {}) for entry in entries]
        for entries in builds["tables"].to_list()
    ]
    overwrite(root, BUILDS, builds.with_columns(tables=pl.Series(renewed, dtype=builds.schema["tables"])))


def set_in_one(root: Path, table: Table, *values: pl.Expr, where: pl.Expr | None = None) -> None:
    """Set columns in the first row that meets ``where``."""
    frame = published(root, table).with_row_index("at")
    at = frame.filter(pl.lit(value=True) if where is None else where)["at"][0]
    changed = [
        pl.when(pl.col("at") == at).then(value).otherwise(pl.col(name)).alias(name)
        for value in values
        for name in [value.meta.output_name()]
    ]
    replace(root, table, frame.with_columns(changed).drop("at"))


Damage = Callable[[Path], None]


def setting(table: Table, *values: pl.Expr, where: pl.Expr | None = None) -> Damage:
    return lambda root: set_in_one(root, table, *values, where=where)


def to(column: str, value: object) -> pl.Expr:
    return pl.lit(value).alias(column)


def without_a_column(table: Table) -> Damage:
    """Drop the last column that is not the partition."""

    def damage(root: Path) -> None:
        dropped = next(name for name in reversed(table.polars_schema.names()) if name != table.partition)
        write_deltalake(
            DeltaTable(root / table.name),
            published(root, table).drop(dropped),
            mode="overwrite",
            schema_mode="overwrite",
        )
        publish(root, table)

    return damage


def row_twice(table: Table) -> Damage:
    def damage(root: Path) -> None:
        rows = published(root, table)
        replace(root, table, pl.concat([rows, rows.head(1)]))

    return damage


def row_gone(table: Table) -> Damage:
    return lambda root: replace(root, table, published(root, table).slice(1))


def breaking_a_rule(table: Table) -> Damage:
    """Set a value that Delta takes and the contract does not."""
    bad = {
        BRONZE: to("key_id", "none"),
        QUARANTINE: to("reasons", pl.Series([[]], dtype=pl.List(pl.String))),
        SILVER: to("policy_fingerprint", "none"),
        INGEST: pl.col("messages") + 1,
        VISITS: to("los_days", -1.0),
        STAYS: to("department", None),
        INCOMPLETE: to("events", 0),
        LENGTH_OF_STAY: to("bed_days", -1.0),
        OCCUPANCY: to("occupied_midnight", -1),
        COMPLIANCE: to("masking_success_rate", 1.5),
    }
    counts = {"gold/treatments": "visits", "gold/outcomes": "discharges", "gold/doctors": "discharges"}
    return setting(table, bad[table] if table in bad else to(counts.get(table.name, "admissions"), -1))


def null_in_most(column: str) -> Damage:
    def damage(root: Path) -> None:
        kept = pl.when(pl.int_range(pl.len()) % 10 == 0).then(pl.col(column))
        overwrite(root, SILVER, stored(root, SILVER).with_columns(kept.alias(column)))

    return damage


def latest_day_thinned(root: Path) -> None:
    rows = stored(root, SILVER)
    latest = rows["event_date"].max() - timedelta(days=1)  # type: ignore[operator]  # a date, and there are some
    keep = (pl.col("event_date") != latest) | (pl.int_range(pl.len()) % 10 == 0)
    overwrite(root, SILVER, rows.filter(keep))


def same_key(root: Path) -> None:
    other = stored(root, SILVER).row(-1, named=True)
    set_in_one(root, SILVER, *(to(name, other[name]) for name in ("patient_key", "event_time", "event_date")))


def flagged(root: Path) -> None:
    rows = published(root, VISITS)
    replace(root, VISITS, rows.with_columns(flags=pl.lit(["repeated_admission"])))


def many_incomplete(root: Path) -> None:
    shared = [name for name in INCOMPLETE.polars_schema.names() if name in VISITS.polars_schema]
    rows = published(root, VISITS).select(shared)
    marks = {"flags": pl.lit(["no_admission"]), "first_month": pl.lit(NOW.date())}
    replace(root, INCOMPLETE, rows.with_columns(**marks))


def most_quarantined(root: Path) -> None:
    overwrite(root, QUARANTINE, quarantined(stored(root, SILVER).with_columns(topic=pl.lit("t")), "not_json"))


def nothing(_: Path) -> None:
    """The lake is sound; it is the time that has passed."""


DAMAGES: Final[dict[str, Damage]] = {
    **{f"schema: {name}": without_a_column(table) for name, table in KNOWN.items()},
    **{f"contract: {table.name}": breaking_a_rule(table) for table in (*LANDED, VISITS, STAYS, INCOMPLETE, *GOLD)},
    **{f"primary key: {table.name}": row_twice(table) for table in (VISITS, INCOMPLETE, BUILDS, *GOLD)},
    "conservation": row_gone(SILVER),
    "silver rows have their message": setting(SILVER, pl.col("kafka_offset") + 1_000_000),
    "quarantined rows have their message": setting(QUARANTINE, pl.col("kafka_offset") + 1_000_000),
    "deduplication key": same_key,
    "masked forms": setting(SILVER, to("patient_name", SECRET)),
    "coded values of events": setting(SILVER, to("diagnosis_code", SECRET)),
    "names of places": setting(SILVER, to("facility", SECRET)),
    "diagnosis codes": setting(SILVER, to("diagnosis", None), where=pl.col("diagnosis_code").is_not_null()),
    "disposition of discharges": null_in_most("disposition"),
    "nulls in clinical fields": null_in_most("doctor_id"),
    "nulls in patient fields": null_in_most("birth_year"),
    "quarantined share": most_quarantined,
    "daily volume": latest_day_thinned,
    "messages are landing": nothing,
    "gold is built": nothing,
    "stays have their visit": row_gone(VISITS),
    "visits have a stay": lambda root: replace(root, STAYS, published(root, STAYS).unique("visit_key").slice(1)),
    "events have their visit": row_gone(VISITS),
    "coded values of visits": setting(VISITS, to("severity", SECRET)),
    "flagged visits": flagged,
    "stale visits": setting(VISITS, to("stale", True), where=pl.col("discharged_at").is_null()),
    "incomplete visits": many_incomplete,
    "all admissions are counted": setting(ADMISSIONS, pl.col("admissions") + 1),
    "all discharges are counted": row_gone(LENGTH_OF_STAY),
    "occupied beds are of open visits": setting(OCCUPANCY, pl.col("occupied_midnight") + 1),
    "plausible occupancy": setting(OCCUPANCY, to("occupancy_rate", 1.6)),
    "masking holds": setting(COMPLIANCE, to("rows_broken", 1)),
}  # fmt: skip
"""Check → what makes it fail."""

LATER: Final = {"messages are landing": timedelta(hours=25), "gold is built": timedelta(hours=27)}


def test_every_check_is_seen_to_fail() -> None:
    assert sorted(DAMAGES) == sorted(CHECKS)


def test_every_check_passes_on_a_sound_lake(root: Path) -> None:
    found = results(root)
    assert list(found) == list(CHECKS)
    assert [(r.check, r.status, r.observed) for r in found.values() if r.status != "passed"] == []


@pytest.mark.parametrize("name", DAMAGES)
def test_a_check_fails_on_what_it_is_there_for(name: str, root: Path) -> None:
    DAMAGES[name](root)
    [found] = results(root, name, now=LATER.get(name, timedelta())).values()
    assert (found.status, found.severity) == ("failed", CHECKS[name].severity), found.observed
    assert SECRET not in found.observed


def test_what_a_failed_check_tells(root: Path) -> None:
    """Rule and column names, counts and shares."""
    told = {
        "schema: silver/visits": r"^last_event_at is not there$",
        "contract: silver/visits": r"^\d+ rows: los_days\|min 1$",
        "masked forms": r"^[\d,]+ rows: patient_name 1$",
        "nulls in clinical fields": r"^[\d,]+ rows: doctor_id 90\.\d %$",
        "stays have their visit": r"^[\d,]+ rows: [1-9]\d* point nowhere$",
        "primary key: gold/occupancy": r"^[\d,]+ rows: 1 keys more than once$",
        "all admissions are counted": r"^\d+ against \d+$",
        "occupied beds are of open visits": r"^\d+ days: 1 with more$",
    }
    for number, (name, pattern) in enumerate(told.items()):
        damaged = copied(root, root.parent / str(number))
        DAMAGES[name](damaged)
        assert pl.Series([results(damaged, name)[name].observed]).str.contains(pattern).item(), name


def test_a_table_that_is_not_of_its_schema_is_left_alone_by_the_other_checks(root: Path) -> None:
    DAMAGES["schema: silver/events"](root)
    found = results(root)
    assert found["schema: silver/events"].status == "failed"
    for name in ("contract: silver/events", "masked forms", "conservation", "events have their visit"):
        assert (found[name].status, found[name].observed) == ("skipped", "silver/events is not of its schema")


def test_a_stale_visit_holds_no_bed(root: Path) -> None:
    """Had the build gone by one day of silence, many of the beds would be of visits that it no longer counts."""
    overwrite(root, BUILDS, stored(root, BUILDS).with_columns(stale_visit_days=pl.lit(1, pl.Int64)))
    assert results(root, "occupied beds are of open visits")["occupied beds are of open visits"].status == "failed"


def test_a_policy_that_nobody_knows(root: Path) -> None:
    set_in_one(root, SILVER, to("policy", SECRET))
    assert results(root, "masked forms")["masked forms"].observed.endswith("rows: policy not known 1")


def test_the_history_of_checks_keeps_its_contract(root: Path) -> None:
    _, failure = QUALITY.schema.filter(stored(root, QUALITY))
    assert failure.counts() == {}
