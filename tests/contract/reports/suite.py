"""What every keeper of reports must do. Bind it by a subclass with the fixtures ``reports``, ``look``, ``erase``.

``erase`` erases a caller's token everywhere and returns how many rows that were.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from app.core.model.caller import Caller, CallerKind
from app.core.ports.reports import Reports
from tests.fakes.clock import START
from tests.fakes.memory_reports import KeptReport

ONE, TWO = b"report-message-1", b"report-message-2"
WORDS = "封口像是被打开过 opened before"
REPORTER = Caller(kind=CallerKind.WECHAT, token=b"reporter-number1")
OTHER_REPORTER = Caller(kind=CallerKind.WECHAT, token=b"reporter-number2")
Erase = Callable[[bytes], Awaitable[int]]
Look = Callable[[bytes, str], Awaitable[KeptReport | None]]


class _Keep(Protocol):
    async def __call__(
        self, key: bytes = ..., *, recording: str = ..., words: str = ..., reporter: Caller | None = ...
    ) -> None: ...


def keeping(reports: Reports) -> _Keep:
    async def keep(
        key: bytes = ONE, *, recording: str = "", words: str = "", reporter: Caller | None = None
    ) -> None:
        await reports.keep(
            channel="wechat",
            account="mini-program",
            message_key=key,
            recording=recording,
            words=words,
            reporter=reporter,
            at=START,
        )

    return keep


def kept(words: str = "") -> KeptReport:
    return KeptReport(channel="wechat", account="mini-program", at=START, words=words)


class ReportsContract:
    async def test_what_was_written_is_kept(self, reports: Reports, look: Look) -> None:
        await keeping(reports)(words=WORDS)
        assert await look(ONE, "") == kept(WORDS)
        assert await look(TWO, "") is None

    async def test_told_again_it_is_one_report_with_the_last_words(
        self, reports: Reports, look: Look
    ) -> None:
        keep = keeping(reports)
        for words in ("first thought", WORDS, WORDS, ""):
            await keep(words=words)
        assert await look(ONE, "") == kept(WORDS)

    async def test_each_recording_is_a_report(self, reports: Reports, look: Look) -> None:
        keep = keeping(reports)
        for recording in ("one", "two", "one"):
            await keep(recording=recording)
        assert [await look(ONE, name) for name in ("one", "two", "")] == [kept(), kept(), None]

    async def test_many_tellings_at_once_are_one_report(self, reports: Reports, look: Look) -> None:
        keep = keeping(reports)
        await asyncio.gather(*(keep(words=WORDS) for _ in range(20)))
        assert await look(ONE, "") == kept(WORDS)

    async def test_what_somebody_told_goes_with_them(
        self, reports: Reports, look: Look, erase: Erase
    ) -> None:
        keep = keeping(reports)
        await keep(words="said first", reporter=REPORTER)
        await keep(words=WORDS, reporter=REPORTER)
        await keep(recording="one", reporter=REPORTER)
        await keep(TWO, words=WORDS, reporter=OTHER_REPORTER)
        await keep(TWO, recording="two")
        assert REPORTER.token is not None
        assert await erase(REPORTER.token) == 2
        assert [await look(ONE, name) for name in ("", "one")] == [None, None]
        assert [await look(TWO, name) for name in ("", "two")] == [kept(WORDS), kept()]
        assert await erase(REPORTER.token) == 0
        await keep(words=WORDS, reporter=REPORTER)
        assert await look(ONE, "") == kept(WORDS)
