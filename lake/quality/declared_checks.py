"""The checks as they are declared: read from ``checks.toml``, refused where they make no sense."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from lake.contracts.tables import LANDED, Table
from lake.errors import UsageError
from lake.quality.check_kinds import RowKind, TableKind
from lake.quality.key_checks import DedupKey, HasMessage, References, Unique
from lake.quality.row_checks import Accepted, Contract, Masked, Nulls, Share
from lake.quality.source import KNOWN
from lake.quality.table_checks import Census, Conservation, Freshness, Ratio, Referenced, Schema, Total, Volume

KINDS: Final[Mapping[str, type[RowKind | TableKind]]] = {
    "accepted": Accepted,
    "census": Census,
    "conservation": Conservation,
    "contract": Contract,
    "dedup_key": DedupKey,
    "freshness": Freshness,
    "has_message": HasMessage,
    "masked": Masked,
    "nulls": Nulls,
    "ratio": Ratio,
    "referenced": Referenced,
    "references": References,
    "schema": Schema,
    "share": Share,
    "total": Total,
    "unique": Unique,
    "volume": Volume,
}

Shape = TypeVar("Shape")
Stage = Literal["inputs", "gold"]
Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Check:
    """One check of one table. ``stage``: before a build, over what it will read, or after, over what it made."""

    name: str
    table: Table
    kind: RowKind | TableKind
    severity: Severity
    stage: Stage
    reason: str


@dataclass(frozen=True)
class _Entry:
    """What every entry of the file has, whatever its kind. ``tables``: a check of each, under the same name."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9 ]*$")]
    kind: str
    severity: Severity
    reason: Annotated[str, Field(min_length=1)]
    tables: Annotated[tuple[str, ...], Field(min_length=1)]
    stage: Stage | None = None


_ENTRY: Final = tuple(_Entry.__dataclass_fields__)


def declared() -> list[Check]:
    """The checks that come with Wardlake, in the order of their file."""
    return parse((resources.files("lake.quality") / "checks.toml").read_text("utf-8"))


def parse(text: str) -> list[Check]:
    """The checks of a TOML text. Raises ``UsageError`` that names the check which is wrong, and why."""
    try:
        entries = TypeAdapter(list[dict[str, Any]]).validate_python(tomllib.loads(text)["check"])
    except (tomllib.TOMLDecodeError, KeyError, ValidationError) as error:
        raise _wrong("the file of checks", type(error).__name__, "TOML with [[check]] entries") from None
    checks = [check for number, entry in enumerate(entries, 1) for check in _read(entry, number)]
    names = [check.name for check in checks]
    for name in names:
        if names.count(name) > 1:
            raise _wrong(f"the check {name!r}", "two of that name", "a name of its own for each")
    return checks


def _read(raw: dict[str, Any], number: int) -> list[Check]:
    where = f"the check {raw.get('name', number)!r}"
    common = {name: value for name, value in raw.items() if name in _ENTRY}
    if "table" in raw:
        common["tables"] = [raw["table"]]
    entry = _validated(_Entry, common, where)
    if entry.kind not in KINDS:
        raise _wrong(where, f"kind {entry.kind!r}", "one of " + ", ".join(KINDS))
    given = {name: value for name, value in raw.items() if name not in {*_ENTRY, "table"}}
    kind = _validated(KINDS[entry.kind], given, where)
    tables = [_table(name, where) for name in entry.tables]
    for name in kind.others():
        _table(name, where)
    return [_check(entry, kind, table, where) for table in tables]


def _check(entry: _Entry, kind: RowKind | TableKind, table: Table, where: str) -> Check:
    unknown = sorted(set(kind.columns()) - set(table.polars_schema))
    if unknown:
        raise _wrong(where, f"columns {', '.join(unknown)}", f"columns of {table.name}")
    name = entry.name if len(entry.tables) == 1 else f"{entry.name}: {table.name}"
    stage = entry.stage or ("inputs" if table in LANDED else "gold")
    return Check(name, table, kind, entry.severity, stage, entry.reason)


def _table(name: str, where: str) -> Table:
    if name not in KNOWN:
        raise _wrong(where, f"table {name!r}", "one of " + ", ".join(KNOWN))
    return KNOWN[name]


def _validated(shape: type[Shape], given: dict[str, Any], where: str) -> Shape:
    try:
        return TypeAdapter(shape).validate_python(given)
    except ValidationError as error:
        failure = error.errors(include_url=False, include_context=False)[0]
    at = ".".join(map(str, failure["loc"]))
    raise _wrong(where, f"{at}: {failure['msg'].lower()}", "the parameters of its kind (docs/reference/quality.md)")


def _wrong(what: str, got: str, expected: str) -> UsageError:
    return UsageError(f"{what} is wrong", got=got, expected=expected, next_move="mend lake/quality/checks.toml")
