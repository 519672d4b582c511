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
from app.core.model.value import value
from app.core.model.verification import Record
from app.core.ports import http_calls as http_calls  # noqa: PLC0414 - calls and their answers, for the channels
from app.core.ports.cache import Cache as Cache  # noqa: PLC0414 - for the channels
from app.core.ports.clock import Clock as Clock  # noqa: PLC0414 - for the channels
from app.core.ports.http_calls import HttpCalls
from app.core.ports.identities import Identities
from app.core.ports.places import Places
from app.core.ports.spending import Spend as Spend  # noqa: PLC0414 - for the channels
from app.core.ports.spending import Spending as Spending  # noqa: PLC0414 - for the channels
from channels.turns import Turn
from channels.wording.forms import TextForm as TextForm  # noqa: PLC0414 - for the channels
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

    A channel of messages says answers in ``form``. Past the deadline it may take ``owe_ms`` more to keep the question
    for later; where its platform waits for no more than the rules' figure, the two together are that figure.

    ``how_to_ask`` is one line for the table of samples, with ``{code}``, ``{public_url}`` and ``{yanzhen}`` (the
    command) to fill. ``pushes`` and ``listens`` declare the abilities of ``channels.abilities``.
    """

    name: str
    deadline_ms: int
    how_to_ask: str
    form: TextForm = TextForm.SHORT
    owe_ms: int = 3_000
    pushes: bool = False
    listens: bool = False
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
    """What every channel may be given: wording, identities (tokens and sealed ids), the clock, the live lengths,
    places, calls to providers, a cache; ``settings`` holds each channel's own settings under its name.
    """

    wording: Wording
    identities: Identities
    clock: Clock
    public_url: str
    timezone: str
    lengths: Callable[[], frozenset[int]]  # the live code lengths, imports included
    issued_lengths: Callable[[], frozenset[int]]  # those that labels in the record really have
    places: Places
    calls: HttpCalls
    cache: Cache
    settings: Mapping[str, object] = field(default_factory=dict)
