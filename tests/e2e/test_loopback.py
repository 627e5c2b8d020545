"""Whatever the demo starts listens on this machine alone: broker, Prefect, dashboards, and their children."""

import signal
from pathlib import Path

import psutil
import pytest

from tests.support.commands import Place, Running
from tests.support.prefects import until

LOOPBACK = {"127.0.0.1", "::1"}


def listening(running: Running) -> dict[int, str]:
    """Port → address, of the process and all that it started."""
    own = psutil.Process(running.process.pid)
    found = {}
    for one in [own, *own.children(recursive=True)]:
        try:
            found |= {c.laddr.port: c.laddr.ip for c in one.net_connections("inet") if c.status == psutil.CONN_LISTEN}
        except psutil.Error:  # it has ended
            continue
    return found


def test_the_broker_listens_on_this_machine_alone(tmp_path: Path) -> None:
    with Place(tmp_path).running("broker", "--port", "0") as running:
        assert set(until(lambda: listening(running), "the broker").values()) <= LOOPBACK
        assert running.stop(signal.SIGTERM) == 0


def test_the_dashboards_listen_on_this_machine_alone(tmp_path: Path) -> None:
    with Place(tmp_path).running("dashboard", "--port", "0", "--kafka", "127.0.0.1:1") as running:
        running.wait_for(lambda lines: any(line.startswith("dashboards at ") for line in lines), "the dashboards")
        assert set(until(lambda: listening(running), "the dashboards").values()) <= LOOPBACK
        assert running.stop(signal.SIGTERM) == 0


@pytest.mark.slow
def test_the_whole_demo_listens_on_this_machine_alone(tmp_path: Path) -> None:
    with Place(tmp_path).running("demo", "--events", "2000", "--live") as running:
        found = until(lambda: ports if len(ports := listening(running)) >= 3 else None, "broker, dashboards, Prefect")
        assert set(found.values()) <= LOOPBACK
        running.wait_for(lambda lines: any(line.startswith("live: ") for line in lines), "all of it")
        assert running.stop(signal.SIGINT) in {0, 130}  # 130: it was still starting something
