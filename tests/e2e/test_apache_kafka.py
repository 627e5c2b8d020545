"""Apache Kafka itself, with TLS and sign-in by each mechanism. It is Java, so where its jars were fetched only.

``make bench-spark ARGS="spark-footprint"`` fetches them, into ``.spark/kafka``.
"""

import contextlib
import shutil
import socket
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from app.services.child_process import free_port
from tests.support.commands import ROOT, SAMPLE, Place
from tests.support.tls import HOST, Authority

JARS: Final = ROOT / ".spark" / "kafka"
PASSWORD: Final = "of the test"
MODULES: Final = {"PLAIN": "plain.Plain", "SCRAM-SHA-256": "scram.Scram", "SCRAM-SHA-512": "scram.Scram"}
READY_SECONDS: Final = 60.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (JARS.is_dir() and shutil.which("java")), reason="no Java, or no jars of Kafka here"),
]


@dataclass(frozen=True)
class Secured:
    """A broker, and the authority that its certificate is of."""

    address: str
    authority: Path

    def place(self, folder: Path, mechanism: str, password: str = PASSWORD) -> Place:
        """A place whose settings name it; the topic is the mechanism's own."""
        settings = {
            "KAFKA": self.address,
            "KAFKA_SECURITY_PROTOCOL": "sasl_ssl",
            "KAFKA_SASL_MECHANISM": mechanism,
            "KAFKA_SASL_USERNAME": "wardlake",
            "KAFKA_SASL_PASSWORD": password,
            "KAFKA_SSL_CA": str(self.authority),
            "TOPIC": mechanism,
            "GROUP": mechanism,
        }
        return Place(folder, {f"WARDLAKE_{name}": value for name, value in settings.items()})


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("kafka")
    authority = Authority(folder, "hospital")
    address, properties = configured(folder, authority)
    cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    users = [f"{name}=[name=wardlake,password={PASSWORD}]" for name in MODULES if name.startswith("SCRAM")]
    added = [argument for user in users for argument in ("--add-scram", user)]
    format_it = ("kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "--config", properties, *added)
    assert java(folder, *format_it).wait(READY_SECONDS) == 0
    broker = java(folder, "kafka.Kafka", properties)
    try:
        wait_for(address, broker)
        yield Secured(address, authority.certificate)
    finally:
        broker.kill()
        broker.wait()


def configured(folder: Path, authority: Authority) -> tuple[str, str]:
    """The address of a broker that is to be, and its properties."""
    identity, port, controller = authority.issue("kafka"), free_port(), free_port()
    store = folder / "store.pem"
    store.write_text(identity.key.read_text() + identity.certificate.read_text())
    lines = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{HOST}:{controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"SASL_SSL://{HOST}:{port},CONTROLLER://{HOST}:{controller}",
        "listener.security.protocol.map": "SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "SASL_SSL",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "sasl.enabled.mechanisms": ",".join(MODULES),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": store,
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": authority.certificate,
        "offsets.topic.replication.factor": 1,
        "log.dirs": folder / "log",
    }
    for mechanism, module in MODULES.items():
        known = f' user_broker="{PASSWORD}" user_wardlake="{PASSWORD}"' if mechanism == "PLAIN" else ""
        lines[f"listener.name.sasl_ssl.{mechanism.lower()}.sasl.jaas.config"] = (
            f"org.apache.kafka.common.security.{module}LoginModule required "
            f'username="broker" password="{PASSWORD}"{known};'
        )
    properties = folder / "server.properties"
    properties.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    return f"{HOST}:{port}", str(properties)


def java(folder: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    """Kafka's own program; what it says goes to ``said``."""
    with (folder / "said").open("ab") as said:
        command = ["java", "-Xmx512m", "-cp", f"{JARS}/*", *arguments]
        return subprocess.Popen(command, cwd=folder, stdout=said, stderr=said)


def wait_for(address: str, broker: "subprocess.Popen[bytes]") -> None:
    """Return once it listens: it does when it is up."""
    host, _, port = address.partition(":")
    deadline = time.monotonic() + READY_SECONDS
    while broker.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
            return
        time.sleep(0.1)
    pytest.fail("Kafka did not start")


@pytest.mark.parametrize("mechanism", list(MODULES))
def test_the_sample_goes_through(secured: Secured, tmp_path: Path, mechanism: str) -> None:
    here = secured.place(tmp_path, mechanism)
    assert "published: 1,000 of 1,000 messages delivered" in here.works("produce", "file", SAMPLE).err
    assert PASSWORD not in here.works("stream", "--until-caught-up").err
    assert here.works("verify").out.endswith("verified: every check holds\n")
    status = here.look("status", "--json").json
    assert status["messages"] == {"messages": 1000, "silver": 970, "quarantined": 10, "duplicates": 20, "ignored": 0}
    assert sum(partition["lag"] for partition in status["lag"]) == 0


def test_a_wrong_password_is_told(secured: Secured, tmp_path: Path) -> None:
    ran = secured.place(tmp_path, "SCRAM-SHA-512", "another").run("stream")
    assert ran.code == 2
    assert ran.err.startswith(f"wardlake: no way in to Kafka at {secured.address}; got _AUTHENTICATION; ")
    assert "another" not in ran.err
