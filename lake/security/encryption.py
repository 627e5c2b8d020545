"""Encryption: payloads at rest are AES-256-GCM, identifiers become HMAC-SHA-256 pseudonyms.

One 32-byte key per lake. Pseudonyms use it as it is (contract: HMAC-SHA-256 with the lake's key); the cipher
and the content fingerprint each use a key derived from it (HKDF-SHA-256, RFC 5869), so that no key serves two
algorithms. Nonces are random, 96 bit, one per record batch (NIST SP 800-38D 8.2.2: at most 2^32 messages a key).

When the key is rotated, payloads are encrypted with the new one. Pseudonyms and fingerprints stay: history is linked
and deduplicated by them. So the lake's first key, its *identity*, goes on making them. It is kept in the lake,
encrypted with the current key (the *key bundle*), and with it the encryption keys that stored rows still need.
"""

import base64
import hashlib
import json
import os
import struct
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import polars as pl
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from polars_hash import CryptographicHashingNameSpace

from lake import atomic_write
from lake.errors import LakeError, UsageError

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
_SHA256_BLOCK: Final = 64
_MAKE_ONE = "make one with: python3 -c 'import os,base64; print(base64.b64encode(os.urandom(32)).decode())'"


class LakeKey:
    """The lake's key and the three things done with it. Neither ``repr`` nor an error shows it.

    ``key_id`` is 16 hex characters that name the key without telling anything of it.
    """

    def __init__(
        self, key: bytes, *, identity: bytes | None = None, retired: Mapping[str, bytes] | None = None
    ) -> None:
        """``identity`` is the lake's first key where that is another one, ``retired`` key id → encryption key."""
        if len(key) != KEY_BYTES:
            raise UsageError(
                "the lake key has the wrong length",
                got=f"{len(key)} bytes",
                expected=f"{KEY_BYTES} bytes, base64",
                next_move=_MAKE_ONE,
            )
        self.key_id = _key_id(key)
        self._key, self._identity, self._retired = key, identity or key, dict(retired or {})
        self._payload_key = _derive(key, b"wardlake seal v1")
        self._inner, self._outer = _block(self._identity, 0x36), _block(self._identity, 0x5C)
        self._fingerprint = hashlib.blake2b(digest_size=8, key=_derive(self._identity, b"wardlake content v1"))
        self._cipher = AESGCM(self._payload_key)
        self._ciphers = {name: AESGCM(secret) for name, secret in self._retired.items()} | {self.key_id: self._cipher}

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
            atomic_write.sync_folder(path.parent)
        finally:
            aside.unlink(missing_ok=True)
        return cls.from_file(path)

    @property
    def known(self) -> frozenset[str]:
        """Ids of the keys that it opens payloads of, and of the lake's first one."""
        return frozenset({*self._ciphers, _key_id(self._identity)})

    def succeeded_by(self, new: "LakeKey") -> "LakeKey":
        """The key ``new``, which takes over all that this one is needed for."""
        return LakeKey(new._key, identity=self._identity, retired=self._retired | {self.key_id: self._payload_key})

    def without_retired(self) -> "LakeKey":
        """The same key, once no row is encrypted with an earlier one."""
        return LakeKey(self._key, identity=self._identity)

    def key_bundle(self, lake_id: str) -> str:
        """The identity and the retired keys, encrypted with this key for one lake; base64. ``opened`` reads it."""
        keys = {"identity": _text(self._identity), "retired": {k: _text(v) for k, v in self._retired.items()}}
        nonce = os.urandom(NONCE_BYTES)
        return _text(nonce + self._bundle_cipher().encrypt(nonce, json.dumps(keys).encode(), lake_id.encode()))

    def opened(self, key_bundle: str, lake_id: str) -> "LakeKey":
        """The same key with what a key bundle holds. Raises ``LakeError`` where it is not of this key and lake."""
        try:
            encrypted = base64.b64decode(key_bundle, validate=True)
            nonce, content = encrypted[:NONCE_BYTES], encrypted[NONCE_BYTES:]
            keys = json.loads(self._bundle_cipher().decrypt(nonce, content, lake_id.encode()))
            retired = {name: base64.b64decode(secret) for name, secret in keys["retired"].items()}
            return LakeKey(self._key, identity=base64.b64decode(keys["identity"]), retired=retired)
        except (InvalidTag, ValueError, TypeError):
            raise LakeError(
                "the earlier keys of the lake do not open",
                got="a failed authentication tag",
                expected=f"keys encrypted with key {self.key_id} for this lake",
                next_move="restore wardlake.json from a backup that was made after the last rotation",
            ) from None

    def _bundle_cipher(self) -> AESGCM:
        return AESGCM(_derive(self._key, b"wardlake keys v1"))

    def encrypt(self, payloads: Sequence[bytes], associated_data: Sequence[bytes]) -> list[bytes]:
        """Encrypt each payload: 12-byte nonce, ciphertext, 16-byte tag.

        ``associated_data`` is authenticated with it, each payload's own: with other data it no longer opens.
        """
        encrypt = self._cipher.encrypt
        return [
            (nonce := os.urandom(NONCE_BYTES)) + encrypt(nonce, payload, at)
            for payload, at in zip(payloads, associated_data, strict=True)
        ]

    def decrypt(
        self, encrypted: Sequence[bytes], associated_data: Sequence[bytes], key_ids: Iterable[str]
    ) -> list[bytes]:
        """Open what ``encrypt`` made, each payload with the key that is named for it.

        Raises ``LakeError`` when a key is not known here, or key or associated data is not what it was encrypted with.
        """
        try:
            return [
                self._ciphers[key_id].decrypt(item[:NONCE_BYTES], item[NONCE_BYTES:], at)
                for item, at, key_id in zip(encrypted, associated_data, key_ids, strict=True)
            ]
        except KeyError as error:
            raise LakeError(
                "a payload is encrypted with a key that this lake does not know",
                got=f"key {error.args[0]}",
                expected=f"one of {', '.join(sorted(self._ciphers))}",
                next_move="restore the lake from one backup: its tables and wardlake.json belong together",
            ) from None
        except (InvalidTag, ValueError):
            raise LakeError(
                "an encrypted payload does not open",
                got="a failed authentication tag",
                expected=f"payloads encrypted with key {self.key_id}, each in its own row",
                next_move="check WARDLAKE_KEY or the key file; if they are right, the table was tampered with",
            ) from None

    def renew(
        self, encrypted: Sequence[bytes], associated_data: Sequence[bytes], key_ids: Sequence[str]
    ) -> list[bytes]:
        """The payloads encrypted with this key; those that are so already stay as they are. Raises as ``decrypt``."""
        old = [row for row, key_id in enumerate(key_ids) if key_id != self.key_id]
        where = [associated_data[row] for row in old]
        opened = self.decrypt([encrypted[row] for row in old], where, [key_ids[row] for row in old])
        renewed = list(encrypted)
        for row, payload in zip(old, self.encrypt(opened, where), strict=True):
            renewed[row] = payload
        return renewed

    def pseudonyms(self, values: pl.Expr) -> pl.Expr:
        """HMAC-SHA-256 (RFC 2104) of each value of a String column with the lake's key, its first 32 hex characters.

        Null stays null, the column keeps its name. An expression, for what Python computes row by row holds its lock,
        and landing waits for that: the stream takes 5 % less time an event than with a loop here.
        """
        inner = _sha256(self._inner + values.cast(pl.Binary)).str.decode("hex")
        return _sha256(self._outer + inner).str.head(32).name.keep()

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


def _block(key: bytes, pad: int) -> pl.Expr:
    """The block that HMAC-SHA-256 hashes ahead of a text (RFC 2104, section 2).

    A series, not a literal: what Polars says of an expression that failed shows literals.
    """
    block = bytes(byte ^ pad for byte in key.ljust(_SHA256_BLOCK, b"\0"))
    return pl.lit(pl.Series("key", [block], dtype=pl.Binary))


def _sha256(values: pl.Expr) -> pl.Expr:
    return CryptographicHashingNameSpace(values).sha2_256()


def _derive(key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=purpose).derive(key)


def _key_id(key: bytes) -> str:
    return _derive(key, b"wardlake key id v1").hex()[:16]


def _text(secret: bytes) -> str:
    return base64.b64encode(secret).decode()
