"""Where a soak takes place: folders, disk, port, and the environment that its processes have."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from app.services.child_process import HOST, free_port
from lake.contracts.event import TOPIC
from tests.soak.clock import ClockError, WrongClock
from tests.soak.disk import DiskError, SmallDisk
from tests.support.commands import Place

PARTITIONS: Final = 4
STREAMS: Final = ("stream", "stream 2")
"""Names of the streams, as many as are asked for."""


@dataclass
class Stage:
    """``folder`` holds what the processes write; ``logs`` what they say. ``not_run``: fault → why it cannot be."""

    folder: Path
    logs: Path
    seed: int
    rate: int
    streams: tuple[str, ...] = ("stream",)
    broker_port: int = field(default_factory=free_port)
    dashboard_port: int = field(default_factory=free_port)
    disk: SmallDisk | None = None
    clock: WrongClock | None = None
    not_run: dict[str, str] = field(default_factory=dict)

    @property
    def bootstrap(self) -> str:
        return f"{HOST}:{self.broker_port}"

    @property
    def topic(self) -> str:
        return TOPIC

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def lake(self) -> Path:
        return self.data / "lake"

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of the developer's own settings, not even a ``wardlake.toml``."""
        settings = {
            "WARDLAKE_DATA": str(self.data),
            "WARDLAKE_KAFKA": self.bootstrap,
            "WARDLAKE_CONFIG": str(self.folder / "none.toml"),
        }
        return Place(self.folder, settings).environment

    def close(self) -> None:
        """Take away the disk; the folder is for its maker to remove."""
        if self.disk is not None:
            self.disk.close()


def set_up(folder: Path, logs: Path, seed: int, rate: int, streams: int = 1) -> Stage:
    """Make the folders, and the disk and the clock that faults need, as far as this machine lets us."""
    stage = Stage(folder, logs, seed, rate, STREAMS[:streams])
    stage.data.mkdir()
    logs.mkdir(parents=True, exist_ok=True)
    for old in logs.glob("*.log"):
        old.unlink()
    (folder / "none.toml").touch()
    try:
        stage.disk = SmallDisk(stage.data)
    except DiskError as error:
        stage.not_run["fill the disk"] = str(error)
    try:
        stage.clock = WrongClock(folder)
    except ClockError as error:
        stage.not_run["skew the clock"] = str(error)
    return stage
