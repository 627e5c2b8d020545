"""Small files that appear whole or not at all, and are still there after a power cut."""

import contextlib
import os
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Replace the file at ``path`` by ``text``, mode 0600. Readers see the old one or the new one, never a part.

    It is written aside as ``.NAME``, which a crash may leave behind; one writer at a time.
    """
    aside = path.with_name(f".{path.name}")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder outlast a power cut, where the system can."""
    with contextlib.suppress(OSError):  # Windows opens no folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
