"""A small disk of the lake's own, which can be full for a while.

A tmpfs in a mount namespace of this process: whatever ends the soak, nothing stays mounted. It is made full by making
it as small as what it holds, so filling it takes neither time nor memory.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

SIZE_MB: Final = 12_000
"""How much it may hold; only what it does hold takes memory."""

_NEW_NAMESPACE: Final = 0x20000
_PRIVATE_BELOW: Final = 0x4000 | 0x40000
_REMOUNT: Final = 32
_DETACH: Final = 2
_PAGE: Final = 4096
_TRIES: Final = 50


class DiskError(Exception):
    """The disk cannot be mounted, or not be made full."""


class SmallDisk:
    """A tmpfs at ``folder``, seen by this process and those it starts. Raises ``DiskError`` where that is refused."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        if not hasattr(ctypes.CDLL(None), "unshare"):
            raise DiskError("only Linux has mount namespaces")
        if ctypes.CDLL(None, use_errno=True).unshare(_NEW_NAMESPACE):
            raise DiskError(f"no mount namespace: {os.strerror(ctypes.get_errno())}")
        _mount(None, Path("/"), None, _PRIVATE_BELOW, "")
        _mount("tmpfs", folder, "tmpfs", 0, f"size={SIZE_MB}m,mode=0700")

    def close(self) -> None:
        """Take it away, and all that is on it."""
        ctypes.CDLL(None).umount2(os.fsencode(self._folder), _DETACH)

    @contextmanager
    def full(self) -> Iterator[None]:
        """Within it, nothing more can be written. Raises ``DiskError`` where it fills faster than it shrinks."""
        self._shrink()
        try:
            yield
        finally:
            _mount(None, self._folder, None, _REMOUNT, f"size={SIZE_MB}m")

    def _shrink(self) -> None:
        for _ in range(_TRIES):
            try:
                return _mount(None, self._folder, None, _REMOUNT, f"size={_held(self._folder)}")
            except DiskError as error:  # something was written in between
                refused = error
        raise refused


def _held(folder: Path) -> int:
    seen = os.statvfs(folder)
    return (seen.f_blocks - seen.f_bfree) * seen.f_frsize + _PAGE


def _mount(source: str | None, target: Path, kind: str | None, flags: int, options: str) -> None:
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind)]
    if ctypes.CDLL(None, use_errno=True).mount(*words, flags, options.encode()):
        raise DiskError(f"mounting is refused: {os.strerror(ctypes.get_errno())}")
