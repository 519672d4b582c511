"""Optional abilities of a channel, declared in its manifest: saying a text, pushing one later, listening by itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime
from typing import Protocol

from app.core.model.reply import Accepted, ReplyAddress, ReplyId
from app.core.model.value import value
from app.core.model.verification import Record
from channels.base import ChannelAdapter, InboundRequest, OutboundResponse
from channels.turns import Errand, HistoryOpened, RecallWatched
from channels.wording.reply import Reply


class MessageChannel(ChannelAdapter, Protocol):
    """A channel whose turns carry an :class:`~channels.base.Envelope`."""

    def say(self, request: InboundRequest, text: str, reply: Reply | None = None) -> OutboundResponse:
        """Return the response that says ``text``; where that is "", one that acknowledges and says nothing.

        ``reply`` is what the text was made of, where it is an answer: the channel may show it richer.
        """
        ...


class ReadingChannel(ChannelAdapter, Protocol):
    """A channel on which callers read their own checks and ask to be told of recalls."""

    def encode_history(
        self, request: InboundRequest, turn: HistoryOpened, records: Sequence[Record]
    ) -> OutboundResponse: ...

    def encode_watch(
        self, request: InboundRequest, turn: RecallWatched, *, watched: bool
    ) -> OutboundResponse:
        """``watched`` is false where the verification is not the caller's or is of no batch."""
        ...


@value
class ErrandFailed:
    """What the platform did not give. ``refused``: it said no for good, as to a sign-in code that was used before."""

    why: str
    refused: bool = False


class ErrandChannel(ChannelAdapter, Protocol):
    """A channel that asks its platform before it answers some turns."""

    async def run_errand(self, errand: Errand) -> str | ErrandFailed:
        """Return what was asked for. Never raises; the pipeline holds it to the channel's deadline."""
        ...

    def encode_errand(
        self, request: InboundRequest, errand: Errand, result: str | ErrandFailed
    ) -> OutboundResponse: ...


@value
class OutgoingText:
    """One text to send. ``reply_id`` may go along, so that an early report finds its reply."""

    reply_id: ReplyId
    address: ReplyAddress
    text: str


@value
class Rejected:
    """The provider refused the text for good. ``why`` is a constant word, never what a provider wrote."""

    why: str


@value
class Deferred:
    """The provider certainly did not take the text, and may later; not before ``after_s`` seconds."""

    why: str
    after_s: float = 5.0


@value
class Unknown:
    """Nobody knows whether the provider took the text. ``ask_again``: it has a list, which did not come."""

    why: str
    ask_again: bool = False


@value
class NotSent:
    """The provider was asked and has no such message."""


class Sender(Protocol):
    """A way out to a provider. No method raises; each ends within 15 s."""

    @property
    def name(self) -> str:
        """The name that reply addresses carry."""
        ...

    async def send(self, text: OutgoingText) -> Accepted | Rejected | Deferred | Unknown: ...

    async def find_sent(
        self,
        text: OutgoingText,
        *,
        since: datetime,
        known_ids: Callable[[Collection[str]], Awaitable[frozenset[str]]],
    ) -> Accepted | NotSent | Unknown:
        """Ask the provider whether it took ``text`` after ``since``; ids that ``known_ids`` returns belong to other
        replies. ``Unknown`` where the provider cannot be asked.
        """
        ...

    async def close(self) -> None:
        """Give back what was opened; nothing is sent any more."""
        ...


class PushingChannel(ChannelAdapter, Protocol):
    """``manifest.pushes``: replies can be sent later, through these."""

    def senders(self) -> tuple[Sender, ...]: ...


Carry = Callable[[InboundRequest], Awaitable[OutboundResponse]]


class Listener(Protocol):
    """A long-lived connection that brings requests by itself, such as a bind to a message centre."""

    @property
    def name(self) -> str:
        """The provider's name, for the log."""
        ...

    @property
    def trouble(self) -> str:
        """A constant word for why it is not connected now; "" while it is."""
        ...

    async def listen(self, carry: Carry) -> None:
        """Connect, bring every message to ``carry``, connect again with growing pauses; until cancelled.

        A message is acknowledged to its sender only after ``carry`` returned a response of status 200; any other asks
        for it again. When cancelled it finishes what is under way and says goodbye. Raises nothing else.
        """
        ...


class ListeningChannel(ChannelAdapter, Protocol):
    """``manifest.listens``: these run as long as the service does."""

    def listeners(self) -> tuple[Listener, ...]: ...
