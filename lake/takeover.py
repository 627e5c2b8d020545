"""Taking over tables that were built beside the lake: all of them, or none.

A rebuild (``replay``, ``quarantine replay``) writes its tables under ``.rebuild/`` in the lake, then a note of what
is to become of each. From the note on, the takeover is carried through: each table's change is one Delta commit,
fenced by a ``txn`` so that it happens once, and whoever opens the lake for writing or verifying finishes what a
crash left undone. Without the note, a leftover is thrown away and the old tables stand.

Readers see a table's old snapshot or its new one, never a mix.
"""

import json
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from lake.parquet import WRITER
from lake.store import DeltaStore, Lake, live_files
from lake.tables import Table

FOLDER: Final = ".rebuild"
_NOTE: Final = "takeover.json"
REBUILD_APP: Final = "wardlake:rebuild"
"""The Delta ``txn`` app id that a rebuild leaves in the tables that it took over."""

Mode = Literal["append", "overwrite"]


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
    """Take over the tables built by ``begin``; ``modes`` says per table whether to append or to overwrite."""
    note = {"id": time.time_ns(), "modes": dict(modes)}
    aside = lake.root / FOLDER / f".{_NOTE}"
    with aside.open("w", encoding="utf-8") as file:
        json.dump(note, file)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(lake.root / FOLDER / _NOTE)
    finish(lake)


def finish(lake: Lake) -> None:
    """Carry a takeover through that was noted, or clear away a rebuild that was not. Call under the landing lock."""
    root = lake.root / FOLDER
    if not root.exists():
        return
    if (root / _NOTE).exists():
        note = json.loads((root / _NOTE).read_text("utf-8"))
        for name, mode in note["modes"].items():
            _take(lake.stores[name], root / name, mode, int(note["id"]))
        (root / _NOTE).unlink()  # first: from here on what is left is only to be cleared away
    shutil.rmtree(root, ignore_errors=True)


def pending(root: Path) -> bool:
    """Whether the lake at ``root`` has a takeover to be carried through."""
    return (root / FOLDER / _NOTE).exists()


def _take(store: DeltaStore, source: Path, mode: Mode, rebuild: int) -> None:
    with store.rewriting():
        _take_alone(store, source, mode, rebuild)


def _take_alone(store: DeltaStore, source: Path, mode: Mode, rebuild: int) -> None:
    import duckdb  # here: every stream looks for a takeover, and few have one; it takes 13 MB

    store.refresh()
    if (store.handle.transaction_version(REBUILD_APP) or 0) >= rebuild:
        return
    names = ", ".join(f'"{name}"' for name in store.table.polars_schema)
    files = live_files(DeltaTable(source))
    if mode == "overwrite":
        store.about_to_replace()
    connection = duckdb.connect(":memory:")
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET temp_directory = ''")
        rows = (
            connection.sql(
                f"SELECT {names} FROM read_parquet(?, hive_partitioning=true, union_by_name=true, "  # noqa: S608
                f"hive_types={{'{store.table.partition}': DATE}})",
                params=[files],
            )
            if files
            else store.table.empty()
        )
        write_deltalake(
            store.handle,
            rows,
            mode=mode,
            writer_properties=WRITER,
            commit_properties=CommitProperties(app_transactions=[Transaction(REBUILD_APP, rebuild)]),
        )
    finally:
        connection.close()
