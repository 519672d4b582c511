"""The codebook over whole arrays: the same codes as `codebook.Codebook.make`, about a hundred times quicker.

One AES-ECB call a round over a chunk that stays in the second-level cache; integers only, no division but by
constants. Used for label files; a single query takes the scalar form, which needs no numpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.core.model.check_digits import MODULUS
from app.issuing.codebook import LAYOUTS, TAG_DIGITS, TAG_MODULUS, Codebook, TagKey
from app.issuing.ff1 import BLOCK_BYTES, FF1

CHUNK: Final = 16_384  # calls into numpy cost a third at 4,096; beyond this nothing is won
Words = NDArray[np.uint64]


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeArrays:
    """The parts of n codes, each of shape (n,): permuted serial, tag, check (2 .. 98). Valid until the next chunk."""

    permuted: Words
    tags: Words
    checks: Words


class BlockArray:
    """A reused buffer of blocks under one key: 64-bit words in, the first 64-bit word of each cipher block out."""

    __slots__ = ("_blocks", "_encrypt_into", "_source", "_stream", "_stream_words")

    def __init__(self, source: FF1 | TagKey, *, chunk: int) -> None:
        self._encrypt_into = source.block_encryptor().update_into
        self._blocks = np.zeros((chunk, BLOCK_BYTES), dtype=np.uint8)
        self._source = self._blocks.data.cast("B")
        # update_into asks for room for one more block than it writes
        stream = np.zeros((chunk + 1, BLOCK_BYTES), dtype=np.uint8)
        self._stream = stream.data
        self._stream_words = stream.view(">u8")[:, 0]

    def fill(self, high: int, low: int) -> None:
        """Set every block to the same two words."""
        self._blocks.view(">u8")[:] = (high, low)

    def column(self, first_byte: int) -> Words:
        """Return a big-endian 64-bit column that starts at a byte of the block, for writing."""
        return np.ndarray(
            shape=(len(self._blocks),),
            dtype=">u8",
            buffer=self._blocks.data,
            offset=first_byte,
            strides=(BLOCK_BYTES,),
        )

    def encrypt(self, out: Words) -> None:
        """Encrypt the first len(out) blocks and put the first word of each into `out`."""
        count = len(out)
        self._encrypt_into(self._source[: count * BLOCK_BYTES], self._stream)
        np.copyto(out, self._stream_words[:count])


class BulkPermutation:
    """FF1 over arrays, for permutations whose round numbers fit one word (ValueError otherwise).

    `encrypt` takes at most `chunk` values, shape (n,), each below the domain, and writes the permuted values into
    `out`, shape (n,); both uint64. Source: SP 800-38G algorithm 7, with the constants of `FF1`.
    """

    __slots__ = ("_a", "_array", "_b", "_column", "_low_modulus", "_rounds", "_spare", "_stream")

    def __init__(self, ff1: FF1, *, chunk: int = CHUNK) -> None:
        if not ff1.fits_words:
            raise ValueError("the bulk form takes permutations whose halves have at most 32 bits")
        # operands as arrays: numpy would turn a plain number into one at each call
        self._low_modulus = _word(ff1.moduli[1])
        self._rounds = tuple(
            (_word(mask & 0xFFFF_FFFF_FFFF_FFFF), _word(modulus))
            for mask, modulus in zip(ff1.masks, ff1.moduli, strict=True)
        )
        self._array = BlockArray(ff1, chunk=chunk)
        # the round number stands in the second word too, so the first is the same in all rounds
        self._array.fill(ff1.masks[0] >> 64, 0)
        self._column = self._array.column(8)
        self._a, self._b, self._stream, self._spare = (np.empty(chunk, dtype=np.uint64) for _ in range(4))

    def encrypt(self, values: Words, out: Words) -> None:
        """Permute `values` into `out`."""
        count = len(values)
        a, b, stream, spare = (array[:count] for array in (self._a, self._b, self._stream, self._spare))
        column = self._column[:count]
        low_modulus = self._low_modulus
        np.floor_divide(values, low_modulus, out=a)
        np.multiply(a, low_modulus, out=spare)
        np.subtract(values, spare, out=b)
        for mask, modulus in self._rounds:
            np.bitwise_xor(b, mask, out=spare)
            np.copyto(column, spare)
            self._array.encrypt(stream)
            reduce(stream, modulus, spare)
            np.add(stream, a, out=stream)
            # both terms were below the modulus: subtract it once, and where that wraps keep the smaller
            np.subtract(stream, modulus, out=spare)
            np.minimum(stream, spare, out=a)
            a, b = b, a
        np.multiply(a, low_modulus, out=out)
        np.add(out, b, out=out)


def _word(number: int) -> Words:
    return np.array(number, dtype=np.uint64)


def reduce(values: Words, modulus: Words, spare: Words) -> None:
    """Replace values by values % modulus, in place; four times quicker than numpy's remainder."""
    np.floor_divide(values, modulus, out=spare)
    np.multiply(spare, modulus, out=spare)
    np.subtract(values, spare, out=values)


class BulkCodebook:
    """Makes the codes of consecutive serials of one layout under one tag key, a chunk at a time.

    Raises KeyMissing as `Codebook` does. Not for use by two threads at once: the buffers are its own.
    """

    __slots__ = (
        "_arrays",
        "_layout",
        "_permutation",
        "_steps",
        "_tag_array",
        "_tag_column",
        "_tag_low",
        "chunk",
    )

    def __init__(self, codebook: Codebook, *, layout: int, tag_key_id: int, chunk: int = CHUNK) -> None:
        self.chunk = chunk
        self._layout = LAYOUTS[layout]
        self._permutation = BulkPermutation(codebook.permutation(layout), chunk=chunk)
        tag_key = codebook.tag_key(tag_key_id)
        self._tag_array = BlockArray(tag_key, chunk=chunk)
        high, low = tag_key.block_words(layout)
        self._tag_array.fill(high, low)
        self._tag_column = self._tag_array.column(4)
        self._tag_low = np.uint64((high << 64 | low) >> 32 & 0xFFFF_FFFF_FFFF_FFFF)
        self._steps = np.arange(chunk, dtype=np.uint64)
        self._arrays = tuple(np.empty(chunk, dtype=np.uint64) for _ in range(4))

    def make(self, first_serial: int, count: int) -> CodeArrays:
        """Return the codes of the layout's serials first_serial .. first_serial + count - 1; count <= chunk."""
        if not 0 < count <= self.chunk or not 0 <= first_serial <= self._layout.capacity - count:
            raise ValueError("the serials do not fit the layout or the chunk")
        permuted, tags, checks, spare = (array[:count] for array in self._arrays)
        np.add(self._steps[:count], np.uint64(first_serial), out=spare)
        self._permutation.encrypt(spare, permuted)
        np.bitwise_xor(permuted, self._tag_low, out=spare)
        np.copyto(self._tag_column[:count], spare)
        self._tag_array.encrypt(tags)
        reduce(tags, _word(TAG_MODULUS), spare)
        # ISO 7064: 98 - (body * 100 mod 97) with body = permuted * 10^7 + tag; every product stays below 2^64
        np.multiply(permuted, np.uint64(pow(10, TAG_DIGITS + 2, MODULUS)), out=checks)
        np.multiply(tags, np.uint64(100), out=spare)
        np.add(checks, spare, out=checks)
        reduce(checks, _word(MODULUS), spare)
        np.subtract(np.uint64(MODULUS + 1), checks, out=checks)
        return CodeArrays(permuted=permuted, tags=tags, checks=checks)
