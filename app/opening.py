"""Opening the lake that the settings name, with the key that they name."""

from datetime import UTC, datetime

from app.settings import Settings
from app.stream.landing import Landing
from lake import policy as policies
from lake import store
from lake.errors import UsageError
from lake.sealing import LakeKey
from lake.store import Lake


def open_or_create(settings: Settings, *, demo: bool = False) -> Lake:
    """Open the lake for writing, making it, and its key where none is named, on first use.

    Raises ``LakeError`` or ``UsageError`` when the path, the format or the key does not fit.
    """
    key = read_key(settings, make=not store.exists(settings.lake))
    lake = _whole(store.create(settings.lake, key, demo=demo), settings)
    if not demo and store.is_demo(lake.root):
        store.keep(lake.root)
    return lake


def open_with_key(settings: Settings) -> Lake:
    """Open an existing lake with its key. Raises as ``open_or_create`` does, and where there is no lake."""
    store.open_lake(settings.lake)
    return _whole(store.open_lake(settings.lake, read_key(settings)), settings)


def open_without_key(settings: Settings) -> Lake:
    """Open an existing lake for what needs no key: masked rows and counts."""
    return store.open_lake(settings.lake)


def _whole(lake: Lake, settings: Settings) -> Lake:
    """Carry through what a crash cut short: a takeover, a landing."""
    policy = policies.load(settings.policy)
    with lake.landing_lock():
        Landing(lake, policy, settings.dedup_key, lambda: datetime.now(UTC)).make_whole()
    return lake


def read_key(settings: Settings, *, make: bool = False) -> LakeKey:
    """The key: ``WARDLAKE_KEY``, else the key file, which is made (mode 0600) where it is absent and ``make``."""
    if settings.key is not None:
        return LakeKey.from_text(settings.key.get_secret_value())
    if settings.key_path.exists():
        return LakeKey.from_file(settings.key_path)
    if make:
        return LakeKey.create_file(settings.key_path)
    raise UsageError(
        "the lake's key is not there",
        got=f"no WARDLAKE_KEY and no file {settings.key_path}",
        expected="the key that the lake was made with",
        next_move="set WARDLAKE_KEY or WARDLAKE_KEY_FILE",
    )
