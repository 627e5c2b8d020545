"""``python -m tests.soak --minutes N``: a soak of so many minutes. Exits 0 when it comes out clean, else 1."""

import argparse
import importlib.metadata
import os
import platform
import shlex
import signal
import sys
import tempfile
import time
from enum import Enum, auto
from pathlib import Path
from typing import Final

import polars as pl
import psutil
from rich.console import Console

from lake.contracts.tables import BUILDS, INGEST, Table
from lake.storage.store import DeltaStore, exists
from tests.soak import accounts, chart, logs, record, report
from tests.soak.accounts import Account
from tests.soak.gremlin import Gremlin
from tests.soak.house import SoakError
from tests.soak.report import Report
from tests.soak.scene import Scene
from tests.soak.stage import set_up
from tests.support.commands import ROOT

_console: Final = Console(stderr=True)
_INTERRUPTED: Final = 130


class Ending(Enum):
    """How a soak ended: with every message accounted for, by Ctrl-C or SIGTERM, or where it could not go on."""

    WHOLE = auto()
    INTERRUPTED = auto()
    STUCK = auto()


def main() -> int:
    """Run a soak as the command line asks."""
    asked = _asked()
    # Of SIGINT too: a shell that starts something in the background has it ignored there.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="wardlake-soak-") as folder:
        stage = set_up(Path(folder), asked.out / "logs", asked.seed, asked.rate, asked.streams)
        scene = Scene(stage, lambda line: _console.print(f"{_clock(scene)}  {line}", markup=False, highlight=False))
        gremlin = Gremlin(scene, asked.seed, asked.faults_per_minute)
        try:
            account, ending = _play(scene, gremlin, asked.minutes)
            told = _report(scene, gremlin, account, ending)
        finally:
            scene.house.end()
            stage.close()
    told.write(asked.out / "soak.json")
    told.show(Console())
    chart.draw(asked.out / "soak.png", scene.house.memory, gremlin.struck)
    if asked.record and ending is Ending.WHOLE:
        record.record(ROOT, told, asked.out / "soak.png")
    return _INTERRUPTED if ending is Ending.INTERRUPTED else 0 if told.clean else 1


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="how long faults are done")
    parser.add_argument("--seed", type=int, default=1, help="of the faults and of the simulated hospital")
    parser.add_argument("--faults-per-minute", type=float, default=4, help="as far as they are short enough")
    parser.add_argument("--rate", type=int, default=1000, help="simulated messages a second")
    parser.add_argument("--streams", type=int, choices=(1, 2), default=1, help="that share the topic")
    parser.add_argument("--out", type=Path, default=Path("data", "soak"), help="where report, chart and logs go")
    parser.add_argument(
        "--record", action="store_true", help="put a whole run into docs/explanation/reliability.md, clean or not"
    )
    return parser.parse_args()


def _play(scene: Scene, gremlin: Gremlin, minutes: float) -> tuple[Account, Ending]:
    """The soak itself; the account of its messages, and how it ended."""
    try:
        scene.enter()
        gremlin.run(minutes * 60)
        scene.say("no more faults: all that is left lands")
        return scene.leave(), Ending.WHOLE
    except KeyboardInterrupt:
        return _so_far(scene), Ending.INTERRUPTED
    except SoakError as error:
        scene.house.findings.append(str(error))
        return _so_far(scene), Ending.STUCK


def _so_far(scene: Scene) -> Account:
    """The account of the broker generations that were drained."""
    scene.house.end()
    there = exists(scene.stage.lake)
    return accounts.judge(scene.stage.lake, scene.generations, whole=False) if there else Account()


def _report(scene: Scene, gremlin: Gremlin, account: Account, ending: Ending) -> Report:
    house, stage = scene.house, scene.stage
    seconds = time.monotonic() - house.began
    producer = [one.said for one in house.ends if one.worker == "producer" and one.code == 0]
    identifiers = logs.known(stage, scene.worker("producer").runs)
    house.findings += logs.findings(
        stage.logs, identifiers, disk_filled=any(one.kind == "fill the disk" for one in gremlin.struck)
    )
    house.findings += [f"{name} was never of use" for name, one in house.workers.items() if not one.useful_at]
    acknowledged = logs.acknowledged(producer) + scene.published
    if acknowledged > account.events_in and ending is Ending.WHOLE:
        house.findings.append(f"{acknowledged} messages were acknowledged, the broker had {account.events_in}")
    return Report(
        command=shlex.join(["python", "-m", "tests.soak", *sys.argv[1:]]),
        machine=f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, {platform.system()}",
        version=importlib.metadata.version("wardlake"),
        minutes=seconds / 60,
        rate=stage.rate,
        generations=len(scene.generations),
        account=account,
        acknowledged=acknowledged,
        batches=_number(stage.lake, INGEST, "batch_id"),
        builds=_number(stage.lake, BUILDS, "build_id"),
        verified=house.exits["verify"]["done"],
        lake_mb=_held_mb(stage.lake),
        faults=gremlin.struck,
        not_run=stage.not_run,
        recoveries=report.recovered(house.recoveries),
        memory=report.memory(house.memory, seconds),
        exits={worker: dict(found) for worker, found in sorted(house.exits.items())},
        findings=house.findings,
        interrupted=ending is Ending.INTERRUPTED,
    )


def _number(root: Path, table: Table, column: str) -> int:
    """How many different values a column has."""
    if not exists(root):
        return 0
    return int(DeltaStore(root, table).scan().select(pl.col(column).n_unique()).collect().item())


def _held_mb(root: Path) -> float:
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) / 1e6


def _clock(scene: Scene) -> str:
    seconds = int(time.monotonic() - scene.house.began)
    return f"{seconds // 60:3}:{seconds % 60:02}"


if __name__ == "__main__":
    sys.exit(main())
