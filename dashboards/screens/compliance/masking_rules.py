"""The masking policies that come with Wardlake, as people read them."""

import tomllib
from importlib import resources
from typing import Final

import polars as pl

from lake.contracts.event import FIELDS, PHI
from lake.security import masking_policy as policies

_WORDS: Final = {
    "keep": "as it is",
    "pseudonym": "keyed pseudonym (HMAC-SHA-256)",
    "initial": "first letter, then *****",
    "ssn_last4": "last 4 digits",
    "phone_area_last4": "area code and last 4 digits",
    "email_first2": "first 2 characters",
    "city_state": "city and state",
    "year": "year",
    "scrub": "identifiers taken out, however they are spelled",
    "reference": "as it is where the staffed beds have it, else identifiers taken out",
    "id": "as it is where it looks like an id and holds no identifier",
    "title": "official title of the code",
}
DROPPED: Final = "dropped"
_NAMED: Final = {*PHI, "patient_id", "visit_id", "notes"}


def fingerprint(name: str) -> str | None:
    """Fingerprint of the policy of that name as it is installed here; None where none has this name."""
    return policies.load(name).fingerprint if name in policies.available() else None


def rules(name: str) -> pl.DataFrame:
    """field, column, rule, reason: one row per field of an event, those that name a patient first."""
    text = (resources.files("lake.security") / "policies" / f"{name}.toml").read_text("utf-8")
    columns = tomllib.loads(text)["columns"]
    rows = []
    for field in sorted(FIELDS, key=lambda field: field not in _NAMED):
        column = policies.silver_column(field)
        entry = columns.get(column, {})
        rule = _WORDS[entry["rule"]] if entry else DROPPED
        rows.append((field, column if entry else "", rule, entry.get("reason", "the policy does not name it")))
    return pl.DataFrame(rows, schema=["field", "column", "rule", "reason"], orient="row")
