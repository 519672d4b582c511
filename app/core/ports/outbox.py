"""The outbox: replies that are owed, kept until the provider took them, whatever crashes meanwhile."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from app.core.model.reply import Delivery, OwedReply, ReplyAddress, ReplyId, Settlement
from app.core.model.verification import VerificationRequest


class Outbox(Protocol):
    """Promises an implementer must keep, tested by ``tests/contract/outbox``:

    - ``owe`` returns only after a durable commit. One message, one reply: where ``key`` or ``alias`` (16 bytes, the
      message's ids) is known already as either, nothing changes and it returns False, also long after the reply was
      sent (at least 7 days).
    - ``take`` returns what is due, the longest owed first. A reply with a text is marked as being sent, in a commit
      before it is returned; if its settlement never comes (a crash), it is due again after ``lease_s`` and then
      ``doubtful``. No reply is given to two takers within its lease.
    - ``settle`` is durable when it returns. ``Worded`` keeps the text and makes the reply due at once. ``Accepted`` and
      ``GivenUp`` erase recipient, text and question.
    - ``note_delivery`` never goes back: delivered beats sent beats accepted, however late a report comes. A report on a
      doubtful reply settles it as accepted.
    - Recipient, text and question stand encrypted under the key file; nothing else in the store tells them.

    Down: ``StoreUnavailable`` within the store's own deadline, never a hang.
    """

    async def owe(
        self,
        key: bytes,
        address: ReplyAddress,
        *,
        now: datetime,
        text: str = "",
        question: VerificationRequest | None = None,
        more_codes: bool = False,
        alias: bytes | None = None,
    ) -> bool: ...

    async def knows(self, key: bytes, alias: bytes | None = None) -> bool: ...

    async def take(self, now: datetime, *, limit: int = 16, lease_s: float = 60.0) -> Sequence[OwedReply]: ...

    async def settle(self, reply_id: ReplyId, settlement: Settlement, *, now: datetime) -> None: ...

    async def note_delivery(
        self, sender: str, *, provider_id: str, reply_id: ReplyId | None, state: Delivery, now: datetime
    ) -> bool:
        """Note a provider's report; False where no reply of ``sender`` is meant."""
        ...

    async def known_ids(self, sender: str, provider_ids: Collection[str]) -> frozenset[str]:
        """Return those of ``provider_ids`` that replies of ``sender`` already have."""
        ...
