"""A lake into which identifiers were sent in every field and every spelling: none is in a file, an export or a page.

What is searched for is worked out here, by the standard library alone.
"""

import csv
import json
import re
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import Final

import duckdb
import polars as pl
import pytest
from playwright.sync_api import Page

from app.cli.dashboard import of
from app.jobs.verify import verify
from app.settings import load
from benchmarks.suites.scrub_corpus import Note, corpus
from lake.disclosure import export
from lake.disclosure.audience import Audience
from lake.gold import duckdb_file, published
from lake.storage.store import Lake
from tests.e2e.test_dashboards import ADDRESSES, Watched
from tests.support import lakes
from tests.support.boards import build
from tests.support.browser import chromium

FIELDS: Final = ("facility", "department", "ward", "bed", "treatment", "diagnosis", "doctor_id", "message_id", "notes")
IDS: Final = ("doctor_id", "message_id")
DATED: Final = ("form: date", "form: age of 90 or more", "form: plate", "form: number after its keyword")
"""An id may hold these: messages are numbered by day."""
START: Final = datetime(2026, 6, 1, 8, tzinfo=UTC)


def messages(notes: list[Note]) -> Iterator[bytes]:
    """A visit of each identifier in each field, so that it has its row in every table."""
    fields = cycle(FIELDS)
    for number, note in enumerate(notes):
        field = next(fields)
        if field in IDS and note.kind in DATED:
            field = "notes"
        said = {"facility": "North", "department": "Surgery", "ward": "W1", "treatment": "Rest", "doctor_id": "D1"}
        said |= {"diagnosis_code": "J18.9", "message_id": f"a{number}"}
        said |= {field: note.text if field == "notes" else note.hidden}
        visit = note.patient["visit_id"] + ("" if "visit" in note.kind else f"-{number}")
        person = note.patient | {"visit_id": visit}
        came = START + timedelta(hours=number % 700, minutes=number)
        yield lakes.event(event_time=came.isoformat(), **(person | said))
        said |= {"message_id": f"d{number}", "event_type": "discharge", "disposition": "home"}
        yield lakes.event(event_time=(came + timedelta(days=2)).isoformat(), **(person | said))


@pytest.fixture(scope="module")
def notes() -> list[Note]:
    return [note for note in corpus() if note.kind != "clinical"]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, notes: list[Note]) -> Lake:
    root = tmp_path_factory.mktemp("nowhere") / "lake"
    made = lakes.make_lake(root, [(number % 4, message) for number, message in enumerate(messages(notes))])
    build(made)
    return made


def plain(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in apart if c.isalnum())


def wanted(notes: list[Note]) -> set[str]:
    """Whole identifiers of the patients, as letters and digits: what no text may hold, whatever stands around it."""
    found = set[str]()
    for person in {json.dumps(note.patient): note.patient for note in notes}.values():
        digits = {name: re.sub(r"\D", "", person[name]) for name in ("ssn", "phone", "patient_id", "visit_id")}
        first, last = person["patient_name"].split()[0], person["patient_name"].split()[-1]
        found |= {digits["ssn"], digits["phone"], digits["phone"][-7:], digits["patient_id"], digits["visit_id"]}
        found |= {
            plain(person["email"].split("@")[0]),
            plain(person["address"].split(",")[0]),
            plain(person["patient_name"]),
        }
        found |= {plain(first + last), plain(last + first), person["date_of_birth"].replace("-", "")}
    found |= {plain(note.hidden) for note in notes if note.kind.startswith("form") and len(plain(note.hidden)) > 7}
    return {one for one in found if len(one) > 5}


def held(texts: Iterator[str], needles: set[str]) -> set[str]:
    together = "\n".join(plain(text) for text in texts)
    return {needle for needle in needles if needle in together}


def stored(root: Path) -> Iterator[str]:
    """Every text in the lake's masked tables and in its DuckDB files."""
    for folder in ("silver", "gold", "ops"):
        for path in (root / folder).rglob("*.parquet"):
            rows = pl.read_parquet(path)
            for name, dtype in rows.schema.items():
                if dtype == pl.String:
                    yield from rows[name].drop_nulls().unique()
    for path in root.glob("*.duckdb"):
        with duckdb.connect(str(path.resolve()), read_only=True) as connection:
            of_text = "FROM duckdb_columns() WHERE data_type = 'VARCHAR' AND NOT internal"
            columns = connection.sql(f"SELECT schema_name, table_name, column_name {of_text}").fetchall()
            for schema, table, column in columns:
                texts = connection.sql(f'SELECT DISTINCT "{column}" FROM "{schema}"."{table}"').fetchall()
                yield from (text for (text,) in texts if text)


def test_none_is_in_a_table_or_a_file_of_gold(lake: Lake, notes: list[Note]) -> None:
    assert held(stored(lake.root), wanted(notes)) == set()
    assert held(iter([notes[0].text, notes[0].patient["ssn"]]), wanted(notes)), "the search finds what is there"


def test_verify_says_so_by_code_of_its_own(lake: Lake) -> None:
    checks = verify(lake, lakes.DEDUP_KEY)
    assert [(c.check, c.table, c.breaches) for c in checks if not c.passed] == []


def test_none_is_in_an_export(lake: Lake, notes: list[Note]) -> None:
    found = published.last(lake.root)
    assert found is not None
    tables = export.read(duckdb_file.path_of(lake.root, found.build_id))
    made = export.write(lake.root.parent / "export", found, tables, Audience.INTERNAL, found.built_at, lambda _: None)
    cells = [cell for one in made for row in csv.reader(one.csv.read_text("utf-8").splitlines()) for cell in row]
    assert len(cells) > 1_000
    assert held(iter(cells), wanted(notes)) == set()
    folder = lake.root.parent / "export"
    assert broken(lake, folder) == []
    (folder / export.LATEST / "planted.csv").write_text(f"ward,beds\n{notes[0].patient['ssn']} W,3\n")
    assert broken(lake, folder) == [("no raw identifier", "export", "ssn")]


def broken(lake: Lake, folder: Path) -> list[tuple[str, str, str]]:
    return [(c.check, c.table, c.detail) for c in verify(lake, lakes.DEDUP_KEY, export=folder) if not c.passed]


@pytest.fixture(scope="module")
def served(lake: Lake) -> Iterator[tuple[Page, str]]:
    with of(load(lake=lake.root), port=0) as server, chromium(1280, 2400) as page:
        server.wait()
        yield page, server.address


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("name", ADDRESSES)
def test_none_is_on_a_page(served: tuple[Page, str], notes: list[Note], name: str) -> None:
    page, address = served
    watched = Watched(page, address)
    watched.open(ADDRESSES[name])
    text = page.locator("body").inner_text()
    for box in page.get_by_role("combobox").all():  # what a filter offers is on the page too
        if box.is_disabled():
            continue
        box.click()
        text += page.locator("body").inner_text()
        page.keyboard.press("Escape")
    assert len(text) > 200
    assert held(iter(text.splitlines()), wanted(notes)) == set()
