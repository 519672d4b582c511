"""Recall notices: whoever asked to be told of a recall is owed one message once the batch is recalled.

A notice keeps its key for ever, so a crash between owing it and ending the watch owes nothing twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import orjson

from app.core.errors import StoreUnavailable
from app.core.ports.clock import Clock
from app.core.ports.journal import Journal
from app.core.ports.outbox import Outbox
from app.core.ports.recall_watches import RecallNotice, RecallWatches
from channels.wording.recall import RecallWords

_LOOK_EVERY_S: Final = 5.0
_AT_ONCE: Final = 100
_PAGE: Final = "pages/check/check"


class RecallNotices:
    """Owes notices to the outbox until it is stopped; made for one event loop. ``deliver`` wakes who delivers them."""

    def __init__(
        self,
        *,
        watches: RecallWatches,
        outbox: Outbox,
        words: RecallWords,
        journal: Journal,
        clock: Clock,
        deliver: Callable[[], None],
    ) -> None:
        self._watches = watches
        self._outbox = outbox
        self._words = words
        self._journal = journal
        self._clock = clock
        self._deliver = deliver
        self._wake = asyncio.Event()

    def nudge(self) -> None:
        """Look for recalls at once."""
        self._wake.set()

    async def run(self) -> None:
        """Owe what is due until cancelled."""
        while True:
            self._wake.clear()
            try:
                more = await self._owe_some()
            except Exception as error:  # noqa: BLE001 - notices end with the service and not before
                self._journal.failed("recall_notices_failed", error)
                more = False
            if not more:
                await self._pause()

    async def _owe_some(self) -> bool:
        """Owe the notices that are due, a hundred at most; False where there are no more, or none could be kept."""
        due = await self._watches.due(limit=_AT_ONCE)
        owed = []
        for notice in due:
            try:
                await self._owe(notice)
            except StoreUnavailable as error:
                self._journal.failed("recall_notice_not_owed", error)
                break
            owed.append(notice)
        if owed:
            self._deliver()
            await self._watches.end(owed)
        return len(owed) == _AT_ONCE

    async def _owe(self, notice: RecallNotice) -> None:
        fields = self._words.fields(notice.label, notice.recalled_at, notice.locale)
        data = {name: {"value": text} for name, text in fields.items()}
        text = orjson.dumps({"page": _PAGE, "data": data}).decode()
        if await self._outbox.owe(notice.key, notice.address, text=text, now=self._clock.now()):
            self._journal.counted("recall_notice_owed", notice.address.sender)

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(_LOOK_EVERY_S):
                await self._wake.wait()
        except TimeoutError:
            return
