"""A key that takes over from another one: what it keeps, what it encrypts, and what it lets go of."""

import base64
import json
from typing import Final

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.errors import LakeError
from lake.security.encryption import KEY_BYTES, LakeKey

FIRST: Final = LakeKey(b"1" * KEY_BYTES)
SECOND: Final = FIRST.succeeded_by(LakeKey(b"2" * KEY_BYTES))
THIRD: Final = SECOND.succeeded_by(LakeKey(b"3" * KEY_BYTES))
LAKE: Final = "a-lake-id"
PLACES: Final = [b"topic-1:0:1:1", b"topic-1:0:2:4", b"topic-1:1:1:1"]
PAYLOADS: Final = [b"one", b"", b"three"]


def pseudonyms(key: LakeKey) -> list[str]:
    return pl.Series(["MRN-1", "é"]).to_frame("id").select(key.pseudonyms(pl.col("id")))["id"].to_list()


def opened(key: bytes, key_bundle: str, lake_id: str = LAKE) -> LakeKey:
    """As another process has it that was given the bare key."""
    return LakeKey(key).opened(key_bundle, lake_id)


def test_pseudonyms_and_fingerprints_stay_and_the_key_is_another() -> None:
    for later in (SECOND, THIRD, THIRD.without_retired(), opened(b"3" * KEY_BYTES, THIRD.key_bundle(LAKE))):
        assert pseudonyms(later) == pseudonyms(FIRST)
        assert later.fingerprints([b"record"]) == FIRST.fingerprints([b"record"])
    assert len({FIRST.key_id, SECOND.key_id, THIRD.key_id}) == 3
    assert SECOND.key_id == LakeKey(b"2" * KEY_BYTES).key_id


def test_each_row_opens_with_the_key_that_it_names() -> None:
    keys = [FIRST, SECOND, THIRD]
    encrypted = [key.encrypt([b"payload"], [at])[0] for key, at in zip(keys, PLACES, strict=True)]
    ids = [key.key_id for key in keys]
    assert THIRD.decrypt(encrypted, PLACES, ids) == [b"payload"] * 3
    with pytest.raises(LakeError, match="does not open"):
        THIRD.decrypt(encrypted, PLACES, ids[::-1])
    with pytest.raises(LakeError, match="does not open"):
        THIRD.decrypt(encrypted, PLACES, [THIRD.key_id] * 3)


def test_what_is_encrypted_after_the_rotation_is_nothing_to_the_old_key() -> None:
    encrypted = SECOND.encrypt([b"payload"], PLACES[:1])
    with pytest.raises(LakeError, match="does not open"):
        FIRST.decrypt(encrypted, PLACES[:1], [FIRST.key_id])
    with pytest.raises(LakeError, match="do not open"):
        FIRST.opened(SECOND.key_bundle(LAKE), LAKE)


def test_an_unknown_key_is_named_in_one_error() -> None:
    with pytest.raises(LakeError) as caught:
        FIRST.decrypt(SECOND.encrypt([b"x"], PLACES[:1]), PLACES[:1], [SECOND.key_id])
    assert str(caught.value) == (
        f"a payload is encrypted with a key that this lake does not know; got key {SECOND.key_id}; "
        f"expected one of {FIRST.key_id}; restore the lake from one backup: its tables and wardlake.json belong "
        "together"
    )
    assert caught.value.__suppress_context__


def test_without_its_retired_keys_it_opens_only_its_own() -> None:
    lean = THIRD.without_retired()
    own = THIRD.encrypt([b"x"], PLACES[:1])
    assert lean.decrypt(own, PLACES[:1], [THIRD.key_id]) == [b"x"]
    with pytest.raises(LakeError, match="does not know"):
        lean.decrypt(SECOND.encrypt([b"x"], PLACES[:1]), PLACES[:1], [SECOND.key_id])
    assert lean.known == {FIRST.key_id, THIRD.key_id}, "the first key makes the pseudonyms"
    assert THIRD.known == {FIRST.key_id, SECOND.key_id, THIRD.key_id}


def test_renewing_encrypts_what_is_old_and_leaves_the_rest_as_it_is() -> None:
    old, new = FIRST.encrypt(PAYLOADS[:2], PLACES[:2]), SECOND.encrypt(PAYLOADS[2:], PLACES[2:])
    ids = [FIRST.key_id, FIRST.key_id, SECOND.key_id]
    renewed = SECOND.renew([*old, *new], PLACES, ids)
    assert SECOND.without_retired().decrypt(renewed, PLACES, [SECOND.key_id] * 3) == PAYLOADS
    assert renewed[0] != old[0]
    assert renewed[2] == new[0]


def test_an_envelope_shows_nothing_and_never_looks_the_same_twice() -> None:
    texts = {SECOND.key_bundle(LAKE) for _ in range(20)}
    assert len(texts) == 20
    for text in texts:
        assert b"1" * 8 not in base64.b64decode(text)
        assert base64.b64encode(b"1" * 24).decode() not in text


@pytest.mark.parametrize("key", [b"1" * KEY_BYTES, b"9" * KEY_BYTES])
def test_an_envelope_opens_with_its_own_key_only(key: bytes) -> None:
    with pytest.raises(LakeError, match=r"the earlier keys of the lake do not open.*restore wardlake\.json"):
        opened(key, SECOND.key_bundle(LAKE))


def test_an_envelope_of_another_lake_does_not_open() -> None:
    with pytest.raises(LakeError, match="for this lake"):
        opened(b"2" * KEY_BYTES, SECOND.key_bundle(LAKE), "another")


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_envelope_does_not_open(at: int, mask: int) -> None:
    changed = bytearray(base64.b64decode(THIRD.key_bundle(LAKE)))
    changed[at % len(changed)] ^= mask
    with pytest.raises(LakeError, match="do not open"):
        opened(b"3" * KEY_BYTES, base64.b64encode(changed).decode())


def test_what_is_no_envelope_is_refused(subtests: pytest.Subtests) -> None:
    for text in ["", "not base64", "AAAA", json.dumps({"identity": ""})]:
        with subtests.test(text=text), pytest.raises(LakeError, match="do not open"):
            opened(b"3" * KEY_BYTES, text)


@given(st.lists(st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES), min_size=2, max_size=6, unique=True))
def test_however_often_it_is_rotated_every_row_opens(secrets: list[bytes]) -> None:
    key, encrypted, ids = LakeKey(secrets[0]), [], []
    where = [b"t:0:%d:%d" % (number, number) for number in range(len(secrets))]
    for number, secret in enumerate(secrets):
        if number:
            key = LakeKey(secret).opened(key.succeeded_by(LakeKey(secret)).key_bundle(LAKE), LAKE)
        encrypted += key.encrypt([secret], [where[number]])
        ids.append(key.key_id)
    assert key.decrypt(encrypted, where, ids) == secrets
    renewed = key.renew(encrypted, where, ids)
    assert key.without_retired().decrypt(renewed, where, [key.key_id] * len(secrets)) == secrets
    assert pseudonyms(key) == pseudonyms(LakeKey(secrets[0]))
