"""``wardlake verify`` sees each breach, names the check that it breaks and no other, and tells no value."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake

from app.jobs import verify as verifying
from app.jobs.verify import verify
from lake.contracts.tables import AUDIT, BRONZE, INGEST, KAFKA_COORDINATES, QUARANTINE, SILVER, Table
from lake.errors import LakeError
from lake.storage import bronze
from lake.storage.store import open_lake
from tests.support.lakes import DEDUP_KEY, KEY, KEY_TEXT, event, make_lake, overwrite, rows, simulated, wardlake

PERSON: Final = {
    "message_id": "m-known-1",
    "patient_id": "MRN55512345",
    "visit_id": "V-55567890",
    "patient_name": "Quentin Zuckerby",
    "ssn": "543-21-9876",
    "phone": "415-555-0143",
    "email": "quentin.zuckerby@example.com",
    "address": "742 Evergreen Terrace, Springfield, IL 62704",
    "date_of_birth": "1961-03-04",
    "ward": "W3",
    "notes": "resting",
}
KNOWN: Final = pl.col("message_id") == PERSON["message_id"]
PARTED: Final = ("one row per message", "rows point to Bronze", "no duplicate key")
Breaches = set[tuple[str, str]]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("verify") / "lake"
    messages = simulated(200)
    make_lake(root, messages[:150], messages[150:], [(0, event(**PERSON))])
    return root


@pytest.fixture
def root(template: Path, tmp_path: Path) -> Path:
    """A valid lake of this test's own."""
    return Path(shutil.copytree(template, tmp_path / "lake"))


def breaches(root: Path) -> Breaches:
    return {(c.check, c.table) for c in verify(open_lake(root, KEY), DEDUP_KEY) if not c.passed}


def change(root: Path, table: Table, *values: pl.Expr, where: pl.Expr | None = None) -> None:
    """Set columns in the rows that meet ``where``, which must be at least one."""
    before = rows(root, table)
    chosen = pl.lit(value=True) if where is None else where
    assert before.filter(chosen).height > 0
    changed = before.with_columns(
        pl.when(chosen).then(value).otherwise(pl.col(value.meta.output_name())).alias(value.meta.output_name())
        for value in values
    )
    overwrite(root, table, changed)


def text(column: str, value: str) -> pl.Expr:
    return pl.lit(value).alias(column)


def test_a_valid_lake_passes_every_check(root: Path) -> None:
    checks = verify(open_lake(root, KEY), DEDUP_KEY)
    assert [c.check for c in checks if not c.passed] == []
    scanned = {(c.check, c.table): c.rows_scanned for c in checks}
    assert scanned["conservation", "all"] == 201
    assert scanned["contract", SILVER.name] == rows(root, SILVER).height > 150
    assert rows(root, QUARANTINE).height > 5
    assert rows(root, INGEST)["duplicates"].sum() > 5


def test_an_empty_lake_passes(tmp_path: Path) -> None:
    make_lake(tmp_path / "lake")
    assert breaches(tmp_path / "lake") == set()


def test_a_silver_row_that_is_gone_breaks_the_law(root: Path) -> None:
    DeltaTable(root / SILVER.name).delete("message_id = 'm-known-1'")
    assert breaches(root) == {("conservation", "all")}


def test_a_silver_row_that_stands_twice(root: Path) -> None:
    write_deltalake(DeltaTable(root / SILVER.name), rows(root, SILVER).filter(KNOWN), mode="append")
    assert breaches(root) == {
        ("conservation", "all"),
        ("one row per message", "silver and quarantine"),
        ("no duplicate key", SILVER.name),
    }


def test_two_silver_rows_with_one_key(root: Path) -> None:
    silver = rows(root, SILVER)
    other = silver.filter(~KNOWN).row(0, named=True)
    same = [pl.lit(other[name]).alias(name) for name in ("patient_key", "event_time", "event_date")]
    change(root, SILVER, *same, where=KNOWN)
    assert breaches(root) == {("no duplicate key", SILVER.name)}


