"""Opening the lake that the settings name, with the key that they name."""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from app.jobs.active_policy import rules
from app.services import demo_address
from app.settings import Settings
from app.stream.exactly_once_writer import BatchWriter
from app.stream.recovery import recover
from lake.atomic_write import sync_folder
from lake.errors import UsageError
from lake.security.encryption import LakeKey
from lake.storage import metadata, store
from lake.storage.store import Lake


def open_or_create(settings: Settings, *, demo: bool = False) -> Lake:
    """Open the lake for writing, making it, and its key where none is named, on first use.

    A demo's lake that gets other messages than a demo's (``demo``, or those of the running demo's own broker) is no
    longer a demo's: the next one does not replace it.

    Raises ``LakeError`` or ``UsageError`` when the path, the format or the key does not fit.
    """
    key = read_key(settings, make=not store.exists(settings.lake))
    lake = _recovered(store.create(settings.lake, key, demo=demo), settings)
    if not demo and store.is_demo(lake.root) and demo_address.broker_of(settings.data) != settings.bootstrap:
        store.keep(lake.root)
    return lake


def open_with_key(settings: Settings) -> Lake:
    """Open an existing lake with its key. Raises as ``open_or_create`` does, and where there is no lake."""
    store.open_lake(settings.lake)
    return _recovered(store.open_lake(settings.lake, read_key(settings)), settings)


def open_without_key(settings: Settings) -> Lake:
    """Open an existing lake for what needs no key: masked rows and counts."""
    return store.open_lake(settings.lake)


def _recovered(lake: Lake, settings: Settings) -> Lake:
    """Carry through what a crash cut short: a table swap, a landing."""
    decided_by = rules(settings)
    with lake.landing_lock():
        recover(BatchWriter(lake, decided_by, lambda: datetime.now(UTC)))
    return lake


def read_key(settings: Settings, *, make: bool = False) -> LakeKey:
    """The key: ``WARDLAKE_KEY``, else the key file, which is made (mode 0600) where it is absent and ``make``."""
    if settings.key is not None:
        return LakeKey.from_text(settings.key.get_secret_value())
    path = _key_file(settings)
    if path.exists():
        return LakeKey.from_file(path)
    if make:
        return LakeKey.create_file(path)
    raise UsageError(
        "the lake's key is not there",
        got=f"no WARDLAKE_KEY and no file {path}",
        expected="the lake's key",
        next_move="set WARDLAKE_KEY or WARDLAKE_KEY_FILE",
    )


def new_key_file(path: Path) -> Path:
    """Where a rotation makes the key that is to take the place of the one in ``path``."""
    return path.with_name(f"{path.name}.new")


def take_up_new_key(path: Path) -> None:
    """Put the new key in its place, in one step. Another process may have done so already."""
    with suppress(FileNotFoundError):
        new_key_file(path).replace(path)
    sync_folder(path.parent)


def _key_file(settings: Settings) -> Path:
    """The file with the key; a rotation that was cut short after the lake had its new key is carried through."""
    path, new = settings.key_path, new_key_file(settings.key_path)
    if not _is_key_of(settings.lake, new):
        return path
    try:
        take_up_new_key(path)
    except OSError:  # in a folder that this process may only read
        return new
    return path


def _is_key_of(root: Path, path: Path) -> bool:
    try:
        return path.exists() and store.exists(root) and LakeKey.from_file(path).key_id == metadata.read(root).key_id
    except UsageError:  # no key, or gone by now
        return False
