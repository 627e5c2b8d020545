"""Taking over tables that were built beside the lake: all of them, or none.

A rebuild (``replay``, ``quarantine replay``, ``key reencrypt``) writes its tables under ``.rebuild/`` in the lake, then
a note of what is to become of each. From the note on, the table swap is carried through: each table's change is one
Delta commit, fenced by a ``txn`` so that it happens once, and whoever opens the lake for writing or verifying finishes
what a crash left undone. Without the note, a leftover is thrown away and the old tables stand. The files that were
built get a second name, in the table's own folder: they are not written again.

Readers see a table's old snapshot or its new one, never a mix.
"""

import json
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import unquote

from deltalake import CommitProperties, Transaction
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction

from lake.contracts.tables import Table
from lake.storage.store import DeltaStore, Lake

FOLDER: Final = ".rebuild"
_NOTE: Final = "table_swap.json"
REBUILD_APP: Final = "wardlake:rebuild"
"""The Delta ``txn`` app id that a rebuild leaves in the tables that it took over."""

_STATISTICS: Final = {"minValues": "min.", "maxValues": "max.", "nullCount": "null_count."}
"""Statistics in an action of Delta's log → the prefix of delta-rs's columns that tell of them."""
_MOMENT: Final = "%Y-%m-%dT%H:%M:%S.%fZ"

Mode = Literal["append", "overwrite", "replace"]
"""What becomes of the rows that were there: they stay, all go, or those go whose partition was built anew."""


def begin(lake: Lake, tables: tuple[Table, ...]) -> Lake:
    """An empty lake of these tables to build in, beside ``lake``. Call under the landing lock.

    What an earlier rebuild left without its note is thrown away.
    """
    root = lake.root / FOLDER
    shutil.rmtree(root, ignore_errors=True)
    beside = Lake(root, lake.key, tables)
    for store in beside.stores.values():
        store.create()
    return beside


def commit(lake: Lake, modes: Mapping[str, Mode]) -> None:
    """Take over the tables built by ``begin``; ``modes`` says per table what becomes of its rows."""
    note = {"id": time.time_ns(), "modes": dict(modes)}
    aside = lake.root / FOLDER / f".{_NOTE}"
    with aside.open("w", encoding="utf-8") as file:
        json.dump(note, file)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(lake.root / FOLDER / _NOTE)
    finish(lake)


def finish(lake: Lake) -> None:
    """Carry a table swap through that was noted, or clear away a rebuild that was not. Call under the landing lock."""
    root = lake.root / FOLDER
    if not root.exists():
        return
    if (root / _NOTE).exists():
        note = json.loads((root / _NOTE).read_text("utf-8"))
        for name, mode in note["modes"].items():
            store = lake.stores[name]
            _take(DeltaStore(root, store.table), store, mode, int(note["id"]))
        (root / _NOTE).unlink()  # first: from here on what is left is only to be cleared away
    shutil.rmtree(root, ignore_errors=True)


def begun(root: Path) -> bool:
    """Whether a rebuild of the lake at ``root`` goes on, or was cut short before its table swap was carried through."""
    return (root / FOLDER).exists()


def pending(root: Path) -> bool:
    """Whether the lake at ``root`` has a table swap to be carried through."""
    return (root / FOLDER / _NOTE).exists()


def _take(built: DeltaStore, store: DeltaStore, mode: Mode, rebuild: int) -> None:
    with store.rewriting():
        for last in (False, True):
            store.refresh()
            if store.position_of(REBUILD_APP) >= rebuild:
                return
            try:
                _take_alone(built, store, mode, rebuild)
            except CommitFailedError:  # it may have been made all the same: the next look tells
                if last:
                    raise


def _take_alone(built: DeltaStore, store: DeltaStore, mode: Mode, rebuild: int) -> None:
    """Commit the built table's files to ``store``: no row is read, so that memory does not grow with them."""
    files = built.files()
    added: list[AddAction | RemoveAction] = [_added(file, built, store) for file in files.iter_rows(named=True)]
    days = files[f"partition.{store.table.partition}"].unique().to_list() if mode == "replace" else None
    if mode != "append":
        store.about_to_replace(days)
    store.handle.create_write_transaction(
        added,
        "append" if mode == "append" else "overwrite",
        store.handle.schema(),
        [store.table.partition],
        None if days is None else [(store.table.partition, "in", [str(day) for day in days])],
        commit_properties=CommitProperties(app_transactions=[Transaction(REBUILD_APP, rebuild)]),
    )


def _added(file: Mapping[str, Any], built: DeltaStore, store: DeltaStore) -> AddAction:
    """A live file of ``built``, given to ``store`` as well."""
    _share(built.path / unquote(file["path"]), store.path / unquote(file["path"]))
    return AddAction(
        path=file["path"],
        size=file["size_bytes"],
        partition_values={store.table.partition: str(file[f"partition.{store.table.partition}"])},
        modification_time=file["modification_time"],
        data_change=True,
        stats=json.dumps(
            {"numRecords": file["num_records"]} | {kind: _statistics(file, name) for kind, name in _STATISTICS.items()},
            default=lambda moment: f"{moment:{_MOMENT}}",
        ),
    )


def _share(source: Path, target: Path) -> None:
    """A second name of a file, which stays under its first; nothing where it has it already, after a crash."""
    target.parent.mkdir(exist_ok=True)
    try:
        target.hardlink_to(source)
    except FileExistsError:
        return
    except OSError:  # a file system without second names
        aside = target.with_name(f"_{target.name}")
        shutil.copy(source, aside)
        aside.replace(target)


def _statistics(file: Mapping[str, Any], name: str) -> dict[str, Any]:
    """One kind of a file's statistics, by column, as delta-rs tells of them."""
    return {key.removeprefix(name): value for key, value in file.items() if key.startswith(name) and value is not None}
