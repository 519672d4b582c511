"""Recognition: from digits to a label's serial, by mathematics and the catalogue in memory, with no I/O.

Also the look-up of codes that another system made, which needs the store.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from app.core.model.catalogue import Catalogue
from app.core.model.code import Code
from app.core.model.value import value


@value
class Recognised:
    """The code is authentic: its tag was proved for ``serial``, which lies in a batch of the catalogue."""

    serial: int


@value
class Unrecognised:
    """No label of ours has this code. ``sound`` tells whether the length and the check digits are right."""

    sound: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysMissing:
    """A key that this code needs, or any key the database was made with, is missing: no answer is possible."""


Recognition = Recognised | Unrecognised | KeysMissing


class Recogniser(Protocol):
    """Promise: synchronous, no I/O, never raises for any digits, takes the same steps for every wrong code."""

    def recognise(self, code: Code, catalogue: Catalogue) -> Recognition:
        """Check digits, permutation, batch range, tag; in that order (service rules, section 2)."""
        ...

    def locate_slip(self, code: Code, catalogue: Catalogue) -> tuple[int, ...]:
        """Return the 1-based position(s) of the one wrong digit or swapped pair, or () if not exactly one fits."""
        ...

    def code_digest(self, code: Code) -> bytes:
        """Return the 16-byte keyed digest of the digits, under which imported and unknown codes are kept."""
        ...

    def message_key(self, channel: str, account: str, message_id: str) -> bytes:
        """Return the 16-byte keyed digest of a message's identity, so that no provider's id is stored in clear."""
        ...

    def keys_fit(self, catalogue: Catalogue) -> bool:
        """Tell whether every key the database was made with is present and the same."""
        ...

    def reload(self) -> None:
        """Read the key file again, after the catalogue changed; keeps the old keys if that fails."""
        ...
