"""``key rotate``: another key for new rows, and if wanted for old ones.

Killed at any moment, the lake opens with the key in the key file: the old one as long as the lake's metadata
names it, the new one from then on (``app.jobs.lake_session`` puts it in its place, if that was cut short).

1. The new key is made next to the key file, and on disk.
2. The old key file gets a second name, with the old key's id: a rotation destroys no key.
3. The metadata file is replaced in one step: new key id, earlier keys encrypted with the new key. Now it is done.
4. The new key takes the key file's name.

It all happens under the landing lock. Whoever opened the lake with the old key lands nothing more: rows are encrypted
with one key at a time.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.jobs.lake_session import new_key_file, open_with_key, take_up_new_key
from app.settings import Settings
from lake.atomic_write import sync_folder
from lake.errors import UsageError
from lake.security.encryption import LakeKey
from lake.storage import audit_log, metadata, store
from lake.storage.reencryption import reencrypt as reencrypt_tables
from lake.storage.store import Lake


@dataclass(frozen=True)
class Rotated:
    """Ids of the two keys; where the old key file is kept (None where the new key did not take its place)."""

    lake: Lake
    old: str
    new: str
    kept: Path | None


def rotate(settings: Settings, named: Path | None = None) -> Rotated:
    """Give the lake a new key, and the stream's next landing with the old one is refused.

    The new key is that in the file ``named`` (made if absent), else ``WARDLAKE_NEW_KEY``, else one that is made and
    takes the key file's place.

    Raises ``LakeError`` or ``UsageError`` where the lake cannot be opened, no new key can be made, or it is one that
    the lake had; nothing is changed then.
    """
    lake = open_with_key(settings)
    in_place = named is None and settings.new_key is None
    if in_place and settings.key is not None:
        raise UsageError(
            "there is no place for the new key",
            got="the lake's key in WARDLAKE_KEY",
            expected="a file for the new one, or the new one in WARDLAKE_NEW_KEY",
            next_move="name one: wardlake key rotate --new-key-file PATH",
        )
    with lake.landing_lock():
        lake.require_current_key()
        new = _new_key(settings, named)
        if new.key_id in lake.key.known:
            raise UsageError(
                "the new key is not new",
                got=f"key {new.key_id}",
                expected="a key that this lake never had",
                next_move="make one: wardlake key rotate --new-key-file PATH",
            )
        audit_log.append(lake.root, "key_rotate", f"from key {lake.key.key_id} to key {new.key_id}")
        kept = keep_old(settings.key_path, lake.key.key_id) if in_place else None
        change(lake, new)
        if in_place:
            take_up_new_key(settings.key_path)
    return Rotated(store.open_lake(lake.root, new), lake.key.key_id, new.key_id, kept)


def reencrypt(lake: Lake, progress: Callable[[str], None] = lambda _: None) -> int:
    """Encrypt all rows with the lake's key, forget earlier keys, and note it in ``ops/audit``; returns the rows.

    Raises as ``lake.storage.reencryption.reencrypt`` does. Cut short, it is carried on by the next run.
    """
    rows = reencrypt_tables(lake, progress)
    audit_log.append(lake.root, "key_reencrypt", f"all rows are encrypted with key {lake.key.key_id}", rows)
    return rows


def keep_old(path: Path, key_id: str) -> Path:
    """A second name of the key file, which stays when another file takes the first one."""
    kept = path.with_name(f"{path.name}.{key_id}")
    with suppress(FileExistsError):  # of a rotation that was cut short
        kept.hardlink_to(path)
    sync_folder(path.parent)
    return kept


def change(lake: Lake, new: LakeKey) -> None:
    """Make ``new`` the lake's key. Call under the landing lock."""
    metadata.write(lake.root, metadata.read(lake.root).locked_with(lake.key.succeeded_by(new)))


def _new_key(settings: Settings, named: Path | None) -> LakeKey:
    if named is None and settings.new_key is not None:
        return LakeKey.from_text(settings.new_key.get_secret_value())
    path = named or new_key_file(settings.key_path)
    try:
        return LakeKey.create_file(path)
    except OSError as error:
        reason = error.strerror or type(error).__name__
    raise UsageError(
        f"the new key cannot be made in {path}",
        got=reason,
        expected="a folder that can be written",
        next_move="mend it, or name another file: wardlake key rotate --new-key-file PATH",
    )
