"""What every test gets: a foreign time zone, a clean environment, a real broker, and nothing left behind."""

import os
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil
import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from hypothesis import settings as hypothesis_settings

from app.services.broker import EmbeddedBroker
from flows.priority import NICENESS, lower_priority
from tests.support import browser, topics

ROOT: Final = Path(__file__).resolve().parents[1]
PARTITIONS: Final = 4
_WITHOUT_BROWSER: Final = pytest.StashKey[int]()

# A zone that nobody runs in, off by a fraction of an hour: code that reads the local clock fails here first.
# Set at import, so that processes which tests start have it too.
os.environ["TZ"] = "Asia/Kathmandu"
if hasattr(time, "tzset"):
    time.tzset()

# Read before any test, as ``topics.OUTSIDE`` is.
_HYPOTHESIS_PROFILE: Final = os.environ.get("WARDLAKE_HYPOTHESIS", "ci")

# No example database: a failure prints its example, and the tree stays as it was.
hypothesis_settings.register_profile(
    "ci", max_examples=25, derandomize=True, deadline=None, database=None, print_blob=True
)
hypothesis_settings.register_profile("thorough", max_examples=1000, deadline=None, database=None, print_blob=True)
hypothesis_settings.load_profile(_HYPOTHESIS_PROFILE)


def pytest_configure() -> None:
    """Let Ctrl-C through: what a shell starts in the background ignores it, and so would all that the tests start.

    And give way as flows do, but by one less: beside tests of the usual priority a flow hardly gets a turn. On one core
    a test of flows took 131 s, and takes 33 so.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    lower_priority(NICENESS - 1)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a browser where there is none, before anything is started for it; in CI it fails."""
    if item.get_closest_marker("browser") and not browser.find():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(browser.MISSING)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Count the tests that had no browser."""
    reports = [one for kind in ("skipped", "error") for one in terminalreporter.stats.get(kind, [])]
    config.stash[_WITHOUT_BROWSER] = sum(browser.MISSING in one.longreprtext for one in reports)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Say on the last line of all that tests had no browser: a skip is easily overlooked."""
    if tests := config.stash.get(_WITHOUT_BROWSER, 0):
        print(f"browser tests: {tests} did not run; {browser.MISSING}")  # noqa: T201


def pytest_xdist_auto_num_workers() -> int:
    """Two more workers than cores: a third of the time of stories is waiting, for a broker's group or a timeout.

    The suite takes 649 s on two cores with three of them, 581 with four.
    """
    return (os.cpu_count() or 1) + 2


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the developer's own WARDLAKE_ and PREFECT_ variables."""
    for name in [name for name in os.environ if name.upper().startswith(("WARDLAKE_", "PREFECT_"))]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session", autouse=True)
def _no_process_left() -> Iterator[None]:
    """Fail the session when a test left a process running."""
    yield
    left = [_described(child) for child in psutil.Process().children(recursive=True)]
    # multiprocessing's own tracker lives as long as the interpreter.
    left = [command for command in left if command and "resource_tracker" not in command]
    assert not left, f"processes left running: {left}"


@pytest.fixture(scope="session")
def broker(_no_process_left: None) -> Iterator[str]:
    """Bootstrap address of a Kafka: what WARDLAKE_TEST_KAFKA names, else an embedded one per test process."""
    if topics.OUTSIDE:
        yield topics.OUTSIDE
        return
    with EmbeddedBroker() as embedded:
        yield embedded.bootstrap


@pytest.fixture(scope="session")
def admin(broker: str) -> AdminClient:
    """Return a Kafka admin client, silent when the broker goes away."""
    return AdminClient({"bootstrap.servers": broker, "log_level": 0})


@pytest.fixture
def topic(admin: AdminClient) -> Iterator[str]:
    """Name of a new topic with 4 partitions; afterwards it may go."""
    name = f"test.{uuid.uuid4().hex}"
    admin.create_topics([NewTopic(name, num_partitions=PARTITIONS, replication_factor=1)])[name].result(10)
    _wait_for_partitions(admin, name)
    yield name
    topics.give_up(admin, name)


def _wait_for_partitions(admin: AdminClient, topic: str) -> None:
    # A Kafka of several nodes answers before all of them know the topic.
    deadline = time.monotonic() + 10
    while len(admin.list_topics(topic, timeout=10).topics[topic].partitions) != PARTITIONS:
        assert time.monotonic() < deadline, f"topic {topic} has not come up"
        time.sleep(0.05)


def _described(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()) if process.status() != psutil.STATUS_ZOMBIE else ""
    except psutil.NoSuchProcess:
        return ""
