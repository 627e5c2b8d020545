"""The pipeline in figures: frames to frames, no I/O."""

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from dashboards.screens.pipeline.broker_offsets import Ends

WINDOW: Final = timedelta(minutes=15)
BIN: Final = timedelta(seconds=10)


def throughput(batches: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """``time``, ``events_per_second`` per 10 s of the last 15 minutes, 0 where nothing landed.

    ``batches``: ``ingested_at`` (UTC), ``messages``. The bin that is under way is left out: it would look like a dip.
    """
    end = _floor(now)
    bins = pl.datetime_range(end - WINDOW, end - BIN, BIN, time_unit="us", time_zone="UTC", eager=True).alias("time")
    landed = (
        batches.group_by(pl.col("ingested_at").dt.truncate("10s").alias("time"))
        .agg(messages=pl.col("messages").sum())
        .select("time", events_per_second=pl.col("messages") / BIN.total_seconds())
    )
    return bins.to_frame().join(landed, on="time", how="left").with_columns(pl.col("events_per_second").fill_null(0.0))


def _floor(moment: datetime) -> datetime:
    seconds = BIN.total_seconds()
    return moment.replace(second=int(moment.second // seconds * seconds), microsecond=0)


def rate(batches: pl.DataFrame, now: datetime) -> float:
    """Events per second over the last minute."""
    minute = timedelta(minutes=1)
    return int(batches.filter(pl.col("ingested_at") > now - minute)["messages"].sum()) / minute.total_seconds()


def batch_times(batches: pl.DataFrame) -> pl.DataFrame:
    """``step``, ``p50_ms``, ``p95_ms``, ``batches``: how long a landing spends in each step, and in all of them.

    ``batches``: ``batch_id`` and ``seconds`` (a list of step and seconds); a landing of several partitions says the
    same in each of its rows. Steps in the order in which they are stated; the sum comes last.
    """
    steps = (
        batches.unique("batch_id", maintain_order=True)
        .select("batch_id", "seconds")
        .explode("seconds", empty_as_null=False)
        .unnest("seconds", separator=":")
        .rename({"seconds:step": "step", "seconds:seconds": "seconds"})
    )
    whole = steps.group_by("batch_id", maintain_order=True).agg(
        step=pl.lit("together"), seconds=pl.col("seconds").sum()
    )
    return (
        pl.concat([steps, whole.select(steps.columns)])
        .group_by("step", maintain_order=True)
        .agg(
            p50_ms=pl.col("seconds").quantile(0.5, "linear") * 1000,
            p95_ms=pl.col("seconds").quantile(0.95, "linear") * 1000,
            batches=pl.len(),
        )
    )


def lag(ends: Ends, landed: dict[int, int]) -> pl.DataFrame:
    """``partition``, ``landed`` (last offset in the lake, null for none), ``end``, ``lag`` (messages not landed yet).

    ``end`` and ``lag`` are null where the broker did not tell in time.
    """
    rows = []
    for partition, start in sorted(ends.starts.items()):
        last, end = landed.get(partition, -1), ends.ends.get(partition)
        if end is not None:
            end = max(end, last + 1)  # the broker was asked before the lake was
        behind = None if end is None else max(end - max(last + 1, start), 0)
        rows.append((partition, last if last >= 0 else None, end, behind))
    return pl.DataFrame(
        rows, schema={"partition": pl.Int64, "landed": pl.Int64, "end": pl.Int64, "lag": pl.Int64}, orient="row"
    )


def last_run(checks: pl.DataFrame) -> pl.DataFrame:
    """The checks of the newest quality run, failed ones first."""
    newest = pl.col("run_id") == pl.col("run_id").get(pl.col("checked_at").arg_max())
    order = pl.col("status").replace_strict({"failed": 0, "skipped": 2}, default=1)
    return checks.filter(newest).sort(order, "severity", "check")