def test_a_quarantined_message_that_is_gone_breaks_the_law(root: Path) -> None:
    overwrite(root, QUARANTINE, rows(root, QUARANTINE).slice(1))
    assert breaches(root) == {("conservation", "all")}


def test_a_message_in_silver_and_in_quarantine(root: Path) -> None:
    held = rows(root, QUARANTINE)
    twice = rows(root, SILVER).filter(KNOWN).select(KAFKA_COORDINATES)
    extra = held.head(1).drop(KAFKA_COORDINATES).hstack(twice).select(held.columns)
    overwrite(root, QUARANTINE, pl.concat([held, extra]))
    assert breaches(root) == {("conservation", "all"), ("one row per message", "silver and quarantine")}


def test_a_bronze_row_that_stands_twice(root: Path) -> None:
    write_deltalake(DeltaTable(root / BRONZE.name), rows(root, BRONZE).filter(_place(root)), mode="append")
    assert breaches(root) == {("conservation", "all"), ("one row per message", BRONZE.name)}


@pytest.mark.parametrize("column", ["silver", "quarantined", "duplicates"])
def test_counts_that_say_something_else_than_the_rows(root: Path, column: str) -> None:
    change(root, INGEST, pl.col("messages") + 1, pl.col(column) + 1, where=pl.col("kafka_partition") == 0)
    assert breaches(root) == {("conservation", "all")}


def test_counts_that_do_not_add_up(root: Path) -> None:
    change(root, INGEST, pl.col("messages") + 1)
    assert breaches(root) == {("conservation", "all"), ("contract", INGEST.name)}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("patient_key", "MRN99999999"),
        ("visit_key", "V-99999999"),
        ("patient_name", "Other Name"),
        ("ssn", "111-22-3333"),
        ("phone", "212-555-0100"),
        ("email", "someone@example.com"),
        ("address", "1 Main Street, Springfield, IL"),
    ],
)
def test_a_value_that_is_not_masked(root: Path, column: str, value: str) -> None:
    change(root, SILVER, text(column, value), where=KNOWN)
    contract = {("contract", SILVER.name)} if column.endswith("_key") else set()
    assert breaches(root) == {("masked form", f"{SILVER.name}.{column}")} | contract


def test_a_birth_year_that_is_none(root: Path) -> None:
    change(root, SILVER, pl.lit(19_610_304, pl.Int32).alias("birth_year"), where=KNOWN)
    assert breaches(root) == {("masked form", f"{SILVER.name}.birth_year")}


RAW: Final = {
    "patient_name": "quentin zuckerby",
    "ssn": PERSON["ssn"],
    "phone": PERSON["phone"],
    "email": PERSON["email"].upper(),
    "address": "742 Evergreen Terrace",
    "patient_id": PERSON["patient_id"],
}


@pytest.mark.parametrize("column", ["notes", "ward"])
@pytest.mark.parametrize("field", RAW)
def test_an_identifier_of_the_record_that_stands_in_its_row(root: Path, field: str, column: str) -> None:
    change(root, SILVER, text(column, f"see ({RAW[field]}), bed 3"), where=KNOWN)
    found = breaches(root)
    assert ("no raw identifier", f"{SILVER.name}, {field}") in found
    # The name stands in the e-mail too, and a number of a usual form is nobody's to show.
    assert {check for check, _ in found} == {"no raw identifier"}


SPELLINGS: Final = [
    ("patient_name", "ZUCKERBY, Q"),
    ("patient_name", "quentinzuckerby34"),
    ("patient_name", "Quéntin"),
    ("ssn", "543 21 9876"),
    ("ssn", "543219876"),
    ("phone", "555 \u2013 0143"),
    ("phone", "+1 (415) 555.0143"),
    ("email", "Quentin.Zuckerby (at) example"),
    ("address", "742 evergreen ter."),
    ("patient_id", "ADT5551234520240301"),
    ("visit_id", "v55567890"),
    ("date_of_birth", "03041961"),
]


