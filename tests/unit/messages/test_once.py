"""One message is one reply: deliveries that overlap, that meet a slow store, and commands that come again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from app.core.errors import StoreUnavailable
from app.core.model.caller import CallerKind
from app.core.model.code import read_codes
from app.core.model.reply import ReplyAddress
from app.core.model.verification import VerificationRequest
from app.core.ports.outbox import Outbox
from channels.base import ChannelManifest
from channels.messages import Messages, MessageStores
from channels.once import Once, Said
from channels.turns import CodeSubmitted, CommandGiven, Envelope
from tests.fakes.memory_outbox import MemoryOutbox
from tests.fakes.sample_service import SampleService, start_sample_service

NUMBER = "+8613800138000"


class SlowOutbox(MemoryOutbox):
    """Keeps what is owed only once ``opened`` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = asyncio.Event()

    async def owe(self, *words: object, **more: object) -> bool:
        await self.opened.wait()
        return await super().owe(*words, **more)  # type: ignore[arg-type]


def manifest(deadline_ms: int, owe_ms: int) -> ChannelManifest:
    return ChannelManifest(name="sms", deadline_ms=deadline_ms, owe_ms=owe_ms, how_to_ask="")


class Texter:
    """Somebody who texts one running service, which gives up on an outbox after ``owe_ms``."""

    def __init__(self, service: SampleService, outbox: Outbox) -> None:
        self.service = service
        self.owe_ms = 50 if isinstance(outbox, SlowOutbox) else 30_000
        self.caller = service.context.identities.caller(CallerKind.PHONE, NUMBER)
        self.messages = Messages(
            asking=service.asking(),
            stores=MessageStores(
                outbox=outbox, correspondence=service.correspondence, spending=service.spending
            ),
            wording=service.wording,
            journal=service.journal,
            clock=service.clock,
            nudge=lambda: None,
        )

    async def code(self, text: str, message: str = "m1", alias: str | None = None, *, ms: int = 5_000) -> str:
        envelope = self._envelope(message, alias)
        request = VerificationRequest(
            code=read_codes(text).code,
            caller=self.caller,
            channel="sms",
            account="twilio",
            message_id=message,
            alias_id=alias,
            received_at=envelope.received_at,
        )
        turn = CodeSubmitted(request=request, envelope=envelope)
        return (await self.messages.answer(manifest(ms, self.owe_ms), turn)).text

    async def command(self, kind: str, message: str, *, argument: str = "") -> str:
        turn = CommandGiven(kind=kind, argument=argument, envelope=self._envelope(message, None))
        return (await self.messages.answer(manifest(5_000, self.owe_ms), turn)).text

    def _envelope(self, message: str, alias: str | None) -> Envelope:
        return Envelope(
            caller=self.caller,
            account="twilio",
            message_id=message,
            alias_id=alias,
            address=ReplyAddress(sender="twilio", recipient=NUMBER),
            received_at=self.service.clock.now(),
        )


@pytest.fixture
async def service() -> AsyncIterator[SampleService]:
    service = await start_sample_service()
    yield service
    service.store.release()
    await service.engine.close()


@pytest.fixture
def texter(service: SampleService) -> Texter:
    return Texter(service, service.outbox)


@pytest.mark.parametrize("ids", [("m1", None), ("m2", "a")])
async def test_deliveries_at_once_are_one_query(
    texter: Texter, service: SampleService, ids: tuple[str, str | None]
) -> None:
    code = service.code()
    alias = ids[1]
    texts = await asyncio.gather(texter.code(code, "m1", alias), texter.code(code, *ids))
    assert texts[0] == texts[1] != ""
    assert len(service.journal.answers) == 1
    assert len(service.store.facts) == 1


async def test_deliveries_at_once_that_are_late_are_silent_together(
    texter: Texter, service: SampleService
) -> None:
    service.store.hold()
    texts = await asyncio.gather(*(texter.code(service.code(), ms=30) for _ in range(3)))
    assert texts == ["", "", ""]
    assert len(service.outbox.replies) == 1


async def test_a_delivery_that_is_given_up_does_not_end_the_work(
    texter: Texter, service: SampleService
) -> None:
    service.store.hold()
    first = asyncio.create_task(texter.code(service.code()))
    second = asyncio.create_task(texter.code(service.code()))
    while service.engine._drainer is None:  # its commit is under way, and held back
        await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait({first})
    service.store.release()
    assert await second
    assert first.cancelled()


@pytest.mark.parametrize("wrong", [False, True])
async def test_what_was_said_is_never_pushed_as_well(
    texter: Texter, service: SampleService, *, wrong: bool
) -> None:
    code = service.code()
    if wrong:  # a slip, of which nothing is stored
        code = code[:5] + str((int(code[5]) + 1) % 10) + code[6:]
    said = await texter.code(code)
    service.store.down = True
    assert await texter.code(code) == said
    assert service.outbox.replies == []
    assert service.journal.counts["said_again", "sms"] == 1


async def test_nothing_is_said_while_nobody_knows_whether_it_is_owed(service: SampleService) -> None:
    outbox = SlowOutbox()
    texter = Texter(service, outbox)
    service.store.down = True
    with pytest.raises(StoreUnavailable):
        await texter.code(service.code())
    service.store.down = False
    with pytest.raises(StoreUnavailable):  # there is a verdict now, and still no knowing
        await texter.code(service.code())
    outbox.opened.set()
    texter.owe_ms = 30_000
    assert await texter.code(service.code()) == ""
    assert len(outbox.replies) == 1


async def test_an_old_command_that_comes_again_undoes_no_newer_one(
    texter: Texter, service: SampleService
) -> None:
    goodbye = await texter.command("opt_out", "m1")
    await texter.command("opt_in", "m2")
    assert await texter.command("opt_out", "m1") == goodbye
    assert await texter.code(service.code(), "m3"), "the old opt-out must not hold again"
    await texter.command("opt_out", "m4")
    service.clock.advance(7 * 86_400)
    assert await texter.command("opt_in", "m2") == "", "whoever opted out is not written to"
    assert await texter.code(service.code(), "m5") == ""


async def test_two_commands_at_once_both_hold(texter: Texter, service: SampleService) -> None:
    await asyncio.gather(texter.command("language", "m1", argument="en"), texter.command("opt_out", "m2"))
    kept = await service.correspondence.find(texter.caller, now=service.clock.now())
    assert (kept.locale, kept.opted_out) == ("en", True)


async def test_work_that_fails_fails_for_everybody_and_is_tried_again() -> None:
    once: Once[int] = Once()
    tries: list[int] = []

    async def work() -> int:
        tries.append(1)
        if len(tries) == 1:
            raise StoreUnavailable
        return 7

    results = await asyncio.gather(*(once.share([b"k"], work) for _ in range(2)), return_exceptions=True)
    assert [type(result) for result in results] == [StoreUnavailable] * 2
    assert not once.is_under_way([b"k"])
    assert await once.share([b"k"], work) == 7


def test_the_oldest_of_what_was_said_goes_first() -> None:
    said: Said[str] = Said(most=2)
    said.note([b"1"], "one")
    said.note([b"2"], "two")
    said.note([b"1"], "one")
    said.note([b"3"], "three")
    assert [said.find([key]) for key in (b"1", b"2", b"3")] == ["one", None, "three"]
    assert said.find([b"2", b"3"]) == "three"


async def test_a_caller_without_a_number_opts_out_of_nothing(texter: Texter, service: SampleService) -> None:
    texter.caller = replace(texter.caller, token=None)
    assert await texter.command("opt_out", "m1")
    assert await texter.code(service.code(), "m2")
