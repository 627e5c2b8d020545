"""Settings, read once at the edge: flag > environment (``WARDLAKE_…``) > file (TOML) > default.

Only the command line calls ``load``; everything behind it is handed values, never the environment. What
each setting means is in docs/reference/configuration.md, which a test holds to the fields below.
"""

import base64
import binascii
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import available_timezones

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from app.services import demo_address
from lake.contracts.event import TOPIC
from lake.disclosure.audience import Audience
from lake.errors import UsageError
from lake.kafka import Kafka

ENV_PREFIX: Final = "WARDLAKE_"
CONFIG_VARIABLE: Final = "WARDLAKE_CONFIG"
CONFIG_FILE: Final = "wardlake.toml"
DEFAULT_KAFKA: Final = "127.0.0.1:9092"
"""Where ``wardlake broker`` listens and every other command looks when no broker is named."""

KEY_BYTES: Final = 32
MOST_WORKERS: Final = 64
DEDUP_REQUIRED: Final = ("patient_id", "event_time")
DEDUP_OPTIONAL: Final = (
    "message_id",
    "event_type",
    "visit_id",
    "facility",
    "department",
    "ward",
    "bed",
    "doctor_id",
    "diagnosis_code",
)
"""Fields that may widen the deduplication key: those that Silver keeps exactly."""

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
_POLICY: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SERVER: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?P<port>[0-9]{1,5})")
_SHOWN_CHARS: Final = 80

SECURITY_PROTOCOLS: Final = ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl")
SASL_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_WHERE_SASL: Final = "{} where kafka_security_protocol is sasl_ssl or sasl_plaintext, nothing elsewhere"
_WHERE_SSL: Final = "{}; nothing where kafka_security_protocol is not ssl or sasl_ssl"

_SENTENCES: Final = {
    **dict.fromkeys(("data", "lake", "export"), "a folder"),
    **dict.fromkeys(("topic", "group"), "1 to 249 letters, digits, dots, dashes or underscores"),
    "kafka": f"host:port, or several with commas between, such as {DEFAULT_KAFKA}",
    "kafka_security_protocol": f"{', '.join(SECURITY_PROTOCOLS)}; {SECURITY_PROTOCOLS[0]} where no kafka is named",
    "kafka_sasl_mechanism": ", ".join(SASL_MECHANISMS),
    "kafka_sasl_username": _WHERE_SASL.format("a name"),
    "kafka_sasl_password": _WHERE_SASL.format("a password"),
    "kafka_ssl_ca": _WHERE_SSL.format("a file of certificates (PEM), or none for the system's"),
    "kafka_ssl_certificate": _WHERE_SSL.format("a certificate file (PEM), or none"),
    "kafka_ssl_key": _WHERE_SSL.format("the key file (PEM) of kafka_ssl_certificate, none without one"),
    "policy": "the name of a masking policy, such as display",
    "ner": "none or presidio",
    **dict.fromkeys(("key", "new_key"), f"{KEY_BYTES} bytes in base64"),
    **dict.fromkeys(("key_file", "heartbeat"), "a file"),
    "dedup_key": f"{' and '.join(DEDUP_REQUIRED)}, once each; beside them only {', '.join(DEDUP_OPTIONAL)}",
    "dedup_scope": "lake or partition",
    "timezone": "an IANA time zone, such as Europe/London",
    "staffed_beds": "a CSV file",
    "stale_visit_days": "a whole number of days from 1 to 36500",
    "audience": " or ".join(Audience),
    "batch_messages": "a whole number from 1 to 500000",
    "batch_seconds": "a number of seconds from 0.05 to 60",
    "workers": f"a whole number from 1 to {MOST_WORKERS}",
}
"""What each setting expects, as an error says it."""


def _expect(fits: bool) -> None:
    # The sentence that a user reads is made by _usage_error; this only has to fail.
    if not fits:
        raise ValueError("does not fit")


