"""Encryption of what may exist only for a while: recipients and texts of replies that are still owed."""

from __future__ import annotations

from typing import Protocol


class Sealing(Protocol):
    """Promise: synchronous, no I/O; authenticated encryption under the key file. ``about`` (the message key) is bound
    in, so that a sealed value cannot be moved to another reply.
    """

    def seal(self, plain: bytes, *, about: bytes) -> bytes: ...

    def open(self, sealed: bytes, *, about: bytes) -> bytes | None:
        """Return the plain bytes, or None where the value was changed, moved or sealed under another key."""
        ...
