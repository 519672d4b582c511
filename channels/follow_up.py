"""What follows a verification: its page, a caller's own list, a report, a watch for recalls, the record of a call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final, TypeVar, cast

from app.core.errors import StoreUnavailable, YanzhenError
from app.core.ports.call_records import CallRecords
from app.core.ports.journal import Journal
from app.core.ports.recall_watches import RecallWatches
from app.core.ports.reports import Reports
from channels.abilities import ReadingChannel
from channels.asking import Asking
from channels.base import ChannelAdapter, InboundRequest, OutboundResponse, Refusal, RefusalKind
from channels.turns import CallNoted, HistoryOpened, RecallWatched, RecordOpened, ReportMade

T = TypeVar("T")

_NOTED_WITHIN_S: Final = 1.0  # a caller is waiting, and nothing of the answer depends on the note


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUpStores:
    """What is kept beside the record of verifications."""

    reports: Reports
    calls: CallRecords
    watches: RecallWatches


class FollowUp:
    """Carries the turns that are no query. Where the store cannot tell or keep, the asker is told to come back."""

    def __init__(self, *, asking: Asking, stores: FollowUpStores, journal: Journal) -> None:
        self._engine = asking.engine
        self._stores = stores
        self._journal = journal

    async def show_record(
        self, adapter: ChannelAdapter, inbound: InboundRequest, turn: RecordOpened
    ) -> OutboundResponse:
        """Read a recorded verification back for its page."""
        record = None
        if turn.verification_id is not None:
            try:
                record = await _within(
                    adapter, self._engine.find_record(turn.verification_id, turn.reader.token)
                )
            except (StoreUnavailable, TimeoutError) as error:
                return self._put_off(adapter, "find_record_failed", error, turn.locale)
        return adapter.encode(inbound, turn, None, record)

    async def show_history(
        self, adapter: ChannelAdapter, inbound: InboundRequest, turn: HistoryOpened
    ) -> OutboundResponse:
        """Read a caller's own checks."""
        token = turn.reader.token
        try:
            records = (
                await _within(adapter, self._engine.find_own(token, turn.channel, turn.limit))
                if token
                else ()
            )
        except (StoreUnavailable, TimeoutError) as error:
            return self._put_off(adapter, "find_own_failed", error, turn.locale)
        return cast(ReadingChannel, adapter).encode_history(inbound, turn, records)

    async def watch_recall(
        self, adapter: ChannelAdapter, inbound: InboundRequest, turn: RecallWatched
    ) -> OutboundResponse:
        """Keep who wants to be told of a recall."""
        watched = False
        if turn.verification_id is not None:
            try:
                watched = await self._stores.watches.watch(
                    turn.verification_id,
                    turn.watcher,
                    turn.address,
                    locale=turn.locale,
                    now=turn.received_at,
                )
            except StoreUnavailable as error:
                return self._put_off(adapter, "watch_not_kept", error, turn.locale)
        if watched:
            self._journal.counted("recall_watched", adapter.manifest.name)
        return cast(ReadingChannel, adapter).encode_watch(inbound, turn, watched=watched)

    async def keep_report(
        self, adapter: ChannelAdapter, inbound: InboundRequest, turn: ReportMade
    ) -> OutboundResponse:
        """Keep what somebody told; they are thanked only for what is kept."""
        channel = adapter.manifest.name
        try:
            key = self._engine.message_key(channel, turn.account, turn.message_id)
            await self._stores.reports.keep(
                channel=channel,
                account=turn.account,
                message_key=key,
                recording=turn.recording,
                words=turn.words,
                verification_id=turn.verification_id,
                reporter=turn.reporter,
                at=turn.received_at,
            )
        except YanzhenError as error:
            return self._put_off(adapter, "report_not_kept", error, turn.locale)
        self._journal.counted("report_kept", channel)
        return adapter.encode(inbound, turn, None)

    async def note_call(self, channel: str, turn: CallNoted) -> None:
        """Open or close the record of a call; whatever becomes of that, the call goes on."""
        self._journal.counted(f"call_{turn.how or 'begun'}", channel)
        calls = self._stores.calls
        try:
            key = self._engine.message_key(channel, turn.account, turn.call_id)
            async with asyncio.timeout(_NOTED_WITHIN_S):
                if turn.how is None:
                    await calls.open(key=key, account=turn.account, at=turn.at)
                else:
                    await calls.close(
                        key=key, account=turn.account, how=turn.how, at=turn.at, seconds=turn.seconds
                    )
        except Exception as error:  # noqa: BLE001 - a caller waits, who must not hear of a note
            self._journal.failed("call_not_noted", error)

    def _put_off(
        self, adapter: ChannelAdapter, event: str, error: BaseException, locale: str
    ) -> OutboundResponse:
        self._journal.failed(event, error)
        return adapter.refuse(Refusal(kind=RefusalKind.UNAVAILABLE, locale=locale))


async def _within(adapter: ChannelAdapter, found: Awaitable[T]) -> T:
    """Wait for a read as long as the channel's deadline allows. Raises ``TimeoutError``."""
    async with asyncio.timeout(adapter.manifest.deadline_ms / 1000):
        return await found
