"""Sealing: payloads at rest are AES-256-GCM, identifiers become HMAC-SHA-256 pseudonyms.

One 32-byte key per lake. Pseudonyms use it as it is (contract: HMAC-SHA-256 with the lake's key); the cipher
and the content fingerprint each use a key derived from it (HKDF-SHA-256, RFC 5869), so that no key serves two
algorithms. Nonces are random, 96 bit, one per message (NIST SP 800-38D 8.2.2: at most 2^32 messages a key).
"""

import base64
import hashlib
import os
import struct
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lake.errors import LakeError, UsageError

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
_MAKE_ONE = "make one with: python3 -c 'import os,base64; print(base64.b64encode(os.urandom(32)).decode())'"


class LakeKey:
    """The lake's key and the three things done with it. Neither ``repr`` nor an error shows it.

    ``key_id`` is 16 hex characters that name the key without telling anything of it.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise UsageError(
                "the lake key has the wrong length",
                got=f"{len(key)} bytes",
                expected=f"{KEY_BYTES} bytes, base64",
                next_move=_MAKE_ONE,
            )
        self._mac = HMAC(key, hashes.SHA256())
        self._cipher = AESGCM(_derive(key, b"wardlake seal v1"))
        self._fingerprint = hashlib.blake2b(digest_size=8, key=_derive(key, b"wardlake content v1"))
        self.key_id = _derive(key, b"wardlake key id v1").hex()[:16]

    def __repr__(self) -> str:
        return f"LakeKey(key_id={self.key_id!r})"

    @classmethod
    def from_text(cls, text: str) -> "LakeKey":
        """Read a key from its base64 text. Raises ``UsageError`` when it is not 32 bytes of base64."""
        try:
            return cls(base64.b64decode(text.strip(), validate=True))
        except ValueError:  # binascii.Error is one; text that is not ASCII gives a plain one
            raise UsageError(
                "the lake key cannot be read",
                got="text that is not base64",
                expected=f"{KEY_BYTES} bytes, base64",
                next_move=_MAKE_ONE,
            ) from None

    @classmethod
    def from_file(cls, path: Path) -> "LakeKey":
        """Read a key file. Raises ``UsageError`` when it is absent, unreadable or not a key."""
        try:
            return cls.from_text(path.read_text("ascii"))
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"the key file {path} cannot be read",
                got=type(error).__name__,
                expected="a file with 32 bytes in base64",
                next_move="set WARDLAKE_KEY_FILE or WARDLAKE_KEY",
            ) from None

    @classmethod
    def create_file(cls, path: Path) -> "LakeKey":
        """Make a new random key in ``path``, mode 0600; a process that comes second reads the first one's.

        The file appears whole or not at all (written aside, then linked), so a crash leaves no empty key.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
        aside = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(base64.b64encode(os.urandom(KEY_BYTES)) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(aside, path)
            except FileExistsError:
                return cls.from_file(path)
        finally:
            aside.unlink(missing_ok=True)
        return cls.from_file(path)

    def seal(self, payloads: Sequence[bytes | None], places: Iterable[bytes]) -> list[bytes | None]:
        """Seal each payload: 12-byte nonce, ciphertext, 16-byte tag. A tombstone (``None``) stays ``None``.

        ``places`` gives each payload's own place (see ``places``); it is authenticated with it, so that a sealed
        payload which was moved to another row no longer opens.
        """
        nonces = os.urandom(NONCE_BYTES * len(payloads))
        encrypt = self._cipher.encrypt
        return [
            None if payload is None else (nonce := nonces[i : i + NONCE_BYTES]) + encrypt(nonce, payload, at)
            for payload, at, i in zip(payloads, places, range(0, len(nonces), NONCE_BYTES), strict=True)
        ]

    def unseal(self, sealed: Sequence[bytes | None], places: Iterable[bytes]) -> list[bytes | None]:
        """Open what ``seal`` made. Raises ``LakeError`` when the key or the place is not the one it was sealed with."""
        decrypt = self._cipher.decrypt
        try:
            return [
                None if item is None else decrypt(item[:NONCE_BYTES], item[NONCE_BYTES:], at)
                for item, at in zip(sealed, places, strict=True)
            ]
        except (InvalidTag, ValueError):
            raise LakeError(
                "a sealed payload does not open",
                got="a failed authentication tag",
                expected=f"payloads sealed with key {self.key_id}, each in its own row",
                next_move="check WARDLAKE_KEY or the key file; if they are right, the table was tampered with",
            ) from None

    def pseudonyms(self, values: Sequence[str]) -> list[str]:
        """HMAC-SHA-256 of each value with the lake's key, its first 32 hex characters."""
        made = []
        for value in values:
            mac = self._mac.copy()  # a third of the cost of beginning with the key each time
            mac.update(value.encode())
            made.append(mac.finalize().hex()[:32])
        return made

    def fingerprints(self, values: Sequence[bytes]) -> list[int]:
        """Keyed 64-bit fingerprint (BLAKE2b, RFC 7693) of each value, as a signed integer.

        It is compared only between rows whose deduplication key is equal already, so 64 bits are ample; keyed,
        because an unkeyed digest of a patient's record could be guessed at.
        """
        made = []
        for value in values:
            digest = self._fingerprint.copy()
            digest.update(value)
            made.append(digest.digest())
        return list(struct.unpack(f"<{len(made)}q", b"".join(made)))


def places(topic_id: str, partitions: Iterable[int], offsets: Iterable[int]) -> Iterable[bytes]:
    """Where each message stands, as bytes to authenticate its payload with."""
    topic = topic_id.encode()
    return (b"%s:%d:%d" % (topic, partition, offset) for partition, offset in zip(partitions, offsets, strict=True))


def _derive(key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=purpose).derive(key)
