"""Finds planted numbers, openids and codes in octets, in whatever form a store or a log may have them.

The octets are read back to digits, form by form, and compared with all canaries at once: a thousand patterns in fifteen
forms each would be a search of minutes.
"""

from __future__ import annotations

import re
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Final


def _no_zeros(run: bytes) -> bytes:
    return bytes.fromhex(run.decode()).replace(b"\0", b"")


# a number is +86 and these digits and three more, an openid begins with these letters; codes are as they are issued
NUMBER_HEAD: Final = "13973516"
OPENID_HEAD: Final = "oCANaRYq7Zv"
_WINDOW: Final = 11  # so many digits of a number, that is all, or of a code, are a hit
_SEPARATED: Final = re.compile(rb"[0-9](?:[ \-.,_/]?[0-9]){10,}")


def _row(digit: bytes) -> re.Pattern[bytes]:
    """Return eleven or more of ``digit``, the first written out: what it begins with is looked for much faster."""
    return re.compile(b"%b(?:%b){10,}" % (digit, digit))


_RUNS: Final[tuple[tuple[str, re.Pattern[bytes], Callable[[bytes], bytes]], ...]] = (
    ("digits", _SEPARATED, lambda run: re.sub(rb"[^0-9]", b"", run)),
    ("UTF-16", _row(rb"\0[0-9]"), lambda run: run[1::2]),
    ("UTF-16", _row(rb"[0-9]\0"), lambda run: run[::2]),
    ("hexadecimal", _row(rb"3[0-9]"), lambda run: run[1::2]),
    ("hexadecimal UTF-16", _row(rb"003[0-9]"), _no_zeros),
    ("hexadecimal UTF-16", _row(rb"3[0-9]00"), _no_zeros),
    ("percent", _row(rb"%3[0-9]"), lambda run: run[2::3]),
    ("escapes", _row(rb"\\u003[0-9]"), lambda run: run[5::6]),
    ("full width", _row(rb"\xef\xbc[\x90-\x99]"), lambda run: bytes(b - 0x60 for b in run[2::3])),
)
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/_-]{15,}")
_BASE64_AT_ONCE: Final = 4096
_FEW: Final = 16
_ZEROS: Final = re.compile(rb"\0{64,}")  # most of a database's pages
_URLSAFE: Final = bytes.maketrans(b"+/", b"-_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A canary in clear: in which form, and about where."""

    form: str
    at: int


class Searcher:
    """Looks for ``numbers`` (eleven digits), openids and ``codes``; the form of a hit says which kind it was."""

    def __init__(self, *, numbers: Collection[str], codes: Collection[str]) -> None:
        self._windows = {number.encode(): "number" for number in numbers}
        for code in codes:
            self._windows |= {
                code[start : start + _WINDOW].encode(): "code" for start in range(len(code) - _WINDOW + 1)
            }
        assert all(number.startswith(NUMBER_HEAD) and len(number) == _WINDOW for number in numbers)
        self._fixed = tuple(dict.fromkeys(_fixed_forms()))
        self._integers = tuple(_whole_numbers())
        self.octets = 0

    def search(self, octets: bytes) -> Iterator[Hit]:
        """Yield every hit."""
        self.octets += len(octets)
        octets = _ZEROS.sub(bytes(_FEW), octets)
        for form, pattern, read in _RUNS:
            for found in pattern.finditer(octets):
                kind = self._known(read(found[0]))
                if kind:
                    yield Hit(form=f"{kind} in {form}", at=found.start())
        for fixed in self._fixed:
            at = octets.find(fixed)
            if at >= 0:
                yield Hit(form="number or openid, packed or as it is", at=at)
        for pattern in self._integers:
            yield from (
                Hit(form="number as an integer", at=found.start()) for found in pattern.finditer(octets)
            )
        for found in _BASE64.finditer(octets):
            for start in range(found.start(), found.end(), _BASE64_AT_ONCE):
                kind = self._known_in_base64(octets[start : min(start + _BASE64_AT_ONCE + 64, found.end())])
                if kind:
                    yield Hit(form=f"{kind} in base64", at=start)

    def _known(self, digits: bytes) -> str:
        for start in range(len(digits) - _WINDOW + 1):
            kind = self._windows.get(digits[start : start + _WINDOW])
            if kind:
                return kind
        return ""

    def _known_in_base64(self, text: bytes) -> str:
        text = text.translate(_URLSAFE)
        for offset in range(4):
            part = text[offset:]
            if len(part) % 4 == 1:
                part = part[:-1]  # six bits are no octet
            plain = urlsafe_b64decode(part + b"=" * (-len(part) % 4))
            for found in _SEPARATED.finditer(plain):
                kind = self._known(re.sub(rb"[^0-9]", b"", found[0]))
                if kind:
                    return kind
        return ""


def _fixed_forms() -> Iterator[bytes]:
    """Yield the heads of numbers and openids in the forms that are not digits one by one."""
    for packed in (
        bytes(int(two[::-1], 16) for two in _pairs(NUMBER_HEAD)),  # semi-octets (3GPP TS 23.040, 9.1.2.3)
        bytes(int(two, 16) for two in _pairs(NUMBER_HEAD)),
        *_septets(NUMBER_HEAD),
    ):
        yield from (packed, packed.hex().encode(), packed.hex().upper().encode())
    for head in (OPENID_HEAD, OPENID_HEAD.lower(), OPENID_HEAD.upper()):
        plain = head.encode()
        yield from (plain, head.encode("utf-16-le"), head.encode("utf-16-be"))
        yield from (plain.hex().encode(), plain.hex().upper().encode())
        for before in range(3):
            whole = b64encode(bytes(before) + plain)
            sure = whole[-(-before * 8 // 6) : (len(plain) + before) * 8 // 6]
            yield from (sure, sure.translate(_URLSAFE))


def _whole_numbers() -> Iterator[re.Pattern[bytes]]:
    """Yield numbers, with and without the country's, as integers of six octets or more, the highest first."""
    for prefix in ("", "86"):
        low, high = (int(prefix + NUMBER_HEAD + end).to_bytes(8, "big") for end in ("000", "999"))
        place = next(place for place in range(8) if low[place] != high[place])
        spread = b"[" + re.escape(low[place : place + 1]) + b"-" + re.escape(high[place : place + 1]) + b"]"
        yield re.compile(re.escape(low[2:place]) + spread, re.DOTALL)


def _pairs(digits: str) -> Iterator[str]:
    return (digits[start : start + 2] for start in range(0, len(digits), 2))


def _septets(text: str) -> Iterator[bytes]:
    """Yield ``text`` packed in septets (3GPP TS 23.038, 6.1.2.1.1) at each of eight places, whole octets only."""
    for place in range(8):
        bits = sum(ord(letter) << 7 * (place + number) for number, letter in enumerate(text))
        whole = bits.to_bytes((7 * (place + len(text)) + 7) // 8, "little")
        yield whole[-(-7 * place // 8) : 7 * (place + len(text)) // 8]
