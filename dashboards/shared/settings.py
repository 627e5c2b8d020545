"""What the dashboards are told from outside: ``WARDLAKE_…`` variables, as ``wardlake dashboard`` sets them.

A user's flags and files are read and checked by the command line; these are its words, passed on.
"""

from functools import cache
from pathlib import Path
from typing import Final

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from lake.contracts.event import TOPIC
from lake.disclosure.audience import Audience
from lake.errors import UsageError

PREFIX: Final = "WARDLAKE_"


class Settings(BaseSettings):
    """Where the lake and its broker are, whose figures to show, when Gold is stale, whether people must sign in."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)

    data: Path = Path("data")
    lake: Path = Field(default_factory=lambda values: values["data"] / "lake")
    kafka: str = "127.0.0.1:9092"
    kafka_security_protocol: str = "plaintext"
    topic: str = TOPIC
    audience: Audience | None = None
    dashboard_stale_hours: float = Field(default=26, gt=0)
    dashboard_auth: bool = False
    dashboard_origins: str = ""
    dashboard_sql_seconds: float = Field(default=10, gt=0, le=300)
    dashboard_prefect_auth_file: Path | None = None
    prefect_api: str | None = Field(default=None, validation_alias="PREFECT_API_URL")


@cache
def settings() -> Settings:
    """The settings of this process. Raises ``UsageError`` where one does not fit."""
    try:
        return Settings()
    except ValidationError as error:
        name = PREFIX + str(error.errors()[0]["loc"][0]).upper()
        expected = error.errors()[0]["msg"]
    raise UsageError(f"{name} is wrong", expected=expected, next_move="correct it and start the dashboard again")
