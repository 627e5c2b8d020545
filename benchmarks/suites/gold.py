"""Gold: a full build at 1, 5 and 20 times the events, and a refresh after 10,000 new ones.

Silver is made of one simulated hospital of 1 M events in two years, taken 1, 5 or 20 times over under other keys: a
larger hospital. Looking at stored rows for broken masking is left out on both sides: its cost is the same per row in
a refresh and in a full build, and it would only make the ratio look better.
"""

import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from app.cli.produce import start_day
from app.jobs.masking_audit import MEASURED
from app.stream.decoders.json_event import decode
from app.stream.transforms.mask import mask
from app.stream.transforms.validate import validate
from benchmarks.harness.measure import in_a_process
from benchmarks.harness.result import Chart, Ratio, Result, console
from lake.contracts.tables import BUILDS, INGEST, SILVER
from lake.gold import build as building
from lake.gold.staffed_beds import NONE
from lake.security import masking_policy as policies
from lake.security.encryption import LakeKey
from lake.storage import store
from lake.storage.store import Lake, app_id
from producer.simulator.simulator import Simulator, SimulatorSettings

_KEY = LakeKey(bytes(32))
_DAYS = 730
_NEW = 10_000
_TOPIC = "bench"
STAGES = ("make", "full", "append", "refresh")


def run(events: int) -> Result:
    """Measure full builds at 1, 5 and 20 times ``events``, and a refresh at each."""
    rows, full, refresh = [], {}, {}
    with tempfile.TemporaryDirectory() as scratch:
        for times in (1, 5, 20):
            console.print(f"building Gold over {times * events:,} events")
            stages = (in_a_process("benchmarks.suites.gold", stage, scratch, events, times) for stage in STAGES)
            _, full[times], _, refresh[times] = stages
            rows.append(
                [
                    times * events,
                    *(full[times][name] for name in ("seconds", "read", "visits", "kpis")),
                    full[times]["seconds"] / times / events * 1e6,
                    full[times]["rss_mb"],
                    refresh[times]["seconds"],
                    refresh[times]["rss_mb"],
                ]
            )
    columns = ["events", "full s", "read s", "visits s", "KPIs s", "full µs/event", "peak RSS MB"]
    return Result(
        "gold",
        "Gold: a full build, and a refresh",
        [*columns, "refresh s", "refresh peak RSS MB"],
        rows,
        [
            Ratio.at_most(
                f"refresh of {_NEW:,} events / full build at {20 * events:,}",
                refresh[20]["seconds"] / full[20]["seconds"],
                0.05,
            ),
            Ratio.at_most(
                f"full build, cost per event at {20 * events:,} / at {events:,}",
                full[20]["seconds"] / full[1]["seconds"] / 20,
                1,
            ),
        ],
        chart=Chart("line", "events", "full s"),
    )


def main(stage: str, scratch: str, events: str, times: str, out: str) -> None:
    """Take a stage, in a process of its own so that its peak memory is its own, and write what it cost."""
    silver, root = Path(scratch) / "silver.parquet", Path(scratch) / times
    if not silver.exists():
        pl.concat(_silver(int(events))).write_parquet(silver)
    lake = store.create(root, _KEY)
    figures: dict[str, float] = {}
    new = _NEW // int(times)
    if stage == "make":
        _land(lake, pl.scan_parquet(silver).head(int(events) - new), int(times))
    elif stage == "append":
        _land(lake, pl.scan_parquet(silver).tail(new), int(times))
    else:
        started = time.perf_counter()
        _build(lake)
        figures["seconds"] = time.perf_counter() - started
        last = store.DeltaStore(root, BUILDS).scan().sort("build_id").collect().row(-1, named=True)
        figures |= {step["step"]: step["seconds"] for step in last["seconds"]}
    figures["rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    Path(out).write_text(json.dumps(figures))


def _build(lake: Lake) -> building.Built:
    nothing = pl.DataFrame(schema=MEASURED)
    return building.build(lake, building.BuildOptions(NONE, "UTC", 60, lambda _: nothing, lambda: datetime.now(UTC)))


def _silver(events: int) -> Iterator[pl.DataFrame]:
    """One hospital's Silver rows in the order they arrived."""
    settings = SimulatorSettings(events=events, days=_DAYS, start=start_day(events, _DAYS), corrupt=0, duplicates=0)
    rules, offset = policies.load("display"), 0
    for block in Simulator(settings).blocks():
        taken_in = pl.lit(datetime(2026, 11, 1, tzinfo=UTC)).cast(pl.Datetime("us", "UTC"))
        valid, _ = validate(decode(block.values).with_columns(ingested_at=taken_in))
        rows = mask(valid, rules, _KEY).rows
        yield rows.with_columns(kafka_offset=pl.col("row").cast(pl.Int64) + offset).drop("row", "notes")
        offset += len(block)


def _land(lake: Lake, silver: pl.LazyFrame, times: int) -> None:
    """Append the rows so many times over, month by month, and say how far the partition has landed."""
    silver_store, books = lake.store(SILVER), lake.store(INGEST)
    month = pl.col("event_date").dt.truncate("1mo")
    for (first,) in silver.select(month.unique()).collect().iter_rows():
        rows = silver.filter(month == first).collect()
        silver_store.append(pl.concat(_copy(rows, number, times) for number in range(times)), {})
    last = int(silver.select(pl.col("kafka_offset").max()).collect().item()) * times + times - 1
    silver_store.append(SILVER.empty(), {app_id(_TOPIC, 0): last})
    books.append(_book(last), {app_id(_TOPIC, 0): last})


def _copy(rows: pl.DataFrame, number: int, times: int) -> pl.DataFrame:
    """The rows of another hospital: other patients and visits, other places in the topic."""
    other = f"{number:02x}"
    return rows.with_columns(
        pl.lit(_TOPIC).alias("topic_id"),
        pl.lit(0, pl.Int32).alias("kafka_partition"),
        pl.lit(None, pl.String).alias("notes"),
        pl.col("kafka_offset") * times + number,
        *(pl.concat_str(pl.lit(other), pl.col(key).str.slice(2)).alias(key) for key in ("patient_key", "visit_key")),
    )


def _book(last: int) -> pl.DataFrame:
    now = datetime.now(UTC)
    counts = dict.fromkeys(("first_offset", "messages", "silver", "quarantined", "duplicates", "unknown_fields"), 0)
    lists: dict[str, list[object]] = {"rules": [], "fields": [], "seconds": []}
    texts = {"batch_id": "b", "kind": "stream", "topic_id": _TOPIC, "policy": "display", "policy_fingerprint": "f"}
    row = {**texts, **counts, **lists, "kafka_partition": 0, "last_offset": last, "ingested_at": now}
    return pl.DataFrame([row | {"ingest_date": now.date()}], schema=INGEST.polars_schema)


if __name__ == "__main__":
    main(*sys.argv[1:6])
