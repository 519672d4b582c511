from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.hmac import HMAC
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.sealing import AesGcmSealing

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
PLAIN = "+8613800138000 【验真】".encode()


@given(st.binary(max_size=300), st.binary(max_size=40))
def test_what_is_sealed_opens_for_what_it_is_about_and_nothing_else(plain: bytes, about: bytes) -> None:
    sealing = AesGcmSealing({1: OLD})
    sealed = sealing.seal(plain, about=about)
    assert len(sealed) == len(plain) + 29
    assert sealing.open(sealed, about=about) == plain
    assert sealing.open(sealed, about=about + b"x") is None


def test_every_sealing_differs_and_shows_nothing() -> None:
    sealing = AesGcmSealing({1: OLD})
    sealed = {sealing.seal(PLAIN, about=b"k") for _ in range(50)}
    assert len(sealed) == 50
    assert not any(b"138" in value for value in sealed)


def test_any_changed_or_missing_byte_is_noticed() -> None:
    sealing = AesGcmSealing({1: OLD, 2: OLD})
    sealed = sealing.seal(PLAIN, about=b"k")
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 3  # in the first byte this names the other key
        assert sealing.open(bytes(changed), about=b"k") is None
        assert sealing.open(sealed[:at], about=b"k") is None
    assert sealing.open(sealed + b"x", about=b"k") is None


def test_an_older_secret_opens_as_long_as_it_is_kept_and_a_foreign_one_never() -> None:
    sealed = AesGcmSealing({1: OLD}).seal(PLAIN, about=b"k")
    rotated = AesGcmSealing({2: NEW, 1: OLD})
    assert rotated.open(sealed, about=b"k") == PLAIN
    assert rotated.seal(PLAIN, about=b"k")[0] == 2
    assert AesGcmSealing({2: NEW}).open(sealed, about=b"k") is None
    assert AesGcmSealing({1: NEW}).open(sealed, about=b"k") is None


def test_the_key_is_derived_as_rfc_5869_says() -> None:
    def hmac(key: bytes, text: bytes) -> bytes:
        mac = HMAC(key, SHA256())
        mac.update(text)
        return mac.finalize()

    key = hmac(hmac(bytes(Hash(SHA256()).algorithm.digest_size), OLD), b"yanzhen outbox v1\x01")
    sealed = AesGcmSealing({1: OLD}).seal(PLAIN, about=b"k")
    assert AESGCM(key).decrypt(sealed[1:13], sealed[13:], b"\x01k") == PLAIN


@pytest.mark.parametrize("keys", [{}, {0: OLD}, {256: OLD}, {1: OLD[:31]}])
def test_unfit_keys_are_refused(keys: dict[int, bytes]) -> None:
    with pytest.raises(ValueError, match="sealing"):
        AesGcmSealing(keys)
