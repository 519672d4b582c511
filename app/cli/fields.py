"""Checks of what is entered about brands and products, as argparse types: each failure is one sentence."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from app.core.model.label import Disclosure, Thresholds

MAX_NAME_CHARS: Final = 120
MAX_REASON_CHARS: Final = 500
MAX_URL_CHARS: Final = 512
SHORT_NAME_HANZI: Final = (
    10  # service rules, section 2: a text message is one segment with the longest short name
)
SHORT_NAME_GSM7: Final = 24
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_NOT_IN_URLS: Final = frozenset({*map(chr, range(0x21)), "\x7f", *'"<>\\^`{|}'})  # RFC 3986, section 2
_GTIN_LENGTHS: Final = frozenset({8, 12, 13, 14})
# 3GPP TS 23.038, section 6.2.1: the default alphabet, and the characters that take an escape before them
_GSM7: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM7_ESCAPED: Final = frozenset("^{}\\[~]|€")


def name(text: str) -> str:
    """Return a name without outer spaces: 1 to 120 printable characters."""
    value = text.strip()
    if not value or len(value) > MAX_NAME_CHARS or not value.isprintable():
        raise argparse.ArgumentTypeError(f"give 1 to {MAX_NAME_CHARS} printable characters")
    return value


def reason(text: str) -> str:
    """Return why something was done, without outer spaces: at most 500 printable characters, or none."""
    value = text.strip()
    if len(value) > MAX_REASON_CHARS or not value.isprintable():
        raise argparse.ArgumentTypeError(
            f"give at most {MAX_REASON_CHARS} printable characters; the record keeps them for good"
        )
    return value


def disclosure(text: str) -> Disclosure:
    """Return how much of a label's state strangers are told."""
    try:
        return Disclosure(text)
    except ValueError:
        raise argparse.ArgumentTypeError("give full or minimal") from None


def short_name(text: str) -> str:
    """Return a name that fits a text message: at most 10 hanzi, or 24 GSM-7 characters."""
    value = name(text)
    if all(char in _GSM7 or char in _GSM7_ESCAPED for char in value):
        septets = sum(2 if char in _GSM7_ESCAPED else 1 for char in value)
        if septets > SHORT_NAME_GSM7:
            raise argparse.ArgumentTypeError(
                f"{septets} characters are too many, at most {SHORT_NAME_GSM7} fit"
            )
    elif len(value.encode("utf-16-be")) // 2 > SHORT_NAME_HANZI:
        raise argparse.ArgumentTypeError(f"{len(value)} hanzi are too many, at most {SHORT_NAME_HANZI} fit")
    return value


def service_line(text: str) -> str:
    """Return a telephone number as printed on the pack: digits, spaces, dashes, plus, brackets."""
    value = text.strip()
    digits = sum(char.isdigit() for char in value)
    if not value.isascii() or not 3 <= digits <= 20 or not set(value) <= set("0123456789 -+()"):
        raise argparse.ArgumentTypeError("give a telephone number such as 400-800-1234")
    return value


def gtin(text: str) -> str:
    """Return the GTIN as 14 digits; takes GTIN-8, -12, -13, -14 (GS1 General Specifications, section 7.9.1)."""
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit()) or len(digits) not in _GTIN_LENGTHS:
        raise argparse.ArgumentTypeError("a GTIN has 8, 12, 13 or 14 digits")
    padded = digits.rjust(14, "0")
    weighted = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(padded[:-1]))
    if (10 - weighted % 10) % 10 != int(padded[-1]):
        raise argparse.ArgumentTypeError(
            "the last digit of the GTIN does not fit the others; look at the pack again"
        )
    return padded


def picture_url(text: str) -> str:
    """Return the address of a picture as it is fetched: https, at most 512 characters, without a name or a fragment.

    On the loopback interface http will do, where pictures are tried out.
    """
    value = text.strip()
    if len(value) > MAX_URL_CHARS or not value.isascii() or not set(value).isdisjoint(_NOT_IN_URLS):
        raise argparse.ArgumentTypeError(
            f"give an address of at most {MAX_URL_CHARS} characters; write others than ASCII as %XX"
        )
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise argparse.ArgumentTypeError(
            "give a whole address such as https://brand.example/p/1.jpg"
        ) from None
    schemes = {"https", "http"} if host in _LOOPBACK else {"https"}
    if parts.scheme not in schemes or not host:
        raise argparse.ArgumentTypeError("give a whole https address such as https://brand.example/p/1.jpg")
    if "@" in parts.netloc or "#" in value:
        raise argparse.ArgumentTypeError("give the address without a user's name and without a # part")
    return value


def thresholds(text: str) -> Thresholds:
    """Return the two numbers of `G,W`: up to G checks are genuine, up to W warn, beyond that refuse."""
    words = text.split(",")
    try:
        genuine, warn = (int(word) for word in words)
        return Thresholds(genuine=genuine, warn=warn)
    except ValueError:
        raise argparse.ArgumentTypeError("give two numbers G,W with 1 <= G <= W, for example 1,4") from None


def positive(text: str) -> int:
    """Return a whole number above 0; thousands may be set apart by _ or written 1e6."""
    try:
        value = int(float(text)) if "e" in text.lower() else int(text)
    except (ValueError, OverflowError):
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return value


def up_to(most: int) -> Callable[[str], int]:
    """Return a check of whole numbers from 1 to ``most``."""

    def checked(text: str) -> int:
        value = positive(text)
        if value > most:
            raise argparse.ArgumentTypeError(f"give at most {most:,}")
        return value

    return checked


def moment(text: str) -> datetime:
    """Return when a day begins in UTC, as in 2026-11-21, or a time that names its zone (ISO 8601)."""
    try:
        value = datetime.fromisoformat(text.strip())
    except ValueError:
        value = None
    if value is None or (value.tzinfo is None and ":" in text):
        raise argparse.ArgumentTypeError(
            "give a day such as 2026-11-21, or a time with its zone such as 2026-11-21T08:00+08:00"
        )
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


def spoken_thresholds(value: Thresholds | None) -> str:
    """Return thresholds as they are entered, or nothing."""
    return f"{value.genuine},{value.warn}" if value else ""


def optional(check: Callable[[str], str]) -> Callable[[str], str]:
    """Return a check that lets an empty text pass; argparse also checks a flag's default."""

    def passed(text: str) -> str:
        return check(text) if text else ""

    return passed


def shortened(full: str) -> str:
    """Return a short name made from a full one: the longest beginning that fits a text message."""
    for end in range(len(full), 0, -1):
        try:
            return short_name(full[:end])
        except argparse.ArgumentTypeError:
            continue
    return ""
