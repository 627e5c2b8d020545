"""TLS before the embedded broker, which has none: certificates of a day, and a proxy that asks for the client's."""

import asyncio
import ipaddress
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
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


@contextmanager
def tls_before(broker: str, server: Identity, clients_of: Path | None = None) -> Iterator[str]:
    """``host:port`` that speaks TLS as ``server`` and hands on to ``broker``; with ``clients_of``, to clients of that
    authority only.

    What the broker says of its own address is made this one, of the same length, in whole responses. One thread
    serves every connection: a TLS connection is not safe to be read by one and written by another.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate, server.key)
    if clients_of is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients_of)
    behind = int(broker.rpartition(":")[2])
    opened: Future[_Listening] = Future()
    proxy = threading.Thread(target=lambda: asyncio.run(_listen(context, behind, opened)), daemon=True)
    proxy.start()
    listening = opened.result(10)
    try:
        yield f"{HOST}:{listening.port}"
    finally:
        listening.close()
        proxy.join(5)


@dataclass(frozen=True)
class _Listening:
    port: int
    close: Callable[[], object]


async def _listen(context: ssl.SSLContext, behind: int, opened: "Future[_Listening]") -> None:
    closed = asyncio.Event()
    server = await asyncio.start_server(partial(_serve, behind), HOST, 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    opened.set_result(_Listening(port, partial(asyncio.get_running_loop().call_soon_threadsafe, closed.set)))
    await closed.wait()
    server.close()


async def _serve(behind: int, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
    with closing(to_client), suppress(OSError, asyncio.IncompleteReadError):  # either may go away at any time
        broker, to_broker = await asyncio.open_connection(HOST, behind)
        with closing(to_broker):
            await asyncio.gather(_requests(client, to_broker), _responses(broker, to_client, behind))


async def _requests(client: asyncio.StreamReader, to_broker: asyncio.StreamWriter) -> None:
    while data := await client.read(65_536):
        to_broker.write(data)
        await to_broker.drain()
    to_broker.write_eof()


async def _responses(broker: asyncio.StreamReader, to_client: asyncio.StreamWriter, behind: int) -> None:
    """Hand them on until the broker says no more, which ``IncompleteReadError`` tells."""
    theirs, ours = (HOST.encode() + p.to_bytes(4, "big") for p in (behind, to_client.get_extra_info("sockname")[1]))
    while True:
        to_client.write((await _frame(broker)).replace(theirs, ours))
        await to_client.drain()


async def _frame(broker: asyncio.StreamReader) -> bytes:
    """One response of the Kafka protocol: its length, and as many bytes."""
    length = await broker.readexactly(_LENGTH)
    return length + await broker.readexactly(int.from_bytes(length, "big"))


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
