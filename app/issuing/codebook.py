"""The codebook: label serials to codes and back, under keys only (docs/codebook.md). No database, no I/O.

A code is the permuted serial, a keyed tag and two check digits. The permutation only hides volumes; the tag
proves. Both are kept apart so that tag keys can rotate while no two labels can ever share a code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

from app.core.errors import KeyMissing
from app.core.model.check_digits import check_digits_for
from app.core.model.label import SERIALS_PER_LAYOUT
from app.issuing.ff1 import FF1
from app.issuing.permutation_table import PermutationTable

TAG_DIGITS: Final = 7
CHECK_DIGITS: Final = 2
TAG_MODULUS: Final = 10**TAG_DIGITS
TAG_INPUT_VERSION: Final = 1
KEY_BYTES: Final = 32
_R128: Final = 0x87
_pack_tag_block: Final = Struct(">BBHQL").pack
_pack_words: Final = Struct(">QQ").pack
_unpack_words: Final = Struct(">QQ").unpack
_unpack_first_word: Final = Struct(">Q8x").unpack
_PAD_AFTER_12_BYTES: Final = 0x8000_0000


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A form of code, named by its number of digits: (digits - 9) permuted serial, 7 tag, 2 check digits."""

    digits: int

    @property
    def serial_digits(self) -> int:
        """Digits of the permuted serial."""
        return self.digits - TAG_DIGITS - CHECK_DIGITS

    @property
    def capacity(self) -> int:
        """How many labels the layout can name, serials 0 .. capacity - 1."""
        return int(10**self.serial_digits)

    @property
    def first_serial(self) -> int:
        """The global serial of the layout's serial 0."""
        return self.digits * SERIALS_PER_LAYOUT


LAYOUTS: Final[Mapping[int, Layout]] = {digits: Layout(digits=digits) for digits in (16, 20, 24)}
DEFAULT_LAYOUT: Final = 20


def layout_of(global_serial: int) -> Layout:
    """Return the layout that a global serial (layout * 10^15 + serial) belongs to.

    Raises ValueError for serials of no layout of ours, imported codes among them.
    """
    number, serial = divmod(global_serial, SERIALS_PER_LAYOUT)
    layout = LAYOUTS.get(number)
    if layout is None or serial >= layout.capacity:
        raise ValueError(f"{global_serial} is not a serial of any code layout")
    return layout


def cmac_subkeys(key: bytes) -> tuple[int, int]:
    """Return K1 and K2 of AES-CMAC as 128-bit integers (RFC 4493, section 2.3)."""
    zero = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(bytes(16))  # noqa: S305 - one block
    return _subkeys(int.from_bytes(zero, "big"))


def _subkeys(value: int) -> tuple[int, int]:
    doubled = []
    for _ in range(2):
        value = value << 1 ^ (_R128 if value >> 127 else 0)
        value &= (1 << 128) - 1
        doubled.append(value)
    return doubled[0], doubled[1]


class TagKey:
    """One tag key with its id (0 .. 65535): makes the 7-digit tag of a permuted serial.

    The tag is AES-CMAC (RFC 4493) over 12 bytes, an incomplete block, hence one AES block with subkey K2.
    """

    __slots__ = ("_aes", "_encrypt_block", "_words", "id")

    def __init__(self, *, key_id: int, key: bytes) -> None:
        if not 0 <= key_id <= 0xFFFF:
            raise ValueError("a tag key id is two bytes")
        self.id = key_id
        self._aes = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - CMAC is built on single blocks
        self._encrypt_block = self._aes.encryptor().update
        mask_high, mask_low = divmod(cmac_subkeys(key)[1], 1 << 64)
        self._words: dict[int, tuple[int, int]] = {}
        for layout in LAYOUTS:
            block = _pack_tag_block(TAG_INPUT_VERSION, layout, key_id, 0, _PAD_AFTER_12_BYTES)
            high, low = _unpack_words(block)
            self._words[layout] = (high ^ mask_high, low ^ mask_low)

    def __repr__(self) -> str:
        return f"TagKey(id={self.id}, key hidden)"

    def block_words(self, layout: int) -> tuple[int, int]:
        """Return the two 64-bit words of the block to encrypt for permuted serial 0, padding and K2 applied.

        A permuted serial p is then XORed in as p << 32 over the 128 bits.
        """
        return self._words[layout]

    def block_encryptor(self) -> CipherContext:
        """Return a context of its own that encrypts whole blocks under this key, for the bulk form."""
        return self._aes.encryptor()

    def tag(self, *, layout: int, permuted: int) -> int:
        """Return the tag, 0 .. 10^7 - 1, of a permuted serial of the layout."""
        high, low = self._words[layout]
        block = _pack_words(high ^ permuted >> 32, low ^ (permuted & 0xFFFF_FFFF) << 32)
        (word,) = _unpack_first_word(self._encrypt_block(block))
        return int(word) % TAG_MODULUS


