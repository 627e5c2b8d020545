"""The reference table of staffed beds: a CSV with facility, department, staffed_beds and valid_from (ISO date).

A row holds from its ``valid_from`` until the next one of the same unit. A fifth column, ``wards``, may name the unit's
wards, with ``;`` between them. Without the table occupancy rates are null, and masking knows no facility, department or
ward by name.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import dataframely as dy
import polars as pl

from lake.errors import UsageError

_WARDS: Final = "wards"


class StaffedBedsRow(dy.Schema):
    """One unit's staffed beds from a day on."""

    facility = dy.String(nullable=False, primary_key=True, min_length=1)
    department = dy.String(nullable=False, primary_key=True, min_length=1)
    staffed_beds = dy.Int64(nullable=False, min=0)
    valid_from = dy.Date(nullable=False, primary_key=True)


@dataclass(frozen=True)
class StaffedBeds:
    """The table's rows, and a fingerprint that changes when they do; both None where there is no table."""

    rows: pl.DataFrame | None
    fingerprint: str | None
    wards: frozenset[str] = frozenset()

    def dimensions(self) -> dict[str, frozenset[str]]:
        """The values that the table has of ``facility``, ``department`` and ``ward``; empty where there is no table."""
        if self.rows is None:
            return {}
        units = {name: frozenset(self.rows[name].to_list()) for name in ("facility", "department")}
        return units | {"ward": self.wards}


NONE = StaffedBeds(None, None)


def read(path: Path, *, required: bool) -> StaffedBeds:
    """Read the table at ``path``; ``NONE`` where it is absent and not ``required``.

    Raises ``UsageError`` when it is absent though required, cannot be read, lacks a column, has a value that does not
    fit, or contradicts itself (two rows for one unit and day).
    """
    if not path.exists() and not required:
        return NONE
    expected = "a CSV file with " + ", ".join(StaffedBedsRow.column_names())
    try:
        read_text = pl.read_csv(path, infer_schema=False)
        text = read_text.select(StaffedBedsRow.column_names())
    except (OSError, pl.exceptions.PolarsError) as error:
        raise _wrong(path, type(error).__name__, expected) from None
    rows = text.unique().with_columns(
        pl.col("staffed_beds").cast(pl.Int64, strict=False), pl.col("valid_from").str.to_date("%Y-%m-%d", strict=False)
    )
    good, failure = StaffedBedsRow.filter(rows)
    if broken := failure.counts():
        contradicts = "primary_key" in broken
        found = "two rows for one unit and day" if contradicts else ", ".join(sorted(broken))
        raise _wrong(
            path, f"{found} ({len(failure)} rows)", "whole beds from 0 up, ISO dates, one row per unit and day"
        )
    rows = good.sort("facility", "department", "valid_from")
    wards: frozenset[str] = frozenset()
    if _WARDS in read_text.columns:
        named = read_text[_WARDS].drop_nulls().str.split(";").explode().str.strip_chars()
        wards = frozenset(named.filter(named != "").to_list())
    return StaffedBeds(rows, hashlib.sha256(rows.write_csv().encode()).hexdigest()[:16], wards)


def _wrong(path: Path, got: str, expected: str) -> UsageError:
    return UsageError(
        f"the staffed beds in {path} cannot be used",
        got=got,
        expected=expected,
        next_move="mend the file, or set WARDLAKE_STAFFED_BEDS to another; the old Gold stands",
    )
