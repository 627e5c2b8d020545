"""The last runs of the flows, as Prefect's server tells them."""

import base64
import json
import urllib.request
import uuid
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError

import polars as pl

RUNS: Final = 10
SECONDS: Final = 2.0
_READ: Final = pl.Schema({"flow": pl.String, "state": pl.String, "started": pl.String, "seconds": pl.Float64})
SCHEMA: Final = pl.Schema(_READ | {"started": pl.Datetime("us", "UTC")})
_CLIENT: Final = str(uuid.uuid4())
_STARTED: Final = {"start_time": {"is_null_": False}}


def runs(api: str, auth_file: Path | None = None) -> pl.DataFrame | None:
    """The last runs, newest first; None where no server answers or it refuses the sign-in in ``auth_file``.

    Names, states and times only: no message, no log.
    """
    if not api.startswith(("http://", "https://")):
        return None
    try:
        headers = _sign_in(api, auth_file)
        last = {"flow_runs": _STARTED, "sort": "START_TIME_DESC", "limit": RUNS}
        found = _asked(f"{api}/flow_runs/filter", headers, last)
        ids = sorted({run["flow_id"] for run in found})
        flows = _asked(f"{api}/flows/filter", headers, {"flows": {"id": {"any_": ids}}}) if ids else []
        names = {flow["id"]: flow["name"] for flow in flows}
        told = pl.DataFrame([_row(run, names) for run in found], schema=_READ, orient="row")
        return told.with_columns(pl.col("started").str.to_datetime("%+", time_unit="us", time_zone="UTC"))
    except (OSError, ValueError, KeyError, TypeError, HTTPException, pl.exceptions.PolarsError):
        return None


def _row(run: dict[str, Any], names: dict[str, str]) -> tuple[str | None, str, str | None, float | None]:
    return names.get(run["flow_id"]), run["state_name"], run["start_time"], run["total_run_time"]


def _sign_in(api: str, auth_file: Path | None) -> dict[str, str]:
    """Headers that say who asks, and that no other page's script does: a server that wants the latter gives a token."""
    headers = {"Content-Type": "application/json"}
    if auth_file is not None:
        headers["Authorization"] = f"Basic {base64.b64encode(auth_file.read_bytes().strip()).decode()}"
    try:
        token = _asked(f"{api}/csrf-token?client={_CLIENT}", headers)["token"]
    except HTTPError:
        return headers
    return headers | {"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": _CLIENT}


def _asked(url: str, headers: dict[str, str], body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers)  # noqa: S310  (the caller has looked at the scheme)
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
        return json.load(answer)