@pytest.mark.parametrize(("field", "spelled"), SPELLINGS)
def test_an_identifier_is_found_in_another_spelling(root: Path, field: str, spelled: str) -> None:
    change(root, SILVER, text("treatment", f"as {spelled} says"), where=KNOWN)
    assert ("no raw identifier", f"{SILVER.name}, {field}") in breaches(root)


@pytest.mark.parametrize("form", ["219-09-9999", "(312) 555-0188", "a.b@mail.example", "2024-03-01", "IL 62704"])
def test_a_plain_form_of_anybody_s_is_found(root: Path, form: str) -> None:
    change(root, SILVER, text("bed", form), where=KNOWN)
    assert breaches(root) == {("no raw identifier", f"{SILVER.name}, anybody's")}


@pytest.mark.parametrize("field", ["visit_id", "date_of_birth"])
def test_visit_number_and_date_of_birth_are_identifiers_too(root: Path, field: str) -> None:
    change(root, SILVER, text("notes", f"see ({PERSON[field]}), bed 3"), where=KNOWN)
    assert ("no raw identifier", f"{SILVER.name}, {field}") in breaches(root)


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        (SILVER, "event_type", "arrive"),
        (SILVER, "sex", "F"),
        (SILVER, "policy_fingerprint", "none"),
    ],
)
def test_a_contract_that_is_broken(root: Path, table: Table, column: str, value: str) -> None:
    change(root, table, text(column, value), where=pl.int_range(pl.len()) == 0)
    assert breaches(root) == {("contract", table.name)}


@pytest.mark.parametrize(("key_id", "found"), [("none", {"contract", "payload opens"}), ("0" * 16, {"payload opens"})])
def test_a_row_that_names_a_key_which_the_lake_does_not_know(root: Path, key_id: str, found: set[str]) -> None:
    change(root, BRONZE, text("key_id", key_id), where=pl.int_range(pl.len()) == 0)
    assert breaches(root) == {(check, BRONZE.name) for check in found}


def test_an_event_in_the_wrong_partition(root: Path) -> None:
    change(root, SILVER, pl.col("event_date") + pl.duration(days=1), where=KNOWN)
    assert breaches(root) == {("contract", SILVER.name)}


def _tamper(payload: bytes) -> bytes:
    return payload[:-1] + bytes([payload[-1] ^ 1])


def tampered(root: Path) -> None:
    change(root, BRONZE, pl.col("payload").map_elements(_tamper, return_dtype=pl.Binary), where=_place(root))


def moved(root: Path) -> None:
    other = rows(root, BRONZE).filter(~_place(root))["payload"][0]
    change(root, BRONZE, pl.lit(other).alias("payload"), where=_place(root))


def _place(root: Path) -> pl.Expr:
    at = rows(root, SILVER).filter(KNOWN).row(0, named=True)
    return (pl.col("kafka_partition") == at["kafka_partition"]) & (pl.col("first_offset") == at["kafka_offset"])


@pytest.mark.parametrize("damage", [tampered, moved])
def test_an_encrypted_payload_that_does_not_open(root: Path, damage: Callable[[Path], None]) -> None:
    damage(root)
    assert breaches(root) == {("payload opens", BRONZE.name)}


def test_a_bronze_row_that_is_gone(root: Path) -> None:
    overwrite(root, BRONZE, rows(root, BRONZE).filter(~_place(root)))
    assert breaches(root) == {("conservation", "all"), ("rows point to Bronze", SILVER.name)}


