"""What every correspondence must do. Bind it by a subclass with the fixture ``correspondence``."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from app.core.model.caller import Caller, CallerKind
from app.core.ports.correspondence import Change, Correspondence, Correspondent, NoticeKind
from tests.fakes.clock import START

ONE = Caller(kind=CallerKind.PHONE, token=b"caller-number-01")
TWO = Caller(kind=CallerKind.PHONE, token=b"caller-number-02", key_id=2)
NOBODY = Caller(kind=CallerKind.PHONE)
DAY = START + timedelta(days=1)


class CorrespondenceContract:
    async def test_a_stranger_is_a_blank(self, correspondence: Correspondence) -> None:
        assert await correspondence.find(ONE, now=START) == Correspondent()

    async def test_what_was_changed_last_holds(self, correspondence: Correspondence) -> None:
        for number, (change, holds) in enumerate(
            (
                (Change(locale="en"), Correspondent(locale="en")),
                (Change(opted_out=True), Correspondent(locale="en", opted_out=True)),
                (Change(locale="zh-CN"), Correspondent(locale="zh-CN", opted_out=True)),
                (Change(opted_out=False), Correspondent(locale="zh-CN")),
            )
        ):
            key = bytes([number]) * 16
            assert await correspondence.change(ONE, change, message_key=key, now=START) == holds
            assert await correspondence.find(ONE, now=START) == holds
            assert await correspondence.find(TWO, now=START) == Correspondent()

    @pytest.mark.parametrize("again", [(b"m", None), (b"a", None), (b"n", b"a"), (b"n", b"m"), (b"a", b"n")])
    async def test_a_message_that_comes_again_changes_nothing(
        self, correspondence: Correspondence, again: tuple[bytes, bytes | None]
    ) -> None:
        async def change(change: Change, key: bytes, alias: bytes | None, *, days: int) -> Correspondent:
            return await correspondence.change(
                ONE,
                change,
                message_key=key * 16,
                alias_key=alias * 16 if alias is not None else None,
                now=START + timedelta(days=days),
            )

        assert (await change(Change(opted_out=False), b"m", b"a", days=0)) == Correspondent()
        assert (await change(Change(opted_out=True), b"o", None, days=0)).opted_out
        assert (await change(Change(opted_out=False), *again, days=7)).opted_out
        assert (await correspondence.find(ONE, now=START)).opted_out
        assert not (await change(Change(opted_out=False), b"p", None, days=7)).opted_out

    async def test_changes_made_at_once_all_hold(self, correspondence: Correspondence) -> None:
        changes = (Change(locale="en"), Change(opted_out=True)) * 4
        await asyncio.gather(
            *(
                correspondence.change(ONE, change, message_key=bytes([number]) * 16, now=START)
                for number, change in enumerate(changes)
            )
        )
        assert await correspondence.find(ONE, now=START) == Correspondent(locale="en", opted_out=True)

    async def test_a_caller_without_a_token_is_nobody(self, correspondence: Correspondence) -> None:
        change = Change(locale="en", opted_out=True)
        holds = await correspondence.change(NOBODY, change, message_key=b"m" * 16, now=START)
        assert holds == Correspondent(locale="en", opted_out=True)
        assert await correspondence.find(NOBODY, now=START) == Correspondent()
        for message in (b"m" * 16, b"n" * 16):
            assert await correspondence.claim_notice(
                NOBODY, NoticeKind.HELP, message_key=message, now=START, until=DAY
            )

    async def test_one_message_gets_the_notice_and_gets_it_again(
        self, correspondence: Correspondence
    ) -> None:
        async def claim(message: bytes, *, minutes: int) -> bool:
            now = START + timedelta(minutes=minutes)
            return await correspondence.claim_notice(
                ONE, NoticeKind.HELP, message_key=message * 16, now=now, until=now + timedelta(days=1)
            )

        assert await claim(b"m", minutes=0)
        assert not await claim(b"n", minutes=1)
        assert await claim(b"m", minutes=2)
        assert not await claim(b"n", minutes=1439)
        assert await claim(b"n", minutes=1440)
        assert not await claim(b"m", minutes=1441)
        assert await claim(b"n", minutes=1442)

    async def test_callers_and_kinds_are_counted_apart(self, correspondence: Correspondence) -> None:
        claims = [
            await correspondence.claim_notice(caller, kind, message_key=message * 16, now=START, until=DAY)
            for caller in (ONE, TWO)
            for kind in NoticeKind
            for message in (b"m", b"n")
        ]
        assert claims == [True, False] * 2 * len(NoticeKind)

    @pytest.mark.parametrize("first", [True, False])
    async def test_many_at_once_have_one_winner(self, correspondence: Correspondence, *, first: bool) -> None:
        if not first:  # an older notice has run out
            await correspondence.claim_notice(
                ONE, NoticeKind.THROTTLED, message_key=b"o" * 16, now=START - timedelta(days=2), until=START
            )
        messages = [bytes([number % 32]) * 16 for number in range(96)]
        claims = await asyncio.gather(
            *(
                correspondence.claim_notice(
                    ONE, NoticeKind.THROTTLED, message_key=message, now=START, until=DAY
                )
                for message in messages
            )
        )
        winners = {message for message, won in zip(messages, claims, strict=True) if won}
        assert len(winners) == 1
        assert sum(claims) == 3
