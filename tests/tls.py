"""TLS before the embedded broker, which has none: certificates of a day, and a proxy that asks for the client's."""

import contextlib
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST: Final = "127.0.0.1"
_LENGTH: Final = 4


@dataclass(frozen=True)
class Identity:
    """A certificate and its key, PEM files."""

    certificate: Path
    key: Path


class Authority:
    """A certificate authority of a day, its files in ``folder``."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = _named(name)
        made = _certificate(self._subject, self._subject, self._key.public_key())
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.certificate = folder / f"{name}.pem"
        self.certificate.write_bytes(_pem(made.sign(self._key, hashes.SHA256())))

    def issue(self, name: str) -> Identity:
        """A certificate for ``name`` on this machine."""
        key = ec.generate_private_key(ec.SECP256R1())
        here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))])
        made = _certificate(_named(name), self._subject, key.public_key()).add_extension(here, critical=False)
        issued = Identity(self._folder / f"{self._name}-{name}.pem", self._folder / f"{self._name}-{name}.key")
        issued.certificate.write_bytes(_pem(made.sign(self._key, hashes.SHA256())))
        issued.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return issued


@contextlib.contextmanager
def tls_before(broker: str, server: Identity, clients_of: Path | None = None) -> Iterator[str]:
    """``host:port`` that speaks TLS as ``server`` and hands on to ``broker``; with ``clients_of``, to clients of that
    authority only.

    What the broker says of its own address is made this one, of the same length, in whole responses.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate, server.key)
    if clients_of is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients_of)
    behind = int(broker.rpartition(":")[2])
    with socket.create_server((HOST, 0)) as listening:
        port = listening.getsockname()[1]
        accepting = threading.Thread(target=_accept, args=(listening, context, behind, port), daemon=True)
        accepting.start()
        yield f"{HOST}:{port}"
        listening.shutdown(socket.SHUT_RDWR)
    accepting.join(5)


def _accept(listening: socket.socket, context: ssl.SSLContext, behind: int, port: int) -> None:
    while True:
        try:
            client, _ = listening.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(client, context, behind, port), daemon=True).start()


def _serve(client: socket.socket, context: ssl.SSLContext, behind: int, port: int) -> None:
    with client, contextlib.suppress(OSError):  # a refused handshake is one, and so is a connection that went away
        secured = context.wrap_socket(client, server_side=True)
        with secured, socket.create_connection((HOST, behind)) as broker:
            requests = threading.Thread(target=_requests, args=(secured, broker), daemon=True)
            requests.start()
            theirs, ours = (HOST.encode() + number.to_bytes(4, "big") for number in (behind, port))
            while response := _frame(broker):
                secured.sendall(response.replace(theirs, ours))
            secured.unwrap()


def _requests(client: ssl.SSLSocket, broker: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := client.recv(65_536):
            broker.sendall(data)
        broker.shutdown(socket.SHUT_WR)


def _frame(broker: socket.socket) -> bytes:
    """One response of the Kafka protocol: its length, and as many bytes. Empty at the end."""
    head = _exactly(broker, _LENGTH)
    return head + _exactly(broker, int.from_bytes(head, "big")) if head else b""


def _exactly(broker: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        if not (data := broker.recv(count - len(parts))):
            return b""
        parts += data
    return bytes(parts)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
