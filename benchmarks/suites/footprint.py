"""Memory and start time of all that ``wardlake demo`` starts: broker, stream, feed, Prefect, dashboards.

The demo runs as a user starts it, with its own defaults. When all of it answers, its processes are looked at twice a
second for some minutes. In that time a Gold run is started in Prefect, as its UI does, and a browser (not counted)
goes through the dashboards: a stack that nobody looks at takes less.

RSS counts a page in each process that has it, PSS shares it out among them: the sum of PSS is what the stack takes.
Linux only.
"""

import http.client
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
import psutil

from app.services.child_process import HOST
from benchmarks.harness.result import Cell, Chart, Ratio, Result, console
from flows import signin
from flows.server import answers
from lake.contracts.tables import SILVER
from lake.gold.duckdb_file import LINK
from tests.support.browser import chromium
from tests.support.commands import Place, Running
from tests.support.prefects import Served, signed_in, until

_ALL: Final = "whole stack"
_AIM_MB: Final = 1_500
_LOOK_SECONDS: Final = 0.5
_START_SECONDS: Final = 300
_PAGE_SECONDS: Final = 3.0
_ROLES: Final = {
    "tansu": "broker",
    "produce live": "feed",
    "streamlit": "dashboards",
    "prefect.flow_engine": "flow run",
    "prefect.engine": "flow run",
    "flows.server_guard": "Prefect server",
    "flows serve": "flows served",
    "demo --live": "demo and stream",
}
"""What a command line has in it → what the process is; the first that fits."""
_DASHBOARDS: Final = ("dashboards", "--server.port")
_PREFECT: Final = ("Prefect server", "--port")
_PAGES: Final = ("", "kpis", "diagnoses", "compliance", "pipeline")