class Settings(BaseSettings):
    """What a run is told from outside; immutable, its paths absolute, its key never printed."""

    # hide_input_in_errors: a rejected key must not show up in pydantic's own message.
    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=True,
    )

    data: Path = Path("data")
    lake: Path = Field(default_factory=lambda values: values["data"] / "lake")
    kafka: str | None = None
    kafka_security_protocol: str = SECURITY_PROTOCOLS[0]
    kafka_sasl_mechanism: str = "SCRAM-SHA-512"
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_ssl_ca: Path | None = None
    kafka_ssl_certificate: Path | None = None
    kafka_ssl_key: Path | None = None
    topic: str = TOPIC
    group: str = "wardlake"
    policy: str = "display"
    ner: Literal["none", "presidio"] = "none"
    key: SecretStr | None = None
    new_key: SecretStr | None = None
    key_file: Path | None = None
    dedup_key: Annotated[tuple[str, ...], NoDecode] = DEDUP_REQUIRED
    dedup_scope: Literal["lake", "partition"] = "lake"
    timezone: str = "UTC"
    staffed_beds: Path | None = None
    stale_visit_days: int = Field(default=60, ge=1, le=36_500)
    export: Path = Field(default_factory=lambda values: values["data"] / "export")
    audience: Audience | None = None
    heartbeat: Path | None = None
    batch_messages: int = Field(default=15_000, ge=1, le=500_000)
    batch_seconds: float = Field(default=0.5, ge=0.05, le=60)
    workers: int = Field(default=1, ge=1, le=MOST_WORKERS)

    @property
    def bootstrap(self) -> str:
        """The broker to talk to: the one that is named, else the local default.

        ``kafka`` itself stays None when nobody named a broker, so that the demo knows to start its own.
        """
        return self.kafka or DEFAULT_KAFKA

    @property
    def connection(self) -> Kafka:
        """``bootstrap``, and what is asked of a client there. It holds the password: hand it to clients only."""
        security: dict[str, object] = {
            "security.protocol": self.kafka_security_protocol,
            "ssl.ca.location": self.kafka_ssl_ca,
            "ssl.certificate.location": self.kafka_ssl_certificate,
            "ssl.key.location": self.kafka_ssl_key,
        }
        if self.kafka_sasl_password is not None:
            security |= {
                "sasl.mechanism": self.kafka_sasl_mechanism,
                "sasl.username": self.kafka_sasl_username,
                "sasl.password": self.kafka_sasl_password.get_secret_value(),
            }
        return Kafka(self.bootstrap, {name: str(value) for name, value in security.items() if value is not None})

    @property
    def key_path(self) -> Path:
        """The key file: the one that is named, else ``lake.key`` in the data folder."""
        return self.key_file or self.data / "lake.key"

    @property
    def staffed_beds_path(self) -> Path:
        """The reference table of staffed beds: the file that is named, else ``staffed_beds.csv`` in the data folder.

        A named one has to be there; without the other one occupancy rates are null.
        """
        return self.staffed_beds or self.data / "staffed_beds.csv"

    @field_validator(
        *("data", "lake", "key_file", "staffed_beds", "export", "heartbeat"),
        *("kafka_ssl_ca", "kafka_ssl_certificate", "kafka_ssl_key"),
    )
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        # Absolute at once: a later change of directory must not move the lake.
        return None if value is None else value.expanduser().absolute()

    @field_validator("kafka")
    @classmethod
    def _servers(cls, value: str | None) -> str | None:
        for server in (value or DEFAULT_KAFKA).split(","):
            found = _SERVER.fullmatch(server.strip())
            _expect(found is not None and 1 <= int(found["port"]) <= 65_535)
        return value

    @field_validator("kafka_security_protocol")
    @classmethod
    def _protocol(cls, value: str, info: ValidationInfo) -> str:
        # `wardlake broker`, which is meant where no broker is named, has none but the first.
        _expect(value.lower() in (SECURITY_PROTOCOLS if info.data.get("kafka") else SECURITY_PROTOCOLS[:1]))
        return value.lower()

    @field_validator("kafka_sasl_mechanism")
    @classmethod
    def _mechanism(cls, value: str) -> str:
        _expect(value.upper() in SASL_MECHANISMS)
        return value.upper()

    @field_validator("kafka_sasl_username", "kafka_sasl_password")
    @classmethod
    def _sasl(cls, value: str | SecretStr | None, info: ValidationInfo) -> str | SecretStr | None:
        # Credentials without their protocol would go nowhere, and the messages in clear without a word.
        _expect((value is not None) == info.data.get("kafka_security_protocol", "").startswith("sasl"))
        return value

    @field_validator("kafka_ssl_ca", "kafka_ssl_certificate", "kafka_ssl_key")
    @classmethod
    def _tls_file(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        encrypted = info.data.get("kafka_security_protocol", "").endswith("ssl")
        _expect(value is None or (encrypted and value.is_file()))
        if info.field_name == "kafka_ssl_key":
            _expect((value is None) == (info.data.get("kafka_ssl_certificate") is None))
        return value

    @field_validator("topic", "group")
    @classmethod
    def _kafka_name(cls, value: str) -> str:
        _expect(_NAME.fullmatch(value) is not None and value not in {".", ".."})
        return value

    @field_validator("policy")
    @classmethod
    def _policy_name(cls, value: str) -> str:
        # It becomes a file name: nothing that could leave the policies' folder.
        _expect(_POLICY.fullmatch(value) is not None)
        return value

    @field_validator("key", "new_key")
    @classmethod
    def _key_size(cls, value: SecretStr | None) -> SecretStr | None:
        _expect(value is None or _decoded_bytes(value.get_secret_value()) == KEY_BYTES)
        return value

    @field_validator("stale_visit_days", "batch_messages", "batch_seconds", "workers", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        # TOML's true would pass as 1.
        _expect(not isinstance(value, bool))
        return value

    @field_validator("dedup_key", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(name.strip() for name in value.split(",")) if isinstance(value, str) else value

    @field_validator("dedup_key")
    @classmethod
    def _dedup_fields(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        chosen = set(value)
        _expect(len(chosen) == len(value) and chosen >= set(DEDUP_REQUIRED))
        _expect(chosen <= {*DEDUP_REQUIRED, *DEDUP_OPTIONAL})
        return value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        # Not "localtime", which is whatever the machine says, nor others that ZoneInfo reads and DuckDB does not.
        _expect(value in available_timezones() - {"localtime"})
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  (pydantic passes all four)
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  (pydantic passes all four)
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take flags first, then the environment, then the file; no dotenv, no secrets folder."""
        return init_settings, env_settings, InitSettingsSource(settings_cls, read_config_file())


def load(*, find_demo: bool = False, **flags: object) -> Settings:
    """Return the settings; ``flags`` are those given on the command line, None meaning *not given*.

    With ``find_demo``, where no broker is named and a demo runs in the data folder, its broker is meant.

    Raises ``UsageError`` when a value does not fit, the file cannot be read, or it has an unknown setting.
    The text is one line and never shows the key.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        settings = Settings(**given)  # type: ignore[arg-type]  # pydantic checks them, that is the point
    except ValidationError as error:
        failure = error.errors(include_url=False, include_context=False)[0]
    else:
        broker = demo_address.broker_of(settings.data) if find_demo and settings.kafka is None else None
        return settings if broker is None else settings.model_copy(update={"kafka": broker})
    # Raised outside the handler: the chained pydantic error would carry the rejected values along.
    raise _usage_error(failure, given)


def read_config_file() -> dict[str, Any]:
    """Return the TOML file's settings: ``$WARDLAKE_CONFIG``, else ``./wardlake.toml`` if there is one.

    Raises ``UsageError`` when the named file is absent, or the file is unreadable or not TOML.
    """
    path = config_path()
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        problem = error.strerror or type(error).__name__
    except UnicodeDecodeError:
        problem = "bytes that are not UTF-8"
    except tomllib.TOMLDecodeError as error:
        problem = f"a TOML error: {error}"
    raise UsageError(
        f"the settings file {path} cannot be read",
        got=problem,
        expected="a readable TOML file",
        next_move=f"correct it, or point {CONFIG_VARIABLE} at another",
    )


def config_path() -> Path | None:
    """Return the settings file in force, or None when none is named and the default one is absent."""
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named).expanduser()
    return Path(CONFIG_FILE) if Path(CONFIG_FILE).exists() else None


def flag_name(field: str) -> str:
    """Return the command-line spelling of a setting: ``batch_seconds`` is ``--batch-seconds``."""
    return "--" + field.replace("_", "-")


def env_name(field: str) -> str:
    """Return the environment variable of a setting: ``batch_seconds`` is ``WARDLAKE_BATCH_SECONDS``."""
    return ENV_PREFIX + field.upper()


def _usage_error(failure: ErrorDetails, flags: Mapping[str, object]) -> UsageError:
    field = str(failure["loc"][0])
    if failure["type"] == "extra_forbidden":
        return _unknown_setting(field, flags)
    return UsageError(
        f"{_origin(field, flags)} is wrong",
        got=_SHAPES.get(field, _shown)(failure["input"]),
        expected=_SENTENCES[field],
        next_move="correct it, or leave it out for the default (docs/reference/configuration.md)",
    )


def _unknown_setting(field: str, flags: Mapping[str, object]) -> UsageError:
    where = "flag" if field in flags else f"setting in {config_path()}"
    return UsageError(
        f"unknown {where}",
        got=_shown(field),
        expected=f"one of {', '.join(Settings.model_fields)}",
        next_move="remove or rename it",
    )


def _origin(field: str, flags: Mapping[str, object]) -> str:
    """Name the place a bad value came from, in the order of precedence."""
    if field in flags:
        return flag_name(field)
    if any(name.upper() == env_name(field) and value for name, value in os.environ.items()):
        return env_name(field)
    # What is missing is named as most would set it.
    return f"{field} in {config_path()}" if field in read_config_file() else env_name(field)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…"


def _key_shape(value: object) -> str:
    size = _decoded_bytes(value.get_secret_value() if isinstance(value, SecretStr) else str(value))
    return "text that is not base64 (not shown)" if size is None else f"{size} bytes (not shown)"


def _password_shape(value: object) -> str:
    return "nothing" if value is None else "a password (not shown)"


_SHAPES: Final[dict[str, Callable[[object], str]]] = {
    "key": _key_shape,
    "new_key": _key_shape,
    "kafka_sasl_password": _password_shape,
}
"""How a secret is spoken of."""


def _decoded_bytes(text: str) -> int | None:
    """Return how many bytes ``text`` stands for, or None if it is not standard base64."""
    try:
        return len(base64.b64decode(text.strip(), validate=True))
    except (binascii.Error, ValueError):
        return None
