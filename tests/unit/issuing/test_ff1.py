import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.issuing.ff1 import FF1

_KEY = bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3CEF4359D8D580AA4F7F036D6F04FC6A94")
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_TWEAK_10 = "39383736353433323130"
_TWEAK_36 = "3737373770717273373737"
# NIST, "Examples with intermediate values", FF1 samples 1 to 9: AES-128, AES-192, AES-256
_SAMPLES = [
    (16, 10, "", "0123456789", "2433477484"),
    (16, 10, _TWEAK_10, "0123456789", "6124200773"),
    (16, 36, _TWEAK_36, "0123456789abcdefghi", "a9tv40mll9kdu509eum"),
    (24, 10, "", "0123456789", "2830668132"),
    (24, 10, _TWEAK_10, "0123456789", "2496655549"),
    (24, 36, _TWEAK_36, "0123456789abcdefghi", "xbj3kv35jrawxv32ysr"),
    (32, 10, "", "0123456789", "6657667009"),
    (32, 10, _TWEAK_10, "0123456789", "1001623463"),
    (32, 36, _TWEAK_36, "0123456789abcdefghi", "xs8a0azh2avyalyzuwd"),
]


@pytest.mark.parametrize(("key_bytes", "radix", "tweak", "plain", "cipher"), _SAMPLES)
def test_nist_samples_hold_both_ways(key_bytes: int, radix: int, tweak: str, plain: str, cipher: str) -> None:
    ff1 = FF1(_KEY[:key_bytes], radix=radix, length=len(plain), tweak=bytes.fromhex(tweak))
    numerals = [_ALPHABET.index(char) for char in plain]
    permuted = ff1.encrypt_numerals(numerals)
    assert "".join(_ALPHABET[numeral] for numeral in permuted) == cipher
    assert ff1.decrypt_numerals(permuted) == tuple(numerals)


@given(
    key=st.sampled_from([16, 24, 32]).flatmap(lambda size: st.binary(min_size=size, max_size=size)),
    length=st.integers(6, 28),
    tweak=st.binary(max_size=40),
    data=st.data(),
)
def test_decryption_inverts_encryption(key: bytes, length: int, tweak: bytes, data: st.DataObject) -> None:
    ff1 = FF1(key, radix=10, length=length, tweak=tweak)
    value = data.draw(st.integers(0, ff1.domain - 1))
    permuted = ff1.encrypt(value)
    assert 0 <= permuted < ff1.domain
    assert ff1.decrypt(permuted) == value
    assert ff1.encrypt(ff1.decrypt(value)) == value


@pytest.mark.parametrize(
    ("radix", "length"), [(1, 20), (65537, 8), (10, 5), (10, 1), (2, 19), (10, 60), (10, 1 << 32)]
)
def test_parameters_outside_the_standard_or_this_form_are_refused(radix: int, length: int) -> None:
    with pytest.raises(ValueError, match="FF1"):
        FF1(bytes(32), radix=radix, length=length)


def test_values_outside_the_domain_are_refused() -> None:
    ff1 = FF1(bytes(32), radix=10, length=7)
    for permute, value in itertools.product((ff1.encrypt, ff1.decrypt), (-1, 10**7)):
        with pytest.raises(ValueError, match="outside"):
            permute(value)
    for numerals in ([1] * 6, [1] * 6 + [10], [1] * 6 + [-1]):
        with pytest.raises(ValueError, match="fit"):
            ff1.encrypt_numerals(numerals)


def test_repr_shows_no_key() -> None:
    assert repr(FF1(_KEY, radix=10, length=7)) == "FF1(radix=10, length=7, key hidden)"
