"""Letting the stream land what waits in the topic."""

from collections.abc import Callable
from dataclasses import dataclass

from app.jobs.active_policy import rules
from app.jobs.lake_session import open_or_create, open_with_key
from app.settings import Settings
from app.stream.exactly_once_writer import Landed
from app.stream.run import run_stream
from lake.kafka import reach


@dataclass
class Synced:
    """What the stream landed in one run, in messages; ``messages`` is the sum of the others."""

    messages: int = 0
    silver: int = 0
    quarantined: int = 0
    duplicates: int = 0
    ignored: int = 0

    def add(self, landed: list[Landed]) -> None:
        """Count the batches of one landing in."""
        for batch in landed:
            self.messages += batch.messages
            self.silver += batch.silver
            self.quarantined += batch.quarantined
            self.duplicates += batch.duplicates
            self.ignored += batch.ignored


def sync(settings: Settings, progress: Callable[[str], None], *, demo: bool = False) -> Synced:
    """Run the stream until all that the topic held when it began has landed, by whichever stream.

    The lake is made where there is none, unless no broker answers. ``demo``: these are a demo's messages, so a demo
    may go on replacing its lake. Raises ``NotCaughtUpError`` where it did not land in time, and
    ``KeyboardInterrupt`` where Ctrl-C or SIGTERM ended the stream before; what had landed has landed.
    """
    decided_by = rules(settings)
    reach(settings.connection)  # before a lake and a key are made, or a demo's lake is taken over, for nothing
    lake = open_with_key(settings) if demo else open_or_create(settings)
    synced = Synced()

    def count(landed: list[Landed], lag: int | None) -> None:
        synced.add(landed)
        progress(f"{synced.messages:,} messages landed, {'?' if lag is None else f'{lag:,}'} to go")

    if not run_stream(settings, lake, decided_by, until_caught_up=True, on_landed=count):
        raise KeyboardInterrupt
    return synced
