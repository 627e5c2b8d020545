"""How a secured broker is named: what clients are told, what is refused, and that the password is shown nowhere."""

from pathlib import Path

import pytest

from app.settings import load
from flows.environment import child_environment
from lake.errors import UsageError

ADDRESS = "kafka.example.org:9093"
PASSWORD = "xyzzy-plugh"
SIGN_IN = {"kafka_sasl_username": "wardlake", "kafka_sasl_password": PASSWORD}


@pytest.fixture(autouse=True)
def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ca.pem", "client.pem", "client.key"):
        Path(name).write_text("PEM")


def refused(**flags: object) -> str:
    with pytest.raises(UsageError) as caught:
        load(kafka=ADDRESS, **flags)
    return str(caught.value)


def told(**flags: object) -> dict[str, str]:
    return load(kafka=ADDRESS, **flags).connection.client()


def test_without_settings_an_address_is_all() -> None:
    assert load().connection.access() == {"bootstrap.servers": "127.0.0.1:9092", "security.protocol": "plaintext"}
    assert not load(kafka=ADDRESS).connection.secured


def test_tls_with_a_certificate_of_the_client(tmp_path: Path) -> None:
    files = {"kafka_ssl_ca": "ca.pem", "kafka_ssl_certificate": "client.pem", "kafka_ssl_key": "client.key"}
    assert told(kafka_security_protocol="SSL", **files) == {
        "bootstrap.servers": ADDRESS,
        "security.protocol": "ssl",
        "ssl.ca.location": str(tmp_path / "ca.pem"),
        "ssl.certificate.location": str(tmp_path / "client.pem"),
        "ssl.key.location": str(tmp_path / "client.key"),
        "log_level": 0,
    }
    assert load(kafka=ADDRESS, kafka_security_protocol="ssl").connection.secured


@pytest.mark.parametrize("protocol", ["sasl_ssl", "sasl_plaintext"])
@pytest.mark.parametrize(
    ("asked", "mechanism"), [(None, "SCRAM-SHA-512"), ("scram-sha-256", "SCRAM-SHA-256"), ("plain", "PLAIN")]
)
def test_sign_in(protocol: str, asked: str | None, mechanism: str) -> None:
    assert told(kafka_security_protocol=protocol, kafka_sasl_mechanism=asked, **SIGN_IN) == {
        "bootstrap.servers": ADDRESS,
        "security.protocol": protocol,
        "sasl.mechanism": mechanism,
        "sasl.username": "wardlake",
        "sasl.password": PASSWORD,
        "log_level": 0,
    }


def test_what_does_not_go_together_is_refused(subtests: pytest.Subtests) -> None:
    for flags, begins in [
        (
            {"kafka_security_protocol": "tls"},
            "--kafka-security-protocol is wrong; got 'tls'; expected plaintext, ssl, ",
        ),
        ({"kafka_security_protocol": "sasl_ssl"}, "WARDLAKE_KAFKA_SASL_USERNAME is wrong; got None; expected a name "),
        (
            {"kafka_security_protocol": "sasl_ssl", "kafka_sasl_username": "wardlake"},
            "WARDLAKE_KAFKA_SASL_PASSWORD is wrong; got nothing; expected a password where ",
        ),
        (SIGN_IN, "--kafka-sasl-username is wrong; got 'wardlake'; "),
        ({"kafka_sasl_password": PASSWORD}, "--kafka-sasl-password is wrong; got a password (not shown); "),
        (
            {"kafka_security_protocol": "sasl_ssl", **SIGN_IN, "kafka_sasl_mechanism": "MD5"},
            "--kafka-sasl-mechanism is wrong; got 'MD5'; expected PLAIN, SCRAM-SHA-256, SCRAM-SHA-512; ",
        ),
        ({"kafka_ssl_ca": "ca.pem"}, "--kafka-ssl-ca is wrong; got 'ca.pem'; "),
        (
            {"kafka_security_protocol": "sasl_plaintext", **SIGN_IN, "kafka_ssl_ca": "ca.pem"},
            "--kafka-ssl-ca is wrong; got 'ca.pem'; ",
        ),
        ({"kafka_security_protocol": "ssl", "kafka_ssl_ca": "absent.pem"}, "--kafka-ssl-ca is wrong; "),
        ({"kafka_security_protocol": "ssl", "kafka_ssl_key": "client.key"}, "--kafka-ssl-key is wrong; "),
        (
            {"kafka_security_protocol": "ssl", "kafka_ssl_certificate": "client.pem"},
            "WARDLAKE_KAFKA_SSL_KEY is wrong; got None; expected the key file (PEM) of kafka_ssl_certificate, ",
        ),
    ]:
        with subtests.test(flags=flags):
            said = refused(**flags)
            assert said.startswith(begins)
            assert said.endswith("correct it, or leave it out for the default (docs/reference/configuration.md)")
            assert PASSWORD not in said


def test_the_built_in_broker_has_no_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDLAKE_KAFKA_SECURITY_PROTOCOL", "ssl")
    with pytest.raises(UsageError) as caught:
        load()
    assert str(caught.value).startswith("WARDLAKE_KAFKA_SECURITY_PROTOCOL is wrong; got 'ssl'; expected plaintext, ")


def test_the_password_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(kafka=ADDRESS, kafka_security_protocol="sasl_ssl", **SIGN_IN)
    assert PASSWORD not in f"{settings!r} {settings} {settings.connection!r} {settings.connection}"
    variables = child_environment(settings)
    assert PASSWORD not in variables.values()
    # Flows find it where this process did: in the environment, or in the file.
    monkeypatch.setenv("WARDLAKE_KAFKA_SASL_PASSWORD", PASSWORD)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert load().connection == settings.connection
