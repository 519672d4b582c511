"""What the dialogue wants done next: speech first, and last the one thing to wait for."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from app.core.model.value import value
from app.speech.spoken import Spoken

TransferTo = Literal["operator", "brand"]


@value
class Speak:
    """Speak ``spoken`` with the voice of ``locale``. Where ``interruptible``, a key stops it and counts for the gather
    that follows; where not, keys pressed meanwhile are dropped.
    """

    spoken: Spoken
    locale: str
    interruptible: bool = True


@value
class Gather:
    """Take at most ``max_digits`` keys; ``first_digit_s`` runs from the end of the speech, ``between_s`` from each key.

    ``#`` ends it where ``finish_on_hash``; elsewhere it is a key like another (as an end without keys it means the
    same). A provider with one timeout takes ``first_digit_s``.
    """

    max_digits: int
    first_digit_s: int
    between_s: int
    finish_on_hash: bool = True


@value
class Verify:
    """Ask the engine about ``digits``. The message id is the call's id plus ``entry_number``: the same number again
    asks for the stored answer, and is never a second query.
    """

    digits: str = field(repr=False)
    entry_number: int


@value
class Record:
    """Record what the caller says after a tone, until ``#``, silence or ``max_s`` seconds."""

    max_s: int


@value
class Transfer:
    """Put the caller through: to the operator of the settings, or to ``number``, the brand's service line."""

    to: TransferTo
    number: str = ""


@value
class HangUp:
    """End the call."""


Action = Speak | Gather | Verify | Record | Transfer | HangUp
