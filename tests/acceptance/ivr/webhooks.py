"""The provider's side of HTTP: signed webhooks with the deadline and the single retry, and the fetching of media."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import urldefrag, urlencode, urlsplit, urlunsplit

import aiohttp
from twilio.request_validator import RequestValidator

DEADLINE_S: Final = 15.0  # of one request, connecting included
CONNECT_S: Final = 5.0
LARGEST_CLIP: Final = 4 * 1024 * 1024
TWIML_TYPES: Final = frozenset({"text/xml", "application/xml", "text/html"})
AUDIO_TYPES: Final = frozenset(
    {"audio/mpeg", "audio/wav", "audio/wave", "audio/x-wav", "audio/aiff", "audio/x-aifc", "audio/x-aiff"}
    | {"audio/x-gsm", "audio/gsm", "audio/ulaw"}
)


class Emit(Protocol):
    """Reports one step of the call with its facts."""

    def __call__(self, step: str, /, **facts: object) -> None: ...


class NoAnswer(Exception):
    """The other side did not answer as it must; the call ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, whole."""

    status: int
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhooks:
    """Asks the customer's addresses. ``reach`` says where a public origin really listens."""

    session: aiohttp.ClientSession
    token: str
    reach: Mapping[str, str]
    repeat: bool
    emit: Emit
    clock: Callable[[], float] = time.monotonic

    async def ask(self, url: str, form: Mapping[str, str], *, method: str) -> bytes:
        """Return the TwiML document at ``url``. Raises NoAnswer for anything but a 200 with XML.

        With ``repeat`` every question is put twice, as after a lost answer: both answers must be equal.
        """
        token = str(uuid.uuid4())
        answer = await self.send(url, form, method=method, idempotency=token)
        if self.repeat:
            again = await self.send(url, form, method=method, idempotency=token)
            if again != answer:
                raise NoAnswer("the repeated request got another answer")
        if answer.status != 200:
            raise NoAnswer(f"the webhook was answered with {answer.status}")
        if answer.media_type not in TWIML_TYPES:
            raise NoAnswer(f"the webhook was answered with {answer.media_type!r}")
        return answer.body

    async def send(
        self, url: str, form: Mapping[str, str], *, method: str = "POST", idempotency: str | None = None
    ) -> Answer:
        """Send one signed request; a connection that does not come about is tried once more. Raises NoAnswer."""
        url = urldefrag(url).url
        if method == "GET":
            url = f"{url}{'&' if '?' in url else '?'}{urlencode(form)}"
        signed = dict(form) if method == "POST" else {}
        headers = {
            "User-Agent": "TwilioProxy/1.1",
            "X-Twilio-Signature": RequestValidator(self.token).compute_signature(url, signed),
            "I-Twilio-Idempotency-Token": idempotency or str(uuid.uuid4()),
        }
        for attempt in (1, 2):
            begun = self.clock()
            try:
                answer = await self._request(method, url, headers, signed or None)
            except aiohttp.ClientConnectorError as error:
                self.emit("webhook", url=url, attempt=attempt, failure=type(error).__name__)
                continue
            except (aiohttp.ClientError, TimeoutError) as error:
                self.emit("webhook", url=url, attempt=attempt, failure=type(error).__name__)
                raise NoAnswer(f"no answer from the webhook: {type(error).__name__}") from error
            took_ms = round((self.clock() - begun) * 1000)
            self.emit(
                "webhook", url=url, attempt=attempt, status=answer.status, took_ms=took_ms, form=dict(form)
            )
            return answer
        raise NoAnswer("the webhook could not be connected to")

    async def fetch_clip(self, url: str) -> tuple[bytes, str]:
        """Return the bytes and media type of a clip. Media requests carry no signature. Raises NoAnswer."""
        try:
            answer = await self._request("GET", urldefrag(url).url, {"User-Agent": "TwilioProxy/1.1"}, None)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise NoAnswer(f"no clip at {url}: {type(error).__name__}") from error
        if answer.status != 200:
            raise NoAnswer(f"no clip at {url}: {answer.status}")
        if answer.media_type not in AUDIO_TYPES:
            raise NoAnswer(f"{url} is {answer.media_type!r}, not audio (13420)")
        if not 0 < len(answer.body) <= LARGEST_CLIP:
            raise NoAnswer(f"the clip at {url} has {len(answer.body)} bytes")
        return answer.body, answer.media_type

    async def _request(
        self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None
    ) -> Answer:
        parts = urlsplit(url)
        origin = self.reach.get(f"{parts.scheme}://{parts.netloc}", f"{parts.scheme}://{parts.netloc}")
        target = origin + urlunsplit(("", "", parts.path or "/", parts.query, ""))
        timeout = aiohttp.ClientTimeout(total=DEADLINE_S, sock_connect=CONNECT_S)
        async with self.session.request(
            method, target, headers=headers, data=form, timeout=timeout, allow_redirects=False
        ) as response:
            body = await response.read()
            return Answer(status=response.status, media_type=response.content_type, body=body)
