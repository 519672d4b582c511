"""Calls to other people's servers over aiohttp: each on a connection of its own, so that none is ever repeated.

A kept connection may be closed by the other side just as a request goes out, and then nobody knows what was received.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Final

import aiohttp
from yarl import URL

from app.core.ports.http_calls import HttpAnswer, HttpCall, NotCalled, Unanswered

__all__ = ["AiohttpCalls"]

_MOST_BODY_BYTES: Final = 64 * 1024
_CONNECTIONS: Final = 64
_OWN_HEADERS: Final = ("Accept-Encoding", "Content-Type", "User-Agent")  # aiohttp would add these


class AiohttpCalls:
    """``HttpCalls`` (contract in the port). ``why`` is ``address``, ``connection``, ``deadline`` or ``broken_off``."""

    def __init__(self, *, most_body_bytes: int = _MOST_BODY_BYTES) -> None:
        self._most_body_bytes = most_body_bytes
        self._session: aiohttp.ClientSession | None = None

    async def call(self, call: HttpCall, *, deadline_s: float = 10.0) -> HttpAnswer | NotCalled | Unanswered:
        """Make one call; see the port. The address goes out as it is written, so it must be encoded already."""
        progress = SimpleNamespace(connected=False)
        try:
            async with asyncio.timeout(deadline_s):
                return await self._call(call, progress)
        except TimeoutError:
            why = "deadline"
        except (
            ValueError,
            TypeError,
        ):  # aiohttp's complaints about an address or a header are ValueErrors too
            why = "broken_off" if progress.connected else "address"
        except Exception:  # noqa: BLE001 - never raises: whatever it was, only how far it came counts
            why = "broken_off" if progress.connected else "connection"
        return Unanswered(why=why) if progress.connected else NotCalled(why=why)

    async def close(self) -> None:
        """Close every connection. A later call would open the session again."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _call(self, call: HttpCall, progress: SimpleNamespace) -> HttpAnswer:
        if self._session is None:
            self._session = _open_session()
        async with self._session.request(
            call.method,
            URL(call.url, encoded=True),
            headers=call.headers,
            data=call.body or None,
            allow_redirects=False,
            trace_request_ctx=progress,
        ) as response:
            body = bytearray()
            while len(body) < self._most_body_bytes:
                part = await response.content.read(self._most_body_bytes - len(body))
                if not part:
                    break
                body += part
            return HttpAnswer(status=response.status, body=bytes(body))


def _open_session() -> aiohttp.ClientSession:
    trace = aiohttp.TraceConfig()
    trace.on_connection_create_start.append(_refuse_to_repeat)
    trace.on_connection_create_end.append(_note_connected)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=_CONNECTIONS, force_close=True),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # one deadline for all, in ``call``
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=_OWN_HEADERS,
        auto_decompress=False,
        trace_configs=[trace],
    )


async def _refuse_to_repeat(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    _params: aiohttp.TraceConnectionCreateStartParams,
) -> None:
    """Refuse a second connection: aiohttp asks GET once more where the first was closed without an answer."""
    if context.trace_request_ctx.connected:
        raise aiohttp.ClientConnectionError


async def _note_connected(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    _params: aiohttp.TraceConnectionCreateEndParams,
) -> None:
    """From here on (after the handshake of TLS) something may have been received."""
    context.trace_request_ctx.connected = True
