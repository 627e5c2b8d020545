"""The browser of tests, benchmarks and pictures: found, fetched where there is none, and opened.

``python -m tests.support.browser`` (``make browser``) looks for one and fetches one; nothing else does. ``make test``
calls it before pytest, so that no test installs or downloads anything.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final

from playwright.sync_api import Page, expect, sync_playwright

PATIENCE: Final = 60_000
"""Milliseconds for a page to show what it is to show: CI machines are busy."""

MISSING: Final = "no Chromium, Chrome or Edge was found; install one, or run 'make browser'"
TRIED: Final = Path(sys.prefix) / "no-browser"
"""What fetching printed where it gave no browser. While it is there, only ``make browser`` and CI try again."""

_NAMES: Final = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "msedge", "microsoft-edge"),
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
)
_ARGUMENTS: Final = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1, EXCLUDE localhost"]
"""No address but this machine's is found: what is shown asks for nothing outside."""
_START_SECONDS: Final = 30


@dataclass(frozen=True)
class Way:
    """A way to fetch a browser: commands that are to succeed one after the other, and for how long all may run."""

    name: str
    commands: tuple[tuple[str, ...], ...]
    seconds: float


@cache
def find() -> str | None:
    """Path of a browser that starts, if any: one on the PATH, one of macOS's applications, else Playwright's own."""
    named = (path for name in _NAMES if (path := shutil.which(name)))
    return next((path for path in chain(named, _of_playwright()) if _starts(path)), None)


def _of_playwright() -> Iterator[str]:
    # Asked only when there is no other: the question starts Playwright's driver, half a second.
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    if Path(path).exists():
        yield path


def _starts(path: str) -> bool:
    """Whether it runs at all: Ubuntu's chromium-browser may be a notice to install a snap, libraries may be missing."""
    try:
        asked = subprocess.run([path, "--version"], capture_output=True, check=False, timeout=_START_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0


def ways() -> list[Way]:
    """The ways to fetch a browser on this machine, in the order to try them."""
    playwright = (sys.executable, "-m", "playwright", "install", "--no-shell", "chromium")
    found = [Way("Playwright's download", (playwright,), 300)]
    if (apt := shutil.which("apt-get")) and os.geteuid() == 0:
        options = ("-qq", "--no-install-recommends", "--yes")
        found.append(Way("apt-get", ((apt, "update", "-qq"), (apt, "install", *options, "chromium")), 600))
    return found


def fetch(tried: Iterable[Way], log: Path) -> list[str]:
    """Try one way after the other until there is a browser; returns why those before it did not do.

    ``log`` gets what they print, and is removed once there is a browser.
    """
    failures = []
    with log.open("wb") as output:
        for way in tried:
            _say(f"none is here; trying {way.name} ...")
            failure = _failure(way, output)
            find.cache_clear()
            if find():
                log.unlink()
                return failures
            failures.append(f"{way.name}: {failure or 'what it installed does not start'}")
    return failures


def _failure(way: Way, output: BinaryIO) -> str | None:
    """Run the commands of a way; why it failed, if it did. Nothing of them runs on afterwards."""
    deadline = time.monotonic() + way.seconds
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in way.commands:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, process_group=0
        )
        try:
            code = process.wait(max(deadline - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            return f"not done within {way.seconds:g} s"
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if code:
            return f"exit status {code}"
    return None


def main(*, retry: bool) -> None:
    """Have a browser, if one can be had; one line says which, or why there is none."""
    failures = ["tried before"] if TRIED.exists() and not retry else []
    if not find() and not failures:
        failures = fetch(ways(), TRIED)
    if found := find():
        _say(found)
    else:
        _say(f"none could be fetched ({'; '.join(failures)}); see {TRIED}; 'make browser' tries again")


def _say(line: str) -> None:
    print(f"browser: {line}", flush=True)  # noqa: T201


@contextmanager
def chromium(width: int = 1280, height: int = 900) -> Iterator[Page]:
    """A page of a browser that sees nothing but this machine. Raises ``SystemExit`` where there is none."""
    executable = find()
    if executable is None:
        raise SystemExit(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=_ARGUMENTS)
        try:
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="light")
            page.set_default_timeout(PATIENCE)
            expect.set_options(timeout=PATIENCE)
            yield page
        finally:
            browser.close()


if __name__ == "__main__":
    # CI starts from a bare machine, and a browser that is missing there fails its run.
    main(retry="--retry" in sys.argv or os.environ.get("CI") == "true")
