"""Pipeline: what is landing, how far behind it is, what was made of it and how the last checks went. It is live."""

from datetime import UTC, datetime

import altair as alt
import polars as pl
import streamlit as st

from dashboards.screens.pipeline import broker_offsets, figures, prefect_runs, queries
from dashboards.screens.pipeline import components as parts
from dashboards.screens.pipeline.background import BackgroundCache
from dashboards.screens.pipeline.broker_offsets import Ends
from dashboards.screens.pipeline.queries import EVERY, Look, Watched
from dashboards.shared import style
from dashboards.shared.settings import settings
from lake.errors import WardlakeError

NOTHING = Ends("", {}, {})
FIRST_SECONDS = 1.0  # to wait for the first answer of a broker or a Prefect server


@st.fragment(run_every=EVERY, key="pipeline")
def live() -> None:
    """The whole page, drawn anew every few seconds in the same places."""
    try:
        lake = queries.watched(settings().lake)
        look = lake.look(datetime.now(UTC))
        lag = lag_of(lake)
        runs = flow_runs()
    except WardlakeError as error:
        st.info(f"There is nothing to watch yet: {error}.")
        return
    tiles(look, lag)
    throughput(look)
    left, right = st.columns(2)
    with left:
        lag_by_partition(lag)
    with right:
        batch_times(look)
    builds(look)
    flows(runs)
    checks(look.checks)
    tables(look.tables)


def lag_of(lake: Watched) -> pl.DataFrame | None:
    """Per partition how far the lake is behind the topic; None where no broker tells.

    One that is secured is not asked: what lets a client in opens every raw message, and is none of the dashboards'.
    """
    if settings().kafka_security_protocol != "plaintext":
        return None
    ends = _broker(settings().kafka, settings().topic).look(FIRST_SECONDS)
    return None if ends is None else figures.lag(ends, lake.landed(ends.topic_id, sorted(ends.starts)))


@st.cache_resource(max_entries=2, show_spinner=False)
def _broker(bootstrap: str, topic: str) -> BackgroundCache[Ends | None]:
    return BackgroundCache(lambda: broker_offsets.ends(bootstrap, topic), EVERY)


def flow_runs() -> pl.DataFrame | None:
    """The last runs of the flows; None where no server is named or it does not answer."""
    api = settings().prefect_api
    return _prefect(api.rstrip("/")).look(FIRST_SECONDS) if api else None


@st.cache_resource(max_entries=2, show_spinner=False)
def _prefect(api: str) -> BackgroundCache[pl.DataFrame | None]:
    return BackgroundCache(lambda: prefect_runs.runs(api, settings().dashboard_prefect_auth_file), 2 * EVERY)


def tiles(look: Look, lag: pl.DataFrame | None) -> None:
    """How it goes, in five figures."""
    failed = look.checks.filter(pl.col("status") == "failed").height
    behind = None if lag is None or lag["lag"].null_count() else int(lag["lag"].sum())
    built = look.builds["built_at"][0] if look.builds.height else None
    with style.tiles():
        parts.tile("Events per second", f"{figures.rate(look.batches, look.at):,.1f}", "Landed in the last minute.")
        parts.tile(
            "Lag",
            "unknown" if behind is None else f"{behind:,}",
            "Messages in the topic that the lake has not yet taken.",
        )
        parts.tile("Last landed", parts.ago(look.last_landed, look.at), "Time since the newest batch landed.")
        parts.tile("Gold built", parts.ago(built, look.at), "Time since the last build of Gold was published.")
        parts.tile(
            "Failed checks",
            f"{failed} of {look.checks.height}" if look.checks.height else "none run",
            "Of the last quality run. A failed check of severity error keeps Gold from being published.",
        )


def throughput(look: Look) -> None:
    """Events per second over the last minutes."""
    rows = figures.throughput(look.batches, look.at)
    drawn = (
        alt.Chart(rows)
        .mark_area(color=style.ACCENT, line={"color": style.ACCENT}, opacity=0.35, interpolate="monotone")
        .encode(
            x=alt.X(
                "time:T",
                title=None,
                scale=alt.Scale(type="utc"),
                axis=alt.Axis(format="%H:%M", grid=False, tickCount=5),
            ),
            y=alt.Y("events_per_second:Q", title="events/s", scale=alt.Scale(domainMin=0)),
            tooltip=[
                alt.Tooltip("time:T", title="Time", format="%H:%M:%S", formatType="utc"),
                alt.Tooltip("events_per_second:Q", title="Events/s", format=",.1f"),
            ],
        )
    )
    with parts.panel("Throughput", rows, "throughput", "Messages landed per second, in steps of 10 s. Times are UTC."):
        st.altair_chart(drawn, key="chart-throughput", alt="Throughput of the last 15 minutes", height=220)


