"""Encryption: what is encrypted opens only with its key and in its row; the key stays out of sight."""

import base64
import hashlib
import hmac
import os
import stat
import threading
from pathlib import Path
from typing import Final

import polars as pl
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lake.errors import LakeError, UsageError
from lake.security.encryption import KEY_BYTES, NONCE_BYTES, LakeKey

SECRET: Final = bytes(range(100, 100 + KEY_BYTES))
TEXT: Final = base64.b64encode(SECRET).decode()
KEY: Final = LakeKey(SECRET)
PAYLOADS: Final = [b"one", b"", b"\x00\xff" * 1000, b"four"]
PLACES: Final = [b"topic-1:3:10:19", b"topic-1:3:20:29", b"topic-1:0:10:19", b"topic-2:0:10:19"]


def derived(purpose: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=purpose).derive(SECRET)


def decrypted(encrypted: list[bytes], places: list[bytes], key: LakeKey = KEY) -> list[bytes]:
    """Opened, each payload with this key."""
    return key.decrypt(encrypted, places, [key.key_id] * len(encrypted))


def pseudonyms(key: LakeKey, *values: str | None) -> list[str | None]:
    return (
        pl.DataFrame({"value": values}, schema={"value": pl.String}).select(key.pseudonyms(pl.all()))["value"].to_list()
    )


def refused(call: object, *arguments: object) -> str:
    """The text of the usage error that the call ends in."""
    with pytest.raises(UsageError) as caught:
        call(*arguments)  # type: ignore[operator]
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


def test_what_is_encrypted_opens_again_and_is_a_nonce_and_a_tag_longer() -> None:
    encrypted = KEY.encrypt(PAYLOADS, PLACES)
    assert decrypted(encrypted, PLACES) == PAYLOADS
    assert [len(item) - 28 for item in encrypted] == [len(payload) for payload in PAYLOADS]


def test_nothing_to_encrypt() -> None:
    assert KEY.encrypt([], []) == []
    assert decrypted([], []) == []


def test_an_encrypted_payload_shows_nothing_and_never_looks_the_same_twice() -> None:
    encrypted = {item for _ in range(50) for item in KEY.encrypt([b"Jane Roe"], [b"p"])}
    assert len({item[:NONCE_BYTES] for item in encrypted}) == 50
    assert not any(b"Jane" in item for item in encrypted)


def test_it_is_aes_256_gcm_under_a_key_of_its_own() -> None:
    [encrypted] = KEY.encrypt([b"Jane Roe"], [b"topic-1:3:10"])
    cipher = AESGCM(derived(b"wardlake seal v1"))
    assert cipher.decrypt(encrypted[:12], encrypted[12:], b"topic-1:3:10") == b"Jane Roe"


def test_a_changed_byte_is_noticed(subtests: pytest.Subtests) -> None:
    for at in [0, 11, 12, 14, -16, -1]:
        with subtests.test(at=at):
            [encrypted] = KEY.encrypt([b"Jane Roe"], [b"p"])
            changed = bytearray(encrypted)
            changed[at] ^= 1
            with pytest.raises(LakeError):
                decrypted([bytes(changed)], [b"p"])


def test_what_is_too_short_to_be_encrypted_is_refused(subtests: pytest.Subtests) -> None:
    for short in [b"", b"x", b"x" * 12, b"x" * 27]:
        with subtests.test(short=short), pytest.raises(LakeError, match="does not open"):
            decrypted([short], [b"p"])


def test_a_payload_that_was_moved_to_another_row_does_not_open() -> None:
    encrypted = KEY.encrypt([b"one", b"two"], PLACES[:2])
    for elsewhere in (PLACES[1::-1], PLACES[2:], [PLACES[0], PLACES[0] + b"0"]):
        with pytest.raises(LakeError):
            decrypted(encrypted, elsewhere)


def test_another_key_does_not_open_it_and_the_error_says_what_to_do() -> None:
    other = LakeKey(bytes(KEY_BYTES))
    with pytest.raises(LakeError) as caught:
        decrypted(KEY.encrypt([b"Jane Roe"], [b"p"]), [b"p"], other)
    assert str(caught.value) == (
        "an encrypted payload does not open; got a failed authentication tag; expected payloads encrypted with key "
        f"{other.key_id}, each in its own row; check WARDLAKE_KEY or the key file; if they are right, the table "
        "was tampered with"
    )


def test_every_payload_needs_its_place(subtests: pytest.Subtests) -> None:
    for given in [[], [b"p"], [b"p"] * 3]:
        with subtests.test(given=given), pytest.raises(ValueError, match="zip"):
            KEY.encrypt([b"one", b"two"], given)


def test_pseudonyms_are_hmac_sha_256_with_the_lake_s_key() -> None:
    values = ["MRN-1", "MRN-2", "é\U0001f600", ""]
    expected = [hmac.new(SECRET, value.encode(), hashlib.sha256).hexdigest()[:32] for value in values]
    assert pseudonyms(KEY, *values) == expected
    assert not set(pseudonyms(LakeKey(bytes(KEY_BYTES)), *values)) & set(expected)
    assert pseudonyms(KEY, None, "MRN-1") == [None, expected[0]]
    assert pseudonyms(KEY) == []


