"""The documents keep their word: the commands of README and tutorial give the output they show, tables are complete.

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
TUTORIAL: Final = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
REFERENCE: Final = ROOT / "docs" / "reference"
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


def test_the_readme_and_the_tutorial_show_what_comes_out(demo: Place, broker: str, topic: str) -> None:
    [(command, shown)] = PRINTED.findall(README)
    assert same(shown, run(command, demo)), command
    blocks = [*CONSOLE.findall(README), *CONSOLE.findall(TUTORIAL)]
    assert len(blocks) >= 4
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
    assert re.search(r"^```sh\nmake demo +# .+\nmake test +# .+\n```$", README, re.MULTILINE)


def test_nothing_is_called_compliant() -> None:
    said = "HIPAA" + " compliant"
    tree = [
        *ROOT.glob("*.md"),
        *(path for name in ("app", "lake", "producer", "docs") for path in (ROOT / name).rglob("*")),
    ]
    texts = [path for path in tree if path.suffix in {".md", ".py", ".toml", ".sql"}]
    assert [path.name for path in texts if said.lower() in path.read_text("utf-8").lower()] == []
    assert "is not HIPAA de-identification" in re.sub(r"\s+", " ", README)


COLUMN: Final = re.compile(r"^- (`\w+`(?:, `\w+`)*) (\w+)(?:\(\w+\))?(?:: (.*))?$", re.MULTILINE)
POLICY: Final = re.compile(r"^- `(\w+)` (\w+): (.*)$", re.MULTILINE)
RULE: Final = re.compile(r"^- \*\*(\w+)\*\*:", re.MULTILINE)


def section(page: str, title: str) -> str:
    """The text under a heading."""
    parts = re.split(r"^## ", (REFERENCE / page).read_text("utf-8"), flags=re.MULTILINE)
    [found] = [part for part in parts if part.splitlines()[0] == title]
    return found


def columns(page: str, table: str) -> dict[str, tuple[str, str]]:
    """Column → its type and meaning; a table may begin with the columns of another one."""
    text = section(page, f"`{table}`")
    found = {
        name: (kind, meaning) for names, kind, meaning in COLUMN.findall(text) for name in re.findall(r"`(\w+)`", names)
    }
    other = re.search(r"The columns of `(.+?)`, and:", text)
    return (columns(page, other[1]) if other else {}) | found


@pytest.mark.parametrize("table", [*TABLES, *DERIVED, *GOLD], ids=lambda table: table.name)
def test_every_column_of_a_table_is_documented(table: Table) -> None:
    page = "gold.md" if table in GOLD else "tables.md"
    documented = {name: kind for name, (kind, _) in columns(page, table.name).items()}
    assert documented == {name: re.match(r"\w+", str(dtype))[0] for name, dtype in table.polars_schema.items()}
    text = (REFERENCE / page).read_text("utf-8") if table in GOLD else section(page, f"`{table.name}`")
    assert f"artitioned by `{table.partition}`" in text


@pytest.mark.parametrize("table", GOLD, ids=lambda table: table.name)
def test_a_gold_table_is_documented_in_the_words_of_its_sql(table: Table) -> None:
    name = table.name.removeprefix("gold/")
    documented = columns("gold.md", table.name)
    assert {column: meaning for column, (_, meaning) in documented.items()} == meanings(name)
    assert about(name) in section("gold.md", f"`{table.name}`")


def test_every_view_of_gold_is_documented() -> None:
    documented = re.findall(r"^- `gold\.(\w+)`: (.*)$", section("gold.md", "Views"), re.MULTILINE)
    assert documented == [(view, about(view)) for view in VIEWS]


def test_every_field_of_the_event_is_documented() -> None:
    required, optional = section("tables.md", "The event").split("\nOptional:\n")

    def fields(text: str) -> list[str]:
        heads = re.findall(r"^- (`\w+`(?:, `\w+`)*)", text, re.MULTILINE)
        return [name for head in heads for name in re.findall(r"`(\w+)`", head)]

    assert sorted(fields(required)) == sorted(REQUIRED)
    assert sorted(fields(required) + fields(optional)) == sorted(FIELDS)


def test_the_policy_is_documented_as_it_is() -> None:
    documented = POLICY.findall(section("masking.md", "The policy `display`"))
    assert {column: rule for column, rule, _ in documented} == load("display").columns
    policy = tomllib.loads((ROOT / "lake" / "security" / "policies" / "display.toml").read_text("utf-8"))
    reasons = {column: entry["reason"] for column, entry in policy["columns"].items()}
    assert {column: reason for column, _, reason in documented} == reasons
    assert set(RULE.findall(section("masking.md", "The rules"))) == set(RULES)


def test_the_path_of_the_commands_is_that_of_make() -> None:
    assert "BIN := .venv/bin" in MAKEFILE
    assert f'export PATH="$PWD/.venv/bin{os.pathsep}$PATH"' in README
