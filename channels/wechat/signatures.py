"""The platform's signatures: SHA-1 over the sorted token, time, nonce and, where there is one, the encrypted text.

SHA-1 without a key is the platform's choice; the token is the secret in it. It proves the time, not the nonce: the
platform repeats a nonce, and a message that comes again is told by its own id.
"""

from __future__ import annotations

import re
from datetime import datetime
from hashlib import sha1
from hmac import compare_digest
from typing import Final

from app.core.errors import NotAuthentic, SettingsInvalid

STALE_AFTER_S: Final = 300
_TIMESTAMP: Final = re.compile("[0-9]{1,12}")
_NONCE: Final = re.compile("[0-9A-Za-z._~-]{1,64}")


def sign(token: str, *parts: str) -> str:
    """Return the signature of ``parts`` under ``token``, 40 hexadecimal digits."""
    # the platform's samples sort the bytes, which for these characters is the order of the texts
    pieces = sorted(part.encode("utf-8", "surrogatepass") for part in (token, *parts))
    return sha1(b"".join(pieces)).hexdigest()  # noqa: S324 - the platform's choice


class Signatures:
    """Proves what the platform signed, under one token or, while it changes, two.

    Raises ``SettingsInvalid`` without a token or with an empty one, under which anybody could sign.
    """

    def __init__(self, tokens: tuple[str, ...], *, account: str) -> None:
        if not tokens or not all(tokens):
            raise SettingsInvalid(
                f"wechat: the account {account} needs the token of its server configuration; an empty one is none."
            )
        self._tokens = tokens

    def prove(self, signature: str, *, timestamp: str, nonce: str, encrypted: str | None = None) -> str:
        """Return the token that signed. Raises ``NotAuthentic`` where none did. Every one is tried, so that time tells
        nothing.
        """
        if not _TIMESTAMP.fullmatch(timestamp) or not _NONCE.fullmatch(nonce):
            raise NotAuthentic("The address carries no timestamp or no nonce as the platform writes them.")
        given = signature.encode("utf-8", "replace")
        parts = (timestamp, nonce) if encrypted is None else (timestamp, nonce, encrypted)
        found = ""
        for token in self._tokens:
            if compare_digest(sign(token, *parts).encode("ascii"), given):
                found = found or token
        if not found:
            raise NotAuthentic("The signature does not match the token of the server configuration.")
        return found


def prove_fresh(timestamp: str, received_at: datetime) -> None:
    """Raise ``NotAuthentic`` for a signed time more than five minutes before or after ``received_at``."""
    if abs(int(timestamp) - received_at.timestamp()) > STALE_AFTER_S:
        raise NotAuthentic("The signature is too old, or this machine's clock is wrong.")
