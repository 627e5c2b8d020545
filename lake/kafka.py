"""How the brokers are reached: addresses, and what they ask of a client (TLS, SASL)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from lake.errors import BrokerError

CONNECT_SECONDS: Final = 8.0
"""How long a broker may take to answer."""

_NEXT: Final = {
    KafkaError._SSL: "check WARDLAKE_KAFKA_SSL_CA and, where the broker asks for one, the client's certificate and key",
    KafkaError._AUTHENTICATION: "check WARDLAKE_KAFKA_SASL_USERNAME, its password and WARDLAKE_KAFKA_SASL_MECHANISM",
    KafkaError._INVALID_ARG: "check the files that WARDLAKE_KAFKA_SSL_… names: PEM, the key without a password",
}
_START_ONE: Final = "start one with `wardlake broker`, or name another with WARDLAKE_KAFKA"
# A broker that does not like a client's certificate only hangs up (TLS 1.3).
_LET_IN: Final = "see that one listens there, and lets in who comes with these WARDLAKE_KAFKA_… settings"


@dataclass(frozen=True)
class Kafka:
    """The brokers of a Kafka, for whoever makes a client of them.

    ``servers`` is ``host:port``, several with commas between; ``security`` is librdkafka's settings by name, a password
    among them: it is never printed.
    """

    servers: str
    security: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def secured(self) -> bool:
        """Whether it takes more than an address to be let in."""
        return self.security.get("security.protocol", "plaintext") != "plaintext"

    def access(self) -> dict[str, str]:
        """How to connect, as librdkafka's settings."""
        return {"bootstrap.servers": self.servers, **self.security}

    def client(self, own: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A librdkafka configuration: how to connect, silent, and the client's ``own`` settings."""
        return {**self.access(), "log_level": 0, **(own or {})}


def reach(kafka: Kafka) -> Mapping[str, Any]:
    """Reach the brokers: the topics that they have, by name, as confluent-kafka describes them.

    Raises ``BrokerError`` where none answers within 8 s, or it cannot be trusted, or does not let us in.
    """
    refusals: list[KafkaError] = []
    try:
        admin = AdminClient(kafka.client({"error_cb": refusals.append}))
        try:
            return dict(admin.list_topics(timeout=CONNECT_SECONDS).topics)
        finally:
            admin.poll(0)  # what was refused is told from in here
    except KafkaException as error:
        told = [error.args[0], *refusals]
    # The list only says that no broker was to be had; why is in what came before, if anywhere.
    why = next((one for one in told if one.code() in _NEXT), told[0])
    raise BrokerError(
        f"{'no way in to Kafka' if why.code() in _NEXT else 'no Kafka broker answers'} at {kafka.servers}",
        got=why.name(),
        expected=f"an answer within {CONNECT_SECONDS:g} s",
        next_move=_NEXT.get(why.code(), _LET_IN if kafka.secured else _START_ONE),
    )
