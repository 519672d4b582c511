"""The lines of a label file as bytes: serial, code and URL of consecutive labels, made with numpy.

Every line of a batch has the same width, so a file can be resumed at any line. Numbers become text four digits at a
time from a table; that is thirteen times quicker than formatting each.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.core.model.label import SERIALS_PER_LAYOUT, CodeBatch
from app.issuing.codebook import Codebook
from app.issuing.codebook_bulk import CHUNK, BulkCodebook, CodeArrays, Words

HEADER: Final = b"serial,code,url\n"
SERIAL_DIGITS: Final = 17  # layout (2 digits) * 10^15 + serial

_GROUP: Final = np.uint64(10_000)


def _four_digit_words() -> NDArray[np.uint32]:
    """Return the table of shape (10000,) whose entry i holds the four ASCII digits of i in memory order."""
    numbers = np.arange(10_000, dtype=np.uint16)
    digits = np.stack([numbers // 1000, numbers // 100 % 10, numbers // 10 % 10, numbers % 10], axis=1)
    return (digits + ord("0")).astype(np.uint8).view(np.uint32)[:, 0]


class LabelLines:
    """Makes the lines `serial,code,url` of one batch of ours, a chunk of at most `chunk` labels at a time.

    Raises KeyMissing where the codebook lacks the batch's keys, ValueError for imported codes, which cannot be made.
    """

    __slots__ = (
        "_batch",
        "_bulk",
        "_code_words",
        "_rows",
        "_serial_words",
        "_spare",
        "_table",
        "chunk",
        "width",
    )

    def __init__(self, codebook: Codebook, batch: CodeBatch, *, chunk: int = CHUNK) -> None:
        if batch.tag_key_id is None:
            raise ValueError("imported codes are kept as digests and cannot be written out")
        self.chunk = chunk
        self._batch = batch
        self._bulk = BulkCodebook(codebook, layout=batch.layout, tag_key_id=batch.tag_key_id, chunk=chunk)
        self._table = _four_digit_words()
        self._spare = tuple(np.empty(chunk, dtype=np.uint64) for _ in range(3))
        prefix = batch.url_prefix.encode("ascii")
        line = b"%017d,%s,%s%s\n" % (batch.first_serial, b"0" * batch.layout, prefix, b"0" * batch.layout)
        self.width = len(line)
        code_at = SERIAL_DIGITS + 1
        # a field as one opaque item is copied by one memcpy a row, not byte by byte
        row = np.dtype(
            {
                "names": ["serial", "code", "url_code"],
                "formats": ["V16", f"V{batch.layout}", f"V{batch.layout}"],
                "offsets": [1, code_at, code_at + batch.layout + 1 + len(prefix)],
                "itemsize": self.width,
            }
        )
        self._rows = np.frombuffer(bytearray(line * chunk), dtype=row)
        self._serial_words = np.empty((chunk, 4), dtype=np.uint32)
        self._code_words = np.empty((chunk, batch.layout // 4), dtype=np.uint32)

    def make(self, first_serial: int, count: int) -> memoryview:
        """Return the bytes of `count` lines from a global serial on; valid until the next call."""
        codes = self._bulk.make(first_serial - self._batch.layout * SERIALS_PER_LAYOUT, count)
        self._write_codes(codes, count)
        self._write_serials(first_serial, count)
        rows = self._rows[:count]
        code_items = self._code_words.view(f"V{self._batch.layout}")[:count, 0]
        rows["code"] = code_items
        rows["url_code"] = code_items
        rows["serial"] = self._serial_words.view("V16")[:count, 0]
        return rows.view(np.uint8).data

    def _write_codes(self, codes: CodeArrays, count: int) -> None:
        """Write permuted serial, tag and check digits as 4-digit groups, the last group first."""
        value, quotient, spare = (array[:count] for array in self._spare)
        last = self._code_words.shape[1] - 1
        np.multiply(codes.tags, np.uint64(100), out=value)
        np.add(value, codes.checks, out=value)  # the last nine digits of the code
        for column in (last, last - 1):
            value, quotient = self._take_group(value, quotient, spare, self._code_words[:count, column])
        # one digit is left of the nine: the three lowest of the permuted serial join it
        np.floor_divide(codes.permuted, np.uint64(1000), out=quotient)
        np.multiply(quotient, np.uint64(1000), out=spare)
        np.subtract(codes.permuted, spare, out=spare)
        np.multiply(spare, np.uint64(10), out=spare)
        np.add(value, spare, out=value)
        self._take(value, self._code_words[:count, last - 2])
        value, quotient = quotient, value
        for column in range(last - 3, 0, -1):
            value, quotient = self._take_group(value, quotient, spare, self._code_words[:count, column])
        self._take(value, self._code_words[:count, 0])

    def _write_serials(self, first_serial: int, count: int) -> None:
        value, quotient, spare = (array[:count] for array in self._spare)
        # the leading digit of all 17 is the layout's and stands in the template
        value[:] = np.arange(first_serial % 10**16, first_serial % 10**16 + count, dtype=np.uint64)
        for column in (3, 2, 1):
            value, quotient = self._take_group(value, quotient, spare, self._serial_words[:count, column])
        self._take(value, self._serial_words[:count, 0])

    def _take_group(
        self, value: Words, quotient: Words, spare: Words, out: NDArray[np.uint32]
    ) -> tuple[Words, Words]:
        """Write the lowest four digits of each value to `out`; return (what is left of it, a free array)."""
        np.floor_divide(value, _GROUP, out=quotient)
        np.multiply(quotient, _GROUP, out=spare)
        np.subtract(value, spare, out=spare)
        self._take(spare, out)
        return quotient, value

    def _take(self, groups: Words, out: NDArray[np.uint32]) -> None:
        out[:] = self._table[groups.view(np.int64)]
