"""What every keeper of recall watches must do. Bind it by a subclass with the fixtures ``stage`` and ``watches``."""

from __future__ import annotations

from datetime import timedelta

from app.core.model.caller import Caller, CallerKind
from app.core.model.reply import ReplyAddress
from app.core.model.verdict import Verdict, VerificationId
from app.core.ports.recall_watches import RecallNotice, RecallWatches
from tests.contract.store.stage import FULL, ISSUED_FROM, KNOWN, MINIMAL, OTHER, Asking, Stage

ONE = Caller(kind=CallerKind.WECHAT, token=KNOWN)
TWO = Caller(kind=CallerKind.WECHAT, token=OTHER)
NOBODY = Caller(kind=CallerKind.WECHAT)
OPENID, OTHER_OPENID = "oOpenid-of-the-one", "oOpenid-of-another"


def address(recipient: str = OPENID) -> ReplyAddress:
    return ReplyAddress(sender="mini-program/recall", recipient=recipient)


class RecallWatchesContract:
    async def test_a_watch_is_due_once_its_batch_is_recalled(
        self, stage: Stage, asking: Asking, watches: RecallWatches
    ) -> None:
        told = await asking.ask(1, token=KNOWN, channel="wechat")
        assert await wants(watches, told, locale="en")
        assert await watches.due() == []
        await stage.recall(MINIMAL)
        assert await watches.due() == []
        await stage.recall(FULL)
        (notice,) = await watches.due()
        assert (notice.address, notice.locale, notice.label) == (address(), "en", told.label)
        assert len(notice.key) == 16
        assert await watches.due() == [notice], "looking at it ends nothing, and its key stays"

    async def test_one_consent_is_one_notice(
        self, stage: Stage, asking: Asking, watches: RecallWatches
    ) -> None:
        told = await asking.ask(1, token=KNOWN, channel="wechat")
        await wants(watches, told)
        await stage.recall(FULL)
        await watches.end(await watches.due())
        assert await watches.due() == []
        await stage.recall(FULL, lift=True)
        await stage.recall(FULL)
        assert await watches.due() == []
        assert await wants(watches, told)
        assert len(await watches.due()) == 1

    async def test_one_caller_watches_a_batch_once_at_the_last_address(
        self, stage: Stage, asking: Asking, watches: RecallWatches
    ) -> None:
        earlier, told = [await asking.ask(offset, token=KNOWN, channel="wechat") for offset in (1, 2)]
        assert await wants(watches, earlier, recipient=OTHER_OPENID)
        assert await wants(watches, told, locale="en")
        await stage.recall(FULL)
        (notice,) = await watches.due()
        assert (notice.address.recipient, notice.locale) == (OPENID, "en")
        assert await wants(watches, told)
        assert [again.key for again in await watches.due()] == [notice.key]

    async def test_everybody_who_watches_is_told(
        self, stage: Stage, asking: Asking, watches: RecallWatches
    ) -> None:
        for caller, recipient in ((ONE, OPENID), (TWO, OTHER_OPENID)):
            told = await asking.ask(1, token=caller.token, channel="wechat")
            assert await wants(watches, told, caller, recipient=recipient)
        await stage.recall(FULL)
        due = await watches.due()
        assert [notice.address.recipient for notice in due] == [OPENID, OTHER_OPENID]
        assert len({notice.key for notice in due}) == 2
        (first,) = await watches.due(limit=1)
        assert first == due[0]
        await watches.end([first])
        assert await watches.due() == due[1:]

    async def test_a_recall_that_was_lifted_gives_no_notice_and_the_watch_stays(
        self, stage: Stage, asking: Asking, watches: RecallWatches
    ) -> None:
        await wants(watches, await asking.ask(1, token=KNOWN, channel="wechat"))
        await stage.recall(FULL)
        await stage.recall(FULL, lift=True)
        assert await watches.due() == []
        await stage.recall(FULL)
        assert len(await watches.due()) == 1

    async def test_only_an_own_verification_of_a_label_of_ours_is_watched(
        self, asking: Asking, watches: RecallWatches
    ) -> None:
        own = await asking.ask(1, token=KNOWN, channel="wechat")
        unknown = await asking.ask(None, token=KNOWN, channel="wechat")
        assert not await wants(watches, own, TWO)
        assert not await wants(watches, own, NOBODY)
        assert not await wants(watches, await asking.ask(2), NOBODY)
        assert not await wants(watches, unknown)
        for number in (0, 99):
            assert not await watches.watch(VerificationId(number), ONE, address(), locale="en", now=asking.at)

    async def test_what_was_announced_as_not_found_is_not_watched(
        self, asking: Asking, watches: RecallWatches
    ) -> None:
        hidden = await asking.ask(ISSUED_FROM, batch=MINIMAL, token=KNOWN, channel="wechat")
        shown = await asking.ask(1, batch=MINIMAL, token=KNOWN, channel="wechat")
        told = await asking.ask(ISSUED_FROM, batch=FULL, token=KNOWN, channel="wechat")
        assert [await wants(watches, verdict) for verdict in (hidden, shown, told)] == [False, True, True]

    async def test_ending_what_is_not_there_changes_nothing(
        self, stage: Stage, asking: Asking, watches: RecallWatches
    ) -> None:
        told = await asking.ask(1, token=KNOWN, channel="wechat")
        await wants(watches, told)
        await stage.recall(FULL)
        assert told.label is not None
        assert told.recorded_at is not None
        foreign = RecallNotice(
            id=99,
            key=b"k" * 16,
            address=address(),
            label=told.label,
            locale="en",
            recalled_at=told.recorded_at,
        )
        await watches.end([foreign])
        await watches.end([])
        assert len(await watches.due()) == 1


async def wants(
    watches: RecallWatches,
    told: Verdict,
    caller: Caller = ONE,
    *,
    recipient: str = OPENID,
    locale: str = "zh-CN",
) -> bool:
    """Watch what ``told`` is about, a second after it was told."""
    assert told.verification_id is not None
    assert told.recorded_at is not None
    now = told.recorded_at + timedelta(seconds=1)
    return await watches.watch(told.verification_id, caller, address(recipient), locale=locale, now=now)
