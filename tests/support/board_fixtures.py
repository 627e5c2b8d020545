"""Fixtures for dashboards: lakes, made once, and pages run by Streamlit's own ``AppTest``.

A test module takes them with ``pytest_plugins = ("tests.support.board_fixtures",)``, so that a session makes each lake
once.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit import config
from streamlit.testing.v1 import AppTest

from dashboards.shared.settings import settings
from tests.support import lakes
from tests.support.boards import MAIN, SIMULATED, Open, build, few_visits, forget
from tests.support.commands import SECONDS


@pytest.fixture(scope="session")
def simulated_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of 20,000 events over some weeks of two months, with Gold. Not to be changed: see ``own_lake``."""
    root = tmp_path_factory.mktemp("dashboards") / "lake"
    build(lakes.make_lake(root, lakes.messages_of(SIMULATED)))
    return root


@pytest.fixture
def own_lake(simulated_lake: Path, tmp_path: Path) -> Path:
    """A copy of ``simulated_lake`` that a test may change."""
    return Path(shutil.copytree(simulated_lake, tmp_path / "lake", symlinks=True))


@pytest.fixture(scope="session")
def empty_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with Gold but no visit: all that landed is broken."""
    root = tmp_path_factory.mktemp("empty") / "lake"
    build(lakes.make_lake(root, [(0, b"broken")]))
    return root


@pytest.fixture(scope="session")
def small_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One facility, one department, one doctor, and on most days few patients."""
    root = tmp_path_factory.mktemp("small") / "lake"
    build(lakes.make_lake(root, [(number % 4, message) for number, message in enumerate(few_visits())]))
    return root


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Run a page of the dashboards, on the loopback unless told; nothing is kept in Streamlit's caches afterwards."""
    before = st.get_option("server.address")

    def opened(
        lake: Path,
        page: str,
        *,
        address: str = "127.0.0.1",
        secrets: dict[str, Any] | None = None,
        user: dict[str, Any] | None = None,
        **url: str | list[str],
    ) -> AppTest:
        monkeypatch.setenv("WARDLAKE_LAKE", str(lake))
        config.set_option("server.address", address)
        settings.cache_clear()
        test = AppTest.from_file(MAIN, default_timeout=SECONDS)
        for name, value in (secrets or {}).items():
            test.secrets[name] = value
        if user is not None:
            test.user = user
        for name, value in url.items():
            test.query_params[name] = value
        test.run()
        return test if page == "admissions" or not test.title else test.switch_page(f"screens/{page}/page.py").run()

    yield opened
    config.set_option("server.address", before)
    forget()
