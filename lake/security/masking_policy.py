"""Masking policies: data files that say, per Silver column, which event field it shows and under which rule.

A policy is an allow-list with a default of *drop*: a column that it does not name is null in every row it
makes. It is checked when it is read, and refused when it would show a direct identifier as it is.
"""

import hashlib
import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Final

import polars as pl

from lake.contracts.event import FIELDS, REQUIRED
from lake.errors import UsageError

MASKED_FORMS: Final = {
    "pseudonym": r"^[0-9a-f]{32}$",
    "initial": r"^(?:\p{L}\*{5}|\*{5})$",
    "ssn_last4": r"^(?:\*{3}-\*{2}-[0-9]{4}|\*{5})$",
    "phone_area_last4": r"^(?:[0-9]{3}-\*{3}-[0-9]{4}|\*{5})$",
    "email_first2": r"^(?:[^@\s]{1,2}\*{3}@\*{3}|\*{5})$",
    "city_state": r"^(?:(?:\p{L}[\p{L} .'’-]*|\*{5}), [A-Z]{2}|\*{5})$",
    "id": r"^(?:[A-Za-z0-9._:/|^+=~#-]*[0-9][A-Za-z0-9._:/|^+=~#-]*|\*{5})$",
}
"""Rule → the only forms its output may have. What ``verify`` holds every stored row against."""

RULES: Final = frozenset(MASKED_FORMS) | {"keep", "year", "scrub", "reference", "title"}
"""``reference``: a value of the reference table stays, others are scrubbed. ``title``: the official one of the code."""

DIMENSIONS: Final = ("facility", "department", "ward")
_CODED: Final = frozenset({"keep"})
_RULES_OF: Final[dict[str, frozenset[str]]] = {
    **{name: frozenset({"scrub"}) for name in ("bed", "treatment", "notes")},
    **{name: frozenset({"reference", "scrub"}) for name in DIMENSIONS},
    "message_id": frozenset({"id"}),
    "doctor_id": frozenset({"id"}),
    "diagnosis": frozenset({"title"}),
    "patient_name": frozenset({"initial"}),
    "ssn": frozenset({"ssn_last4"}),
    "phone": frozenset({"phone_area_last4"}),
    "email": frozenset({"email_first2"}),
    "address": frozenset({"city_state"}),
    "date_of_birth": frozenset({"year"}),
    "patient_id": frozenset({"pseudonym"}),
    "visit_id": frozenset({"pseudonym"}),
}
"""Fields whose value cannot be kept as it is → the rules that they may have; the others are coded and kept."""

COLUMN_OF: Final = {"patient_id": "patient_key", "visit_id": "visit_key", "date_of_birth": "birth_year"}
"""Event fields whose Silver column has another name."""


@dataclass(frozen=True)
class Policy:
    """A policy that was read and checked.

    ``columns`` maps a Silver column to the rule that fills it; ``fingerprint`` is the first 16 hex characters
    of the SHA-256 of its rules, so that two files which mask alike have one fingerprint. ``dimensions`` maps facility,
    department and ward to the values that the reference table has of each; they are no part of the fingerprint.
    ``find_names``, if any, takes names of other people out of notes.
    """

    name: str
    columns: dict[str, str]
    fingerprint: str
    dimensions: Mapping[str, frozenset[str]] = field(default_factory=dict)
    find_names: Callable[[pl.Series], pl.Series] | None = field(default=None, compare=False)

    def rule(self, field: str) -> str | None:
        """The rule for an event field, or ``None`` where the policy drops it."""
        return self.columns.get(silver_column(field))


def silver_column(field: str) -> str:
    """The Silver column that shows an event field."""
    return COLUMN_OF.get(field, field)


def available() -> list[str]:
    """Names of the policies that come with Wardlake."""
    folder = resources.files("lake.security") / "policies"
    return sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))


def load(name: str) -> Policy:
    """Read the policy called ``name``, or the file at that path when it ends in ``.toml``.

    Raises ``UsageError`` when there is none, or when it would let an identifier through.
    """
    if name.endswith(".toml") and Path(name).is_file():
        return parse(Path(name).read_text("utf-8"))
    if name not in available():
        raise UsageError(
            "unknown masking policy",
            got=repr(name),
            expected="one of " + ", ".join(available()),
            next_move="set WARDLAKE_POLICY",
        )
    return parse((resources.files("lake.security") / "policies" / f"{name}.toml").read_text("utf-8"))


def parse(text: str) -> Policy:
    """Check a policy's text and return it. Raises ``UsageError`` naming the column that is wrong."""
    try:
        data = tomllib.loads(text)
        name, entries = str(data["name"]), dict(data["columns"])
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(
            "the masking policy cannot be read",
            got=type(error).__name__,
            expected="TOML with name and [columns]",
            next_move="compare it with the display policy",
        ) from None
    columns = {column: _checked(column, entry) for column, entry in entries.items()}
    for required in map(silver_column, REQUIRED):
        if required not in columns:
            raise UsageError(
                f"the masking policy {name} drops {required}",
                got="no rule for it",
                expected="a rule: Silver cannot be keyed without it",
                next_move="add the column to the policy",
            )
    canonical = json.dumps({"name": name, "columns": columns}, sort_keys=True).encode()
    return Policy(name=name, columns=columns, fingerprint=hashlib.sha256(canonical).hexdigest()[:16])


def _checked(column: str, entry: object) -> str:
    entry = entry if isinstance(entry, dict) else {}
    source, rule = str(entry.get("from")), str(entry.get("rule"))
    if source not in FIELDS or column != silver_column(source):
        problem, expected = f"fills it from {source!r}", "a field of the event contract, under its own column"
    elif rule not in _RULES_OF.get(source, _CODED):
        problem, expected = f"rule {rule!r}", f"one of {sorted(_RULES_OF.get(source, _CODED))}"
    elif not entry.get("reason"):
        problem, expected = "no reason", "a reason for showing it"
    else:
        return rule
    raise UsageError(
        f"the masking policy is wrong at column {column!r}",
        got=problem,
        expected=expected,
        next_move="mend the policy file",
    )
