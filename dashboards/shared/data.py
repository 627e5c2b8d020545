"""The one way to the figures: queries over the DuckDB file of Gold that this dashboard's audience may see.

That is ``wardlake.duckdb``, exact, or ``gold_public.duckdb``, rounded (``lake.disclosure.public_gold``); both have the
same tables. Each build has its file, and the name is a link that moves to the newest. ``find`` looks where it
points, once per rerun; results are cached under that file, so a rerun shows the new build's figures at once and
never an old one's. A file is opened inside a database of this connection's own, read-only, with no access to any other
file. An old file is closed when the last query that reads it has ended; the build after next removes it.
"""

import os
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import duckdb
import polars as pl
import streamlit as st

from dashboards.shared import signin
from dashboards.shared.settings import settings
from lake.disclosure import audience as audiences
from lake.disclosure import public_gold
from lake.disclosure.audience import Audience
from lake.errors import kind_of
from lake.gold import duckdb_file, published

LINKS: Final = {Audience.INTERNAL: duckdb_file.LINK, Audience.PUBLIC: public_gold.LINK}

_BUILD: Final = "_build"
_TRIES: Final = 5
_CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "temp_directory": "",  # nothing is spilled to disk
}


@dataclass(frozen=True)
class Build:
    """The build that pages read. ``file`` and ``stamp`` name its file for good; times are UTC, days are local."""

    file: str
    stamp: tuple[int, int]
    build_id: int
    built_at: datetime
    timezone: str
    first_day: date
    last_day: date
    audience: Audience

    @property
    def rounded(self) -> bool:
        """Whether its figures are rounded, and some hidden."""
        return self.audience is Audience.PUBLIC

    def local(self, moment: datetime) -> datetime:
        """A moment in the build's time zone."""
        return moment.astimezone(ZoneInfo(self.timezone))


@dataclass(frozen=True)
class Missing:
    """Why there is nothing to show: what is not there, and the next move."""

    what: str
    next_move: str
    command: str = ""


def audience() -> Audience:
    """Whose figures this dashboard shows."""
    origins = (urlsplit(origin).hostname for origin in settings().dashboard_origins.split())
    hosts = (st.get_option("server.address"), *origins)
    return audiences.of_dashboards(settings().audience, hosts, signed_in=signin.configured())


def find(lake: Path, audience: Audience) -> Build | Missing:
    """The build that the audience's link points to now, or why there is none."""
    if not (lake / "wardlake.json").exists():
        return Missing(f"There is no lake at {lake}.", "Make one with a simulated hospital:", "wardlake demo")
    reason, link = "", lake / LINKS[audience]
    for _ in range(_TRIES):
        try:
            file = os.path.realpath(link, strict=True)
            seen = Path(file).stat()
            return _build(file, (seen.st_ino, seen.st_mtime_ns), audience)
        except (OSError, duckdb.IOException) as error:  # the link moved on, and the file went, while we looked
            reason = kind_of(error)
        except duckdb.Error as error:
            return _unreadable(link, kind_of(error))
    return _unreadable(link, reason) if os.path.lexists(link) else _not_built(lake, audience)


def _unreadable(link: Path, reason: str) -> Missing:
    return Missing(f"The figures in {link} cannot be read ({reason}).", "Rebuild them:", "wardlake flow gold --full")


def _not_built(lake: Path, audience: Audience) -> Missing:
    newest = newest_build(str(lake))
    if newest is None:
        return Missing("The lake has no Gold yet.", "Build it:", "wardlake flow gold")
    if audience is Audience.PUBLIC:
        more = "Make them (with WARDLAKE_AUDIENCE=public each build does):"
        return Missing(f"Gold build {newest} has no public figures yet.", more, "wardlake flow export")
    return Missing(f"Gold build {newest} has no DuckDB file.", "Make it:", "wardlake flow gold")


def _build(file: str, stamp: tuple[int, int], audience: Audience) -> Build | Missing:
    row = query(file, stamp, "FROM gold.build", {}).row(0, named=True)
    if row["data_end"] is None:
        return Missing("The lake holds no visits yet.", "Send events and let them land, then:", "wardlake flow gold")
    zone = ZoneInfo(row["timezone"])
    first, last = (row[name].astimezone(zone).date() for name in ("data_start", "data_end"))
    return Build(file, stamp, row["build_id"], row["built_at"].astimezone(UTC), row["timezone"], first, last, audience)


@st.cache_data(ttl=10, max_entries=8, show_spinner=False)
def newest_build(lake: str) -> int | None:
    """Id of the last published build of the lake; None where there is none, or nothing can be told just now."""
    try:
        found = published.last(Path(lake))
    except Exception:  # a log that is being tidied; the next look tells
        return None
    return found.build_id if found else None


def show(build: Build) -> None:
    """Let this session's pages read ``build`` for this run."""
    st.session_state[_BUILD] = build


def current() -> Build:
    """The build that this session's pages read."""
    return cast("Build", st.session_state[_BUILD])


def rows(sql: str, **parameters: Any) -> pl.DataFrame:
    """Rows of one query over ``gold.*`` of the current build, with ``$name`` for each parameter; cached by build."""
    build = current()
    try:
        return query(build.file, build.stamp, sql, parameters)
    except duckdb.IOException:
        st.rerun()  # the file is gone: three builds have passed since this page was drawn


@st.cache_data(max_entries=256, show_spinner=False)
def query(file: str, stamp: tuple[int, int], sql: str, parameters: dict[str, Any]) -> pl.DataFrame:
    """Rows of one query over the file. Raises ``duckdb.Error``."""
    with _opened(file, stamp).cursor() as cursor:
        cursor.execute("USE figures")
        return cast("pl.DataFrame", cursor.sql(sql, params=parameters or None).pl())


@st.cache_resource(max_entries=2, show_spinner=False)
def _opened(file: str, stamp: tuple[int, int]) -> duckdb.DuckDBPyConnection:  # noqa: ARG001  (a key of the cache)
    """A connection to one build's file. Nobody closes it by hand: cursors of other sessions would close with it."""
    # Attached, not connected to: DuckDB shares a file between the connections of a process, and would hand out the
    # old content where another file has taken its name.
    connection = duckdb.connect(":memory:", config=_CONFIG)
    quoted = file.replace("'", "''")
    connection.execute(f"ATTACH '{quoted}' AS figures (READ_ONLY)")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection
