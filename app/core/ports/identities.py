"""Keyed tokens: callers without identities, result ids that nobody can guess, states that nobody can forge."""

from __future__ import annotations

from typing import Protocol

from app.core.model.caller import Caller, CallerKind
from app.core.model.verdict import VerificationId


class Identities(Protocol):
    """Promise: synchronous, no I/O, equal for equal input as long as the keys ``caller`` and ``result`` live."""

    def caller(self, kind: CallerKind, identity: str) -> Caller:
        """Return the caller of a normalised identity; one with no token where ``identity`` is empty."""
        ...

    def seal_result(self, verification_id: VerificationId) -> str:
        """Return the public id of a result page: 22 characters of URL-safe base64, an encryption of the record's id."""
        ...

    def open_result(self, sealed: str) -> VerificationId | None:
        """Return the record's id, or None where ``sealed`` is not one of ours."""
        ...

    def seal_state(self, plain: bytes, *, about: str) -> str:
        """Return the state of a dialogue as URL-safe text, encrypted and authenticated; ``about`` (the call's id) is
        bound in. Equal input gives equal text, so that a callback delivered twice is answered alike.
        """
        ...

    def secret(self, purpose: str) -> bytes:
        """Return 32 bytes for one purpose, unrelated to those for any other; equal on all machines."""
        ...

    def open_state(self, sealed: str, *, about: str) -> bytes | None:
        """Return the state, or None where ``sealed`` was changed, belongs to another call or is not ours."""
        ...
