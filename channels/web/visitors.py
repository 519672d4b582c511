"""Who asks on the web: a random first-party cookie, no fingerprint; and whom the limits count a query for."""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from app.core.model.caller import Caller
from channels.networks import address_subjects, network_of
from channels.turns import ThrottleSubject

COOKIE_SECONDS: Final = 730 * 24 * 3600  # 24 months, the longest a token may live (service rules, section 6)
_SECRET_CHARS: Final = 22  # 128 random bits in URL-safe base64
_SECRET_ALPHABET: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")

SecretSource = Callable[[], str]


def random_secret() -> str:
    """Return 128 random bits as 22 characters of URL-safe base64."""
    return secrets.token_urlsafe(16)


def is_secret(text: str) -> bool:
    """Tell whether ``text`` has the form of a secret of ours."""
    return len(text) == _SECRET_CHARS and _SECRET_ALPHABET.issuperset(text)


def derived_secret(nonce: str) -> str:
    """Return the caller's secret for a visitor whose browser sent the page's nonce but no cookie.

    Derived, so that the same message sent twice is the same caller and gets the same bytes.
    """
    return _derived(b"caller", nonce)


def following_nonce(nonce: str) -> str:
    """Return the nonce of the form under an answer that asks the visitor to look again: another message.

    Derived, so that the message sent twice still gets equal bytes.
    """
    return _derived(b"again", nonce)


def _derived(purpose: bytes, nonce: str) -> str:
    return urlsafe_b64encode(sha256(purpose + b"\0" + nonce.encode()).digest()[:16]).rstrip(b"=").decode()


def subjects_of(caller: Caller, remote: str) -> tuple[ThrottleSubject, ...]:
    """Return whom a query counts for: the visitor within a network, then the network."""
    by_address = address_subjects(remote)
    if caller.token is None:
        return by_address
    network = network_of(remote)
    return (ThrottleSubject("web", caller.token + network.encode(), group=network), *by_address)
