"""What a telephony provider's wire must be able to do. A dialect translates; what is said is the dialogue's matter."""

from __future__ import annotations

from typing import Protocol

from app.core.model.call import CallEnd
from app.core.model.value import value
from channels.abilities import Listener
from channels.base import InboundRequest, OutboundResponse, Refusal, Route
from channels.ivr.actions import Action
from channels.ivr.events import Event


@value
class CallMoment:
    """One moment of a call as the provider tells it.

    ``caller`` is the number as written there, "" where it is withheld. ``token`` is the sealed state that went out with
    the last turn, "" at the start. ``recording`` names what was recorded, at the provider or in a file. ``language`` is
    the tag that a call is to begin in, "" where its number decides.
    """

    call_id: str
    event: Event
    caller: str = ""
    token: str = ""
    recording: str = ""
    language: str = ""


@value
class ClipWanted:
    """The provider fetches a sound file."""

    sha: str


@value
class CallEnded:
    """A call is over, and nobody waits for an answer. ``seconds`` it lasted, None where that is not told."""

    call_id: str
    how: CallEnd
    seconds: int | None = None


@value
class CallRemark:
    """Something to count that neither moves nor ends a call. ``why`` is a constant word."""

    why: str


Came = CallMoment | ClipWanted | CallEnded | CallRemark


class CallDialect(Protocol):
    """One provider. Synchronous, no I/O, deterministic; a listener does the talking where we are not called."""

    name: str

    def routes(self) -> tuple[Route, ...]: ...

    def authenticate(self, request: InboundRequest) -> None:
        """Raise ``NotAuthentic`` for a request that does not prove where it comes from; clips need no proof."""
        ...

    def decode(self, request: InboundRequest) -> Came:
        """Return what came. Raises ``Undecodable``."""
        ...

    def encode(self, request: InboundRequest, actions: tuple[Action, ...], token: str) -> OutboundResponse:
        """Return what the provider is to do. ``actions`` hold no ``Verify``; ``token`` comes back with the next."""
        ...

    def acknowledge(self, request: InboundRequest) -> OutboundResponse:
        """Return the response to what needs no answer."""
        ...

    def refuse(self, refusal: Refusal) -> OutboundResponse: ...

    def listeners(self) -> tuple[Listener, ...]: ...
