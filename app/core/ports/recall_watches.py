"""Who wants to be told, once, if a batch is recalled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from app.core.model.caller import Caller
from app.core.model.label import LabelSummary
from app.core.model.reply import ReplyAddress
from app.core.model.value import value
from app.core.model.verdict import VerificationId


@value
class RecallNotice:
    """A notice that is due. ``key`` (16 bytes) is its own for ever, so that it is owed once whoever owes it."""

    id: int
    key: bytes
    address: ReplyAddress
    label: LabelSummary
    locale: str
    recalled_at: datetime


class RecallWatches(Protocol):
    """Promises, tested by ``tests/contract/recall_watches``:

    - ``watch`` is durable when it returns. One caller watches a batch once: again, it replaces the address. False
      where the verification is not this caller's own or no batch of ours stands behind it.
    - ``due`` returns watches whose batch is recalled now. ``end`` forgets them: one consent, one notice. A recall
      lifted before the notice was owed gives none, and the watch stays.
    - The address stands sealed under the key file; watches end with their caller's erasure and after 24 months.

    Down: ``StoreUnavailable``.
    """

    async def watch(
        self,
        verification_id: VerificationId,
        watcher: Caller,
        address: ReplyAddress,
        *,
        locale: str,
        now: datetime,
    ) -> bool: ...

    async def due(self, *, limit: int = 100) -> Sequence[RecallNotice]: ...

    async def end(self, notices: Sequence[RecallNotice]) -> None: ...