def test_what_polars_says_of_pseudonyms_shows_no_key() -> None:
    frame = pl.LazyFrame({"patient_id": [1]}).select(KEY.pseudonyms(pl.col("patient_id").cast(pl.List(pl.Int64))))
    with pytest.raises(pl.exceptions.PolarsError) as failed:
        frame.collect()
    shown = f"{failed.value} {frame.explain()} {KEY.pseudonyms(pl.col('patient_id'))!r}"
    assert "Series[key]" in shown
    assert 'b"' not in shown


def test_fingerprints_are_keyed_and_fit_a_long_column() -> None:
    values = [b"record %d" % n for n in range(1000)]
    found = KEY.fingerprints(values)
    assert len(set(found)) == 1000
    assert all(-(2**63) <= one < 2**63 for one in found)
    assert min(found) < 0 < max(found)
    key = derived(b"wardlake content v1")
    expected = hashlib.blake2b(b"record 0", digest_size=8, key=key).digest()
    assert found[0] == int.from_bytes(expected, "little", signed=True)


def test_the_key_id_names_the_key_and_tells_nothing_of_it() -> None:
    assert KEY.key_id == derived(b"wardlake key id v1").hex()[:16]
    assert KEY.key_id != LakeKey(bytes(KEY_BYTES)).key_id
    assert repr(KEY) == str(KEY) == f"LakeKey(key_id='{KEY.key_id}')"


@pytest.mark.parametrize("text", [TEXT, f"  {TEXT}\n"])
def test_a_key_is_read_from_base64(text: str) -> None:
    assert LakeKey.from_text(text).key_id == KEY.key_id


def test_a_key_of_the_wrong_length_is_refused_without_showing_it(subtests: pytest.Subtests) -> None:
    for size in [0, 1, 16, 31, 33, 64]:
        with subtests.test(size=size):
            wrong = (SECRET * 2)[:size]
            text = base64.b64encode(wrong).decode()
            said = refused(LakeKey.from_text, text)
            assert said.startswith(
                f"the lake key has the wrong length; got {size} bytes; expected 32 bytes, base64; make one"
            )
            assert size < 16 or text not in said


def test_a_key_that_is_no_base64_is_refused_without_showing_it(subtests: pytest.Subtests) -> None:
    for text in [TEXT[:-1], TEXT[:-2] + "!=", "not base64 at all", TEXT.replace("=", "?"), "ключ"]:
        with subtests.test(text=text):
            said = refused(LakeKey.from_text, text)
            assert said.startswith(
                "the lake key cannot be read; got text that is not base64; expected 32 bytes, base64; make"
            )
            assert text not in said


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"short", "the lake key cannot be read; got text that is not base64"),
        (b"", "the lake key has the wrong length; got 0 bytes"),
        (b"\xff\xfe", "cannot be read; got UnicodeDecodeError"),
    ],
)
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "lake.key"
    path.write_bytes(content)
    assert problem in refused(LakeKey.from_file, path)


def test_a_missing_file_is_refused_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "lake.key"
    assert refused(LakeKey.from_file, path) == (
        f"the key file {path} cannot be read; got FileNotFoundError; expected a file with 32 bytes in base64; "
        "set WARDLAKE_KEY_FILE or WARDLAKE_KEY"
    )


def test_a_new_key_file_is_its_owner_s_alone_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lake.key"
    before = os.umask(0)
    try:
        made = LakeKey.create_file(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(base64.b64decode(path.read_text("ascii"), validate=False)) == KEY_BYTES
    assert LakeKey.from_file(path).key_id == made.key_id
    assert [item.name for item in path.parent.iterdir()] == ["lake.key"]


def test_two_new_keys_differ(tmp_path: Path) -> None:
    assert LakeKey.create_file(tmp_path / "a").key_id != LakeKey.create_file(tmp_path / "b").key_id


def test_who_comes_second_reads_the_first_one_s_key(tmp_path: Path) -> None:
    path = tmp_path / "lake.key"
    first = LakeKey.create_file(path)
    content = path.read_bytes()
    assert LakeKey.create_file(path).key_id == first.key_id
    assert path.read_bytes() == content
    assert [item.name for item in tmp_path.iterdir()] == ["lake.key"]


def test_what_a_crash_left_aside_does_not_stand_in_the_way(tmp_path: Path) -> None:
    # In a container every start has the same process id.
    (tmp_path / f".lake.key.{os.getpid()}").write_bytes(b"half a key")
    made = LakeKey.create_file(tmp_path / "lake.key")
    assert LakeKey.from_file(tmp_path / "lake.key").key_id == made.key_id


def test_several_at_once_agree_on_one_key(tmp_path: Path) -> None:
    path = tmp_path / "lake.key"
    start = threading.Barrier(2)
    found: list[str] = []

    def first_or_second() -> None:
        start.wait()
        found.append(LakeKey.create_file(path).key_id)

    threads = [threading.Thread(target=first_or_second) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert len(set(found)) == 1


def test_a_payload_of_an_earlier_release_opens() -> None:
    """How keys are derived is part of the lake's format: another label, and nothing that was landed opens."""
    key = LakeKey(b"1" * KEY_BYTES)
    landed = bytes.fromhex("0b7c4d52cecaeeda24e1d3b0f30215739dca708547a515b1b38c82fb611cb8007857aec5ba74973f7d8cb1")
    assert key.key_id == "ce3bd76a59189509"
    assert decrypted([landed], [b"topic-1:3:10"], key) == [b"landed long ago"]
