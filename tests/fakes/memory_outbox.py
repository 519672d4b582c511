"""An honest in-memory ``Outbox``; what is owed stands in clear here, so it teaches nothing about secrecy."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.core.errors import StoreUnavailable
from app.core.model.reply import (
    Accepted,
    Delivery,
    GivenUp,
    OwedReply,
    PutOff,
    ReplyAddress,
    ReplyId,
    Settlement,
    Worded,
)
from app.core.model.verification import VerificationRequest

_RANK = {Delivery.ACCEPTED: 0, Delivery.SENT: 1, Delivery.FAILED: 2, Delivery.DELIVERED: 3}


@dataclass(slots=True)
class KeptReply:
    """One reply as the outbox keeps it. ``state`` is waiting, sending, sent or failed."""

    id: ReplyId
    key: bytes
    alias: bytes | None
    sender: str
    owed_at: datetime
    due_at: datetime
    address: ReplyAddress | None
    text: str
    question: VerificationRequest | None
    more_codes: bool
    state: str = "waiting"
    tries: int = 0
    doubts: int = 0
    doubtful: bool = False
    tried_at: datetime | None = None
    provider_id: str = ""
    delivery: Delivery | None = None
    why: str = ""

    def close(self, state: str, why: str = "") -> None:
        self.state, self.why, self.doubtful = state, why, False
        self.address, self.text, self.question = None, "", None


class MemoryOutbox:
    """Keeps everything while the process lives. ``down`` makes it fail; ``replies`` is there for a test to look at."""

    def __init__(self) -> None:
        self.down = False
        self.replies: list[KeptReply] = []

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
    ) -> bool:
        self._require_up()
        if not text and question is None:
            raise ValueError("a reply needs a text or a question")
        if await self.knows(key, alias):
            return False
        self.replies.append(
            KeptReply(
                id=ReplyId(len(self.replies) + 1),
                key=key,
                alias=alias,
                sender=address.sender,
                owed_at=now,
                due_at=now,
                address=address,
                text=text,
                question=question,
                more_codes=more_codes,
            )
        )
        return True

    async def knows(self, key: bytes, alias: bytes | None = None) -> bool:
        self._require_up()
        ids = {key, alias} - {None}
        return any(reply.key in ids or reply.alias in ids for reply in self.replies)

    async def take(self, now: datetime, *, limit: int = 16, lease_s: float = 60.0) -> Sequence[OwedReply]:
        self._require_up()
        due = [
            reply for reply in self.replies if reply.state in ("waiting", "sending") and reply.due_at <= now
        ]
        due.sort(key=lambda reply: (reply.owed_at, reply.id))
        return [_taken(reply, now, lease_s) for reply in due[:limit]]

    async def settle(self, reply_id: ReplyId, settlement: Settlement, *, now: datetime) -> None:
        self._require_up()
        reply = self._find(reply_id)
        if reply is None:
            return
        if isinstance(settlement, Accepted):
            reply.provider_id = reply.provider_id or settlement.provider_id
            reply.delivery = reply.delivery or Delivery.ACCEPTED
            reply.close("sent")
        elif reply.state in ("sent", "failed"):
            return
        elif isinstance(settlement, Worded):
            if not reply.text:
                reply.text, reply.question, reply.due_at = settlement.text, None, now
        elif isinstance(settlement, PutOff):
            reply.state, reply.due_at, reply.doubtful = "waiting", settlement.until, settlement.doubtful
            reply.doubts += settlement.doubtful
            reply.tried_at = reply.tried_at or now
        elif isinstance(settlement, GivenUp):
            reply.close("failed", settlement.why)

    async def note_delivery(
        self, sender: str, *, provider_id: str, reply_id: ReplyId | None, state: Delivery, now: datetime
    ) -> bool:
        self._require_up()
        reply = self._find(reply_id) if reply_id is not None else None
        if reply is None or reply.sender != sender:
            same = (
                r for r in self.replies if provider_id and (r.sender, r.provider_id) == (sender, provider_id)
            )
            reply = next(same, None)
        if reply is None or not reply.tries:
            return False
        reply.provider_id = reply.provider_id or provider_id
        if reply.delivery is None or _RANK[state] > _RANK[reply.delivery]:
            reply.delivery = state
        if reply.state in ("waiting", "sending"):
            reply.close("sent")
        return True

    async def known_ids(self, sender: str, provider_ids: Collection[str]) -> frozenset[str]:
        self._require_up()
        known = {reply.provider_id for reply in self.replies if reply.sender == sender and reply.provider_id}
        return frozenset(known.intersection(provider_ids))

    def _find(self, reply_id: ReplyId) -> KeptReply | None:
        return self.replies[reply_id - 1] if 0 < reply_id <= len(self.replies) else None

    def _require_up(self) -> None:
        if self.down:
            raise StoreUnavailable


def _taken(reply: KeptReply, now: datetime, lease_s: float) -> OwedReply:
    if reply.state == "sending":  # its settlement never came
        reply.doubtful = True
        reply.doubts += 1
    since = reply.tried_at if reply.doubtful else None
    if reply.text:
        reply.state, reply.tried_at = "sending", since or now
        reply.tries += 1
    reply.due_at = now + timedelta(seconds=lease_s)
    assert reply.address is not None
    return OwedReply(
        id=reply.id,
        key=reply.key,
        address=reply.address,
        text=reply.text,
        question=reply.question,
        more_codes=reply.more_codes,
        tries=reply.tries,
        doubts=reply.doubts,
        doubtful=reply.doubtful,
        owed_at=reply.owed_at,
        tried_at=since,
    )
