"""A sender who puts HTML, Markdown and formulas into the fields of his messages, and a reader of the dashboards."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import polars as pl
import pytest
from playwright.sync_api import Page

from app.cli.dashboard import of
from app.settings import load
from lake.disclosure import export, public_gold
from lake.disclosure.audience import Audience
from lake.gold import published
from tests.e2e.test_dashboards import ADDRESSES, Watched
from tests.support.boards import build, few_visits
from tests.support.browser import chromium
from tests.support.lakes import make_lake

pytestmark = pytest.mark.slow

IMAGE: Final = "![x](/evil/p.png)"
HOSTILE: Final = {
    "facility": f"North {IMAGE} <img src=/evil/q.png onerror=document.title='taken'>",
    "department": "=HYPERLINK(1)<script>document.title='taken'</script>",
    "treatment": f"@SUM(1) <b>bold</b> [link](/evil) {IMAGE} $x$ :red[loud]<iframe src=/evil></iframe>",
    "doctor_id": "+1|cmd",
}
WITHIN: Final = "main img, main iframe, main script, main b, main a[href*=evil], [src*=evil]"
"""What the fields would have made of themselves."""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile") / "lake"
    messages = [json.dumps(json.loads(message) | HOSTILE).encode() for message in few_visits()]
    build(make_lake(root, list(enumerate_partitions(messages))))
    return root


def enumerate_partitions(messages: list[bytes]) -> Iterator[tuple[int, bytes]]:
    yield from ((number % 4, message) for number, message in enumerate(messages))


@pytest.fixture(scope="module")
def served(lake: Path) -> Iterator[tuple[Page, str]]:
    with of(load(lake=lake), port=0) as server, chromium(1280, 2400) as page:
        server.wait()
        yield page, server.address


@pytest.mark.browser
@pytest.mark.parametrize("name", ADDRESSES)
def test_a_page_shows_it_as_text_and_fetches_nothing(served: tuple[Page, str], name: str) -> None:
    page, address = served
    watched = Watched(page, address)
    watched.open(ADDRESSES[name])
    if name in {"admissions", "diagnoses", "kpis"}:
        watched.choose("Facility", HOSTILE["facility"])
        watched.choose("Department", HOSTILE["department"])
        assert IMAGE in page.locator("body").inner_text().replace("\u2060", ""), "there is nothing to see"
    if name == "diagnoses":
        watched.choose("Diagnosis", "Pneumonia, unspecified organism (J18.9)")
    assert watched.troubles == []
    assert page.locator(WITHIN).evaluate_all("found => found.map(one => one.outerHTML.slice(0, 200))") == []
    assert page.title() != "taken"


def test_an_export_has_no_formula_in_it(lake: Path) -> None:
    found = published.last(lake)
    assert found is not None
    tables = export.read(public_gold.path_of(lake, found.build_id))
    made = export.write(lake.parent / "export", found, tables, Audience.PUBLIC, found.built_at, lambda _: None)
    cells = [cell for one in made for row in csv.reader(one.csv.read_text().splitlines()) for cell in row]
    assert "'" + HOSTILE["department"] in cells
    assert "'" + HOSTILE["treatment"] in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))]
    parquet = pl.read_parquet(next(one.parquet for one in made if one.table == "admissions"))
    assert set(parquet["department"]) == {HOSTILE["department"]}, "Parquet holds the text as it is"
