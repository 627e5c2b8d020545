"""``python -m tests.soak.reader LAKE``: looks at Gold again and again, as the dashboards do; a line of JSON a look."""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

import duckdb
import polars as pl

from app.failures import where
from dashboards.shared import data
from lake.disclosure.audience import Audience
from lake.gold.duckdb_file import LINK
from lake.query import lake_sql

_REST_SECONDS: Final = 0.5

# What holds between the tables of one build, and of no mix of two.
_WHOLE: Final = """SELECT
    (SELECT sum(admissions)::BIGINT FROM gold.admissions) AS admissions,
    (SELECT sum(admissions)::BIGINT FROM gold.arrivals) AS arrivals,
    (SELECT sum(discharges)::BIGINT FROM gold.admissions) AS discharges,
    (SELECT sum(discharges)::BIGINT FROM gold.length_of_stay) AS stayed,
    (SELECT sum(messages)::BIGINT FROM gold.compliance) AS messages,
    (SELECT sum(silver + quarantined + duplicates + ignored)::BIGINT FROM gold.compliance) AS accounted"""


def main() -> None:
    """Look until killed."""
    lake = Path(sys.argv[1])
    looks: list[Dashboards | Whole] = [
        Dashboards(lake),
        Whole(lambda: _in_file(lake)),
        Whole(lambda: lake_sql.run(lake, _WHOLE)),
    ]
    while True:
        for look in looks:
            try:
                trouble = look()
            except Exception as error:  # whatever it is, it is a finding; its text may hold values
                trouble = where(error)
            told = {"event": "read"} if trouble is None else {"event": "trouble", "look": look.name, "what": trouble}
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()
        time.sleep(_REST_SECONDS)


class Dashboards:
    """Gold's file, found and read by the dashboards' own code: there is one, and never an older one than before."""

    name = "dashboards"

    def __init__(self, lake: Path) -> None:
        self._lake = lake
        self._seen = 0

    def __call__(self) -> str | None:
        build = data.find(self._lake, Audience.INTERNAL)
        if isinstance(build, data.Missing):
            return build.what
        rows = data.query(build.file, build.stamp, "SELECT count(*) AS days FROM gold.admissions", {})
        older, self._seen = build.build_id < self._seen, build.build_id
        return "an older build than before" if older else None if rows.item() else "no admissions"


class Whole:
    """Tables of Gold held against each other, and against what was seen before."""

    name = "gold"

    def __init__(self, look: Callable[[], pl.DataFrame]) -> None:
        self._look = look
        self._seen = 0

    def __call__(self) -> str | None:
        gold: dict[str, Any] = self._look().row(0, named=True)
        whole = (
            gold["admissions"] == gold["arrivals"]
            and gold["discharges"] == gold["stayed"]
            and gold["messages"] == gold["accounted"]
        )
        older, self._seen = gold["messages"] < self._seen, gold["messages"]
        return "half a build" if not whole else "an older build than before" if older else None


def _in_file(lake: Path) -> pl.DataFrame:
    connection = duckdb.connect(os.path.realpath(lake / LINK), read_only=True)
    try:
        return cast("pl.DataFrame", connection.sql(_WHOLE).pl())
    finally:
        connection.close()


if __name__ == "__main__":
    main()