class Codebook:
    """Makes and opens codes. `permutation_keys` by layout digits, `tag_keys` by id, all AES-256 keys.

    Every method raises KeyMissing where the key it needs was not given, and ValueError for a number or a
    string that no layout has; nothing here tells whether a label was ever issued.
    """

    __slots__ = ("_permutations", "_tables", "_tag_keys")

    def __init__(self, *, permutation_keys: Mapping[int, bytes], tag_keys: Mapping[int, bytes]) -> None:
        if any(len(key) != KEY_BYTES for key in (*permutation_keys.values(), *tag_keys.values())):
            raise ValueError(f"codebook keys are {KEY_BYTES} bytes")
        self._permutations = {
            digits: FF1(key, radix=10, length=LAYOUTS[digits].serial_digits)
            for digits, key in permutation_keys.items()
        }
        self._tables: dict[int, PermutationTable] = {}
        self._tag_keys = {key_id: TagKey(key_id=key_id, key=key) for key_id, key in tag_keys.items()}

    def permutation(self, layout: int) -> FF1:
        """Return the layout's permutation, or raise KeyMissing."""
        try:
            return self._permutations[layout]
        except KeyError:
            raise KeyMissing(
                f"The permutation key of {layout}-digit codes is not in the key file. Restore the key file "
                "from its backup."
            ) from None

    def tag_key(self, key_id: int) -> TagKey:
        """Return a tag key, or raise KeyMissing."""
        try:
            return self._tag_keys[key_id]
        except KeyError:
            raise KeyMissing(
                f"Tag key {key_id} is not in the key file. Restore the key file from its backup."
            ) from None

    def make(self, global_serial: int, *, tag_key_id: int) -> str:
        """Return the code of a label: 16, 20 or 24 ASCII digits."""
        layout = layout_of(global_serial)
        permuted = self.permutation(layout.digits).encrypt(global_serial - layout.first_serial)
        tag = self.tag_key(tag_key_id).tag(layout=layout.digits, permuted=permuted)
        body = f"{permuted:0{layout.serial_digits}d}{tag:0{TAG_DIGITS}d}"
        return body + check_digits_for(body)

    def open(self, digits: str) -> int:
        """Return the global serial that the digits of a layout's length name. It proves nothing.

        `digits` are ASCII digits; the check digits are not looked at.
        """
        layout = len(digits)
        if layout not in LAYOUTS:
            raise ValueError("no code layout has this length")
        permuted = int(digits[: -TAG_DIGITS - CHECK_DIGITS])
        table = self._tables.get(layout)
        serial = table.decrypt(permuted) if table is not None else self.permutation(layout).decrypt(permuted)
        return layout * SERIALS_PER_LAYOUT + serial

    def tabulate(self) -> None:
        """Open codes by table from now on, where the layout is short enough; takes a while, see PermutationTable."""
        for layout, permutation in self._permutations.items():
            if layout not in self._tables and PermutationTable.fits(permutation):
                self._tables[layout] = PermutationTable(permutation)

    def adopt_tables(self, other: Codebook) -> None:
        """Take over the tables of a codebook made from the same permutation keys."""
        for layout, table in other._tables.items():
            if self.permutation(layout).masks == other.permutation(layout).masks:
                self._tables[layout] = table

    def prove(self, digits: str, *, tag_key_id: int) -> bool:
        """Tell whether the tag within the digits is the one that this key makes; one AES block.

        Tags are whole small integers, compared at once, so how long it takes says nothing about them.
        """
        permuted = int(digits[: -TAG_DIGITS - CHECK_DIGITS])
        expected = self.tag_key(tag_key_id).tag(layout=len(digits), permuted=permuted)
        return expected == int(digits[-TAG_DIGITS - CHECK_DIGITS : -CHECK_DIGITS])
