"""The simulator's ground truth as a lake would hold it: its pseudonyms, how each stay began and ended."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from lake.security.encryption import LakeKey
from tests.support.oracle import kpis as naive

Rows = list[dict[str, Any]]


@dataclass(frozen=True, repr=False)  # pytest shows the arguments of a failing test
class Truth:
    """What happened: visits that stand, their stays, the keys of those taken back, the last event, staffed beds."""

    visits: Rows
    stays: Rows
    cancelled: set[str]
    data_end: datetime
    staffed: pl.DataFrame

    def hospital(self, timezone: str) -> naive.Hospital:
        """What the naive KPIs are counted from. Whoever was not discharged is in a bed: nobody is forgotten."""
        visits = [visit | {"last_event_at": self.data_end} for visit in self.visits]
        return naive.Hospital(visits, self.stays, timezone, self.data_end, 60, self.staffed.to_dicts())


def read_truth(folder: Path, key: LakeKey, staffed_beds: Path) -> Truth:
    """The truth that a simulator wrote to ``folder``, under the pseudonyms of a lake's key."""
    visits, stays = (_pseudonymous(folder / f"{name}.parquet", key) for name in ("visits", "stays"))
    counts = json.loads((folder / "counts.json").read_text("utf-8"))
    standing = visits.with_columns(admit_facility="facility").filter(~pl.col("cancelled"))
    return Truth(
        visits=standing.rename({"last_department": "department"}).to_dicts(),
        stays=_with_ends(stays, visits).to_dicts(),
        cancelled=set(visits.filter("cancelled")["visit_key"]),
        data_end=datetime.fromisoformat(counts["last_event_time"]).astimezone(UTC),
        staffed=pl.read_csv(staffed_beds, schema_overrides={"valid_from": pl.Date}),
    )


def _pseudonymous(path: Path, key: LakeKey) -> pl.DataFrame:
    frame = pl.read_parquet(path)
    return frame.with_columns(
        key.pseudonyms(pl.col(f"{name}_id")).alias(f"{name}_key") for name in ("patient", "visit")
    )


def _with_ends(stays: pl.DataFrame, visits: pl.DataFrame) -> pl.DataFrame:
    stays = stays.join(visits.select("visit_key", "discharged_at"), on="visit_key").sort("visit_key", "from_time")
    before = pl.struct("facility", "department").shift(1).over("visit_key")
    return stays.with_columns(
        transfer_in=before.is_not_null() & (before != pl.struct("facility", "department")),
        ends_visit=(pl.col("to_time") == pl.col("discharged_at")).fill_null(value=False),
    )
