"""FF1, the format-preserving permutation of NIST SP 800-38G, in integer arithmetic.

With one key, radix, length and tweak kept, everything that FF1 feeds to AES before the last block is constant, so
a round is one AES block of (constant XOR number). `ff1_bulk` uses the same constants over whole arrays.
"""

from collections.abc import Sequence
from struct import Struct
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

ROUNDS: Final = 10
BLOCK_BYTES: Final = 16
_LARGEST_HALF_BYTES: Final = 12  # beyond it S (step 6.iii) needs a second block
_WORD_HALF_BYTES: Final = (
    4  # up to it S is one 64-bit word, and struct is a quarter quicker than int.to_bytes
)
_pack_block: Final = Struct(">QQ").pack
_unpack_stream: Final = Struct(">Q8x").unpack


def cbc_mac(aes: Cipher[modes.ECB], blocks: bytes) -> bytes:
    """Return PRF(blocks) of SP 800-38G algorithm 6: CBC-MAC with a zero start over whole blocks."""
    encrypt = aes.encryptor().update
    state = bytes(BLOCK_BYTES)
    for start in range(0, len(blocks), BLOCK_BYTES):
        block = blocks[start : start + BLOCK_BYTES]
        state = encrypt(bytes(a ^ b for a, b in zip(state, block, strict=True)))
    return state


class FF1:
    """The permutation of the numbers 0 .. radix**length - 1 under one key and tweak.

    `key` is an AES key of 16, 24 or 32 bytes. Values are whole numbers (NUM_radix of the numeral string), so leading
    zeros need no care. Raises ValueError for parameters outside SP 800-38G revision 1 (radix 2 .. 65536,
    radix**length >= 1,000,000) and for halves wider than 96 bits, which no code here has.
    """

    __slots__ = (
        "_aes",
        "_encrypt_block",
        "_low_modulus",
        "_number_bytes",
        "_rounds",
        "_rounds_back",
        "domain",
        "half_bytes",
        "length",
        "masks",
        "moduli",
        "radix",
    )

    def __init__(self, key: bytes, *, radix: int, length: int, tweak: bytes = b"") -> None:
        if not 2 <= radix <= 1 << 16:
            raise ValueError("FF1 takes a radix from 2 to 65536")
        if not 2 <= length < 1 << 32 or (length < 64 and radix**length < 1_000_000):
            raise ValueError("FF1 takes at least a million different values (SP 800-38G rev. 1, section 5.1)")
        high_digits = length // 2  # u
        low_digits = length - high_digits  # v
        low_modulus: int = radix**low_digits
        half_bytes: int = ((low_modulus - 1).bit_length() + 7) // 8  # b
        if half_bytes > _LARGEST_HALF_BYTES:
            raise ValueError("this FF1 takes halves of at most 96 bits")
        self.radix = radix
        self.length = length
        self.domain: int = radix**length
        self.half_bytes = half_bytes
        self._number_bytes = 4 * ((half_bytes + 3) // 4) + 4  # d
        self._low_modulus = low_modulus
        self._aes = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - FF1 is built on single blocks
        self._encrypt_block = self._aes.encryptor().update
        self.masks = self._round_masks(tweak)
        high_modulus: int = radix**high_digits
        self.moduli = (high_modulus, low_modulus) * (ROUNDS // 2)
        self._rounds = tuple(
            (mask >> 64, mask & 0xFFFF_FFFF_FFFF_FFFF, modulus)
            for mask, modulus in zip(self.masks, self.moduli, strict=True)
        )
        self._rounds_back = tuple(reversed(self._rounds))

    def __repr__(self) -> str:
        return f"FF1(radix={self.radix}, length={self.length}, key hidden)"

    def _round_masks(self, tweak: bytes) -> tuple[int, ...]:
        """Return for each round the 128-bit constant that NUM(B) is XORed into (steps 5 and 6.i)."""
        p = (
            bytes((1, 2, 1))
            + self.radix.to_bytes(3, "big")
            + bytes((ROUNDS, self.length // 2 % 256))
            + self.length.to_bytes(4, "big")
            + len(tweak).to_bytes(4, "big")
        )
        padding = bytes((-len(tweak) - self.half_bytes - 1) % BLOCK_BYTES)
        q = tweak + padding + bytes(1 + self.half_bytes)
        chained = cbc_mac(self._aes, p + q[:-BLOCK_BYTES])
        base = int.from_bytes(chained, "big") ^ int.from_bytes(q[-BLOCK_BYTES:], "big")
        return tuple(base ^ number << 8 * self.half_bytes for number in range(ROUNDS))

    @property
    def fits_words(self) -> bool:
        """Tell whether every round number fits one 64-bit word, which radix 10 does up to 18 digits."""
        return self.half_bytes <= _WORD_HALF_BYTES

    def block_encryptor(self) -> CipherContext:
        """Return a context of its own that encrypts whole blocks under the permutation's key."""
        return self._aes.encryptor()

    def encrypt(self, value: int) -> int:
        """Return the permuted value (SP 800-38G, algorithm 7); ValueError outside 0 .. domain - 1."""
        if not 0 <= value < self.domain:
            raise ValueError("the value lies outside the permutation")
        stream_of = self._word_stream if self.fits_words else self._wide_stream
        a, b = divmod(value, self._low_modulus)
        for high, low, modulus in self._rounds:
            a, b = b, (a + stream_of(high, low, b)) % modulus
        return a * self._low_modulus + b

    def decrypt(self, value: int) -> int:
        """Return the value that `encrypt` permutes to this one (algorithm 8); ValueError outside the domain."""
        if not 0 <= value < self.domain:
            raise ValueError("the value lies outside the permutation")
        a, b = divmod(value, self._low_modulus)
        if self.fits_words:  # every query of a label runs this loop, so it is written without a call of ours
            encrypt_block = self._encrypt_block
            for high, low, modulus in self._rounds_back:
                (stream,) = _unpack_stream(encrypt_block(_pack_block(high, low ^ a)))
                a, b = (b - stream) % modulus, a
        else:
            for high, low, modulus in self._rounds_back:
                a, b = (b - self._wide_stream(high, low, a)) % modulus, a
        return a * self._low_modulus + b

    def _word_stream(self, high: int, low: int, number: int) -> int:
        (stream,) = _unpack_stream(self._encrypt_block(_pack_block(high, low ^ number)))
        return int(stream)

    def _wide_stream(self, high: int, low: int, number: int) -> int:
        block = self._encrypt_block(((high << 64 | low) ^ number).to_bytes(BLOCK_BYTES, "big"))
        return int.from_bytes(block[: self._number_bytes], "big")

    def encrypt_numerals(self, numerals: Sequence[int]) -> tuple[int, ...]:
        """Return `encrypt` on a numeral string, most significant first, as the standard's samples write it."""
        return self._numerals(self.encrypt(self._number(numerals)))

    def decrypt_numerals(self, numerals: Sequence[int]) -> tuple[int, ...]:
        """Return `decrypt` on a numeral string, most significant first."""
        return self._numerals(self.decrypt(self._number(numerals)))

    def _number(self, numerals: Sequence[int]) -> int:
        if len(numerals) != self.length or not all(0 <= numeral < self.radix for numeral in numerals):
            raise ValueError("the numeral string does not fit this permutation")
        value = 0
        for numeral in numerals:
            value = value * self.radix + numeral
        return value

    def _numerals(self, value: int) -> tuple[int, ...]:
        numerals: list[int] = []
        for _ in range(self.length):
            value, numeral = divmod(value, self.radix)
            numerals.append(numeral)
        return tuple(reversed(numerals))
