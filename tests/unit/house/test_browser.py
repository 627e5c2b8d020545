"""How a browser is found and fetched, and what a run of tests says where there is none. Nothing is installed here."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support import browser
from tests.support.browser import Way, fetch, find, ways

ROOT: Final = Path(__file__).resolve().parents[3]
STARTS: Final = "#!/bin/sh\nexit 0\n"
OF_PLAYWRIGHT: Final = browser._of_playwright
DOES_NOT: Final = "#!/bin/sh\necho 'requires the chromium snap to be installed' >&2; exit 1\n"


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine without a browser: the folder that is its whole PATH, empty."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "playwright"))
    monkeypatch.setattr(browser, "_of_playwright", lambda: iter(()))  # its driver is slow to start
    monkeypatch.setattr(browser, "_NAMES", [name for name in browser._NAMES if not name.startswith("/")])
    find.cache_clear()
    yield folder
    find.cache_clear()


def program(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("name", ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "msedge"])
def test_a_browser_on_the_path_is_found(bare: Path, name: str) -> None:
    assert find() is None
    find.cache_clear()
    path = program(bare / name, STARTS)
    assert find() == path


def test_one_that_does_not_start_is_passed_over(bare: Path) -> None:
    program(bare / "chromium-browser", DOES_NOT)
    program(bare / "google-chrome", "not a program")
    path = program(bare / "microsoft-edge", STARTS)
    assert find() == path


def test_what_playwright_has_downloaded_is_found(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "_of_playwright", OF_PLAYWRIGHT)
    assert find() is None
    find.cache_clear()
    with browser.sync_playwright() as playwright:
        path = program(Path(playwright.chromium.executable_path), STARTS)
    assert find() == path


def test_the_ways_are_tried_until_there_is_a_browser(bare: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    program(made, STARTS)
    move = f"import os; os.rename({str(made)!r}, {str(bare / 'chromium')!r})"
    tried = [
        Way("one that fails", ((sys.executable, "-c", "raise SystemExit('no network')"), ("never",)), 30),
        Way("one that hangs", ((sys.executable, "-c", "import time; time.sleep(60)"),), 0.1),
        Way("one that lies", ((sys.executable, "-c", ""),), 30),
        Way("one that works", ((sys.executable, "-c", ""), (sys.executable, "-c", move)), 30),
        Way("one too many", (("never",),), 30),
    ]
    log = tmp_path / "log"
    assert fetch(tried[:3], log) == [
        "one that fails: exit status 1",
        "one that hangs: not done within 0.1 s",
        "one that lies: what it installed does not start",
    ]
    assert "no network" in log.read_text()
    assert len(fetch(tried, log)) == 3
    assert find() == str(bare / "chromium")
    assert not log.exists()


def test_what_failed_is_not_tried_again_unless_asked_for(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "no-browser"
    fails = Way("a download", ((sys.executable, "-c", "raise SystemExit(3)"),), 30)
    monkeypatch.setattr(browser, "TRIED", log)
    monkeypatch.setattr(browser, "ways", lambda: [fails])
    failed = f"browser: none could be fetched (a download: exit status 3); see {log}; 'make browser' tries again\n"
    for retry in (False, True):
        browser.main(retry=retry)
        assert capsys.readouterr().out == f"browser: none is here; trying a download ...\n{failed}"
    browser.main(retry=False)
    assert capsys.readouterr().out == failed.replace("a download: exit status 3", "tried before")
    path = program(bare / "chromium", STARTS)
    find.cache_clear()
    browser.main(retry=False)
    assert capsys.readouterr().out == f"browser: {path}\n"


@pytest.mark.parametrize(("user", "apt"), [(0, True), (1000, False)])
def test_apt_is_a_way_for_root_where_it_is(bare: Path, monkeypatch: pytest.MonkeyPatch, user: int, apt: bool) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert [way.name for way in ways()] == ["Playwright's download"]
    program(bare / "apt-get", STARTS)
    assert ("apt-get" in [way.name for way in ways()]) is apt


def run_pytest(bare: Path, ci: str) -> tuple[int, str]:
    """Run two tests on the bare machine, of which one needs a browser; exit code and output."""
    tests = bare.parent / "test_two.py"
    tests.write_text(
        "import pytest\n\n\n@pytest.mark.browser\ndef test_page():\n    pass\n\n\ndef test_other():\n    pass\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-c", "pyproject.toml", "-p", "tests.conftest", str(tests)]
    environment = os.environ | {"CI": ci}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)
    return run.returncode, run.stdout


@pytest.mark.parametrize(("ci", "status", "counts"), [("", 0, "1 passed, 1 skipped"), ("true", 1, "1 passed, 1 error")])
def test_a_run_without_a_browser_says_so_last_and_fails_in_ci(bare: Path, ci: str, status: int, counts: str) -> None:
    code, out = run_pytest(bare, ci)
    last = "browser tests: 1 did not run; no Chromium, Chrome or Edge was found; install one, or run 'make browser'"
    assert (code, out.splitlines()[-1]) == (status, last)
    assert counts in out


def test_without_a_browser_a_page_cannot_be_opened(bare: Path) -> None:
    with pytest.raises(SystemExit, match="no Chromium, Chrome or Edge was found"), browser.chromium():
        pass
