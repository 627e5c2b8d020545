"""Results into files: JSON for machines, and, on request, tables and charts into the docs."""

import re
from pathlib import Path
from typing import Final

from benchmarks.harness.result import Result

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
PAGE: Final = DOCS / "benchmarks.md"
RESULTS: Final = DOCS / "benchmarks"


def write(result: Result, folder: Path) -> None:
    """Write ``folder/NAME.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{result.name}.json").write_text(result.to_json(), "utf-8")


def publish(result: Result, docs: Path = DOCS) -> None:
    """Put the result where the docs show it: ``benchmarks/NAME.json``, ``NAME.png``, and its table in the page.

    The first time, the table comes at the page's end.
    """
    page = docs / PAGE.name
    text = page.read_text("utf-8")
    if not place(result.name).search(text):
        text = f"{text.rstrip()}\n\n<!-- result: {result.name} -->\n<!-- end -->\n"
    write(result, docs / RESULTS.name)
    result.draw(docs / RESULTS.name / f"{result.name}.png")
    page.write_text(filled(text, result), "utf-8")


def filled(text: str, result: Result) -> str:
    """The page with the result's table between its marks."""
    return place(result.name).sub(lambda found: f"{found['start']}\n{result.markdown()}{found['end']}", text)


def place(name: str) -> re.Pattern[str]:
    """Where a result stands in the page."""
    return re.compile(rf"(?P<start><!-- result: {name} -->)\n.*?(?P<end><!-- end -->)", re.DOTALL)
