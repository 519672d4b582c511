"""Octets to text and back: which alphabet a data_coding names (SMPP 3.4, 5.2.19), and a text cut into segments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from aiosmpplib.codec import GSM7BitCodec

from channels.wording.segments import find_gsm7_length

_GSM7: Final = GSM7BitCodec()
_ALPHABETS: Final = {
    3: "latin-1",
    5: "iso2022_jp",
    6: "iso8859_5",
    7: "iso8859_8",
    8: "utf-16-be",
    10: "iso2022_jp",
    13: "iso2022_jp_1",
    14: "euc_kr",
    15: "gb18030",  # reserved in the standard; what centres grown out of CMPP and SMGP send as Chinese
}
_BINARY: Final = frozenset({2, 4, 9})
_MOST_SEGMENTS: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """The octets of one message: GSM 7-bit characters one an octet, or UCS-2; with a header where ``has_udh``."""

    octets: bytes = field(repr=False)
    is_ucs2: bool
    has_udh: bool = False


def decode_text(data_coding: int, octets: bytes) -> str | None:
    """Return the text, or None where the octets are no text (pictures, settings). Never raises: what an alphabet
    does not know becomes a replacement character.
    """
    coding = _general(data_coding)
    if coding in _BINARY:
        return None
    if coding == 1:  # IA5, but many centres send GSM 7-bit under it; IA5 has no text below the space
        coding = 0 if any(octet < 0x20 and octet not in b"\t\n\r" for octet in octets) else 3
    if coding != 0:
        return octets.decode(_ALPHABETS.get(coding, "latin-1"), "replace")
    if any(octet >= 0x80 for octet in octets):
        return octets.decode("latin-1")  # no GSM 7-bit text: the centre's own alphabet is Latin-1
    return _GSM7.decode(octets, "replace")[0]


def _general(data_coding: int) -> int:
    """Map the GSM groups with a message class (3GPP TS 23.038, 4) to the plain values."""
    if data_coding >= 0xF0:
        return 4 if data_coding & 0x04 else 0
    if 0x10 <= data_coding < 0x40:
        return {0: 0, 1: 4, 2: 8}.get(data_coding >> 2 & 0x03, 0)
    return data_coding


def cut_text(text: str, *, reference: int) -> tuple[Segment, ...]:
    """Return ``text`` as segments of at most 140 octets on the air, several with a header that numbers them under
    ``reference`` (0 to 255; 3GPP TS 23.040, 9.2.3.24.1). No character is cut in two. Raises ``ValueError`` for a text
    of more than 255 segments or of none.
    """
    is_ucs2 = find_gsm7_length(text) is None
    if is_ucs2:
        characters = [character.encode("utf-16-be", "replace") for character in text]
    else:
        characters = [_GSM7.encode(character)[0] for character in text]
    room, room_in_part = (140, 134) if is_ucs2 else (160, 153)
    whole = b"".join(characters)
    if not whole:
        raise ValueError("An empty text cannot be sent.")
    if len(whole) <= room:
        return (Segment(octets=whole, is_ucs2=is_ucs2),)
    parts = _fill(characters, room_in_part)
    if len(parts) > _MOST_SEGMENTS:
        raise ValueError("The text is too long for one message.")
    header = bytes((5, 0, 3, reference & 0xFF, len(parts)))
    return tuple(
        Segment(octets=header + bytes((number,)) + part, is_ucs2=is_ucs2, has_udh=True)
        for number, part in enumerate(parts, start=1)
    )


def _fill(characters: list[bytes], room: int) -> list[bytes]:
    parts = [b""]
    for character in characters:
        if len(parts[-1]) + len(character) > room:
            parts.append(b"")
        parts[-1] += character
    return parts
