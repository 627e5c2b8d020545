"""Ten sessions reload the dashboards while the stream writes and the ``gold`` flow swaps what they read.

``WARDLAKE_TOGETHER_MINUTES`` says for how long (5). No page may show an error, nor figures older than one refresh.
"""

import os
import re
import time
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from dashboards.main import PAGES
from lake.gold.published import last
from tests.integration.stream.test_together import together
from tests.support.browser import chromium
from tests.support.commands import Place

# Read before any test: the environment that tests see has no WARDLAKE_ variable.
SECONDS: Final = 60 * float(os.environ.get("WARDLAKE_TOGETHER_MINUTES", "5"))
SESSIONS: Final = 10
RATE: Final = 500
# The first page is at the root.
ADDRESSES: Final = ["", *(page.name for page in PAGES[1:])]
BUILD: Final = re.compile(r"Gold build (\d+)")


@pytest.mark.browser
@pytest.mark.slow
def test_sessions_reload_while_gold_is_swapped(tmp_path: Path, broker: str, topic: str) -> None:
    place = Place(tmp_path, {"WARDLAKE_KAFKA": broker, "WARDLAKE_TOPIC": topic, "WARDLAKE_GROUP": topic})
    events = str(int(RATE * SECONDS))
    with (
        place.running("stream") as stream,
        place.running("produce", "simulate", "--events", events, "--rate", str(RATE)),
    ):
        stream.wait_for(lambda lines: any('"event": "landed"' in line for line in lines), "the stream landed")
        place.works("flow", "gold")
        with place.running("dashboard", "--port", "0") as served:
            served.wait_for(lambda lines: any("dashboards at" in line for line in lines), "the dashboards")
            address = re.search(r"http://\S+?(?=;)", "".join(served.lines))
            assert address is not None
            with together({"gold": lambda: _built(place)}) as loops:
                looked = _look(address[0], tmp_path / "data" / "lake")
    assert loops["gold"].troubles == []
    assert loops["gold"].done >= 3
    assert looked >= SESSIONS * 2


def _built(place: Place) -> str | None:
    ran = place.run("flow", "gold")
    time.sleep(1)
    return None if ran.code == 0 else f"exit {ran.code}"


def _look(address: str, root: Path) -> int:
    """Reload pages in turn, each session another page each time; returns how often."""
    looked = 0
    deadline = time.monotonic() + SECONDS
    with chromium(1280, 1600) as first:
        browser = first.context.browser
        assert browser is not None
        contexts: list[BrowserContext] = [browser.new_context() for _ in range(SESSIONS)]
        sessions = [context.new_page() for context in contexts]
        seen = [0] * SESSIONS
        while time.monotonic() < deadline:
            number = looked % SESSIONS
            name = ADDRESSES[(looked // SESSIONS + number) % len(ADDRESSES)]
            build = last(root)
            assert build is not None
            shown = _reloaded(sessions[number], f"{address}/{name}")
            assert shown >= max(build.build_id - 1, seen[number]), (
                f"build {shown} on {name}, {build.build_id} is published"
            )
            seen[number] = shown
            looked += 1
    return looked


def _reloaded(page: Page, address: str) -> int:
    """Open the page anew, wait until it is drawn, and return the build that it says its figures are of."""
    page.goto(address)
    caption = page.get_by_text(BUILD).first
    expect(caption).to_be_visible()
    page.locator('[data-test-script-state="notRunning"]').first.wait_for(state="attached")
    for trouble in ("stException", "stAlertContentError"):
        expect(page.get_by_test_id(trouble)).to_have_count(0)
    found = BUILD.search(caption.inner_text())
    assert found is not None
    return int(found[1])
