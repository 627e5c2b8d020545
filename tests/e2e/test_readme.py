"""The documents keep their word: the README's own commands give the output it shows, and the tables are complete.

A block of ``console`` is run line by line, in one folder; what follows a ``$`` line is its stdout. A line that is
only ``…`` stands for any number of lines. ``<!-- prints: COMMAND -->`` above a block says what prints it.
"""

import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from lake.contracts.event import FIELDS, REQUIRED
from lake.contracts.tables import DERIVED, TABLES, Table
from lake.gold.tables import GOLD, VIEWS, about, meanings
from lake.security.masking_policy import RULES, load
from tests.support.commands import ROOT, SECONDS, Place

README: Final = (ROOT / "README.md").read_text("utf-8")
MAKEFILE: Final = (ROOT / "Makefile").read_text("utf-8")
PRINTED: Final = re.compile(r"<!-- prints: (.+?) -->\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CONSOLE: Final = re.compile(r"(<!-- with a broker -->\n)?```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STEP: Final = re.compile(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


def run(command: str, place: Place) -> str:
    """The stdout of a shell command that is to succeed."""
    shell = ["bash", "-o", "pipefail", "-c", command]
    ran = subprocess.run(
        shell, cwd=place.folder, env=place.environment, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert ran.returncode == 0, f"{command!r} exited with {ran.returncode}: {ran.stderr.splitlines()[-1:]}"
    return ran.stdout


def same(shown: str, printed: str) -> bool:
    """Whether the output is what the block shows, ``…`` standing for any lines."""
    pattern = "".join(r"(?:.*\n)*?" if line == "…" else re.escape(line) + r"\n" for line in shown.splitlines())
    return re.fullmatch(pattern, printed) is not None


@pytest.fixture
def demo(tmp_path: Path) -> Place:
    """A folder like a clone's, in which the README's first block was run."""
    (tmp_path / "producer").symlink_to(ROOT / "producer")
    return Place(tmp_path)


def test_the_readme_shows_what_comes_out(demo: Place, broker: str, topic: str) -> None:
    [(command, shown)] = PRINTED.findall(README)
    assert same(shown, run(command, demo)), command
    blocks = CONSOLE.findall(README)
    assert len(blocks) >= 2
    for with_broker, block in blocks:
        settings = {"WARDLAKE_KAFKA": broker, "WARDLAKE_TOPIC": topic, "WARDLAKE_GROUP": topic} if with_broker else {}
        exported = ""
        for command, shown in steps(block):
            assert same(shown, run(f"{exported}{command}", Place(demo.folder, settings))), command
            exported += f"{command}; " if command.startswith("export ") else ""


def steps(block: str) -> Iterator[tuple[str, str]]:
    found = STEP.findall(block)
    assert "".join(f"$ {command}\n{shown}" for command, shown in found) == block, "a block begins with a command"
    yield from found


def test_make_demo_runs_what_the_readme_shows() -> None:
    assert re.search(r"^demo: .*\n\t@\$\(BIN\)/wardlake demo \$\(ARGS\)$", MAKEFILE, re.MULTILINE)
    [(command, _)] = PRINTED.findall(README)
    assert command == "wardlake demo --once"
    assert "```sh\nmake demo\n```" in README


def test_nothing_is_called_compliant() -> None:
    said = "HIPAA" + " compliant"
    tree = [
        *ROOT.glob("*.md"),
        *(path for name in ("app", "lake", "producer", "docs") for path in (ROOT / name).rglob("*")),
    ]
    texts = [path for path in tree if path.suffix in {".md", ".py", ".toml", ".sql"}]
    assert [path.name for path in texts if said.lower() in path.read_text("utf-8").lower()] == []
    assert "is not HIPAA de-identification" in re.sub(r"\s+", " ", README)


def section(page: str, title: str) -> list[list[str]]:
    """The cells of the table under a heading."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    body = re.split(r"^## ", text, flags=re.MULTILINE)
    [found] = [part for part in body if part.splitlines()[0] == title]
    rows = [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for line in found.splitlines()
        if line[:1] == "|"
    ]
    return rows[2:]


@pytest.mark.parametrize("table", [*TABLES, *DERIVED, *GOLD], ids=lambda table: table.name)
def test_every_column_of_a_table_is_documented(table: Table) -> None:
    page = "gold.md" if table in GOLD else "tables.md"
    documented = {name: kind for name, kind, _ in section(page, f"`{table.name}`")}
    kinds = {name: re.match(r"\w+", str(dtype))[0] for name, dtype in table.polars_schema.items()}
    assert {name: kind.partition("(")[0] for name, kind in documented.items()} == kinds
    text = (ROOT / "docs" / page).read_text("utf-8").split(f"## `{table.name}`")[1].split("\n## ")[0]
    assert f"Partitioned by `{table.partition}`" in text


@pytest.mark.parametrize("table", GOLD, ids=lambda table: table.name)
def test_a_gold_table_is_documented_in_the_words_of_its_sql(table: Table) -> None:
    name = table.name.removeprefix("gold/")
    assert {column: meaning for column, _, meaning in section("gold.md", f"`{table.name}`")} == meanings(name)
    assert about(name) in (ROOT / "docs" / "gold.md").read_text("utf-8")


def test_every_view_of_gold_is_documented() -> None:
    assert section("gold.md", "Views") == [[f"gold.{view}", about(view)] for view in VIEWS]


def test_every_field_of_the_event_is_documented() -> None:
    documented = {name: required for name, required, _ in section("tables.md", "The event")}
    assert tuple(documented) == FIELDS
    assert {name for name, required in documented.items() if required == "yes"} == set(REQUIRED)


def test_the_policy_is_documented_as_it_is() -> None:
    rules = {column: rule for column, _, rule, _ in section("masking.md", "The policy `display`")}
    assert rules == load("display").columns
    reasons = tomllib.loads((ROOT / "lake" / "policies" / "display.toml").read_text("utf-8"))["columns"]
    documented = {column: reason for column, _, _, reason in section("masking.md", "The policy `display`")}
    assert documented == {column: entry["reason"] for column, entry in reasons.items()}
    assert {rule for rule, *_ in section("masking.md", "The rules")} == set(RULES)


def test_the_path_of_the_commands_is_that_of_make() -> None:
    assert "BIN := .venv/bin" in MAKEFILE
    assert f'export PATH="$PWD/.venv/bin{os.pathsep}$PATH"' in README
