"""The dashboards in a real browser, as an analyst uses them: every page, the filters, the figures, the links."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, expect

from app.cli.dashboard import of
from app.settings import load
from dashboards.main import PAGES
from lake.query import lake_sql
from tests.support.browser import chromium

pytest_plugins = ("tests.support.board_fixtures",)
pytestmark = pytest.mark.browser

# The first page is at the root.
ADDRESSES: Final = {page.name: "" if page is PAGES[0] else page.name for page in PAGES}
PROBES: Final = ("/_stcore/health", "/_stcore/host-config")
"""A page that is opened by its own address looks for these below it first, and Chromium notes the 404."""


@dataclass
class Watched:
    """A page, and what it should not do."""

    page: Page
    address: str
    troubles: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.troubles.append(error.name or "an error"))
        self.page.on("request", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.location["url"].endswith(PROBES):
            self.troubles.append(message.text)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.troubles.append(f"asked {request.url}")

    def open(self, path: str) -> None:
        self.page.goto(f"{self.address}/{path}")
        self.rests()

    def rests(self) -> None:
        """Wait until the page is drawn, and hold it against what no page may show."""
        self.page.locator('[data-test-script-state="notRunning"]').first.wait_for(state="attached")
        expect(self.page.get_by_test_id("stException")).to_have_count(0)
        expect(self.page.get_by_text("Page not found")).to_have_count(0)

    def tile(self, label: str) -> str:
        tile = self.page.get_by_test_id("stMetric").filter(has=self.page.get_by_text(label, exact=True))
        return tile.get_by_test_id("stMetricValue").inner_text()

    def choose(self, name: str, option: str) -> None:
        self.page.get_by_role("combobox", name=name).click()
        self.page.get_by_role("option", name=option, exact=True).click()
        self.page.wait_for_url(f"**{name.lower()}=*")
        self.rests()


@pytest.fixture(scope="module")
def served(simulated_lake: Path) -> Iterator[tuple[Page, str]]:
    """The dashboards of the simulated lake, and a browser."""
    with of(load(lake=simulated_lake), port=0) as server, chromium(1280, 2400) as page:
        server.wait()
        yield page, server.address


@contextmanager
def fresh(served: tuple[Page, str]) -> Iterator[Watched]:
    """A browser that was never here."""
    page, address = served
    assert page.context.browser is not None
    context: BrowserContext = page.context.browser.new_context(viewport={"width": 1280, "height": 2400})
    try:
        watched = Watched(context.new_page(), address)
        yield watched
        assert watched.troubles == []
    finally:
        context.close()


@pytest.mark.parametrize("name", ADDRESSES)
def test_every_page_is_drawn_and_asks_nobody_else(served: tuple[Page, str], name: str) -> None:
    with fresh(served) as watched:
        watched.open(ADDRESSES[name])
        title = next(page.title for page in PAGES if page.name == name)
        expect(watched.page.get_by_role("heading", name=title, level=1)).to_be_visible()
        if name != "sql":
            expect(watched.page.locator("[data-testid=stVegaLiteChart] :is(canvas, svg)").first).to_be_visible()


def test_figures_on_screen_are_those_of_sql(served: tuple[Page, str], simulated_lake: Path) -> None:
    [(admissions, discharges)] = lake_sql.run(
        simulated_lake,
        "SELECT sum(admissions)::BIGINT, sum(discharges)::BIGINT FROM gold.admissions WHERE facility = 'Mercy Harbor'",
    ).rows()
    [(messages, success)] = lake_sql.run(
        simulated_lake,
        "SELECT sum(messages)::BIGINT, 1 - sum(rows_broken) / sum(rows_scanned) FROM gold.compliance",
    ).rows()
    with fresh(served) as watched:
        watched.open("?facility=Mercy+Harbor&period=All")
        assert watched.tile("Admissions") == f"{admissions:,}"
        assert watched.tile("Discharges") == f"{discharges:,}"
        watched.open("compliance")
        assert watched.tile("Messages") == f"{messages:,}"
        assert watched.tile("Masking success") == f"{success * 100:.1f} %"


def test_filters_go_along_and_a_link_shows_the_same(served: tuple[Page, str]) -> None:
    with fresh(served) as watched:
        watched.open("")
        watched.choose("Facility", "Lakeside General")
        watched.choose("Department", "Surgery")
        watched.page.get_by_role("link", name="Hospital KPIs").click()
        expect(watched.page.get_by_role("heading", name="Hospital KPIs", level=1)).to_be_visible()
        watched.rests()
        for chosen in ("facility=Lakeside", "department=Surgery"):
            assert chosen in watched.page.url
        told, link = watched.tile("Average length of stay"), watched.page.url.removeprefix(f"{watched.address}/")
    with fresh(served) as colleague:
        colleague.open(link)
        assert colleague.tile("Average length of stay") == told
        expect(colleague.page.get_by_role("combobox", name="Facility")).to_have_value("Lakeside General")


@pytest.mark.slow
def test_a_phone_shows_it_without_scrolling_sideways(served: tuple[Page, str]) -> None:
    with fresh(served) as watched:
        watched.page.set_viewport_size({"width": 390, "height": 844})
        for path in ADDRESSES.values():
            watched.open(path)
            wide = watched.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= 390, f"/{path} is {wide} pixels wide"
