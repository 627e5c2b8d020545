"""Who the figures are for: the hospital itself (exact), or anybody (rounded, ``lake.disclosure.rounding``)."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
"""Names of the loopback."""


class Audience(StrEnum):
    """``internal``: exact figures, from Gold. ``public``: rounded and thresholded ones, from ``gold_public.duckdb``."""

    INTERNAL = "internal"
    PUBLIC = "public"

    @property
    def note(self) -> str:
        """What a page says of its figures."""
        return _NOTES[self]


_NOTES: Final = {
    Audience.INTERNAL: "Internal: exact figures.",
    Audience.PUBLIC: "Public: counts of 1–10 hidden, others rounded to 5.",  # noqa: RUF001 (a range)
}


def of_dashboards(asked: Audience | None, hosts: Iterable[str | None], *, signed_in: bool) -> Audience:
    """Whose figures dashboards show that are reached as ``hosts``: where they listen, and a proxy's names.

    None is all addresses of the machine. Internal on the loopback or where people sign in, unless public is asked for.
    Elsewhere public, whatever is asked.
    """
    if asked is Audience.PUBLIC or not (signed_in or all(host in LOOPBACK for host in hosts)):
        return Audience.PUBLIC
    return Audience.INTERNAL


def of_export(asked: Audience | None) -> Audience:
    """Whose figures an export holds: public ones, unless internal ones are asked for."""
    return asked or Audience.PUBLIC