def run(seconds: float = 120) -> Result:
    """Start the demo, time what comes up, and look at its memory for ``seconds``."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Place(Path(scratch), {"WARDLAKE_DATA": scratch})
        began = time.monotonic()
        with place.running("demo", "--live") as demo:
            started = _started(demo, Path(scratch) / "lake", began)
            console.print(f"all of it answers; looking at it for {seconds:g} s")
            looks = _looked_at(demo, signin.file(Path(scratch) / "prefect", signin.OWNER), seconds)
            if code := demo.stop(signal.SIGINT):
                raise SystemExit(f"the demo exited with {code}")
    return _result(looks, started, seconds)


def _started(demo: Running, lake: Path, began: float) -> dict[str, float]:
    """Seconds from the command until each thing was there."""
    waiting: dict[str, Callable[[], bool]] = {
        "first batch landed": (lake / SILVER.name / "_delta_log" / f"{1:020d}.json").exists,
        "Gold built": (lake / LINK).exists,
        "dashboards healthy": lambda: _healthy(_port(demo, *_DASHBOARDS)),
        "Prefect healthy": lambda: answers(_api(demo)),
        "flows served, feed at work": lambda: {"flows served", "feed"} <= {role for _, role in _tree(demo)},
    }
    found: dict[str, float] = {}
    while waiting.keys() - found.keys():
        found |= {name: time.monotonic() - began for name, there in waiting.items() if name not in found and there()}
        if demo.process.poll() is not None or time.monotonic() - began > _START_SECONDS:
            raise SystemExit(f"the demo did not start: {', '.join(waiting.keys() - found.keys())}")
        time.sleep(0.05)
    return found


def _tree(demo: Running) -> Iterator[tuple[psutil.Process, str]]:
    """The processes of the demo that are there now, and what each is."""
    top = psutil.Process(demo.process.pid)
    for process in (top, *top.children(recursive=True)):
        if line := " ".join(_command(process)):
            yield process, next((role for part, role in _ROLES.items() if part in line), "other")


def _command(process: psutil.Process) -> list[str]:
    try:
        line: list[str] = process.cmdline()
    except psutil.Error:  # gone by now
        return []
    return line


def _port(demo: Running, role: str, option: str) -> int:
    """The port that a process was told to listen on; 0 where there is none yet."""
    for process, found in _tree(demo):
        line = _command(process)
        if found == role and option in line:
            return int(line[line.index(option) + 1])
    return 0


def _api(demo: Running) -> str:
    return f"http://{HOST}:{_port(demo, *_PREFECT)}/api"


def _healthy(port: int) -> bool:
    asked = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        asked.request("GET", "/_stcore/health")
        return asked.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asked.close()


@dataclass(frozen=True)
class Look:
    """What all processes of one role took at one moment, in MB."""

    moment: int
    role: str
    rss: float
    pss: float


def _looked_at(demo: Running, auth_file: Path, seconds: float) -> pl.DataFrame:
    """A row per ``Look``, while a Gold run and a reader of the dashboards are at work. Both have to end well."""
    with ThreadPoolExecutor(2) as pool:
        work = [pool.submit(_build_gold, _api(demo), auth_file), pool.submit(_read, _port(demo, *_DASHBOARDS))]
        looks: list[Look] = []
        enough = time.monotonic() + seconds
        while time.monotonic() < enough or not all(each.done() for each in work):
            looks += _look(demo, len(looks))
            time.sleep(_LOOK_SECONDS)
        for each in work:
            each.result()
    return pl.DataFrame(looks)


def _look(demo: Running, moment: int) -> list[Look]:
    taken: dict[str, list[float]] = {}
    for process, role in _tree(demo):
        with suppress(psutil.Error):  # gone by now
            memory, sums = process.memory_full_info(), taken.setdefault(role, [0.0, 0.0])
            sums[0] += memory.rss / 1e6
            sums[1] += memory.pss / 1e6
    return [Look(moment, role, rss, pss) for role, (rss, pss) in taken.items()]


def _build_gold(api: str, auth_file: Path) -> None:
    """Start a Gold run in Prefect, and wait for its end."""
    with signed_in(api, auth_file) as client:
        served = Served(client)
        until(lambda: "gold" in served.deployments(), "the deployments")
        ended = served.ended(served.start("gold"))
    if ended["state_type"] != "COMPLETED":
        raise SystemExit(f"the Gold run ended as {ended['state_type']}")


def _read(port: int) -> None:
    """Go through the dashboards, page by page."""
    with chromium() as page:
        for name in _PAGES:
            page.goto(f"http://{HOST}:{port}/{name}")
            page.locator('[data-test-script-state="notRunning"]').first.wait_for(state="attached")
            page.wait_for_timeout(1e3 * _PAGE_SECONDS)


def _result(looks: pl.DataFrame, started: dict[str, float], seconds: float) -> Result:
    stack = looks.group_by("moment").agg(pl.col("rss", "pss").sum()).with_columns(role=pl.lit(_ALL))
    figures = (
        pl.concat([looks.select("role", "rss", "pss"), stack.select("role", "rss", "pss")])
        .group_by("role")
        .agg(
            *(pl.col(kind).median().alias(f"{kind} median") for kind in ("pss", "rss")),
            *(pl.col(kind).max().alias(f"{kind} peak") for kind in ("pss", "rss")),
        )
        .sort("pss peak", descending=True)
        .select("role", "pss median", "pss peak", "rss median", "rss peak")
    )
    rows: list[list[Cell]] = [list(row) for row in figures.iter_rows()]
    peak = float(figures.filter(pl.col("role") == _ALL)["pss peak"].item())
    return Result(
        "footprint",
        f"Memory of all that the demo starts, over {seconds:g} s",
        ["", "PSS median MB", "PSS peak MB", "RSS median MB", "RSS peak MB"],
        rows,
        [Ratio.at_most("whole stack, PSS, peak MB", peak, _AIM_MB)],
        [
            "PSS counts a page that processes share once in the sum, RSS in each.",
            f"Seconds from the command: {', '.join(f'{what} {at:.1f}' for what, at in started.items())}.",
        ],
        chart=Chart("bar", "", "PSS peak MB"),
    )
