"""The lake's key in Spark: encrypts and makes pseudonyms as ``lake.security.encryption`` does."""

import hashlib
import hmac
from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812

_BLOCK: Final = 64


class Key:
    """What a key of 32 bytes does to columns."""

    def __init__(self, key: bytes) -> None:
        block = key.ljust(_BLOCK, b"\0")
        self._inner, self._outer = bytes(b ^ 0x36 for b in block), bytes(b ^ 0x5C for b in block)
        self._payload_key = _derived(key, b"wardlake seal v1")
        self._content = _derived(key, b"wardlake content v1").hex()
        self.key_id = _derived(key, b"wardlake key id v1").hex()[:16]

    def encrypted(self, payload: Column, place: Column) -> Column:
        """AES-256-GCM: a random nonce, ciphertext, tag; ``place`` (text) is authenticated with it."""
        return F.aes_encrypt(
            payload, F.lit(self._payload_key), F.lit("GCM"), F.lit("DEFAULT"), F.lit(b""), place.cast("binary")
        )

    def pseudonym(self, value: Column) -> Column:
        """HMAC-SHA-256 (RFC 2104), its first 32 hex characters."""
        inner = F.unhex(F.sha2(F.concat(F.lit(self._inner), value.cast("binary")), 256))
        return F.substring(F.sha2(F.concat(F.lit(self._outer), inner), 256), 1, 32)

    def fingerprint(self, text: Column) -> Column:
        """64 bits that tell contents apart. xxHash is quicker than Wardlake's BLAKE2b and weaker: no secret's match."""
        return F.xxhash64(F.lit(self._content), text)


def _derived(key: bytes, purpose: bytes) -> bytes:
    """HKDF-SHA-256 (RFC 5869) without salt, 32 bytes."""
    secret = hmac.digest(bytes(32), key, hashlib.sha256)
    return hmac.digest(secret, purpose + b"\x01", hashlib.sha256)
