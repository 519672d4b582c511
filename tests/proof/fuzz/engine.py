"""Mutations of valid inputs, fed to one parser, and what every parser must hold against all of them.

A parser returns a value or raises one of the errors that its contract names, in a time that grows with the input and
no faster, and no error repeats what a person sent. Everything comes from a seed, so a run can be made again.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from app.core.errors import YanzhenError

Feed = Callable[[bytes], object]

LARGE: Final = 64 * 1024
AT_MOST_S: Final = 1.0  # of processor time, for an input of 64 KiB
_PRIVATE: Final = re.compile(r"[0-9]{9,}")  # a telephone number, a code: never in the words of an error
_SEED: Final = 20_261_121


class Breach(AssertionError):
    """An input for which a parser broke its promise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parser:
    """``feed`` reads one input, checks what must hold of the value, and lets the parser's own errors pass.

    ``allowed`` are those errors. ``seeds`` are valid inputs, ``words`` pieces that mean something to the parser,
    ``secrets`` what may stand in no error's words. ``weight`` scales how many examples it is given.
    """

    name: str
    feed: Feed
    allowed: tuple[type[Exception], ...] = ()
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...] = ()
    secrets: tuple[str, ...] = ()
    weight: float = 1.0
    largest: int = LARGE  # octets that can reach it
    quotes: bool = False  # its errors name what an operator wrote, all but the secrets


@dataclass(slots=True)
class Tally:
    """What was fed: inputs in all, those refused, breaches by parser with the input that shows each."""

    examples: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    taken: Counter[str] = field(default_factory=Counter)
    breaches: list[tuple[str, bytes, str]] = field(default_factory=list)


def check(parser: Parser, data: bytes) -> bool:
    """Feed one input; return whether it was taken. Raises ``Breach``."""
    began_s = time.thread_time()
    try:
        parser.feed(data)
    except Breach:
        raise
    except parser.allowed as error:
        _prove_silent(parser, data, error)
        taken = False
    except Exception as error:
        raise Breach(f"{type(error).__name__}: {error}") from error
    else:
        taken = True
    took_s = time.thread_time() - began_s
    if took_s > AT_MOST_S:
        raise Breach(f"{len(data)} octets took {took_s:.1f} s")
    return taken


def _prove_silent(parser: Parser, data: bytes, error: BaseException) -> None:
    """Raise ``Breach`` where the words of an error, or of one that a traceback would show with it, repeat the input."""
    words = " ".join(str(one) for one in _chain(error))
    told = [secret for secret in parser.secrets if secret in words]
    if not parser.quotes:
        sent = data.decode("utf-8", "replace")
        told += [digits for digits in _PRIVATE.findall(words) if digits in sent]
    if told:
        raise Breach(f"the error says {told[0]!r}: {words[:300]}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


# -- mutations ----------------------------------------------------------------------------------------------------

_ODD: Final = (
    b"",
    b"\0",
    b"\xff",
    b"\xfe\xff",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"\r\n",
    b"\n",
    b" ",
    b"\t",
    b"%",
    b"%00",
    b"%ff",
    b"%C3",
    b"&",
    b"=",
    b";",
    b",",
    b":",
    b"/",
    b"\\",
    b'"',
    b"'",
    b"<",
    b">",
    b"[",
    b"]",
    b"{",
    b"}",
    b"-",
    b"+",
    b".",
    b"0",
    b"1",
    b"9" * 25,
    b"-1",
    b"1e999",
    b"NaN",
    b"null",
    b"true",
    b"4294967296",
    b"18446744073709551616",
    "０１２".encode(),
    "一二三".encode(),
    "٣".encode(),
    "½".encode(),
    "\u200b".encode(),
    "\u202e".encode(),
    "ß".encode(),
    "İ".encode(),
    "\ufdfa".encode(),
    "\U0001f600".encode(),
    "\x85".encode(),
    "\u2028".encode(),
    b"\\u0000",
    b"\\ud800",
)


def mutate(random: Random, parser: Parser, pool: Sequence[bytes]) -> bytes:
    """Return an input made of one of ``pool`` by one to six edits."""
    data = bytearray(random.choice(pool))
    words = parser.words or _ODD
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 6))):
        at = random.randrange(len(data) + 1)
        end = min(len(data), at + random.choice((1, 1, 2, 4, 8, 32)))
        match random.randrange(9):
            case 0:
                data[at:at] = random.choice(words)
            case 1:
                data[at:at] = random.choice(_ODD)
            case 2:
                data[at:end] = random.choice(words if random.random() < 0.5 else _ODD)
            case 3:
                del data[at:end]
            case 4:
                data[at:at] = data[at:end] * random.choice((1, 2, 7, 60))
            case 5 if at < len(data):
                data[at] ^= 1 << random.randrange(8)
            case 6 if at < len(data):
                data[at] = (
                    random.choice(b"0123456789aA \xff\x00")
                    if random.random() < 0.5
                    else random.randrange(256)
                )
            case 7:
                other = random.choice(pool)
                begin = random.randrange(len(other) + 1)
                data[at:end] = other[begin : begin + random.choice((1, 4, 16, 64))]
            case _:
                del data[at if random.random() < 0.5 else max(at, len(data) - 2) :]
    return bytes(data[: parser.largest])


def grown(parser: Parser) -> Iterator[bytes]:
    """Yield inputs of the largest size: one piece again and again, in the middle of a valid input and by itself."""
    random = Random(_SEED)
    pieces = [
        *parser.words,
        *_ODD[1:],
        *(seed[at : at + 24] for seed in parser.seeds for at in (0, len(seed) // 2)),
    ]
    seed = max(parser.seeds, key=len)
    for piece in dict.fromkeys(pieces):
        if piece:
            at = random.randrange(len(seed) + 1)
            room = parser.largest - len(seed)
            yield seed[:at] + piece * (room // len(piece)) + seed[at:]
            yield piece * (parser.largest // len(piece))


def shrink(parser: Parser, data: bytes) -> bytes:
    """Return a shorter input that still breaks the parser's promise, by cutting while it does; bounded."""
    left = 400
    size = max(len(data) // 2, 1)
    while size and left:
        at = 0
        while at < len(data) and left:
            left -= 1
            shorter = data[:at] + data[at + size :]
            if _breaks(parser, shorter):
                data = shorter
            else:
                at += size
        size //= 2
    return data


def _breaks(parser: Parser, data: bytes) -> bool:
    try:
        check(parser, data)
    except Breach:
        return True
    return False


def fuzz(
    parser: Parser, tally: Tally, *, examples: int, pool: Sequence[bytes] = (), seed: int = _SEED
) -> None:
    """Feed ``examples`` mutations; stop at the first breach, which is cut short and told."""
    random = Random(f"{parser.name} {seed}")
    all_of = (*parser.seeds, *pool)
    for _ in range(examples):
        feed(parser, tally, mutate(random, parser, all_of))
        if tally.breaches and tally.breaches[-1][0] == parser.name:
            return


def feed(parser: Parser, tally: Tally, data: bytes) -> None:
    """Feed one input and count it."""
    tally.examples += 1
    try:
        taken = check(parser, data)
    except Breach as breach:
        tally.breaches.append((parser.name, shrink(parser, data), str(breach)))
    else:
        (tally.taken if taken else tally.refused)[parser.name] += 1


DOCUMENTED: Final = (YanzhenError,)
