"""The searcher finds what is planted in every form, and nothing where nothing is."""

from __future__ import annotations

import random
import struct
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

import pytest

from tests.proof.canaries.searching import NUMBER_HEAD, OPENID_HEAD, Searcher

NUMBER = f"{NUMBER_HEAD}042"
OPENID = f"{OPENID_HEAD}0123456789abcdefg"
CODE = "88005555350123456789"
CODE_TOO = "12345678901234567890"


@pytest.fixture(scope="module")
def searcher() -> Searcher:
    return Searcher(numbers=[NUMBER], codes=[CODE, CODE_TOO])


def _grouped(digits: str) -> str:
    return " ".join(digits[start : start + 4] for start in range(0, len(digits), 4))


def _semi_octets(digits: str) -> bytes:
    digits += "F" * (len(digits) % 2)
    return bytes(int(digits[at : at + 2][::-1], 16) for at in range(0, len(digits), 2))


def _septets(text: str, place: int) -> bytes:
    bits = sum(ord(letter) << 7 * number for number, letter in enumerate("x" * place + text + "yyyyyyyy"))
    return bits.to_bytes(32, "little")


FORMS = [
    *(
        text.encode()
        for text in (NUMBER, f"+86{NUMBER}", f"0086 {_grouped(NUMBER)}", f"86-{_grouped(NUMBER)}")
    ),
    *(
        text.encode()
        for text in (CODE, _grouped(CODE), CODE[:12], CODE[-12:], f"q/{CODE}", OPENID, OPENID.lower())
    ),
    *(text.encode(coding) for text in (NUMBER, CODE, OPENID) for coding in ("utf-16-le", "utf-16-be")),
    *(text.encode().hex().encode() for text in (NUMBER, CODE, OPENID)),
    *(text.encode("utf-16-be").hex().upper().encode() for text in (NUMBER, CODE)),
    *(b64encode(b"x" * n + text.encode()) for text in (NUMBER, CODE, OPENID) for n in range(3)),
    *(
        urlsafe_b64encode(b"x" * n + f"{{{text}}}".encode())
        for text in (NUMBER, CODE, OPENID)
        for n in range(5)
    ),
    "".join(f"%{ord(letter):02x}" for letter in NUMBER).encode(),
    quote(f"+86 {NUMBER}").encode(),
    "".join(f"\\u{ord(letter):04x}" for letter in CODE).encode(),
    "".join(chr(ord(letter) + 0xFEE0) for letter in CODE).encode(),
    *(_semi_octets(text) for text in (NUMBER, f"86{NUMBER}")),
    _semi_octets(f"86{NUMBER}").hex().encode(),
    *(_septets(f"86{NUMBER}", place) for place in range(8)),
    _septets(NUMBER, 3).hex().upper().encode(),
    *(struct.pack(">q", int(text)) for text in (NUMBER, f"86{NUMBER}")),
]


@pytest.mark.parametrize("form", FORMS, ids=range(len(FORMS)))
def test_what_is_planted_is_found(searcher: Searcher, form: bytes) -> None:
    noise = random.Random(3).randbytes(10_000)
    assert list(searcher.search(noise + bytes(5_000) + form + bytes(70) + noise))


def test_nothing_is_found_where_nothing_is(searcher: Searcher) -> None:
    chance = random.Random(4)
    lines = "".join(
        f'{{"at":"2026-11-21T0{n % 9}:15:{n % 60:02d}.{chance.randrange(10**6):06d}Z",'
        f'"caller":"{chance.randbytes(6).hex()}"}}\n'
        for n in range(20_000)
    )
    assert not list(
        searcher.search(chance.randbytes(2_000_000) + lines.encode() + b64encode(chance.randbytes(200_000)))
    )


@pytest.mark.parametrize("masked", [f"20:**{CODE[-2:]}", f"code {CODE[:10]}", NUMBER[:7], NUMBER[-4:]])
def test_what_is_masked_is_no_hit(searcher: Searcher, masked: str) -> None:
    assert not list(searcher.search(masked.encode()))
