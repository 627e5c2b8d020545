"""House rules that no linter knows: what may not be in the tree, and that the locks are complete."""

import fnmatch
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).resolve().parents[3]
MAX_BYTES: Final = 1_000_000

# Folders of somebody's machine: a path that works nowhere else. Not the middle of a longer path or address.
MACHINE_PATH: Final = re.compile(r"(?<![\w.~-])/(?:root|work|home)/")
# Package registries: which one serves a package is the machine's business, not the project's.
REGISTRY: Final = re.compile(
    r"pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|crates\.io|proxy\.golang\.org|maven\.(?:apache\.)?org|deb\.debian\.org",
    re.IGNORECASE,
)
PIN: Final = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)", re.MULTILINE)


def tree() -> Iterator[Path]:
    """Yield every file of the project: all but what .gitignore names (by name only) and .git itself."""
    lines = (ROOT / ".gitignore").read_text().splitlines()
    ignored = [".git", *(line.rstrip("/") for line in lines if line and not line.startswith("#"))]

    def kept(names: list[str]) -> list[str]:
        return [name for name in names if not any(fnmatch.fnmatch(name, pattern) for pattern in ignored)]

    for folder, folders, files in os.walk(ROOT):
        folders[:] = kept(folders)
        yield from (Path(folder, name) for name in kept(files))


def texts() -> Iterator[tuple[str, str]]:
    for path in tree():
        raw = path.read_bytes()
        if b"\0" not in raw:
            yield path.relative_to(ROOT).as_posix(), raw.decode("utf-8", "replace")


def places(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name}:{number}"
        for name, text in texts()
        if pattern.search(text)
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_path_of_a_machine_is_in_the_tree() -> None:
    assert places(MACHINE_PATH) == []


def test_no_registry_host_is_in_the_tree() -> None:
    assert places(REGISTRY) == []


def test_no_file_is_large() -> None:
    large = [f"{path.relative_to(ROOT)}" for path in tree() if path.stat().st_size > MAX_BYTES]
    assert large == []


def test_there_is_one_lock_and_it_is_requirements_lock() -> None:
    assert not (ROOT / "uv.lock").exists()
    assert (ROOT / "requirements.lock").exists()


def test_every_requirement_is_pinned_with_hashes(subtests: pytest.Subtests) -> None:
    for name in ["requirements.lock", "requirements-run.lock", "requirements-uv.lock"]:
        with subtests.test(name=name):
            text = (ROOT / name).read_text()
            entries = [line for line in text.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
            assert entries
            assert [line.split()[0] for line in entries if not PIN.match(line) or "--hash=sha256:" not in line] == []


def test_the_lock_answers_every_dependency_of_pyproject() -> None:
    pinned = {
        canonicalize_name(found["name"]): found["version"]
        for found in PIN.finditer((ROOT / "requirements.lock").read_text())
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [Requirement(text) for text in [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]]
    stale = [
        str(one)
        for one in wanted
        if not one.specifier.contains(pinned.get(canonicalize_name(one.name), "0"))
        or canonicalize_name(one.name) not in pinned
    ]
    assert stale == [], "run `make lock`"


def test_what_the_image_runs_on_is_what_the_tests_run_on() -> None:
    run, full = (
        {found["name"]: found["version"] for found in PIN.finditer((ROOT / name).read_text())}
        for name in ("requirements-run.lock", "requirements.lock")
    )
    assert run.items() <= full.items(), "run `make lock`"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = {canonicalize_name(Requirement(text).name) for text in project["project"]["dependencies"]}
    assert needed <= run.keys(), "run `make lock`"
    assert {"pytest", "mypy", "playwright"}.isdisjoint(run)


def test_the_makefile_and_its_lock_pin_the_same_uv() -> None:
    version = re.search(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert version is not None
    assert f"uv=={version[1]} " in (ROOT / "requirements-uv.lock").read_text(), "run `make lock`"


@pytest.mark.parametrize("command", ["make demo", "make test"])
def test_the_readme_shows_the_first_commands(command: str) -> None:
    assert command in (ROOT / "README.md").read_text()
