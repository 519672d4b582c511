"""Where a call stands: one small frozen value that travels sealed in the callback address, so any machine can go on.

As bytes it takes 14 to 57 of them; digits stand two to a byte.
"""

from __future__ import annotations

import struct
from dataclasses import field
from enum import StrEnum
from typing import Final

from app.core.errors import Undecodable
from app.core.model.code import MAX_DIGITS
from app.core.model.value import value
from channels.wording.locales import DEFAULT_LOCALE, LOCALES

MAX_LINE: Final = (
    20  # E.164 numbers have 15 digits; some service lines are dialled with an exit code before them
)
_VERSION: Final = 1
_HEAD: Final = struct.Struct(">12B")
_SYMBOLS: Final = "0123456789+"
_FILLER: Final = 0xF


class StateName(StrEnum):
    """The states of the dialogue."""

    NEW = "new"  # nothing said yet
    ENTRY = "entry"  # waiting for a code
    MORE = "more"  # waiting for the rest of a code whose keys paused
    VERIFYING = "verifying"  # waiting for the engine's answer
    REPEATING = "repeating"  # waiting for the stored answer, once more
    VERDICT = "verdict"  # the verdict is said, the menu open
    PARTING = "parting"  # no more codes in this call, but an operator is offered
    REPORTING = "reporting"  # the caller speaks into a recording
    OPERATOR = "operator"  # being put through to an operator
    BRAND = "brand"  # being put through to the brand's service line
    ENDED = "ended"


class Slip(StrEnum):
    """What kind of typing slip the caller is to mend."""

    NONE = "none"
    LENGTH = "length"
    LOCATED = "located"
    UNLOCATED = "unlocated"


_NAMES: Final = tuple(StateName)
_SLIPS: Final = tuple(Slip)
_WITH_VERDICT: Final = frozenset(
    {StateName.REPEATING, StateName.VERDICT, StateName.REPORTING, StateName.BRAND}
)
_WITH_DIGITS: Final = _WITH_VERDICT | {StateName.MORE, StateName.VERIFYING}
_WITHOUT_DIGITS: Final = frozenset({StateName.NEW, StateName.PARTING, StateName.ENDED})


@value
class State:
    """One moment of a call.

    ``silences`` in a row, ``slips`` of this code (counted to 3), ``wrong`` and all ``entries`` of the call, ``inputs``
    keyed in all. ``digits`` are those of the last code; with ``slip`` it is the one to mend, at the 1-based
    ``positions`` where they are known. While verifying, ``full`` says that the entry ended at its longest length, so
    a needless ``#`` may follow. ``brand_line`` is the number of the brand last answered about, "" where it cannot be
    called.
    """

    name: StateName = StateName.NEW
    locale: str = DEFAULT_LOCALE
    silences: int = 0
    slips: int = 0
    wrong: int = 0
    entries: int = 0
    inputs: int = 0
    slip: Slip = Slip.NONE
    positions: tuple[int, ...] = ()
    full: bool = False
    digits: str = field(default="", repr=False)
    brand_line: str = ""

    @property
    def has_verdict(self) -> bool:
        """True where ``digits`` were answered, so that their verdict can be said again."""
        return (
            bool(self.digits)
            and self.slip is Slip.NONE
            and self.name not in {StateName.MORE, StateName.VERIFYING}
        )

    def to_bytes(self) -> bytes:
        """Return the state as bytes; equal states give equal bytes."""
        first, second = (*self.positions, 0, 0)[:2]
        head = _HEAD.pack(
            _VERSION,
            _NAMES.index(self.name),
            LOCALES.index(self.locale),
            self.silences,
            self.slips,
            self.wrong,
            self.entries,
            self.inputs,
            _SLIPS.index(self.slip),
            first,
            second,
            self.full,
        )
        return head + _packed(self.digits) + _packed(self.brand_line)

    @staticmethod
    def from_bytes(data: bytes) -> State:
        """Return the state that :meth:`to_bytes` wrote. Raises ``Undecodable`` for anything else, whatever it is."""
        try:
            return _read(data)
        except (IndexError, ValueError, struct.error) as error:
            raise Undecodable("These bytes are no state of a call.") from error


def _read(data: bytes) -> State:
    version, name, locale, silences, slips, wrong, entries, inputs, slip, first, second, full = _HEAD.unpack(
        data[: _HEAD.size]
    )
    digits, end = _unpacked(data, _HEAD.size)
    line, end = _unpacked(data, end)
    state = State(
        name=_NAMES[name],
        locale=LOCALES[locale],
        silences=silences,
        slips=slips,
        wrong=wrong,
        entries=entries,
        inputs=inputs,
        slip=_SLIPS[slip],
        positions=tuple(place for place in (first, second) if place),
        full=bool(full),
        digits=digits,
        brand_line=line,
    )
    if version != _VERSION or end != len(data) or state.to_bytes() != data or not _is_sound(state):
        raise ValueError("not a state")
    return state


def _is_sound(state: State) -> bool:
    """Return whether the parts fit together, as those of every state of a real call do."""
    slipped = state.slip is not Slip.NONE
    if state.name in _WITH_DIGITS:
        digits_fit = bool(state.digits) and not slipped
    elif state.name in _WITHOUT_DIGITS:
        digits_fit = not state.digits and not slipped
    else:
        digits_fit = bool(state.digits) if slipped or state.brand_line else True
    return (
        digits_fit
        and "+" not in state.digits
        and "+" not in state.brand_line[1:]
        and len(state.digits) <= MAX_DIGITS
        and len(state.brand_line) <= MAX_LINE
        and max(state.positions, default=0) <= MAX_DIGITS
        and bool(state.positions) == (state.slip is Slip.LOCATED)
        and (not state.brand_line or state.name in _WITH_VERDICT | {StateName.OPERATOR})
        and (not state.full or state.name is StateName.VERIFYING)
    )


def _packed(symbols: str) -> bytes:
    """Return a length and the symbols, two to a byte, the last half filled."""
    halves = [_SYMBOLS.index(symbol) for symbol in symbols]
    if len(halves) % 2:
        halves.append(_FILLER)
    return bytes(
        (len(symbols), *(high << 4 | low for high, low in zip(halves[::2], halves[1::2], strict=True)))
    )


def _unpacked(data: bytes, start: int) -> tuple[str, int]:
    length = data[start]
    end = start + 1 + (length + 1) // 2
    halves = [half for byte in data[start + 1 : end] for half in (byte >> 4, byte & 0xF)]
    if len(halves) < length:
        raise ValueError("cut off")
    return "".join(_SYMBOLS[half] for half in halves[:length]), end
