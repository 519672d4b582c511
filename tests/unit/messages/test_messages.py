"""What a texter meets beside the verdict: silence after opting out, their language, help and limits told once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from app.core.engine import VerificationEngine
from app.core.errors import KeyMissing, StoreUnavailable
from app.core.model.caller import CallerKind
from app.core.model.code import read_codes
from app.core.model.reply import ReplyAddress
from app.core.model.verification import VerificationRequest
from app.issuing.keyring import Keyring
from app.issuing.recogniser import CodebookRecogniser
from channels.base import ChannelManifest
from channels.messages import Messages, MessageStores
from channels.turns import CodeSubmitted, CommandGiven, Envelope, ThrottleSubject
from tests.fakes.open_throttle import OpenThrottle, ShutThrottle
from tests.fakes.sample_service import SampleService, start_sample_service

NUMBER = "+8613800138000"
ADDRESS = ReplyAddress(sender="twilio", recipient=NUMBER, ours="95001")


def manifest(deadline_ms: int) -> ChannelManifest:
    return ChannelManifest(name="sms", deadline_ms=deadline_ms, how_to_ask="")


class Texter:
    """One number that texts the service."""

    def __init__(
        self, service: SampleService, *, in_band: bool = True, address: ReplyAddress | None = ADDRESS
    ) -> None:
        self.service = service
        self.in_band = in_band
        self.address = address
        self.caller = service.context.identities.caller(CallerKind.PHONE, NUMBER)
        self.nudges = 0
        self.throttle: OpenThrottle | ShutThrottle = OpenThrottle()

    def envelope(self, message: str, *, quiet: bool = False) -> Envelope:
        return Envelope(
            caller=self.caller,
            account="twilio",
            message_id=message,
            address=self.address,
            in_band=self.in_band,
            quiet=quiet,
            subjects=(ThrottleSubject("phone", self.caller.token or b""),),
            received_at=self.service.clock.now(),
        )

    async def code(
        self,
        text: str,
        message: str = "m1",
        *,
        locale: str = "en",
        chosen: str = "",
        alias: str | None = None,
        deadline_ms: int = 1000,
    ) -> str:
        reading = read_codes(text)
        envelope = replace(self.envelope(message), alias_id=alias)
        request = VerificationRequest(
            code=reading.code,
            caller=self.caller,
            channel="sms",
            account="twilio",
            message_id=message,
            alias_id=alias,
            locale=locale,
            received_at=envelope.received_at,
            other_readings=reading.others,
        )
        turn = CodeSubmitted(
            request=request,
            subjects=envelope.subjects,
            more_codes=reading.more_codes,
            chosen_locale=chosen,
            envelope=envelope,
        )
        return (await self.messages().answer(manifest(deadline_ms), turn)).text

    async def command(
        self, kind: str, message: str = "m1", *, argument: str = "", locale: str = "en", quiet: bool = False
    ) -> str:
        envelope = self.envelope(message, quiet=quiet)
        turn = CommandGiven(kind=kind, argument=argument, locale=locale, envelope=envelope)
        return (await self.messages().answer(manifest(1000), turn)).text

    def messages(self) -> Messages:
        service = self.service
        return Messages(
            asking=service.asking(throttle=self.throttle),
            stores=MessageStores(
                outbox=service.outbox, correspondence=service.correspondence, spending=service.spending
            ),
            wording=service.wording,
            journal=service.journal,
            clock=service.clock,
            nudge=self._nudge,
        )

    def _nudge(self) -> None:
        self.nudges += 1

    @property
    def events(self) -> set[str]:
        return {event for event, _ in self.service.journal.counts}


@pytest.fixture
async def service() -> AsyncIterator[SampleService]:
    service = await start_sample_service()
    yield service
    service.store.release()
    await service.engine.close()


@pytest.fixture
def texter(service: SampleService) -> Texter:
    return Texter(service)


async def test_a_code_is_answered_in_the_response(texter: Texter, service: SampleService) -> None:
    assert "First check" in await texter.code(service.code())
    assert service.outbox.replies == []


async def test_help_is_given_once_a_day(texter: Texter, service: SampleService) -> None:
    first = await texter.command("help", "m1")
    assert first
    assert await texter.command("help", "m2") == ""
    assert await texter.command("help", "m1") == first, "a retry of the same message gets the same text"
    service.clock.advance(24 * 3600 + 1)
    assert await texter.command("help", "m3") == first


async def test_opted_out_is_silence_and_nothing_is_verified(texter: Texter, service: SampleService) -> None:
    goodbye = await texter.command("opt_out", "m1")
    assert goodbye
    assert await texter.command("opt_out", "m2") == ""
    assert await texter.code(service.code(), "m3") == ""
    assert await texter.command("help", "m4") == ""
    assert await texter.command("language", "m5", argument="zh-CN") == ""
    assert service.store.facts == [], "a first check must not be used up in silence"
    assert await texter.command("opt_in", "m6")
    assert "首次查询" in await texter.code(service.code(), "m7"), "the language chosen meanwhile holds"


async def test_an_opt_out_holds_whatever_the_limits_say(texter: Texter, service: SampleService) -> None:
    texter.throttle = ShutThrottle()
    service.spending.day_cap = 0
    assert await texter.command("opt_out") == ""
    texter.throttle, service.spending.day_cap = OpenThrottle(), None
    assert await texter.code(service.code(), "m2") == ""


async def test_where_the_provider_has_answered_we_say_nothing(texter: Texter, service: SampleService) -> None:
    assert await texter.command("opt_out", quiet=True) == ""
    assert await texter.code(service.code(), "m2") == ""
    assert await texter.command("opt_in", "m3", quiet=True) == ""
    assert await texter.code(service.code(), "m4")


async def test_a_chosen_language_beats_the_language_of_the_text(
    texter: Texter, service: SampleService
) -> None:
    told = await texter.command("language", argument="zh-CN", locale="en")
    assert not told.isascii()
    assert "首次查询" in await texter.code(service.code(), "m2", locale="en")


async def test_a_language_without_a_name_is_the_other_one(texter: Texter, service: SampleService) -> None:
    english = await texter.command("language", "m1", locale="zh-CN")
    assert "English" in english
    assert "For Chinese" in english, "how to come back"
    assert await texter.command("language", "m1", locale="zh-CN") == english, (
        "a tap that is delivered again taps no more"
    )
    assert "First check" in await texter.code(service.code(), "m2", locale="zh-CN")
    assert await texter.command("language", "m3") != english
    assert "首次" in await texter.code(service.code(number=1), "m4", locale="en")
    assert await texter.command("language", "m5") == english


async def test_a_language_asked_for_beside_the_code_beats_both(
    texter: Texter, service: SampleService
) -> None:
    await texter.command("language", argument="zh-CN")
    assert "First check" in await texter.code(service.code(), "m2", locale="zh-CN", chosen="en")


async def test_out_of_band_a_message_with_another_id_is_known_by_its_second(service: SampleService) -> None:
    texter = Texter(service, in_band=False)
    await texter.code(service.code(), "m1", alias="a")
    await texter.code(service.code(), "m2", alias="a")
    await texter.code(service.code(), "m1", alias=None)
    assert len(service.outbox.replies) == 1
    assert len(service.store.facts) == 1


async def test_a_limit_is_told_once_and_then_met_with_silence(texter: Texter, service: SampleService) -> None:
    texter.throttle = ShutThrottle(retry_after_s=90)
    told = await texter.code(service.code(), "m1")
    assert "2 minutes" in told
    assert await texter.code(service.code(), "m2") == ""
    assert await texter.code(service.code(), "m1") == told
    service.clock.advance(91)
    assert await texter.code(service.code(), "m3") == "", (
        "a refusal passes in minutes; it is told once an hour"
    )
    service.clock.advance(3600)
    assert "2 minutes" in await texter.code(service.code(), "m4")
    assert service.store.facts == []
    assert "silent_throttled" in texter.events


async def test_telling_of_a_limit_is_spent_like_any_text(texter: Texter, service: SampleService) -> None:
    texter.throttle = ShutThrottle(retry_after_s=90)
    service.spending.day_cap = 1
    assert await texter.code(service.code(), "m1")
    service.clock.advance(3700)
    assert await texter.code(service.code(), "m2") == ""
    assert "silent_day_cap" in texter.events


async def test_past_the_cap_nothing_is_said_and_nothing_verified(
    texter: Texter, service: SampleService
) -> None:
    service.spending.caller_cap = 1
    assert await texter.code(service.code(), "m1")
    assert await texter.code(service.code(number=1), "m2") == ""
    service.spending.caller_cap, service.spending.day_cap = None, 1
    assert await texter.code(service.code(number=2), "m3") == ""
    assert len(service.store.facts) == 1
    assert {"silent_caller_cap", "silent_day_cap"} <= texter.events


async def test_a_retry_costs_nothing_and_gets_the_same_text(texter: Texter, service: SampleService) -> None:
    first = await texter.code(service.code(), "m1")
    service.spending.day_cap = 1
    assert await texter.code(service.code(), "m1") == first
    assert len(service.store.facts) == 1


async def test_a_late_answer_is_owed_and_its_retry_is_silent(texter: Texter, service: SampleService) -> None:
    service.store.hold()
    assert await texter.code(service.code(), "m1", deadline_ms=30) == ""
    (owed,) = service.outbox.replies
    assert owed.question is not None
    assert texter.nudges == 1
    service.store.release()
    await service.engine.close()
    assert await texter.code(service.code(), "m1") == "", "the courier says it, so the response must not"
    assert len(service.outbox.replies) == 1


async def test_where_nothing_can_be_pushed_a_late_answer_is_said_to_be_none(service: SampleService) -> None:
    texter = Texter(service, address=None)
    service.store.hold()
    assert "cannot give an answer just now" in await texter.code(service.code(), deadline_ms=30)


async def test_with_record_and_outbox_down_a_response_says_so(texter: Texter, service: SampleService) -> None:
    service.store.down = service.outbox.down = service.correspondence.down = True
    assert "cannot give an answer just now" in await texter.code(service.code())


async def test_out_of_band_the_text_is_owed_once(service: SampleService) -> None:
    texter = Texter(service, in_band=False)
    for _ in range(3):
        assert await texter.code(service.code(), "m1") == ""
    (owed,) = service.outbox.replies
    assert "First check" in owed.text
    assert owed.address == ADDRESS
    assert texter.nudges == 1


@pytest.mark.parametrize("down", ["outbox", "correspondence"])
async def test_out_of_band_what_cannot_be_kept_is_asked_for_again(service: SampleService, down: str) -> None:
    texter = Texter(service, in_band=False)
    getattr(service, down).down = True
    with pytest.raises(StoreUnavailable):
        await texter.code(service.code(), "m1")
    getattr(service, down).down = False
    assert await texter.code(service.code(), "m1") == ""
    assert [bool(owed.text) for owed in service.outbox.replies] == [True]
    assert len(service.store.facts) == 1


async def test_a_caller_without_a_number_is_helped_like_anybody(texter: Texter) -> None:
    texter.caller = replace(texter.caller, token=None)
    assert await texter.command("help", "m1")


async def test_without_the_keys_a_code_is_answered_by_unavailable(
    texter: Texter, service: SampleService
) -> None:
    def refuse() -> Keyring:
        raise KeyMissing

    engine = VerificationEngine(
        recogniser=CodebookRecogniser(refuse),
        store=service.store,
        catalogues=service.store,
        cache=service.cache,
        clock=service.clock,
        journal=service.journal,
    )
    texter.service = replace(service, engine=engine)
    assert "cannot give an answer just now" in await texter.code(service.code())
    with pytest.raises(StoreUnavailable):  # a command cannot be kept: the provider brings it again
        await texter.command("opt_out")
    assert service.store.facts == []