@pytest.mark.parametrize("part_rows", [10, 10_000])
def test_what_is_looked_at_in_parts_is_counted_alike(
    root: Path, part_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    silver, first = rows(root, SILVER), rows(root, SILVER).filter(~KNOWN).head(1)
    same = first.select("patient_key", "event_time", "event_date").row(0, named=True)
    exact_duplicate = silver.filter(KNOWN).with_columns(pl.lit(value).alias(name) for name, value in same.items())
    overwrite(root, BRONZE, rows(root, BRONZE).filter(~_place(root)))
    overwrite(root, SILVER, pl.concat([silver.filter(~KNOWN), exact_duplicate, first]))
    monkeypatch.setattr(verifying, "_PART_ROWS", part_rows)
    monkeypatch.setattr(bronze, "_MOST_MESSAGES", part_rows)
    seen = {(c.check, c.table): (c.rows_scanned, c.breaches) for c in verify(open_lake(root, KEY), DEDUP_KEY)}
    held = rows(root, QUARANTINE).height
    assert {name: counts for name, counts in seen.items() if name[0] in PARTED} == {
        ("one row per message", BRONZE.name): (200, 0),
        ("one row per message", "silver and quarantine"): (silver.height + held, 1),
        ("rows point to Bronze", SILVER.name): (silver.height + 1, 1),
        ("rows point to Bronze", QUARANTINE.name): (held, 0),
        ("no duplicate key", SILVER.name): (silver.height + 1, 1),
    }


# The command.


@pytest.fixture
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDLAKE_KEY", KEY_TEXT)


@pytest.mark.usefixtures("_key")
def test_the_command_exits_0_and_says_so(root: Path) -> None:
    ran = wardlake("verify", "--lake", root)
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "verified: every check holds")


@pytest.mark.usefixtures("_key")
def test_the_command_exits_1_at_a_breach_and_tells_no_value(root: Path) -> None:
    leaks = [text("notes", "; ".join(map(str, PERSON.values()))), text("patient_name", PERSON["patient_name"])]
    change(root, SILVER, *leaks, where=KNOWN)
    ran = wardlake("verify", "--lake", root)
    assert ran.code == 1
    assert "BREACH" in ran.out
    assert ran.out.splitlines()[-1] == "NOT verified: see the breaches above"
    shown = (ran.out + ran.err).lower()
    told = {name for name, value in PERSON.items() if value.lower() in shown and name not in {"ward", "notes"}}
    assert told == set()
    [noted] = rows(root, AUDIT).filter(action="verify")["detail"].tail(1)
    assert re.search(r"\d+ checks, [1-9]\d* broken; ", noted)


@pytest.mark.usefixtures("_key")
def test_a_replay_mends_rows_that_an_earlier_masking_let_through(root: Path) -> None:
    change(root, SILVER, text("treatment", "as Zuckerby, Q. says"), text("ward", str(PERSON["ssn"])), where=KNOWN)
    assert {check for check, _ in breaches(root)} == {"no raw identifier"}
    assert wardlake("replay", "--lake", root).code == 0
    assert breaches(root) == set()
    assert rows(root, SILVER).filter(KNOWN)["ward"].to_list() == [PERSON["ward"]]


@pytest.mark.usefixtures("_key")
def test_the_json_of_the_command(root: Path) -> None:
    change(root, SILVER, text("sex", "F"), where=KNOWN)
    ran = wardlake("verify", "--lake", root, "--json")
    assert ran.code == 1
    report = json.loads(ran.out)
    assert set(report) == {"passed", "checks"}
    assert report["passed"] is False
    shapes = {tuple(check) for check in report["checks"]}
    assert shapes == {("check", "table", "rows_scanned", "breaches", "detail", "passed")}
    failed = [check for check in report["checks"] if not check["passed"]]
    assert [(c["check"], c["table"], c["breaches"]) for c in failed] == [("contract", SILVER.name, 1)]


def test_files_that_go_meanwhile_are_told_and_no_breach(root: Path) -> None:
    def overwrite_and_clear(check: str) -> None:
        if check == "duplicate keys":
            overwrite(root, SILVER, rows(root, SILVER))
            DeltaTable(root / SILVER.name).vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)

    with pytest.raises(LakeError, match="files of the lake went while it was verified"):
        verify(open_lake(root, KEY), DEDUP_KEY, overwrite_and_clear)
    assert breaches(root) == set()
