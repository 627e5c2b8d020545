"""The checks as data: every one documented and shown to fail, every kind used, and nonsense refused in plain words."""

import re
from pathlib import Path
from typing import Final

import polars as pl
import pytest

from lake.contracts.tables import DERIVED, TABLES
from lake.errors import UsageError
from lake.gold.tables import GOLD
from lake.quality import key_chunks
from lake.quality.check_kinds import RowKind
from lake.quality.declared_checks import KINDS, declared, parse
from lake.quality.source import KNOWN

PAGE: Final = (Path(__file__).resolve().parents[4] / "docs" / "reference" / "quality.md").read_text("utf-8")
CHECKS, _, KINDS_AND_MORE = PAGE.partition("## The kinds")
ROW: Final = re.compile(r"^- \*\*([a-z][a-z0-9 ]*)\*\* \(`?([^,`]+)`?, (\w+)\): (.+)$", re.MULTILINE)
KIND_ROW: Final = re.compile(r"^- `(\w+)`", re.MULTILINE)


def test_every_check_has_its_row_in_the_docs_and_no_other() -> None:
    checks = declared()
    names = [check.name.partition(": ")[0] for check in checks]
    rows = {name: cells for name, *cells in ROW.findall(CHECKS)}
    assert list(rows) == list(dict.fromkeys(names))
    for name, check in zip(names, checks, strict=True):
        table = "several" if names.count(name) > 1 else check.table.name
        assert rows[name] == [table, check.severity, check.kind.expected], name


def test_every_kind_is_used_and_has_its_row_in_the_docs() -> None:
    assert {type(check.kind) for check in declared()} == set(KINDS.values())
    assert sorted(KIND_ROW.findall(KINDS_AND_MORE)) == sorted(KINDS)


def test_every_table_has_a_schema_check_that_stops_a_build() -> None:
    checked = {check.table.name for check in declared() if isinstance(check.kind, KINDS["schema"])}
    assert checked == {table.name for table in (*TABLES, *DERIVED, *GOLD)} == set(KNOWN)
    assert all(check.severity == "error" for check in declared() if isinstance(check.kind, KINDS["schema"]))


def test_every_gold_table_has_contract_and_primary_key_checked() -> None:
    for kind in ("contract", "unique"):
        checked = {check.table for check in declared() if isinstance(check.kind, KINDS[kind])}
        assert set(GOLD) <= checked, kind


def test_every_check_says_what_it_expects() -> None:
    assert [check.name for check in declared() if len(check.kind.expected) < 8] == []


GOOD: Final = """
[[check]]
name = "some check"
kind = "share"
table = "silver/visits"
where = "array_length(flags) > 0"
at_most = 0.5
severity = "warning"
reason = "it is so"
"""


def test_a_check_is_read_with_its_parameters() -> None:
    [check] = parse(GOOD)
    assert (check.name, check.table.name, check.severity, check.stage) == (
        "some check", "silver/visits", "warning", "gold",
    )  # fmt: skip
    assert isinstance(check.kind, RowKind)
    assert check.kind == KINDS["share"](where="array_length(flags) > 0", at_most=0.5)  # type: ignore[call-arg]


def test_a_check_that_makes_no_sense_is_refused(subtests: pytest.Subtests) -> None:
    for was, becomes, told in [
        ('kind = "share"', 'kind = "shape"', "the check 'some check' is wrong; got kind 'shape'; expected one of acc"),
        ("at_most = 0.5", "at_most = 1.5", "got at_most: input should be less than or equal to 1"),
        ("at_most = 0.5", "", "got at_most: field required"),
        ("at_most = 0.5", "at_most = 0.5\nmost = 1", "got most: unexpected keyword argument"),
        ("at_most = 0.5", 'at_most = 0.5\nsince = "x"', "got since: unexpected keyword argument"),
        ("array_length(flags) > 0", "flag IS NULL", "got columns flag; expected columns of silver/visits"),
        ("array_length(flags) > 0", "flags > > 0", "got where: value error, not a condition in sql"),
        ('"silver/visits"', '"silver/visit"', "got table 'silver/visit'; expected one of bronze/events"),
        ('"warning"', '"fatal"', "got severity: input should be 'error' or 'warning'"),
        ('reason = "it is so"', "", "got reason: "),
        ('reason = "it is so"', 'reason = ""', "got reason: "),
        ('name = "some check"', "", "the check 1 is wrong; got name: "),
        ('name = "some check"', 'name = "Some | check"', "got name: string should match pattern"),
        ("severity", 'stage = "later"\nseverity', "got stage: input should be 'inputs' or 'gold'"),
        ("[[check]]", "[[checks]]", "the file of checks is wrong; got KeyError; expected TOML with [[check]] entries"),
        ("[[check]]", "[[check]", "the file of checks is wrong; got TOMLDecodeError"),
        ("[[check]]", "[check]", "the file of checks is wrong"),
    ]:
        with subtests.test(was=was):
            assert was in GOOD
            with pytest.raises(UsageError) as refused:
                parse(GOOD.replace(was, becomes))
            assert told in str(refused.value)
            assert str(refused.value).endswith("mend lake/quality/checks.toml")
            assert "\n" not in str(refused.value)


def test_two_checks_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="the check 'some check' is wrong; got two of that name"):
        parse(GOOD + GOOD)


def test_a_check_that_points_to_a_table_that_is_none() -> None:
    text = GOOD.replace('"share"', '"total"').replace("at_most = 0.5", 'column = "events"\nof = "silver/visit"')
    with pytest.raises(UsageError, match="got table 'silver/visit'"):
        parse(text)


# Turns: each row is in one, rows of one key in the same, and none is much larger than asked.

FRAME: Final = pl.LazyFrame({"offset": [*range(40), *range(30)], "day": [0] * 25 + [*range(45)]}).with_columns(
    day=pl.date(2026, 1, 1) + pl.duration(days="day")
)


@pytest.mark.parametrize("name", ["hash", "offset", "day"])
def test_turns_take_every_row_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_chunks, "TURN_ROWS", 10)
    taken = {
        "hash": key_chunks.by_hash(["offset"], 70),
        "offset": key_chunks.by_offset(FRAME, "offset", 70),
        "day": key_chunks.by_day(FRAME, "day"),
    }[name]
    rows = FRAME.with_columns(turn.cast(pl.Int32).alias(str(number)) for number, turn in enumerate(taken)).collect()
    inside = rows.select(map(str, range(len(taken))))
    assert len(taken) >= 5
    assert inside.sum_horizontal().to_list() == [1] * 70
    largest = max(inside.sum().row(0))
    assert largest <= {"hash": 25, "offset": 12, "day": 26}[name]


def test_no_row_has_no_turn() -> None:
    assert key_chunks.by_hash(["offset"], 0) == []
    assert key_chunks.by_day(FRAME.head(0), "day") == []
