"""Putting a soak's report into docs/explanation/reliability.md, between its marks, and its chart into docs/images."""

import os
import re
import shutil
from pathlib import Path
from typing import Final

from tests.soak.report import Report

PAGE: Final = Path("docs", "explanation", "reliability.md")
IMAGE: Final = Path("docs", "images", "soak.png")
BEGIN: Final = "<!-- soak -->"
END: Final = "<!-- /soak -->"


class RecordError(Exception):
    """The page has not the marks to write between."""


def record(root: Path, report: Report, chart: Path) -> None:
    """Write the report into the page under ``root``, replacing the one before. Raises ``RecordError``."""
    page = root / PAGE
    text = page.read_text("utf-8")
    marked = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    if len(marked.findall(text)) != 1:
        raise RecordError(f"{PAGE} has not {BEGIN} and {END} once each")
    (root / IMAGE).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(chart, root / IMAGE)
    page.write_text(marked.sub(lambda _: f"{BEGIN}\n{_section(report)}\n{END}", text), "utf-8")


def _section(report: Report) -> str:
    said = f"`{report.command}`, version {report.version}, on {report.machine}."
    picture = f"![Memory of each process and the faults over time]({os.path.relpath(IMAGE, PAGE.parent)})"
    return f"{said}\n\n**{report.verdict[0].upper()}{report.verdict[1:]}.**\n\n{report.markdown()}\n\n{picture}"
