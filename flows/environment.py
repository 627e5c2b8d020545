"""What a flow run that is a process of its own finds in its environment, and what Prefect is told of privacy."""

import os
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from app.settings import CONFIG_VARIABLE, Settings, config_path, env_name
from flows import signin

API: Final = "PREFECT_API_URL"
AUTH: Final = "PREFECT_API_AUTH_STRING"
"""What clients of Prefect sign in with: ``user:password``."""
AUTH_FILE: Final = "WARDLAKE_PREFECT_AUTH_FILE"
"""The file that has it, where ``AUTH`` is not set."""
DASHBOARD_AUTH_FILE: Final = "WARDLAKE_DASHBOARD_PREFECT_AUTH_FILE"
"""The file with what the dashboards sign in with. Another variable, so that they never get the owner's by mistake."""
DEMO: Final = "WARDLAKE_DEMO"
"""Set where a demo started the flows: what they sync is a demo's."""
DASHBOARD: Final = "WARDLAKE_DASHBOARD_URL"
"""Where people find the dashboards, if not at their own default."""

NOT_TRACKED: Final = {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
"""Prefect reports on its own use unless it is told not to."""


def child_environment(settings: Settings) -> dict[str, str]:
    """Variables from which ``settings.load`` makes the same settings, from any working directory.

    No key is among them: it is in the environment already, or in a file.
    """
    config = config_path()
    variables = {} if config is None else {CONFIG_VARIABLE: str(config.absolute())}
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if value is not None and not isinstance(value, SecretStr):
            variables[env_name(name)] = ",".join(value) if isinstance(value, tuple) else str(value)
    return variables


def export_environment(settings: Settings) -> None:
    """Put these settings into this process's environment, for flows that are loaded here or started from here."""
    os.environ.update(child_environment(settings))


def auth() -> str | None:
    """What to sign in to the named server with; None where nothing is given. Raises as ``signin.read`` does."""
    path = os.environ.get(AUTH_FILE)
    return os.environ.get(AUTH) or (signin.read(Path(path).expanduser()) if path else None)


def prepare() -> None:
    """Sign Prefect's clients in and keep them from reporting on their use. Call it before the first import of Prefect.

    Flow runs that are processes of their own inherit it with the environment.
    """
    for name, value in NOT_TRACKED.items():
        os.environ.setdefault(name, value)
    if (secret := auth()) is not None:
        os.environ[AUTH] = secret
