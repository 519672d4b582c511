"""What every keeper of reports must do. Bind it by a subclass with the fixtures ``reports``, ``look``, ``erase``.

``erase`` erases a caller's token everywhere and returns how many rows that were. A keeper that seals binds
``SealedReportsContract``; its ``strangers`` are the same reports read with another key file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Protocol

from app.core.model.caller import Caller, CallerKind
from app.core.ports.reports import Report, Reports
from tests.fakes.clock import START
from tests.fakes.memory_reports import KeptReport

ONE, TWO = b"report-message-1", b"report-message-2"
MINUTE = timedelta(minutes=1)
WORDS = "封口像是被打开过 opened before"
REPORTER = Caller(kind=CallerKind.WECHAT, token=b"reporter-number1")
OTHER_REPORTER = Caller(kind=CallerKind.WECHAT, token=b"reporter-number2")
Erase = Callable[[bytes], Awaitable[int]]
Look = Callable[[bytes, str], Awaitable[KeptReport | None]]


class _Keep(Protocol):
    async def __call__(
        self,
        key: bytes = ...,
        *,
        recording: str = ...,
        words: str = ...,
        reporter: Caller | None = ...,
        at: datetime = ...,
    ) -> None: ...


def keeping(reports: Reports) -> _Keep:
    async def keep(
        key: bytes = ONE,
        *,
        recording: str = "",
        words: str = "",
        reporter: Caller | None = None,
        at: datetime = START,
    ) -> None:
        await reports.keep(
            channel="wechat",
            account="mini-program",
            message_key=key,
            recording=recording,
            words=words,
            reporter=reporter,
            at=at,
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

    async def test_the_newest_are_read_first_with_what_was_told(self, reports: Reports) -> None:
        keep = keeping(reports)
        assert list(await reports.newest()) == []
        await keep(words=WORDS, reporter=REPORTER, at=START)
        await keep(recording="one", at=START + 2 * MINUTE)
        await keep(TWO, words="opened", at=START + MINUTE)
        await keep(words="a second thought", at=START + 3 * MINUTE)  # told again it stays the oldest
        read = await reports.newest()
        assert [(report.at, report.words, report.recording) for report in read] == [
            (START + 2 * MINUTE, "", "one"),
            (START + MINUTE, "opened", ""),
            (START, "a second thought", ""),
        ]
        assert {(report.channel, report.account) for report in read} == {("wechat", "mini-program")}
        assert not any(report.gone or report.unreadable for report in read)
        assert [report.verification_id or report.serial for report in read] == [None] * 3
        assert len({report.id for report in read}) == 3
        assert "opened" not in repr(read)

    async def test_as_many_are_read_as_are_asked_for_and_none_from_before(self, reports: Reports) -> None:
        for number in range(4):
            await keeping(reports)(bytes([number]) * 16, words=f"{number}", at=START + number * MINUTE)
        for since, limit, words in (
            (None, 2, ["3", "2"]),
            (START + 2 * MINUTE, 9, ["3", "2"]),
            (START + MINUTE, 2, ["3", "2"]),
            (START + 3 * MINUTE + timedelta(microseconds=1), 9, []),
        ):
            assert [report.words for report in await reports.newest(since=since, limit=limit)] == words

    async def test_that_there_was_a_report_is_read_when_who_made_it_is_erased(
        self, reports: Reports, erase: Erase
    ) -> None:
        await keeping(reports)(words=WORDS, reporter=REPORTER)
        await keeping(reports)(recording="one", reporter=REPORTER)
        assert REPORTER.token is not None
        await erase(REPORTER.token)
        read = await reports.newest()
        assert [facts(report) for report in read] == [("", "", True, False)] * 2


class SealedReportsContract(ReportsContract):
    async def test_words_under_another_key_file_are_told_as_unreadable(
        self, reports: Reports, strangers: Reports
    ) -> None:
        await keeping(reports)(words=WORDS)
        await keeping(strangers)(TWO, recording="one", at=START + MINUTE)
        for reader, words in ((reports, WORDS), (strangers, "")):
            read = [facts(report) for report in await reader.newest()]
            assert read == [("one", "", False, False), ("", words, False, not words)]


def facts(report: Report) -> tuple[str, str, bool, bool]:
    return report.recording, report.words, report.gone, report.unreadable
