"""Twilio's REST API by its own library, which takes a fifth of a second to load: import this when it is first used."""

from __future__ import annotations

import base64
import json
import logging
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from twilio.base import values
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from channels.sms.twilio.answers import AnswerUnreadable, CallRefused, SentMessage, read_retry_after

_ENVIRONMENT: Final = {"TWILIO_EDGE": "", "TWILIO_REGION": ""}  # else the library reads the machine's
_UNAUTHORIZED: Final = 401


class RestApi:
    """The two calls we need. Each raises :class:`CallRefused`, :class:`AnswerUnreadable`, or what the network raises.

    Made inside the event loop that will use it.
    """

    def __init__(
        self, *, account_sid: str, auth_tokens: tuple[str, ...], api_url: str, timeout_s: float
    ) -> None:
        self._calls = _Calls(api_url, timeout_s)
        self._clients = tuple(
            Client(account_sid, token, http_client=self._calls, environment=dict(_ENVIRONMENT))
            for token in auth_tokens
        )

    async def create(self, *, to: str, ours: str, body: str, status_callback: str) -> str:
        """Send one message; returns the provider's id."""
        service = ours.startswith("MG")
        for client, last in self._each():
            try:
                made = await client.messages.create_async(
                    to=to,
                    from_=values.unset if service else ours,
                    messaging_service_sid=ours if service else values.unset,
                    body=body,
                    status_callback=status_callback,
                )
            except CallRefused as refused:
                if last or refused.status != _UNAUTHORIZED:
                    raise
            else:
                if not isinstance(made.sid, str) or not made.sid:
                    raise AnswerUnreadable
                return made.sid
        raise AnswerUnreadable  # no token, which the settings exclude

    async def newest(self, *, to: str, ours: str, limit: int) -> list[SentMessage]:
        """List at most ``limit`` messages between the two numbers, in the provider's order: the newest first."""
        for client, last in self._each():
            try:
                listed = await client.messages.list_async(
                    to=to,
                    from_=values.unset if ours.startswith("MG") else ours,
                    limit=limit,
                    page_size=limit,
                )
            except CallRefused as refused:
                if last or refused.status != _UNAUTHORIZED:
                    raise
            else:
                return [
                    SentMessage(
                        sid=str(one.sid or ""),
                        body=str(one.body or ""),
                        direction=str(one.direction or ""),
                        created_at=one.date_created,
                    )
                    for one in listed
                ]
        raise AnswerUnreadable

    async def close(self) -> None:
        """Close the connections."""
        await self._calls.close()

    def _each(self) -> list[tuple[Client, bool]]:
        """Return the clients, one a token, and whether it is the last: a token that was rotated away answers 401."""
        return [(client, place == len(self._clients)) for place, client in enumerate(self._clients, start=1)]


class _Calls:
    """What the library sends through: one time limit, no retry, no log of numbers, a relay if there is one."""

    is_async = True

    def __init__(self, api_url: str, timeout_s: float) -> None:
        # the library logs addresses, which hold numbers; a logger of nobody's cannot be switched on by name
        silent = logging.Logger("twilio-calls")  # noqa: LOG001
        silent.disabled = True
        self._client = AsyncTwilioHttpClient(timeout=timeout_s, logger=silent)
        self._api_url = urlsplit(api_url.rstrip("/")) if api_url else None
        self._timeout_s = timeout_s

    async def request(
        self,
        method: str,
        uri: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's signature
        allow_redirects: bool = False,  # noqa: FBT001, FBT002 - the library's signature
    ) -> Response:
        """Send one request; raises :class:`CallRefused` for any status but success."""
        sent_headers = dict(headers or {})
        if auth is not None:  # the library would use a class that its HTTP client has given up
            sent_headers["Authorization"] = "Basic " + base64.b64encode(":".join(auth).encode()).decode(
                "ascii"
            )
        try:
            response = await self._client.request(
                method,
                self._addressed(uri),
                params=params,
                data=data,
                headers=sent_headers,
                timeout=self._timeout_s,
                allow_redirects=False,
            )
        finally:
            # the library keeps the last request and answer, numbers and texts included, for its own tests
            self._client._test_only_last_request = None  # noqa: SLF001
            self._client._test_only_last_response = None  # noqa: SLF001
        if not 200 <= response.status_code < 300:
            raise CallRefused(
                status=response.status_code,
                code=_read_code(response.text),
                retry_after_s=read_retry_after((response.headers or {}).get("Retry-After", "")),
            )
        return response

    async def close(self) -> None:
        await self._client.close()

    def _addressed(self, uri: str) -> str:
        if self._api_url is None:
            return uri
        parts = urlsplit(uri)
        return urlunsplit(
            parts._replace(
                scheme=self._api_url.scheme,
                netloc=self._api_url.netloc,
                path=self._api_url.path + parts.path,
            )
        )


def _read_code(body: str) -> int:
    """Return the provider's error code; 0 where the body is none of its documents."""
    try:
        document = json.loads(body)
    except ValueError:
        return 0
    code = document.get("code") if isinstance(document, dict) else None
    return code if isinstance(code, int) else 0
