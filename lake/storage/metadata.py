"""``wardlake.json``: what makes a folder a lake, the name of its key, and what that key opens of earlier ones.

It is one file, replaced in one step: the key's id and what belongs to it change together or not at all.
"""

import json
import uuid
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from lake import atomic_write
from lake.errors import LakeError
from lake.security.encryption import LakeKey

METADATA_FILE: Final = "wardlake.json"
FORMAT: Final = 3
"""Bronze in record batches. A lake of another format is not opened."""


@dataclass(frozen=True)
class LakeMetadata:
    """``key_id`` names the key that opens the lake; ``keys`` (None before the first rotation) is encrypted with it."""

    format: int
    key_id: str
    lake_id: str
    demo: bool = False
    keys: str | None = None

    @classmethod
    def of(cls, key: LakeKey, *, demo: bool) -> "LakeMetadata":
        """The metadata of a new lake."""
        return cls(FORMAT, key.key_id, uuid.uuid4().hex, demo)

    def unlock(self, key: LakeKey) -> LakeKey:
        """``key`` with all that it opens here. Raises ``LakeError`` where the file was tampered with."""
        return key if self.keys is None else key.opened(self.keys, self.lake_id)

    def locked_with(self, key: LakeKey) -> "LakeMetadata":
        """The same lake with another current key, which keeps what it needs of earlier ones."""
        return replace(self, format=FORMAT, key_id=key.key_id, keys=key.key_bundle(self.lake_id))


def read(root: Path, *, any_format: bool = False) -> LakeMetadata:
    """The metadata of the lake at ``root``.

    Raises ``LakeError`` where there is none, or, but for ``any_format``, one that this version cannot open.
    """
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        raise LakeError(
            f"there is no lake at {root}",
            got="nothing there",
            expected=f"a folder with {METADATA_FILE}",
            next_move="run 'wardlake stream' or 'wardlake demo' first, or set WARDLAKE_LAKE",
        )
    try:
        found = json.loads((root / METADATA_FILE).read_text("utf-8"))
        metadata = LakeMetadata(
            int(found["format"]),
            str(found["key_id"]),
            str(found.get("lake_id", "")),
            bool(found.get("demo")),
            found.get("keys"),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise LakeError(
            f"{root} is not a lake",
            got=f"no readable {METADATA_FILE}" if root.is_dir() else "a file",
            expected=f"a folder with {METADATA_FILE}, or an empty or absent one to make a lake in",
            next_move="set WARDLAKE_LAKE to another path",
        ) from None
    if metadata.format != FORMAT and not any_format:
        newer = metadata.format > FORMAT
        raise LakeError(
            f"the lake at {root} was made by {'a newer' if newer else 'an older'} version of Wardlake",
            got=f"lake format {metadata.format}",
            expected=f"lake format {FORMAT}",
            next_move="upgrade Wardlake" if newer else "set WARDLAKE_LAKE to another folder and send the events again",
        )
    return metadata


def write(root: Path, metadata: LakeMetadata) -> None:
    """Replace the metadata file, whole and durably. Call under the landing lock."""
    fields = {name: value for name, value in asdict(metadata).items() if value is not None}
    atomic_write.write(root / METADATA_FILE, json.dumps(fields) + "\n")
