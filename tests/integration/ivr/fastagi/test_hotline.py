"""A switch, the listener, the dialogue and the record together: what a caller hears, and what is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_network

import pytest

from app.core.model.call import CallEnd
from app.core.model.verdict import Outcome
from channels.ivr.adapter import IvrAdapter
from channels.ivr.fastagi.dialect import FastAgiDialect
from channels.ivr.settings import FastAgiOptions, IvrSettings
from tests.fakes.fake_clips import FakeClips
from tests.fakes.fake_spending import FakeSpending
from tests.fakes.sample_service import SampleService, start_sample_service
from tests.integration.ivr.fastagi.recordings import block_of, connections
from tests.integration.ivr.fastagi.switch_side import DEADLINE_S, GOOD_BLOCK, ModelSwitch

FIRST = "zh-CN/verdict-matches_first"
TRANSFER_BACK = GOOD_BLOCK.removesuffix(b"\n") + b"agi_arg_1: transfer_failed\n\n"


@dataclass(frozen=True, slots=True)
class Hotline:
    service: SampleService
    port: int

    async def call(
        self, presses: Iterable[str] = (), *, block: bytes = GOOD_BLOCK, **choices: object
    ) -> ModelSwitch:
        return await ModelSwitch(presses, **choices).live(self.port, block)

    @property
    def ordinals(self) -> list[int | None]:
        return [fact.verification.ordinal for fact in self.service.store.facts]


@asynccontextmanager
async def open_hotline(**options: object) -> AsyncIterator[Hotline]:
    service = await start_sample_service()
    settings = IvrSettings(
        clips=FakeClips(),
        spending=FakeSpending(),
        operator="+86 755 8888 0000",
        record_reports=True,
        fastagi=FastAgiOptions(
            listen="127.0.0.1:0",
            allow_from=(ip_network("127.0.0.0/8"),),
            recordings="yanzhen-reports",
            **options,
        ),
    )
    adapter = IvrAdapter(FastAgiDialect(settings, clock=service.clock), service.context, settings)
    (listener,) = adapter.listeners()
    task = asyncio.create_task(listener.listen(partial(service.pipeline.carry, adapter)))
    try:
        async with asyncio.timeout(DEADLINE_S):
            _, port = await listener.wait_open()
        yield Hotline(service, port)
    finally:
        task.cancel()
        await asyncio.wait([task])
        await service.engine.close()


def heard(model: ModelSwitch) -> list[str]:
    return [sound.removeprefix("yanzhen/") for sound in model.played]


@pytest.mark.parametrize("end", ["#", ""])
async def test_a_first_check_is_recorded_and_said(end: str) -> None:
    async with open_hotline() as hotline:
        model = await hotline.call([hotline.service.code() + end])
        assert heard(model)[0] == "zh-CN/greeting"
        assert "zh-CN/entry-prompt" in heard(model)[1:3]
        assert FIRST in heard(model)
        assert heard(model)[-1] == "zh-CN/goodbye"
        assert hotline.ordinals == [1]
        verification = hotline.service.store.facts[0].verification
        assert (verification.outcome, verification.channel) == (Outcome.FIRST, "ivr")


async def test_hearing_it_again_is_no_second_check() -> None:
    async with open_hotline() as hotline:
        model = await hotline.call([f"{hotline.service.code()}#", "*", "*"])
        assert heard(model).count(FIRST) == 3
        assert hotline.ordinals == [1]


async def test_each_code_of_a_call_is_a_check_of_its_own() -> None:
    async with open_hotline() as hotline:
        codes = [hotline.service.code(number=number) for number in range(3)]
        model = await hotline.call([f"{codes[0]}#", "1", f"{codes[1]}#", "1", f"{codes[2]}#"])
        assert hotline.ordinals == [1, 1, 1]
        assert model.variables["YANZHEN_STATUS"] == "DONE"


async def test_two_sessions_in_one_call_do_not_share_answers() -> None:
    async with open_hotline() as hotline:
        for number in range(2):
            await hotline.call([f"{hotline.service.code(number=number)}#"])
        assert hotline.ordinals == [1, 1]


async def test_the_other_language_and_noise_keys() -> None:
    async with open_hotline() as hotline:
        model = await hotline.call(["#", "9#", f"{hotline.service.code()}#"])
        assert "en/entry-prompt" in heard(model)
        assert FIRST.replace("zh-CN", "en") in heard(model)


def asking(query: str, caller: str = "13800138000") -> bytes:
    """The block of a real switch whose dialplan calls an address with a query, from another number."""
    block = connections("10-network-script")[0].block
    return block.replace(b"?lang=en", query.encode()).replace(b": 13800138000\n", f": {caller}\n".encode())


@pytest.mark.parametrize(
    ("query", "caller", "locale"),
    [
        ("?lang=en", "13800138000", "en"),
        ("?lang=en-GB", "13800138000", "en"),
        ("?dialled=95001&lang=zh-CN", "+442079460001", "zh-CN"),
        ("?lang=fr", "13800138000", "zh-CN"),
        ("?lang=fr", "+442079460001", "en"),
        ("", "13800138000", "zh-CN"),
        ("", "+442079460001", "en"),
    ],
)
async def test_the_address_chooses_the_first_language(query: str, caller: str, locale: str) -> None:
    async with open_hotline() as hotline:
        model = await hotline.call([f"{hotline.service.code()}#"], block=asking(query, caller))
        assert heard(model)[0] == f"{locale}/greeting"
        assert heard(model)[-1] == f"{locale}/goodbye"
        assert hotline.ordinals == [1]


async def test_the_caller_may_choose_another_language_than_the_address() -> None:
    async with open_hotline() as hotline:
        model = await hotline.call(["9#", f"{hotline.service.code()}#"], block=asking("?lang=en"))
        assert heard(model)[0] == "en/greeting"
        assert heard(model)[-1] == "zh-CN/goodbye"


async def test_an_operator_and_the_way_back() -> None:
    async with open_hotline() as hotline:
        code = hotline.service.code()
        model = await hotline.call([f"{code}#", "0"])
        assert model.variables["YANZHEN_STATUS"] == "TRANSFER"
        assert model.variables["YANZHEN_TRANSFER"] == "+8675588880000"
        back = await hotline.call(["*"], block=TRANSFER_BACK, variables=dict(model.variables))
        assert heard(back)[0] == "zh-CN/transfer-failed"
        assert FIRST in heard(back), "still the same check"
        assert hotline.ordinals == [1]


async def test_a_report_is_kept() -> None:
    async with open_hotline() as hotline:
        model = await hotline.call([f"{hotline.service.code()}#", "2"])
        recorded = next(command for command in model.commands if command.startswith("RECORD FILE"))
        assert recorded.startswith("RECORD FILE yanzhen-reports/1795241128.0-")
        assert "zh-CN/report-thanks" in heard(model)
        ((_, recording),) = hotline.service.reports.kept
        assert f"yanzhen-reports/{recording} wav" in recorded


async def test_a_call_has_one_record_however_it_ends() -> None:
    async with open_hotline() as hotline:
        calls = hotline.service.calls
        model = await hotline.call([f"{hotline.service.code()}#", "0"])
        await calls.told(2)
        ((key, put_through),) = calls.kept.items()
        assert (put_through.account, put_through.how) == ("fastagi", CallEnd.TRANSFERRED)
        hotline.service.clock.advance(30)
        await hotline.call([], block=TRANSFER_BACK, variables=dict(model.variables))
        await calls.told(3)
        assert (calls.kept[key].how, calls.kept[key].seconds) == (CallEnd.COMPLETED, 30)
        await hotline.call([f"{hotline.service.code()}#"], hang_up_at=4)
        await calls.told(5)
        assert sorted(kept.how or "" for kept in calls.kept.values()) == ["completed", "hung_up"]
        counts = hotline.service.journal.counts
        assert (counts["call_begun", "ivr"], counts["call_transferred", "ivr"]) == (2, 1)


async def test_silence_asks_once_more_and_ends() -> None:
    async with open_hotline() as hotline:
        model = await hotline.call()
        assert heard(model).count("zh-CN/entry-silence") == 1
        assert heard(model)[-1] == "zh-CN/goodbye"
        assert hotline.service.store.facts == []


async def test_three_unknown_codes_end_the_call() -> None:
    async with open_hotline() as hotline:
        unknown = f"{hotline.service.unknown_code()}#"
        model = await hotline.call([unknown, "1", unknown, "1", unknown, "1"])
        assert "zh-CN/limit-wrong" in heard(model)
        assert model.variables["YANZHEN_STATUS"] == "DONE"
        assert {fact.verification.outcome for fact in hotline.service.store.facts} == {Outcome.NOT_FOUND}


@pytest.mark.parametrize("number", range(len(connections("08-caller-id"))))
async def test_a_number_is_one_caller_and_a_withheld_one_is_nobody(number: int) -> None:
    async with open_hotline() as hotline:
        block = block_of("08-caller-id", number)
        withheld = b"agi_callerid: anonymous" in block or b"agi_callingpres: 0" not in block
        unknown = withheld or b"%" in block.partition(b"agi_calleridname")[0].rpartition(b"agi_callerid")[2]
        for _ in range(2):
            await hotline.call([f"{hotline.service.code()}#"], block=block)
        outcomes = [fact.verification.outcome for fact in hotline.service.store.facts]
        assert outcomes == [Outcome.FIRST, Outcome.REPEAT if unknown else Outcome.REPEAT_OWN]


@pytest.mark.parametrize("how", ["reply", "before", "closing"])
async def test_hanging_up_at_any_moment_leaves_nothing_half_recorded(how: str) -> None:
    async with open_hotline() as hotline:
        whole = await hotline.call([f"{hotline.service.code()}#", "*"])
        for step in range(1, len(whole.commands) + 1):
            presses = [f"{hotline.service.code(number=step)}#", "*"]
            await hotline.call(presses, hang_up_at=step, how=how)
        assert set(hotline.ordinals) == {1}
        assert len(hotline.ordinals) <= len(whole.commands) + 1


async def test_many_callers_at_once_one_first_check() -> None:
    async with open_hotline() as hotline:
        code = hotline.service.code()
        async with asyncio.timeout(DEADLINE_S):
            await asyncio.gather(*(hotline.call([f"{code}#"]) for _ in range(50)))
        assert sorted(ordinal for ordinal in hotline.ordinals if ordinal) == list(range(1, 51))


async def test_no_record_no_verdict_and_words_of_regret() -> None:
    async with open_hotline() as hotline:
        hotline.service.store.down = True
        model = await hotline.call([f"{hotline.service.code()}#"])
        assert "zh-CN/verdict-unavailable" in heard(model)
        assert model.commands[-1] == "HANGUP"
