"""``wardlake dashboard``: started, asked by a browser, stopped, and nothing left of it."""

import http.client
import signal
import socket
import sys
from pathlib import Path
from typing import Final

import psutil
import pytest

from app.services.child_process import free_port
from tests.support.commands import Place, Running
from tests.support.lakes import KEY_TEXT, wardlake
from tests.support.prefects import until

LINUX_ONLY: Final = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the loopback has one address")


def address(running: Running) -> tuple[str, int]:
    """Host and port that it says it is at, once it does."""
    running.wait_for(lambda lines: any(line.startswith("dashboards at ") for line in lines), "the dashboards")
    [line] = [line for line in running.lines if line.startswith("dashboards at ")]
    host, port = line.removeprefix("dashboards at http://").removesuffix("; Ctrl-C stops them").split(":")
    return host, int(port)


def started(running: Running) -> psutil.Process:
    """The Streamlit process that it started."""

    def found() -> psutil.Process | None:
        children = psutil.Process(running.process.pid).children()
        return next((one for one in children if "streamlit" in one.cmdline()), None)

    process: psutil.Process = until(found, "Streamlit")
    return process


def status(at: tuple[str, int], path: str, **headers: str) -> int:
    asked = http.client.HTTPConnection(*at, timeout=10)
    asked.request("GET", path, headers=headers)
    answered = asked.getresponse().status
    asked.close()
    return answered


def statuses(at: tuple[str, int], host: str, origin: str) -> list[int]:
    """What a page of ``origin`` gets that asks for the first page, for an API and for the web socket of ``host``."""
    asked = {"Host": host, "Origin": origin}
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    key = {"Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg=="}
    plain = [status(at, path, **asked) for path in ("/", "/_stcore/health")]
    return [*plain, status(at, "/_stcore/stream", **asked, **upgrade, **key)]


SERVED: Final = [200, 200, 101]
REFUSED: Final = [403, 403, 403]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", pytest.param("127.0.0.2", marks=LINUX_ONLY)])
def test_pages_of_other_hosts_and_origins_get_nothing_wherever_it_listens(tmp_path: Path, host: str) -> None:
    place = Place(tmp_path, {"WARDLAKE_DASHBOARD_ORIGINS": "https://dash.example.org http://ward-server:8080"})
    with place.running("dashboard", "--host", host, "--port", "0") as running:
        at = address(running)
        own = f"{at[0]}:{at[1]}"
        assert statuses(at, own, f"http://{own}") == SERVED
        assert statuses(at, "dash.example.org", "https://dash.example.org") == SERVED
        assert statuses(at, "ward-server:8080", "http://ward-server:8080") == SERVED
        # A name of somebody else's that leads here, another port of this machine, a page from anywhere.
        assert statuses(at, f"evil.test:{at[1]}", f"http://evil.test:{at[1]}") == REFUSED
        assert statuses(at, own, f"http://localhost:{at[1] + 1}") == REFUSED
        assert statuses(at, own, "http://evil.test") == REFUSED
        assert statuses(at, "dash.example.org", "http://dash.example.org") == REFUSED
        assert status(at, "/", Host="evil.test") == 403
        opened = socket.create_connection(at)  # a browser that is still there does not hold up the end
        assert running.stop(signal.SIGTERM) == 0
        opened.close()


def test_it_serves_this_machine_without_the_key_and_says_when_it_dies(tmp_path: Path) -> None:
    secured = {"SECURITY_PROTOCOL": "sasl_ssl", "SASL_USERNAME": "me", "SASL_PASSWORD": "mine alone"}
    place = Place(
        tmp_path,
        {"WARDLAKE_KEY": KEY_TEXT, "WARDLAKE_TOPIC": "mine"}
        | {
            "PREFECT_API_AUTH_STRING": "owner:mine",
            "WARDLAKE_PREFECT_AUTH_FILE": "owner/auth",
            "PREFECT_API_KEY": "mine",
        }
        | {f"WARDLAKE_KAFKA_{name}": value for name, value in secured.items()},
    )
    with place.running("dashboard", "--port", "0", "--kafka", "127.0.0.1:1") as running:
        host, port = address(running)
        assert host == "127.0.0.1"
        assert statuses((host, port), f"localhost:{port}", f"http://localhost:{port}") == SERVED
        child = started(running)
        told = child.environ()
        assert {name for name in told if "KEY" in name and name.startswith("WARDLAKE")} == {"WARDLAKE_DEDUP_KEY"}
        assert not [name for name in told if name.startswith(("WARDLAKE_KAFKA_SASL_U", "WARDLAKE_KAFKA_SASL_P"))]
        assert not [name for name in told if "PREFECT" in name]
        assert told["WARDLAKE_KAFKA_SECURITY_PROTOCOL"] == "sasl_ssl"
        assert told["WARDLAKE_LAKE"] == str(tmp_path / "data" / "lake")
        assert (told["WARDLAKE_KAFKA"], told["WARDLAKE_TOPIC"]) == ("127.0.0.1:1", "mine")
        assert {one.laddr.ip for one in child.net_connections() if one.status == "LISTEN"} == {"127.0.0.1"}
        child.kill()
        assert running.process.wait(30) == 2
    assert running.lines[-1].startswith(
        "wardlake: the dashboards ended by themselves; got exit status -9; expected an "
    )
    assert list(tmp_path.iterdir()) == []


def test_beyond_this_machine_it_warns_and_sigterm_leaves_nothing(tmp_path: Path) -> None:
    port = free_port()
    with Place(tmp_path).running("dashboard", "--host", "0.0.0.0", "--port", str(port)) as running:
        assert address(running) == ("127.0.0.1", port)
        assert running.lines[0].startswith(
            "warning: others reach them at 0.0.0.0; figures are public (rounded) unless sign-in"
        )
        refused = Place(tmp_path).run("dashboard", "--port", str(port))
        assert refused.code == 2
        assert refused.err == (
            f"wardlake: the dashboards cannot listen on 127.0.0.1:{port}; got Address already in use; expected a free "
            "port of an address of this machine; stop what uses it, or choose another with --port or --host\n"
        )
        child = started(running)
        assert running.stop(signal.SIGTERM) == 0
    assert not child.is_running()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_ctrl_c_while_it_starts_ends_it_too(tmp_path: Path) -> None:
    with Place(tmp_path).running("dashboard", "--port", "0") as running:
        child = started(running)
        assert running.stop(signal.SIGINT) == 0
        assert running.lines == []
    assert not child.is_running()


WRONG: Final = [
    (("--origin", "dash.example.org"), "--origin (WARDLAKE_DASHBOARD_ORIGINS) is wrong; got 'dash.example.org'; "),
    (("--host", "no.such.host.invalid"), "the dashboards cannot listen on no.such.host.invalid:8501; got "),
    (("--host", "192.0.2.1"), "the dashboards cannot listen on 192.0.2.1:8501; got Cannot assign requested address; "),
    (("--kafka", "nonsense"), "--kafka is wrong; got 'nonsense'; expected host:port"),
]


@pytest.mark.parametrize(("flags", "said"), WRONG)
def test_what_cannot_be_is_one_line(flags: tuple[str, ...], said: str) -> None:
    ran = wardlake("dashboard", *flags)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"wardlake: {said}")
    assert ran.err.count("\n") == 1


def test_an_installation_without_dashboards_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dashboards", None)
    ran = wardlake("dashboard")
    assert ran.code == 2
    assert ran.err.startswith("wardlake: the dashboards are not there; got no package 'dashboards'; expected ")
