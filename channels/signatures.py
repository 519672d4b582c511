"""Webhooks signed as HMAC-SHA1 over the public address and the form's sorted fields, for the channels that get them.

The provider's library does the same in five times the time; a test holds the two together.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Iterator
from hashlib import sha1
from hmac import compare_digest
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

from app.core.errors import NotAuthentic, SettingsInvalid, Undecodable

SIGNATURE_HEADER: Final = "x-twilio-signature"
FORM_TYPE: Final = "application/x-www-form-urlencoded"
_ESCAPES: Final = re.compile(b"(?:%[0-9A-Fa-f]{2})+")
_BLOCK_BYTES: Final = 64
_MOST_FIELDS: Final = 256  # a webhook has about thirty
_TOKEN: Final = re.compile(r"[\x20-\x7e]*[\x21-\x7e][\x20-\x7e]*")
_STANDARD_PORTS: Final = {"https": 443, "http": 80}


class Form:
    """The fields of one form, in ``pairs`` of name and value. Iterating gives each name once."""

    __slots__ = ("_first", "pairs")

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self.pairs = pairs
        self._first = dict(reversed(pairs))

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self.pairs))

    def __len__(self) -> int:
        return len(self._first)

    def getall(self, name: str) -> list[str]:
        """Return every value of a field; by this name the provider's library asks for them."""
        return [text for given, text in self.pairs if given == name]

    def first(self, *names: str) -> str:
        """Return the first value of the first of ``names`` that has one; "" where none has."""
        for name in names:
            if text := self._first.get(name):
                return text
        return ""


def parse_form(body: bytes) -> Form:
    """Return the fields of an ``application/x-www-form-urlencoded`` body, empty values included.

    Raises ``Undecodable`` for anything that is not UTF-8, escaped or plain, and for hundreds of fields.
    """
    if body.count(b"&") >= _MOST_FIELDS:
        raise Undecodable("The form has too many fields.")
    pairs = []
    try:
        for field in body.decode("utf-8").replace("+", " ").split("&"):
            if field:
                name, _, text = field.partition("=")
                pairs.append((_unescape(name), _unescape(text)) if "%" in field else (name, text))
    except ValueError:  # the library's words would quote the body
        raise Undecodable("The form is not UTF-8.") from None
    return Form(pairs)


def _unescape(field: str) -> str:
    """Return a name or value as it was before it was escaped. Raises ``UnicodeDecodeError`` for what is not UTF-8."""
    if "%" not in field:
        return field
    if (
        not field.isascii()
    ):  # no client writes it so; the standard library decodes what is escaped piece by piece
        return unquote(field, errors="strict")
    return _ESCAPES.sub(_octets, field.encode("ascii")).decode("utf-8")


def _octets(escapes: re.Match[bytes]) -> bytes:
    return bytes.fromhex(escapes[0].replace(b"%", b"").decode("ascii"))


class WebhookSignatures:
    """Signs and checks with every configured token; the first one signs.

    ``setting`` is the field that holds the tokens. Raises ``SettingsInvalid`` without a token or with an empty one,
    under which anybody could sign.
    """

    def __init__(self, auth_tokens: tuple[str, ...], public_url: str, *, setting: str) -> None:
        if not auth_tokens or not all(_TOKEN.fullmatch(token) for token in auth_tokens):
            raise SettingsInvalid(
                f"{setting}: set the account's auth token, plain characters; an empty one is none."
            )
        self._keys = tuple(_Key(token.encode("ascii")) for token in auth_tokens)
        self._public_url = public_url.rstrip("/").encode()
        self._bases = tuple(base.encode() for base in _spellings(public_url.rstrip("/")))

    def sign(self, path: str, form: Form) -> str:
        """Return the signature the provider would give to ``form`` posted to ``path`` of the public address."""
        return self._keys[0].sign(self._public_url + _signed(path, form)).decode("ascii")

    def match(self, path: str, form: Form, signature: str) -> bool:
        """Tell whether ``signature`` is right under any token. Every one is tried, so that time tells nothing."""
        given = signature.encode("utf-8", "replace")
        signed = _signed(path, form)  # once for every token and spelling: it costs more than the HMAC
        found = False
        for key in self._keys:
            for base in self._bases:
                found |= compare_digest(key.sign(base + signed), given)
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


def _signed(path: str, form: Form) -> bytes:
    """Return what is signed behind the host: the path, then names and values sorted by name, each value of a name once.

    Source: ``RequestValidator.compute_signature`` of the provider's library.
    """
    return (path + "".join(map("".join, sorted(set(form.pairs))))).encode("utf-8", "surrogatepass")


class _Key:
    """HMAC-SHA1 (RFC 2104) in Base64; the key's two blocks are hashed once. ``repr`` shows no key."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        block = (key if len(key) <= _BLOCK_BYTES else sha1(key).digest()).ljust(_BLOCK_BYTES, b"\0")  # noqa: S324
        self._inner = sha1(bytes(byte ^ 0x36 for byte in block))  # noqa: S324 - the provider's choice
        self._outer = sha1(bytes(byte ^ 0x5C for byte in block))  # noqa: S324

    def sign(self, signed: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(signed)
        outer.update(inner.digest())
        return b2a_base64(outer.digest(), newline=False)


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
