"""Proof of work (ALTCHA, version 2): challenges made and solutions proved here, with nobody else asked.

The signed challenge carries all there is to know of it, so nothing is kept until it is redeemed.
"""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta
from typing import Any, Final

import altcha
import orjson

_ALGORITHM: Final = "PBKDF2/SHA-256"
# 4096 tries on average: the server pays for one of them, and not before a solution with a good signature comes
_PREFIX: Final = "000"
_SOLVE_WITHIN: Final = timedelta(minutes=10)
_LONGEST: Final = 2048  # characters; a payload of ours has some 800
_BOUND_BYTES: Final = 12


class Proofs:
    """Challenges under ``secret``, the same on every machine; ``rounds`` of PBKDF2 are one try (RFC 8018, 5.2)."""

    def __init__(self, secret: bytes, *, rounds: int) -> None:
        self._secret = secret
        self._rounds = rounds

    def issue(self, bound_to: str, now: datetime) -> bytes:
        """Return a new challenge as JSON, good for ten minutes and for ``bound_to`` alone, which cannot be read
        from it.
        """
        challenge = altcha.create_challenge(
            _ALGORITHM,
            self._rounds,
            key_prefix=_PREFIX,
            # the end stands in here, because the library measures its own field by a clock of its own
            data={"for": self._bound(bound_to), "until": int((now + _SOLVE_WITHIN).timestamp())},
            hmac_secret=self._secret,
        )
        return orjson.dumps(challenge.to_dict())

    def find(self, payload: str, bound_to: str, now: datetime) -> str | None:
        """Return the number of the challenge that ``payload`` (base64 of JSON) solves; None where it is forged, another
        caller's, expired, wrong or no payload at all.
        """
        if not payload or len(payload) > _LONGEST or not payload.isascii():
            return None
        try:
            solved = altcha.Payload.from_base64(payload)
            if not altcha.verify_solution(solved, self._secret).verified:
                return None
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
            return None  # what strangers send; the library does not look at every type
        parameters = solved.challenge.parameters
        data: dict[str, Any] = parameters.data or {}
        if not hmac.compare_digest(str(data.get("for")), self._bound(bound_to)):
            return None
        return parameters.nonce if now.timestamp() <= data.get("until", 0) else None

    def _bound(self, bound_to: str) -> str:
        text = b"bound\0" + bound_to.encode("utf-8", "surrogatepass")
        return hmac.digest(self._secret, text, "sha256")[:_BOUND_BYTES].hex()
