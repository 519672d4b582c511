"""Webhooks signed as HMAC-SHA1 over the public address and the form's sorted fields, for the channels that get them.

The HMAC itself is the provider's library's, which only those channels may import: they hand it in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from hmac import compare_digest
from typing import Final, Protocol
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from app.core.errors import NotAuthentic, SettingsInvalid, Undecodable

SIGNATURE_HEADER: Final = "x-twilio-signature"
FORM_TYPE: Final = "application/x-www-form-urlencoded"
_MOST_FIELDS: Final = 256  # a webhook has about thirty
_TOKEN: Final = re.compile(r"[\x20-\x7e]*[\x21-\x7e][\x20-\x7e]*")
_STANDARD_PORTS: Final = {"https": 443, "http": 80}


class Form:
    """The fields of one form. Iterating gives names; ``getall`` is the name by which the provider's library asks."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, text in pairs:
            self._values.setdefault(name, []).append(text)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def getall(self, name: str) -> list[str]:
        """Return every value of a field that is there."""
        return self._values[name]

    def first(self, *names: str) -> str:
        """Return the first value of the first of ``names`` that has one; "" where none has."""
        for name in names:
            text = self._values.get(name, ("",))[0]
            if text:
                return text
        return ""


def parse_form(body: bytes) -> Form:
    """Return the fields of an ``application/x-www-form-urlencoded`` body, empty values included.

    Raises ``Undecodable`` for anything that is not UTF-8, escaped or plain, and for hundreds of fields.
    """
    try:
        pairs = parse_qsl(
            body.decode("utf-8"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:  # the library's words would quote the body
        raise Undecodable("The form is not UTF-8, or has too many fields.") from None
    return Form(pairs)


class Signer(Protocol):
    """What is needed of the provider's library: the signature of an address and a form under one token."""

    def compute_signature(self, uri: str, params: Form | None) -> str:
        """Return it in Base64; ``params`` None signs the address alone."""
        ...


class WebhookSignatures:
    """Signs and checks with every configured token; the first one signs.

    ``signer`` makes the library's object of a token; ``setting`` is the field that holds the tokens. Raises
    ``SettingsInvalid`` without a token or with an empty one, under which anybody could sign.
    """

    def __init__(
        self, auth_tokens: tuple[str, ...], public_url: str, *, signer: Callable[[str], Signer], setting: str
    ) -> None:
        if not auth_tokens or not all(_TOKEN.fullmatch(token) for token in auth_tokens):
            raise SettingsInvalid(
                f"{setting}: set the account's auth token, plain characters; an empty one is none."
            )
        self._signers = tuple(signer(token) for token in auth_tokens)
        self._public_url = public_url.rstrip("/")
        self._bases = _spellings(self._public_url)

    def sign(self, path: str, form: Form) -> str:
        """Return the signature the provider would give to ``form`` posted to ``path`` of the public address."""
        return str(self._signers[0].compute_signature(self._public_url + path, form))

    def match(self, path: str, form: Form, signature: str) -> bool:
        """Tell whether ``signature`` is right under any token. Every one is tried, so that time tells nothing."""
        given = signature.encode("utf-8", "replace")
        fields = _run_together(form)  # once for every token and spelling: it costs more than the HMAC
        found = False
        for signer in self._signers:
            for base in self._bases:
                expected = str(signer.compute_signature(base + path + fields, None)).encode("ascii")
                found |= compare_digest(expected, given)
        return found

    def prove(self, path: str, body: bytes, signature: str) -> Form:
        """Return the form of a signed webhook. Raises ``NotAuthentic`` for any other, and for what is no form."""
        try:
            form = parse_form(body)
        except Undecodable:
            raise NotAuthentic("The form cannot be read, so no signature can match it.") from None
        if not self.match(path, form, signature):
            raise NotAuthentic(
                "The webhook's signature does not match the public address and the auth tokens."
            )
        return form


def is_form(content_type: str) -> bool:
    """Tell whether a content type, with or without parameters, is that of a form."""
    return content_type.partition(";")[0].strip().lower() == FORM_TYPE


def _run_together(form: Form) -> str:
    """Return names and values as they are signed behind the address: sorted by name, each value of a name once.

    Source: ``compute_signature`` of the provider's library, which ``sign`` calls with the form itself.
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
