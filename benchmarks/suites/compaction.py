"""What small files cost a query, and what ``maintain`` makes of it.

Silver is appended to in small batches, as a stream on a quiet ward does over days, without the compaction that the
stream itself does every 100 commits: so the whole gain is ``maintain``'s.
"""

import statistics
import tempfile
import time
from pathlib import Path

import polars as pl
from deltalake import write_deltalake

from app.jobs.maintain import Maintained, maintain
from app.settings import Settings
from app.stream.decide import decide
from benchmarks.harness.result import Ratio, Result
from benchmarks.suites.history import raw_batch
from lake.contracts.tables import SILVER
from lake.query import lake_sql
from lake.security import masking_policy
from lake.security.encryption import LakeKey
from lake.storage import store
from producer.simulator.simulator import Simulator, SimulatorSettings

_EVENTS = 20
_DAYS = 60
_RUNS = 5
_QUERY = """SELECT event_time::DATE AS day, facility, department, count(*) AS admissions, count(DISTINCT patient_key)
FROM silver.events WHERE event_type = 'admit' GROUP BY ALL ORDER BY ALL"""


def run(batches: int) -> Result:
    """Append ``batches`` batches of 20 events, query, maintain, query again: the seconds and their ratio."""
    with tempfile.TemporaryDirectory() as scratch:
        root, key = Path(scratch) / "lake", LakeKey(bytes(32))
        silver = store.create(root, key).store(SILVER)
        for rows in _silver(key, batches * _EVENTS).iter_slices(_EVENTS):
            write_deltalake(silver.handle, rows, mode="append", writer_properties=silver.append_writer)
        before, answer = _seconds(root)
        done = maintain(Settings(lake=root))
        after, same = _seconds(root)
    if not answer.equals(same):
        raise SystemExit("compaction changed the answer")
    [compacted] = [each for each in done if each.action == "compact"]
    return _result(batches, compacted, before, after)


def _silver(key: LakeKey, events: int) -> pl.DataFrame:
    """Simulated events as Silver holds them, in the order in which they came."""
    payloads = [
        value for block in Simulator(SimulatorSettings(events=events, days=_DAYS)).blocks() for value in block.values
    ]
    batch = decide(raw_batch(key, 0, payloads), masking_policy.load("display"), key)
    return batch.silver_rows().select(SILVER.polars_schema.names())


def _seconds(root: Path) -> tuple[float, pl.DataFrame]:
    """Median seconds of the query, opening the lake included, and its answer."""
    taken = []
    for _ in range(_RUNS):
        start = time.perf_counter()
        answer = lake_sql.run(root, _QUERY)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken), answer


def _result(batches: int, compacted: Maintained, before: float, after: float) -> Result:
    return Result(
        "compaction",
        f"One query over {batches:,} batches of {_EVENTS} events in {_DAYS} days",
        ["", "files", "MB", "query s"],
        [
            ["before", compacted.files_before, compacted.bytes_before / 1e6, before],
            ["after", compacted.files_after, compacted.bytes_after / 1e6, after],
        ],
        [Ratio.at_least("query before / after", before / after, 5)],
        [f"Compaction took {compacted.seconds:.1f} s."],
    )
