import hmac
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.cmac import CMAC

from app.core.errors import KeyMissing
from app.core.model.check_digits import check_digits_hold
from app.issuing.codebook import LAYOUTS, Codebook, TagKey, cmac_subkeys, layout_of
from app.issuing.keyed_digest import KeyedDigest
from app.issuing.slips import corrections
from tests.unit.issuing import reference_codebook
from tests.unit.issuing.vectors import DIGEST_KEY, PERMUTATION_KEYS, PUBLISHED, TAG_KEYS, codebook

_RFC_4493_KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")


def _named(vector: dict[str, Any]) -> str:
    return str(vector.get("code") or vector["entered"])


def test_at_least_twenty_vectors_a_layout_are_published() -> None:
    for layout in LAYOUTS:
        assert sum(vector["layout"] == layout for vector in PUBLISHED["codes"]) >= 20
        assert sum(len(vector["entered"]) == layout for vector in PUBLISHED["slips"]) >= 20


@pytest.mark.parametrize("vector", PUBLISHED["codes"], ids=_named)
def test_published_codes_hold_both_ways(vector: dict[str, Any]) -> None:
    book = codebook()
    key_id = vector["tag_key_id"]
    assert book.make(vector["global_serial"], tag_key_id=key_id) == vector["code"]
    assert book.open(vector["code"]) == vector["global_serial"]
    assert [other for other in TAG_KEYS if book.prove(vector["code"], tag_key_id=other)] == [key_id]
    assert vector["code"] == vector["permuted"] + vector["tag"] + vector["check"]
    assert check_digits_hold(vector["code"])


@pytest.mark.parametrize("vector", PUBLISHED["codes"], ids=_named)
def test_a_second_implementation_makes_the_published_codes(vector: dict[str, Any]) -> None:
    assert (
        reference_codebook.code(
            permutation_key=PERMUTATION_KEYS[vector["layout"]],
            tag_key=TAG_KEYS[vector["tag_key_id"]],
            tag_key_id=vector["tag_key_id"],
            layout=vector["layout"],
            serial=vector["serial"],
        )
        == vector["code"]
    )


@pytest.mark.parametrize("vector", PUBLISHED["slips"], ids=_named)
def test_published_slips_hold(vector: dict[str, Any]) -> None:
    found = corrections(vector["entered"])
    assert sorted(correction.digits for correction in found) == vector["candidates"]
    proved = [correction for correction in found if codebook().prove(correction.digits, tag_key_id=1)]
    assert [(list(correction.positions), correction.digits) for correction in proved] == [
        (vector["positions"], vector["code"])
    ]


@pytest.mark.parametrize("vector", PUBLISHED["foreign"], ids=_named)
def test_published_digests_of_foreign_codes_hold(vector: dict[str, Any]) -> None:
    text = vector["code"].encode()
    assert KeyedDigest(DIGEST_KEY).digest(text).hex() == vector["digest"]
    assert hmac.digest(DIGEST_KEY, text, "sha256")[:16].hex() == vector["digest"]


def test_cmac_subkeys_are_those_of_rfc_4493() -> None:
    first, second = cmac_subkeys(_RFC_4493_KEY)  # section 4, "Subkey Generation"
    assert first.to_bytes(16, "big").hex() == "fbeed618357133667c85e08f7236a8de"
    assert second.to_bytes(16, "big").hex() == "f7ddac306ae266ccf90bc11ee46d513b"


@pytest.mark.parametrize(
    ("message", "mac"),
    [
        ("", "bb1d6929e95937287fa37d129b756746"),
        ("6bc1bee22e409f96e93d7e117393172a", "070a16b46b4d4144f79bdd9dd04a287c"),
        (
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411",
            "dfa66747de9ae63030ca32611497c827",
        ),
    ],
)
def test_the_cmac_that_tags_are_compared_with_passes_rfc_4493(message: str, mac: str) -> None:
    cmac = CMAC(algorithms.AES(_RFC_4493_KEY))
    cmac.update(bytes.fromhex(message))
    assert cmac.finalize().hex() == mac


@pytest.mark.parametrize("key_bytes", [16, 24, 32])
def test_a_tag_is_the_full_cmac_of_its_twelve_bytes(key_bytes: int) -> None:
    key = (_RFC_4493_KEY * 2)[:key_bytes]
    for layout, key_id, permuted in ((16, 0, 0), (20, 1, 99_999_999_999), (24, 65535, 10**15 - 1)):
        cmac = CMAC(algorithms.AES(key))
        cmac.update(bytes([1, layout]) + key_id.to_bytes(2, "big") + permuted.to_bytes(8, "big"))
        expected = int.from_bytes(cmac.finalize()[:8], "big") % 10**7
        assert TagKey(key_id=key_id, key=key).tag(layout=layout, permuted=permuted) == expected


def test_global_serials_name_their_layout() -> None:
    assert layout_of(20_000_000_000_000_000).digits == 20
    assert layout_of(24 * 10**15 + 10**15 - 1).digits == 24
    for serial in (0, -1, 10**15, 16 * 10**15 + 10**7, 20 * 10**15 + 10**11, 17 * 10**15, 25 * 10**15):
        with pytest.raises(ValueError, match="serial"):
            layout_of(serial)


def test_a_missing_key_is_named_with_its_remedy() -> None:
    book = Codebook(permutation_keys={20: bytes(32)}, tag_keys={1: bytes(32)})
    code = book.make(20 * 10**15, tag_key_id=1)
    with pytest.raises(KeyMissing, match=r"Tag key 2 is not .* backup"):
        book.prove(code, tag_key_id=2)
    with pytest.raises(KeyMissing, match=r"16-digit codes .* backup"):
        book.open("0" * 16)
    with pytest.raises(ValueError, match="length"):
        book.open("0" * 17)


def test_keys_of_a_wrong_size_are_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Codebook(permutation_keys={20: bytes(16)}, tag_keys={})
    with pytest.raises(ValueError, match="two bytes"):
        TagKey(key_id=65536, key=bytes(32))
