"""Signatures of webhooks: HMAC-SHA1 over the public address and the sorted fields, by the provider's own library."""

from __future__ import annotations

import re
from hmac import compare_digest
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from twilio.request_validator import RequestValidator

from app.core.errors import SettingsInvalid
from channels.sms.twilio.form import Form

SIGNATURE_HEADER: Final = "x-twilio-signature"
_TOKEN: Final = re.compile(r"[\x20-\x7e]*[\x21-\x7e][\x20-\x7e]*")
_STANDARD_PORTS: Final = {"https": 443, "http": 80}


class Signatures:
    """Signs and checks with every configured token; the first one signs.

    Raises ``SettingsInvalid`` without a token or with an empty one, under which anybody could sign.
    """

    def __init__(self, auth_tokens: tuple[str, ...], public_url: str) -> None:
        if not auth_tokens or not all(_TOKEN.fullmatch(token) for token in auth_tokens):
            raise SettingsInvalid(
                "sms.twilio.auth_tokens: set the account's auth token, plain characters; an empty one is none."
            )
        self._validators = tuple(RequestValidator(token) for token in auth_tokens)
        self._public_url = public_url.rstrip("/")
        self._bases = _spellings(self._public_url)

    def sign(self, path: str, form: Form) -> str:
        """Return the signature the provider would give to ``form`` posted to ``path`` of the public address."""
        return str(self._validators[0].compute_signature(self._public_url + path, form))

    def match(self, path: str, form: Form, signature: str) -> bool:
        """Tell whether ``signature`` is right under any token. Every one is tried, so that time tells nothing."""
        given = signature.encode("utf-8", "replace")
        fields = _run_together(form)  # once for every token and spelling: it costs more than the HMAC
        found = False
        for validator in self._validators:
            for base in self._bases:
                expected = str(validator.compute_signature(base + path + fields, None)).encode("ascii")
                found |= compare_digest(expected, given)
        return found


def _run_together(form: Form) -> str:
    """Return names and values as they are signed behind the address: sorted by name, each value of a name once.

    Source: ``compute_signature`` of the provider's library, which :meth:`Signatures.sign` calls with the form itself.
    """
    return "".join([name + text for name in sorted(form) for text in sorted(set(form.getall(name)))])


def _spellings(public_url: str) -> tuple[str, ...]:
    """Return the address with and without its port: the provider signs now the one, now the other.

    Source: the ``validate`` functions of the provider's libraries, which try both.
    """
    parts = urlsplit(public_url)
    host = parts.netloc.rpartition("@")[2]
    bare = host.removesuffix(f":{parts.port}") if parts.port is not None else host
    port = parts.port or _STANDARD_PORTS.get(parts.scheme, 443)
    hosts = dict.fromkeys((host, bare, f"{bare}:{port}"))
    return tuple(urlunsplit(parts._replace(netloc=one)) for one in hosts)
