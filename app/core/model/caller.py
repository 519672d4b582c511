"""Who asks, without knowing who: a kind and a keyed token, never a raw number, openid or address."""

from __future__ import annotations

from enum import StrEnum

from app.core.model.value import value


class CallerKind(StrEnum):
    """What identifies a caller. SMS and hotline share ``phone``, so one number is one caller on both."""

    PHONE = "phone"
    WEB = "web"
    WECHAT = "wechat"
    OPERATOR = "operator"


@value
class Caller:
    """One caller. ``token`` is HMAC(kind, normalised identity), 16 bytes, or None where the identity is withheld.

    A caller without a token is never recognised again, so never answered as "own repeat". ``key_id`` names the
    key the token was made with.
    """

    kind: CallerKind
    token: bytes | None = None
    key_id: int = 1
