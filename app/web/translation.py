"""HTTP requests to plain values. The fields of the hot route cost one look-up each; nothing is parsed twice."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from aiohttp import web

from app.web.addresses import ClientAddresses
from app.web.routing import NO_PARTS, Address, Endpoint
from channels.base import InboundRequest
from channels.wording.locales import DEFAULT_LOCALE, find_locale, negotiate_locale

_NO_QUERY: Final[Mapping[str, str]] = NO_PARTS
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class BodyTooLargeError(Exception):
    """The body is larger than the route allows; it was not read to its end."""


class BodyUnreadableError(Exception):
    """The body did not arrive whole: too slow, or broken in its framing."""


async def read_body(request: web.BaseRequest, limit: int, deadline_s: float) -> bytes:
    """Return the body of at most ``limit`` bytes, as sent: a ``Content-Encoding`` is not undone.

    Raises :class:`BodyTooLargeError` or :class:`BodyUnreadableError`; ``ConnectionError`` where the client left.
    """
    stream = request.content
    if stream.is_eof():  # the usual case: a small body came in one packet with the head
        data = stream.read_nowait()
        if len(data) > limit:
            raise BodyTooLargeError
        return data
    declared = request.content_length
    if declared is not None and declared > limit:
        raise BodyTooLargeError
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(_CONTINUE)
    parts = bytearray()
    try:
        async with asyncio.timeout(deadline_s):
            while chunk := await stream.readany():
                parts += chunk
                if len(parts) > limit:
                    raise BodyTooLargeError
    except (TimeoutError, web.RequestPayloadError) as error:
        raise BodyUnreadableError from error
    return bytes(parts)


def translate(
    request: web.BaseRequest,
    *,
    endpoint: Endpoint,
    address: Address,
    body: bytes,
    addresses: ClientAddresses,
    now: datetime,
) -> InboundRequest:
    """Return ``request`` as the value that channels read. HEAD is told as GET, because it asks the same."""
    raw = request.raw_path
    headers = request.headers
    peer = request.remote or ""
    route = endpoint.route
    return InboundRequest(
        method=route.method,
        route=route.path,
        path=raw if address.parts is NO_PARTS and "?" not in raw else request.rel_url.path,
        parts=address.parts,
        query=request.rel_url.query if "?" in raw else _NO_QUERY,
        headers=headers,
        body=body,
        remote=addresses.client(peer, ",".join(headers.getall("X-Forwarded-For", ())))
        if addresses.any_trusted
        else peer,
        received_at=now,
    )


def asked_locale(request: web.BaseRequest) -> str:
    """Return the language to refuse in: the address's ``lang``, the cookie's, or that of ``Accept-Language``."""
    for tag in (request.rel_url.query.get("lang", ""), request.cookies.get("lang", "")):
        locale = find_locale(tag) if tag else None
        if locale is not None:
            return locale
    return negotiate_locale(request.headers.get("Accept-Language", "")) or DEFAULT_LOCALE
