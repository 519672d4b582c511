"""Responses on the wire: one prebuilt head a kind of content, head and body in one write.

The head of the hot route is a constant, because building header maps was a third of the server's own work.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.http import HttpVersion10

from channels.base import OutboundResponse

_CSP: Final = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; object-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_EVERYWHERE: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
)
_PAGES: Final = (
    ("Content-Security-Policy", _CSP),
    ("Permissions-Policy", "camera=(self), microphone=(), geolocation=(), payment=()"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("X-Frame-Options", "DENY"),
)
_DATA: Final = (("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),)
_HSTS: Final = ("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
# As content types come: with and without the charset that pages name.
_COMPRESSED_TYPES: Final = frozenset(
    {"text/html", "text/html; charset=utf-8", "text/css", "text/javascript", "image/svg+xml"}
)
_COMPRESS_FROM: Final = 1024
_COMPRESS_LEVEL: Final = 6
_HEADS_KEPT: Final = 256
_EMPTY_STATUSES: Final = frozenset({204, 304})
_SECOND: Final = timedelta(seconds=1)
_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}


class WireResponse(web.StreamResponse):
    """A whole response that is written at once; ``head`` ends with its empty line."""

    def __init__(self, *, status: int, head: bytes, body: bytes, close: bool = False) -> None:
        super().__init__(status=status)
        self.head = head
        self.payload = body
        self._stays = not close

    @property
    def keep_alive(self) -> bool | None:
        """Whether the connection goes on; known once the response was written."""
        return self._stays

    async def prepare(self, request: web.BaseRequest) -> None:
        """Write everything, then wait while the client reads slower than we write."""
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client went away")
        if not request.keep_alive:
            self._stays = False
        if self._stays:
            connection = b"Connection: keep-alive\r\n" if request.version == HttpVersion10 else b""
        else:
            connection = b"Connection: close\r\n"
        line, _, rest = self.head.partition(b"\r\n") if connection else (b"", b"", b"")
        head = line + b"\r\n" + connection + rest if connection else self.head
        body = b"" if request.method == "HEAD" else self.payload
        transport.write(head + body)
        await request.writer.drain()

    async def write_eof(self, data: bytes = b"") -> None:
        """Do nothing: :meth:`prepare` wrote the end as well."""


class Responses:
    """Makes wire responses with the server's own headers; ``https`` adds HSTS."""

    def __init__(self, *, https: bool) -> None:
        self._https = https
        self._heads: dict[tuple[int, str, tuple[tuple[str, str], ...]], bytes] = {}
        self._date_at = datetime(2000, 1, 1, tzinfo=UTC)
        self._date = b""

    @property
    def kept(self) -> int:
        """How many heads are kept ready."""
        return len(self._heads)

    def make(
        self, outbound: OutboundResponse, *, now: datetime, headers: Mapping[str, str], close: bool = False
    ) -> WireResponse:
        """Return ``outbound`` for aiohttp to write. Raises ``ValueError`` for a header with a control character."""
        head, body = self.wire(outbound, now=now, headers=headers)
        return WireResponse(status=outbound.status, head=head, body=body, close=close)

    def wire(
        self, outbound: OutboundResponse, *, now: datetime, headers: Mapping[str, str]
    ) -> tuple[bytes, bytes]:
        """Return head and body as they go on the wire. Raises ``ValueError`` as :meth:`make` does."""
        body, status, extra = outbound.body, outbound.status, outbound.headers
        key = (status, outbound.content_type, extra)
        head = self._heads.get(key)
        if head is None:
            if outbound.content_type in _COMPRESSED_TYPES and not _has(extra, "content-encoding"):
                if not _has(extra, "vary"):
                    extra = (*extra, ("Vary", "Accept-Encoding"))
                if len(body) > _COMPRESS_FROM and accepts_gzip(headers.get("accept-encoding", "")):
                    # No secret that outlives one page stands beside what the client sent, so sizes tell nothing.
                    body = gzip_bytes(body, _COMPRESS_LEVEL)
                    extra = (*extra, ("Content-Encoding", "gzip"))
            head = self._build(status, outbound.content_type, extra)
            if (
                _is_constant(extra)
                and outbound.content_type not in _COMPRESSED_TYPES
                and len(self._heads) < _HEADS_KEPT
            ):
                self._heads[key] = head
        date = self._date if timedelta(0) <= now - self._date_at < _SECOND else self._new_date(now)
        if status in _EMPTY_STATUSES:
            return head + date[:-16] + b"\r\n", b""
        return b"%b%b%d\r\n\r\n" % (head, date, len(body)), body

    def _build(self, status: int, content_type: str, extra: tuple[tuple[str, str], ...]) -> bytes:
        text_like = content_type.startswith("text/") or content_type == "application/xml"
        charset = "; charset=utf-8" if text_like and "charset=" not in content_type else ""
        own = [*_EVERYWHERE, *(_PAGES if content_type.startswith("text/html") else _DATA)]
        if self._https:
            own.append(_HSTS)
        if not _has(extra, "cache-control"):
            own.append(("Cache-Control", "no-store"))
        lines = [f"HTTP/1.1 {status} {_PHRASES.get(status, 'Status')}"]
        if status not in _EMPTY_STATUSES:
            lines.append(f"Content-Type: {content_type}{charset}")
        lines += [f"{name}: {value}" for name, value in (*own, *extra)]
        head = "\r\n".join(lines)
        if any(ord(char) < 32 or ord(char) == 127 for line in lines for char in line):
            raise ValueError("a response header holds a control character")
        return head.encode("utf-8") + b"\r\n"

    def _new_date(self, now: datetime) -> bytes:
        """Return ``Date`` (RFC 9110, section 6.6.1) and the beginning of ``Content-Length``, made once a second."""
        self._date_at = now.replace(microsecond=0)
        self._date = f"Date: {format_datetime(self._date_at, usegmt=True)}\r\nContent-Length: ".encode(
            "ascii"
        )
        return self._date


def gzip_bytes(data: bytes, level: int) -> bytes:
    """Return ``data`` in the gzip format (RFC 1952) without a time, so equal data gives equal bytes."""
    deflate = zlib.compressobj(level, zlib.DEFLATED, 31)
    return deflate.compress(data) + deflate.flush()


def accepts_gzip(accept_encoding: str) -> bool:
    """Tell whether an ``Accept-Encoding`` header (RFC 9110, section 12.5.3) takes gzip."""
    for item in accept_encoding.lower().split(","):
        coding, _, weight = item.partition(";")
        if coding.strip() in {"gzip", "*"}:
            return weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False


def _is_constant(headers: tuple[tuple[str, str], ...]) -> bool:
    """Tell whether such headers come again and again, so that their head is worth keeping."""
    return all(name.lower() == "cache-control" for name, _ in headers)


def _has(headers: tuple[tuple[str, str], ...], name: str) -> bool:
    return any(key.lower() == name for key, _ in headers)
