"""Which folder may import what, how long a file may be: docs say it, this holds it."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[3]
MAX_LINES: Final = 400

MAY_IMPORT: Final = {
    "lake": {"lake"},
    "producer": {"producer", "lake.contracts.event", "lake.errors", "lake.kafka"},
    "app": {"app", "lake", "producer"},
    "app/cli": {"app", "lake", "producer", "flows"},
    "flows": {"flows", "app", "lake"},
    "dashboards": {"dashboards", "lake"},
    "benchmarks": {"benchmarks", "app", "lake", "producer", "flows", "dashboards", "tests"},
    "tests": {"tests", "benchmarks", "app", "lake", "producer", "flows", "dashboards"},
}
"""Of the project's own packages and modules, by the innermost folder that has a row. Only those two import tests."""

LAZILY: Final = {"app/cli": {"flows"}}
"""What is imported when it is called for, not when a command starts."""

MAY_NOT_IMPORT: Final = {
    # The tables outlive the engines around them.
    "lake": {"quixstreams", "prefect", "streamlit"},
    # A source of events knows the broker, not the stream.
    "producer": {"quixstreams", "prefect", "streamlit"},
    # A step can be run without the engine that schedules it.
    "app": {"prefect", "streamlit"},
    # A page shows what is there; what makes it is no business of a browser's.
    "dashboards": {"quixstreams", "prefect"},
}
"""Third parties kept out."""

PACKAGES: Final = sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))
FILES: Final = sorted(
    {path.relative_to(ROOT).as_posix() for name in MAY_IMPORT for path in (ROOT / name).rglob("*.py")}
)


def imported(source: str, path: str) -> Iterator[str]:
    """Yield the dotted name of everything that ``source``, being the file at ``path``, imports."""
    package = Path(path).parent.parts
    for node in ast.walk(ast.parse(source, path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*above, *filter(None, [node.module])))
            yield from (f"{module}.{alias.name}" for alias in node.names)


def at_once(source: str, path: str) -> list[str]:
    """What is imported as soon as the file at ``path`` is: outside functions, and not for type checkers only."""
    tree = ast.parse(source, path)
    for node in ast.walk(tree):
        later = isinstance(node, ast.FunctionDef) or (
            isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        )
        if later:
            node.body = [ast.Pass()]
    return list(imported(ast.unparse(tree), path))


def rule(table: dict[str, set[str]], path: str) -> set[str]:
    """The row of the innermost folder that ``path`` is in and the table has."""
    folders = [folder for folder in table if path.startswith(f"{folder}/")]
    return table[max(folders, key=len)] if folders else set()


def within(name: str, allowed: set[str]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in allowed)


def breaches(source: str, path: str) -> list[str]:
    """Return the imports of ``source`` that the two tables forbid to a file at ``path``."""
    early = [name for name in at_once(source, path) if within(name, rule(LAZILY, path))]
    return early + [
        name
        for name in imported(source, path)
        if (name.partition(".")[0] in MAY_IMPORT and not within(name, rule(MAY_IMPORT, path)))
        or within(name, rule(MAY_NOT_IMPORT, path))
    ]


def test_every_package_has_a_row_in_the_table() -> None:
    assert {"app", "dashboards", "flows", "lake", "producer"} <= set(PACKAGES) <= set(MAY_IMPORT)


@pytest.mark.parametrize("path", FILES)
def test_a_file_imports_only_what_its_folder_may(path: str) -> None:
    assert breaches((ROOT / path).read_text("utf-8"), path) == []


@pytest.mark.parametrize("path", FILES)
def test_a_file_stays_readable_in_one_go(path: str) -> None:
    lines = len((ROOT / path).read_text("utf-8").splitlines())
    assert lines <= MAX_LINES, f"{path} has {lines} lines; split it by purpose"


@pytest.mark.parametrize(
    ("path", "source", "found"),
    [
        ("lake/a.py", "import quixstreams.sinks", ["quixstreams.sinks"]),
        ("lake/a.py", "def f():\n    from app import settings", ["app.settings"]),
        ("lake/gold/a.py", "from ...app import settings", ["app.settings"]),
        ("lake/gold/a.py", "from .. import store\nfrom . import sql\nfrom ..errors import LakeError", []),
        ("producer/a.py", "from lake.storage import store\nfrom lake.contracts import event", ["lake.storage.store"]),
        ("producer/a.py", "from lake.contracts.event import FIELDS\nimport lake.errors\nimport faker", []),
        ("producer/a.py", "import lake", ["lake"]),
        ("app/a.py", "from producer.simulator.simulator import run\nfrom lake.errors import LakeError", []),
        ("app/a.py", "from tests.conftest import topic", ["tests.conftest.topic"]),
        ("app/a.py", "def f():\n    from flows import steps", ["flows.steps"]),
        ("app/cli/a.py", "def f():\n    from flows import steps", []),
        ("app/cli/a.py", "if TYPE_CHECKING:\n    from flows import steps", []),
        ("app/cli/a.py", "from flows import steps", ["flows.steps"]),
        ("app/cli/a.py", "import prefect", ["prefect"]),
        (
            "flows/a.py",
            "import prefect\nfrom app import gold\nfrom producer import truth",
            ["producer.truth"],
        ),
        ("dashboards/a.py", "import app\nimport lakeside", ["app"]),
        ("dashboards/a.py", "import prefect\nfrom lake import query", ["prefect"]),
    ],
)
def test_the_check_itself_sees_a_breach(path: str, source: str, found: list[str]) -> None:
    assert breaches(source, path) == found
