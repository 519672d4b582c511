"""A reply that goes out by itself, after its request was acknowledged: where to, and what is known of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NewType

from app.core.model.value import value
from app.core.model.verification import VerificationRequest

ReplyId = NewType("ReplyId", int)


@value
class ReplyAddress:
    """Where a reply is pushed: ``sender`` names the way out (a provider), ``recipient`` the number in clear, ``ours``
    the number the text came to. It exists in clear only until the reply is sent.
    """

    sender: str
    recipient: str
    ours: str = ""

    def __repr__(self) -> str:
        return f"ReplyAddress({self.sender})"


@value
class OwedReply:
    """One reply the outbox owes. ``text`` is "" while the verdict of ``question`` is still to be given.

    ``tries`` counts calls to the provider, this one included; ``doubts`` those whose result was never learned.
    ``doubtful`` is true while an earlier try may or may not have reached the provider; ``tried_at`` is then the moment
    of the earliest such try, else None.
    """

    id: ReplyId
    key: bytes
    address: ReplyAddress
    text: str = ""
    question: VerificationRequest | None = None
    more_codes: bool = False
    tries: int = 0
    doubts: int = 0
    doubtful: bool = False
    owed_at: datetime
    tried_at: datetime | None = None


class Delivery(StrEnum):
    """What the provider says became of a reply, in the order in which it can happen."""

    ACCEPTED = "accepted"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"


@value
class Worded:
    """The verdict is given and this is the text to send: committed, and due at once for the next taker."""

    text: str


@value
class Accepted:
    """The provider took the reply under ``provider_id``; "" where it gives none."""

    provider_id: str = ""


@value
class PutOff:
    """Not sent as far as is known (``doubtful``: not known at all); try again at ``until``."""

    until: datetime
    doubtful: bool = False


@value
class GivenUp:
    """No further try. ``why`` is a constant word for the operator, never what a provider wrote."""

    why: str


Settlement = Worded | Accepted | PutOff | GivenUp
