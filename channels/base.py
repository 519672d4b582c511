"""The channel contract: what an adapter is given, what it returns, and what it may be.

``authenticate``, ``decode``, ``encode`` and ``refuse`` are synchronous and do no I/O; only the one pipeline
awaits. So no channel can differ in how it is safe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from app.core.errors import YanzhenError
from app.core.model.caller import Caller
from app.core.model.value import value
from app.core.model.verdict import VerificationId
from app.core.model.verification import Record, VerificationRequest
from app.core.ports.clock import Clock
from app.core.ports.identities import Identities
from app.core.ports.throttle import ThrottleSubject as ThrottleSubject  # noqa: PLC0414 - for the channels
from channels.wording.reply import Reply, Wording


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An address the channel answers. ``path`` may hold ``{name}`` parts; a larger body is refused unread."""

    method: str
    path: str
    max_body_bytes: int = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelManifest:
    """What a channel is: ``name`` stands in every recorded fact, ``deadline_ms`` is the service rules' figure.

    ``how_to_ask`` is one line for the table of samples, with ``{code}`` and ``{public_url}`` to fill.
    """

    name: str
    deadline_ms: int
    how_to_ask: str
    locales: tuple[str, ...] = ("zh-CN", "en")


@value
class InboundRequest:
    """One request as plain values. ``headers`` is looked up in lower case; ``remote`` is the client address after
    the configured trusted proxies; ``route`` is the ``Route.path`` that matched and ``parts`` its named parts.
    """

    method: str
    route: str
    path: str
    parts: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    remote: str = ""
    received_at: datetime


@value
class OutboundResponse:
    """One response as plain values. ``headers`` are sent beside the content type and the server's own."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain"
    headers: tuple[tuple[str, str], ...] = ()


@value
class CodeSubmitted:
    """Somebody asks about a code: the only turn that reaches the engine. ``more_codes``: a second one stood there.

    ``subjects`` are whom the limits count this query for.
    """

    request: VerificationRequest
    subjects: tuple[ThrottleSubject, ...] = ()
    more_codes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandGiven:
    """Anything else the caller wants: open a page, help, language, opt-out, report."""

    kind: str
    argument: str = ""
    locale: str = "zh-CN"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordOpened:
    """A result page is read: never a query. ``verification_id`` is None where the address is not one of ours."""

    verification_id: VerificationId | None
    reader: Caller
    locale: str = "zh-CN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Continue:
    """A turn of a dialogue that does not yet hold a code; the adapter answers from the turn alone."""

    state: str
    locale: str = "zh-CN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """The provider proves that the address is ours; answered without the engine."""

    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReport:
    """The provider tells what became of a message we sent."""

    message_id: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """Nothing to answer; ``why`` goes to the log."""

    why: str


Turn = CodeSubmitted | CommandGiven | RecordOpened | Continue | Handshake | DeliveryReport | Ignored


class RefusalKind(StrEnum):
    """Why a request never became a turn."""

    NOT_AUTHENTIC = "not_authentic"
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    NOT_ALLOWED = "method_not_allowed"
    UNKNOWN_ADDRESS = "unknown_address"
    UNAVAILABLE = "unavailable"  # a record cannot be read now; a query is never refused so, it gets a verdict
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A request refused before the engine; ``message`` says what to do and names no secret.

    ``cause`` is what the adapter itself raised, so that it can answer in its own terms; None from the server.
    """

    kind: RefusalKind
    message: str = ""
    locale: str = "zh-CN"
    cause: YanzhenError | None = None


class ChannelAdapter(Protocol):
    """One channel. Every method is deterministic in its arguments; what must be random comes in at construction.

    ``authenticate`` raises ``NotAuthentic``; ``decode`` raises ``Undecodable``; neither sees a request that is
    larger than its route allows. ``encode`` gets a reply for ``CodeSubmitted``, a record (or None, if there is
    none) for ``RecordOpened``, and nothing for the other turns.
    """

    manifest: ChannelManifest

    def routes(self) -> tuple[Route, ...]: ...

    def authenticate(self, request: InboundRequest) -> None: ...

    def decode(self, request: InboundRequest) -> Turn: ...

    def encode(
        self, request: InboundRequest, turn: Turn, reply: Reply | None, record: Record | None = None
    ) -> OutboundResponse: ...

    def refuse(self, refusal: Refusal) -> OutboundResponse: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelContext:
    """What every channel may be given: wording, identities (tokens and sealed ids), the clock, the live lengths."""

    wording: Wording
    identities: Identities
    clock: Clock
    public_url: str
    timezone: str
    lengths: Callable[[], frozenset[int]]  # the live code lengths, imports included
