"""An honest in-memory ``RecallWatches`` over the record of a ``MemoryStore``; addresses stand in clear here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.core.errors import StoreUnavailable
from app.core.model.caller import Caller
from app.core.model.label import BatchId
from app.core.model.reply import ReplyAddress
from app.core.model.verdict import VerificationId
from app.core.ports.recall_watches import RecallNotice
from tests.fakes.clock import START
from tests.fakes.memory_store import MemoryStore


@dataclass(slots=True)
class _Watch:
    id: int
    address: ReplyAddress
    locale: str


class MemoryRecallWatches:
    """Keeps watches while the process lives. ``down`` makes it fail. Recalls are those of the store's catalogue; as
    that knows no time of theirs, ``recalled_at`` is the time of all.
    """

    def __init__(self, store: MemoryStore) -> None:
        self.down = False
        self.recalled_at = START
        self._store = store
        self._watches: dict[tuple[BatchId, bytes], _Watch] = {}
        self._made = 0

    async def watch(
        self,
        verification_id: VerificationId,
        watcher: Caller,
        address: ReplyAddress,
        *,
        locale: str,
        now: datetime,
    ) -> bool:
        self._require_up()
        record = await self._store.find_record(verification_id, watcher.token, self._store.catalogue)
        if record is None or watcher.token is None or not record.asked_by_reader or record.label is None:
            return False
        serial = record.verification.serial
        batch = self._store.catalogue.batch_of(serial) if serial is not None else None
        if batch is None:
            return False
        kept = self._watches.get((batch.id, watcher.token))
        if kept is None:
            self._made += 1
        number = kept.id if kept else self._made
        self._watches[batch.id, watcher.token] = _Watch(number, address, locale)
        return True

    async def due(self, *, limit: int = 100) -> Sequence[RecallNotice]:
        self._require_up()
        batches = {batch.id: batch for batch in self._store.catalogue.batches if batch.recalled}
        return [
            RecallNotice(
                id=watch.id,
                key=watch.id.to_bytes(16, "big"),
                address=watch.address,
                label=batches[batch_id].summary,
                locale=watch.locale,
                recalled_at=self.recalled_at,
            )
            for (batch_id, _), watch in self._watches.items()
            if batch_id in batches
        ][:limit]

    async def end(self, notices: Sequence[RecallNotice]) -> None:
        self._require_up()
        ended = {notice.id for notice in notices}
        self._watches = {key: watch for key, watch in self._watches.items() if watch.id not in ended}

    def _require_up(self) -> None:
        if self.down:
            raise StoreUnavailable
