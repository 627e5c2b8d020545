"""A broker that speaks TLS and knows its clients: events go through it, and who is not let in is told why."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app import settings as configuration
from app.services.broker import EmbeddedBroker
from lake.errors import BrokerError
from lake.kafka import reach
from tests.support.commands import SAMPLE, Place
from tests.support.tls import Authority, Identity, tls_before

COUNTS = {"messages": 1000, "silver": 970, "quarantined": 10, "duplicates": 20, "ignored": 0}


@dataclass(frozen=True)
class Secured:
    """A broker that lets in clients of its authority alone, and one such client."""

    address: str
    authority: Path
    client: Identity
    stranger: Authority


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("certificates")
    ours, stranger = Authority(folder, "hospital"), Authority(folder, "stranger")
    # A broker of its own: clients that come another way must not learn the address of this one from it.
    with EmbeddedBroker() as broker, tls_before(broker.bootstrap, ours.issue("kafka"), ours.certificate) as address:
        yield Secured(address, ours.certificate, ours.issue("wardlake"), stranger)


def variables(secured: Secured, authority: Path, client: Identity) -> dict[str, str]:
    return {
        "WARDLAKE_KAFKA": secured.address,
        "WARDLAKE_KAFKA_SECURITY_PROTOCOL": "SSL",
        "WARDLAKE_KAFKA_SSL_CA": str(authority),
        "WARDLAKE_KAFKA_SSL_CERTIFICATE": str(client.certificate),
        "WARDLAKE_KAFKA_SSL_KEY": str(client.key),
    }


def test_events_go_through_tls(secured: Secured, tmp_path: Path) -> None:
    here = Place(tmp_path, variables(secured, secured.authority, secured.client))
    assert "published: 1,000 of 1,000 messages delivered" in here.works("produce", "file", SAMPLE).err
    here.works("flow", "daily")  # which takes in what has come
    status = here.look("status", "--json").json
    assert status["messages"] == COUNTS
    assert [partition["lag"] for partition in status["lag"]] == [0] * 4
    here.works("stream", "--until-caught-up")


@pytest.fixture
def refusal(monkeypatch: pytest.MonkeyPatch, secured: Secured) -> Callable[..., list[str]]:
    """What is said to who comes with these settings, in its parts."""
    monkeypatch.setattr("lake.kafka.CONNECT_SECONDS", 2)

    def refused(authority: Path, client: Identity) -> list[str]:
        for name, value in variables(secured, authority, client).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(BrokerError) as caught:
            reach(configuration.load().connection)
        return str(caught.value).split("; ")

    return refused


def test_a_broker_of_another_authority_is_not_trusted(secured: Secured, refusal: Callable[..., list[str]]) -> None:
    said = refusal(secured.stranger.certificate, secured.client)
    assert said[:2] == [f"no way in to Kafka at {secured.address}", "got _SSL"]
    assert said[-1].startswith("check WARDLAKE_KAFKA_SSL_CA and")


def test_a_client_of_another_authority_is_not_let_in(secured: Secured, refusal: Callable[..., list[str]]) -> None:
    said = refusal(secured.authority, secured.stranger.issue("wardlake"))
    assert said[0] == f"no Kafka broker answers at {secured.address}"  # it hung up
    assert said[-1] == "see that one listens there, and lets in who comes with these WARDLAKE_KAFKA_… settings"


def test_a_key_that_is_none_is_told(secured: Secured, refusal: Callable[..., list[str]]) -> None:
    said = refusal(secured.authority, Identity(secured.client.certificate, SAMPLE))
    assert said[:2] == [f"no way in to Kafka at {secured.address}", "got _INVALID_ARG"]
    assert said[-1].startswith("check the files that WARDLAKE_KAFKA_SSL_")


def test_who_speaks_no_tls_is_not_let_in(secured: Secured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lake.kafka.CONNECT_SECONDS", 2)
    with pytest.raises(BrokerError, match=f"no Kafka broker answers at {secured.address}; "):
        reach(configuration.load(kafka=secured.address).connection)
