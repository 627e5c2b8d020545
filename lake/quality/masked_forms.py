"""The forms that masked values may have, matched on what is stored by the policy's own patterns."""

from typing import Final

import polars as pl

from lake.contracts.event import FIELDS
from lake.security import masking_policy as policies
from lake.security.masking_policy import MASKED_FORMS

UNKNOWN_POLICY: Final = "policy not known"
_EARLIEST_YEAR: Final = 1850


def broken_forms() -> dict[str, pl.Expr]:
    """Silver column → whether its value breaks the rule of its own row's policy; and rows of a policy nobody knows."""
    under = {name: pl.col("policy") == name for name in policies.available()}
    found: dict[str, list[pl.Expr]] = {}
    for name, its_rows in under.items():
        for column, breaks in form_breaches(name).items():
            found.setdefault(column, []).append(its_rows & breaks)
    forms = {column: pl.any_horizontal(breaks) for column, breaks in found.items()}
    return {UNKNOWN_POLICY: ~pl.any_horizontal(under.values()), **forms}


def form_breaches(name: str) -> dict[str, pl.Expr]:
    """Silver column → whether its value breaks its rule, under the policy called ``name``; null where it has none."""
    policy = policies.load(name)
    breaks: dict[str, pl.Expr] = {}
    for column in map(policies.silver_column, FIELDS):
        rule = policy.columns.get(column)
        if rule in MASKED_FORMS:
            breaks[column] = ~pl.col(column).str.contains(MASKED_FORMS[rule])
        elif rule == "year":
            breaks[column] = ~pl.col(column).is_between(_EARLIEST_YEAR, pl.col("ingested_at").dt.year() + 1)
        elif rule is None:
            breaks[column] = pl.col(column).is_not_null()
    return breaks
