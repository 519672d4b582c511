from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.identities import KeyedIdentities
from app.core.model.caller import CallerKind
from app.core.model.verdict import VerificationId

IDENTITIES = KeyedIdentities(caller_key=bytes(range(32)), result_key=bytes(range(32, 64)))


def test_a_caller_token_is_the_hmac_of_kind_and_identity() -> None:
    expected = hmac.new(bytes(range(32)), b"phone\x0013800138000", hashlib.sha256).digest()[:16]
    caller = IDENTITIES.caller(CallerKind.PHONE, "13800138000")
    assert caller.token == expected
    assert caller.key_id == 1


def test_kinds_do_not_share_tokens_and_a_withheld_identity_has_none() -> None:
    assert IDENTITIES.caller(CallerKind.WEB, "a").token != IDENTITIES.caller(CallerKind.PHONE, "a").token
    assert IDENTITIES.caller(CallerKind.PHONE, "").token is None


@given(st.integers(min_value=0, max_value=2**63 - 1))
def test_a_result_id_opens_again(number: int) -> None:
    sealed = IDENTITIES.seal_result(VerificationId(number))
    assert len(sealed) == 22
    assert IDENTITIES.open_result(sealed) == number


def test_neighbouring_ids_look_unrelated() -> None:
    one, two = (IDENTITIES.seal_result(VerificationId(number)) for number in (1, 2))
    assert sum(a == b for a, b in zip(one, two, strict=True)) < 8


@pytest.mark.parametrize("sealed", ["", "A" * 22, "!" * 22, "长" * 22, "A" * 21, "A" * 2000, "A" * 21 + "\n"])
def test_what_we_did_not_seal_is_not_opened(sealed: str) -> None:
    assert IDENTITIES.open_result(sealed) is None


def test_only_the_one_spelling_opens() -> None:
    sealed = IDENTITIES.seal_result(VerificationId(7))
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    same_bytes = [sealed[:-1] + char for char in alphabet if char != sealed[-1]]
    assert [text for text in same_bytes if IDENTITIES.open_result(text) is not None] == []


def test_another_key_does_not_open_it() -> None:
    other = KeyedIdentities(caller_key=bytes(32), result_key=bytes(32))
    assert other.open_result(IDENTITIES.seal_result(VerificationId(7))) is None


@pytest.mark.parametrize(("caller", "result"), [(15, 32), (32, 16)])
def test_short_keys_are_refused(caller: int, result: int) -> None:
    with pytest.raises(ValueError, match="key"):
        KeyedIdentities(caller_key=bytes(caller), result_key=bytes(result))


def test_a_sealed_state_opens_for_its_call_alone() -> None:
    identities = KeyedIdentities(caller_key=b"c" * 32, result_key=b"r" * 32)
    sealed = identities.seal_state(b"where the call stands", about="CA1")
    assert identities.seal_state(b"where the call stands", about="CA1") == sealed, "a retry is answered alike"
    assert identities.open_state(sealed, about="CA1") == b"where the call stands"
    other = KeyedIdentities(caller_key=b"c" * 32, result_key=b"s" * 32)
    assert other.open_state(sealed, about="CA1") is None
    for wrong, about in (
        (sealed, "CA2"),
        (sealed[:-1], "CA1"),
        (sealed + "A", "CA1"),
        (sealed + "=", "CA1"),
        (sealed[:-1] + ("B" if sealed[-1] != "B" else "C"), "CA1"),
        ("", "CA1"),
        ("é" * 30, "CA1"),
        ("A" * 5000, "CA1"),
    ):
        assert identities.open_state(wrong, about=about) is None
    assert identities.open_state(identities.seal_state(b"", about="CA1"), about="CA1") == b""


@pytest.mark.parametrize("length", [16, 32, 64, 65, 200])
def test_a_token_is_the_hmac_of_any_length_of_key(length: int) -> None:
    key = bytes(range(length))
    caller = KeyedIdentities(caller_key=key, result_key=bytes(32)).caller(CallerKind.PHONE, "+8613812345678")
    assert caller.token == hmac.digest(key, b"phone\0+8613812345678", "sha256")[:16]
