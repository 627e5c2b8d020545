"""What a command imports to start: what others need is left out."""

import subprocess
import sys
import tomllib

import pytest

from tests.support.commands import ROOT
from tests.support.lakes import wardlake

MODULES = "import sys, app.cli; app.cli.app.commands[sys.argv[1]]; print(*sys.modules)"
LIGHT = {"quixstreams", "faker", "duckdb", "deltalake", "dataframely", "prefect", "sqlalchemy", "streamlit"}


def test_a_command_starts_without_what_others_need(subtests: pytest.Subtests) -> None:
    for command, without in [
        ("broker", LIGHT),
        ("dashboard", LIGHT),
        ("flow", LIGHT),
        ("flows", LIGHT),
        ("prefect", LIGHT),
        ("produce", {"quixstreams", "duckdb", "deltalake", "prefect"}),
        ("sql", {"quixstreams", "faker", "prefect"}),
        ("status", {"quixstreams", "faker", "prefect"}),
        ("stream", {"quixstreams", "duckdb", "faker", "prefect"}),
    ]:
        with subtests.test(command=command):
            ran = subprocess.run([sys.executable, "-c", MODULES, command], capture_output=True, text=True, check=True)
            imported = set(ran.stdout.split())
            assert "app.cli" in imported
            assert imported & without == set()


@pytest.mark.parametrize("arguments", [["--version"], ["--version", "sql"]])
def test_the_version_is_that_of_the_package(arguments: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    ran = wardlake(*arguments)
    assert (ran.code, ran.out, ran.err) == (0, f"wardlake {project['version']}\n", "")


def test_the_help_names_the_version() -> None:
    ran = wardlake("--help")
    assert ran.code == 0
    assert "--version" in ran.out
