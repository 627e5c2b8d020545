"""Dashboards: how soon a page is there on a lake of 1 M events, and a filter's change on screen at 20 M.

Both in a real Chromium. Streamlit's own start is told apart: it is the same without a lake.
"""

import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, expect

from app.cli.dashboard import of
from app.settings import Settings
from benchmarks.harness.measure import in_a_process
from benchmarks.harness.result import Ratio, Result, console
from benchmarks.suites.gold import STAGES
from lake.disclosure import public_gold
from lake.gold import published
from tests.support.browser import chromium

_TIMES = 5
_PAGES = ("diagnoses", "kpis", "compliance")


def run(events: int) -> Result:
    """Measure at ``events`` and at twenty times as many."""
    rows: list[list[float]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for times in (1, 20):
            console.print(f"building Gold over {times * events:,} events")
            for stage in STAGES[:2]:
                in_a_process("benchmarks.suites.gold", stage, scratch, events, times)
            root = Path(scratch) / str(times)
            rows.append([times * events, _rounded(root), *_measured(root)])
    columns = ["events", "public file s", "server start s", "first paint s", "first figure s"]
    (small, large), waited = rows, slice(2, 4)
    return Result(
        "dashboard",
        "Dashboards in Chromium",
        [*columns, *(f"{page} s" for page in _PAGES), "filter s", "filter, worst s"],
        rows,
        [
            Ratio.at_most(f"server start and first paint at {events:,} events, s", sum(small[waited]), 2),
            Ratio.at_most(f"a filter's change at {20 * events:,} events, worst, s", large[-1], 1),
        ],
    )


def _rounded(root: Path) -> float:
    """Seconds that the public file of the last build takes."""
    build = published.last(root)
    if build is None:
        raise RuntimeError("no build")
    started = time.perf_counter()
    public_gold.write(root, build)
    return time.perf_counter() - started


def _measured(root: Path) -> list[float]:
    """Seconds: server start, first contentful paint, first figure, each page by its address, a filter's change.

    The last as median and worst.
    """
    settings = Settings(lake=root)
    with chromium(1440, 1200) as page:
        started = time.perf_counter()
        with of(settings, port=0) as server:
            server.wait()
            up = time.perf_counter() - started
            first = _opened(page, server.address)
            paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime") / 1000
            pages = [_opened(page, f"{server.address}/{name}") for name in _PAGES]
            _opened(page, server.address)
            changes = [_changed(page, name) for name in _facilities(page)]
    return [up, paint, first, *pages, statistics.median(changes), max(changes)]


def _opened(page: Page, address: str) -> float:
    """Open a page; seconds until a chart or figure of it is drawn and nothing runs any more."""
    started = time.perf_counter()
    page.goto(address, wait_until="commit")
    expect(page.get_by_test_id("stMetricValue").first).to_be_visible()
    seen = time.perf_counter() - started
    _rested(page)
    return seen


def _rested(page: Page) -> None:
    page.locator('[data-test-script-state="notRunning"]').first.wait_for(state="attached")


def _facilities(page: Page) -> list[str]:
    """What to choose one after the other: each facility, over and over."""
    page.get_by_role("combobox", name="Facility").click()
    names = [name for name in page.get_by_role("option").all_inner_texts() if name != "All facilities"]
    page.keyboard.press("Escape")
    if len(names) < 2:
        raise RuntimeError("there is nothing to choose between")
    return (names * _TIMES)[:_TIMES]


def _changed(page: Page, facility: str) -> float:
    """Choose a facility that is not chosen; seconds until the page has been drawn for it."""
    page.get_by_role("combobox", name="Facility").click()
    option = page.get_by_role("option", name=facility, exact=True)
    started = time.perf_counter()
    option.click()
    # The line under the title names it: what was drawn before does not count.
    expect(page.get_by_text(f"· {facility} ·").first).to_be_visible()
    _rested(page)
    return time.perf_counter() - started
