"""Footprint of Apache Kafka on the JVM: one broker (KRaft), seconds until it answers, and memory while idle.

``python -m benchmarks.spark.kafka_footprint OUT``, in the project's own environment. Needs Java and Maven.
"""

import json
import subprocess
import sys
import tempfile
import time
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from app.services.child_process import HOST, free_port
from benchmarks.harness.measure import Figures, tree_mb

_HERE: Final = Path(__file__).resolve().parent
_JARS: Final = _HERE.parents[1] / ".spark" / "kafka"
_HEAP: Final = ("-Xmx1g", "-Xms1g")
"""As Kafka's own start script sets it."""
_READY_SECONDS: Final = 120.0


def run(idle_seconds: float = 20) -> Figures:
    """Start a broker, let it idle: ``start_seconds``, ``resident_mb``. Raises ``SystemExit`` if it does not start."""
    _fetch()
    with tempfile.TemporaryDirectory() as scratch:
        port, properties = _configured(Path(scratch))
        started = time.perf_counter()
        broker = _java("kafka.Kafka", str(properties), heap=_HEAP)
        try:
            _wait(broker, port)
            ready = time.perf_counter() - started
            time.sleep(idle_seconds)
            return {"start_seconds": ready, "resident_mb": tree_mb(broker.pid)}
        finally:
            broker.kill()
            broker.wait()


def _fetch() -> None:
    """Put Kafka's jars into ``.spark/kafka``, once."""
    if not _JARS.exists():
        command = ["mvn", "-q", "-B", "-f", str(_HERE / "pom.xml"), "dependency:copy-dependencies"]
        subprocess.run([*command, "-DincludeScope=runtime", f"-DoutputDirectory={_JARS}"], check=True)


def _configured(scratch: Path) -> tuple[int, Path]:
    """A broker's port, and its properties; its folder is formatted."""
    port, controller = free_port(), free_port()
    properties = scratch / "server.properties"
    lines = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{HOST}:{controller}",
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(scratch / "log"),
        "offsets.topic.replication.factor": "1",
    }
    properties.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    tool = _java("kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "--config", str(properties))
    if tool.wait():
        raise SystemExit("Kafka's storage was not formatted")
    return port, properties


def _java(main: str, *arguments: str, heap: tuple[str, ...] = ()) -> "subprocess.Popen[bytes]":
    command = ["java", *heap, "-cp", f"{_JARS}/*", main, *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _wait(broker: "subprocess.Popen[bytes]", port: int) -> None:
    """Return once the broker answers."""
    client = AdminClient({"bootstrap.servers": f"{HOST}:{port}", "log_level": 0})
    deadline = time.perf_counter() + _READY_SECONDS
    while time.perf_counter() < deadline and broker.poll() is None:
        try:
            if client.list_topics(timeout=1).brokers:
                return
        except KafkaException:
            continue
    raise SystemExit("Kafka did not start")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(run()))