def lag_by_partition(lag: pl.DataFrame | None) -> None:
    """How far behind each partition is, or that nobody tells."""
    known = settings()
    meaning = "The last offset in the lake, and the end of the topic at its broker. The difference has not landed yet."
    rows = figures.lag(NOTHING, {}) if lag is None else lag
    with parts.panel("Lag by partition", rows, "lag", meaning):
        if lag is None:
            st.info(
                "The broker is secured, and the dashboards have no access to it: `wardlake status` shows the lag."
                if known.kafka_security_protocol != "plaintext"
                else f"No broker answers at {known.kafka}, or it has no topic {known.topic}. `wardlake broker` starts "
                "one; `WARDLAKE_KAFKA` names another."
            )
            return
        parts.show(
            rows,
            "lag",
            {
                "partition": "Partition",
                "landed": parts.count("Landed offset"),
                "end": parts.count("End offset"),
                "lag": parts.count("Lag"),
            },
        )


def batch_times(look: Look) -> None:
    """How long a landing takes."""
    rows = figures.batch_times(look.batches)
    meaning = "Of the batches of the last 15 minutes: half took less than the median, 5 in 100 more than the p95. "
    meaning += "The commits to ops/ingest and Silver come after these steps and are not among them."
    with parts.panel("Batch times", rows, "batch-times", meaning):
        if rows.is_empty():
            st.info("No batch has landed in the last 15 minutes. `wardlake stream` lands what is in the topic.")
            return
        milliseconds = {"p50_ms": "Median", "p95_ms": "p95"}
        columns = {name: st.column_config.NumberColumn(text, format="%.0f ms") for name, text in milliseconds.items()}
        parts.show(rows, "batch-times", {"step": "Step", **columns, "batches": parts.count("Batches")})


def builds(look: Look) -> None:
    """The last builds of Gold."""
    rows = look.builds.with_columns(
        seconds=pl.col("seconds").list.eval(pl.element().struct.field("seconds")).list.sum()
    )
    with parts.panel(
        "Builds of Gold", rows, "builds", "The last ten. A refresh rebuilds only the months that new events touch."
    ):
        if rows.is_empty():
            st.info("Gold has not been built yet. `wardlake flow gold` builds it.")
            return
        parts.show(
            rows,
            "builds",
            {
                "build_id": "Build",
                "kind": "Kind",
                "built_at": parts.moment("Built"),
                "new_events": parts.count("New events"),
                "months": parts.count("Months"),
                "seconds": parts.seconds("Took"),
            },
        )


def flows(runs: pl.DataFrame | None) -> None:
    """The last runs of the flows, or how to see them."""
    rows = pl.DataFrame(schema=prefect_runs.SCHEMA) if runs is None else runs
    with parts.panel("Flow runs", rows, "flow-runs", "The last ten that Prefect knows of."):
        if runs is None:
            st.info(
                "No Prefect server answers. `wardlake prefect` starts one, `wardlake flows serve` runs the flows on "
                "their schedules; set `PREFECT_API_URL` for that and for the dashboards, and "
                "`WARDLAKE_DASHBOARD_PREFECT_AUTH_FILE` for these."
            )
        elif rows.is_empty():
            st.info("No flow has run yet. `wardlake flows serve` runs them on their schedules.")
        else:
            took = parts.seconds("Took")
            parts.show(
                rows,
                "flow-runs",
                {"flow": "Flow", "state": "State", "started": parts.moment("Started"), "seconds": took},
            )


def checks(rows: pl.DataFrame) -> None:
    """What the last quality run found, failed checks first."""
    meaning = "The last quality run, failed checks first. Texts are counts and rule names, never values."
    with parts.panel("Quality checks", rows, "checks", meaning):
        if rows.is_empty():
            st.info("No quality check has run yet. `wardlake flow quality` runs them.")
            return
        st.caption(f"Run {parts.ago(rows['checked_at'].max(), datetime.now(UTC))}")  # type: ignore[arg-type]
        names = ("status", "check", "table", "severity", "observed", "expected")
        parts.show(rows.select(names), "checks", {name: name.capitalize() for name in names})


def tables(rows: pl.DataFrame) -> None:
    """Every table: version, rows and size."""
    meaning = "From the tables' own logs: no row is read. Versions count commits."
    with parts.panel("Tables", rows, "tables", meaning):
        columns = {name: parts.count(name.capitalize()) for name in ("version", "rows", "files")}
        size = st.column_config.NumberColumn("Size", format="bytes")
        parts.show(rows, "tables", {"table": "Table", **columns, "bytes": size}, "content")


live()
