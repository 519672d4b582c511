"""The courier sends once, asks before it repeats, and repeats a doubtful try once at most."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from app.core.model.caller import Caller, CallerKind
from app.core.model.code import Code
from app.core.model.reply import Accepted, Delivery, ReplyAddress
from app.core.model.verification import VerificationRequest
from channels.abilities import Deferred, NotSent, Rejected, Unknown
from tests.fakes.memory_outbox import MemoryOutbox
from tests.fakes.sample_service import SampleService, start_sample_service
from tests.fakes.scripted_sender import ScriptedSender

ADDRESS = ReplyAddress(sender="twilio", recipient="+8613800138000", ours="95001")
KEY = b"k" * 16


@pytest.fixture
async def service() -> AsyncIterator[SampleService]:
    service = await start_sample_service()
    yield service
    service.store.release()
    await service.engine.close()


async def owe(service: SampleService, text: str = "the answer") -> None:
    await service.outbox.owe(KEY, ADDRESS, text=text, now=service.clock.now())


async def deliver(service: SampleService, sender: ScriptedSender, *, rounds: int = 1) -> None:
    """Let a courier look ``rounds`` times, an hour's third apart, and finish what it took."""
    for _ in range(rounds):
        courier = service.courier([sender])
        task = asyncio.create_task(courier.run())
        for _ in range(50):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait((task,))
        service.clock.advance(700)


def question(service: SampleService, code: str) -> VerificationRequest:
    return VerificationRequest(
        code=Code.parse(code),
        caller=Caller(kind=CallerKind.PHONE, token=b"t" * 16),
        channel="sms",
        account="twilio",
        message_id="SM1",
        locale="en",
        received_at=service.clock.now(),
    )


async def test_what_is_owed_is_sent_once(service: SampleService) -> None:
    sender = ScriptedSender()
    await owe(service)
    await deliver(service, sender, rounds=3)
    assert [text.text for text in sender.sent] == ["the answer"]
    assert sender.sent[0].address == ADDRESS
    (reply,) = service.outbox.replies
    assert (reply.state, reply.provider_id, reply.address) == ("sent", "P1", None)


async def test_a_refusal_for_good_is_not_tried_again(service: SampleService) -> None:
    sender = ScriptedSender(results=[Rejected(why="opted_out_at_provider")])
    await owe(service)
    await deliver(service, sender, rounds=3)
    assert len(sender.sent) == 1
    assert service.outbox.replies[0].why == "opted_out_at_provider"
    assert service.journal.counts["given_up_opted_out_at_provider", "twilio"] == 1


async def test_a_text_that_was_not_taken_is_tried_again(service: SampleService) -> None:
    sender = ScriptedSender(results=[Deferred(why="throttled", after_s=30), Deferred(why="busy")])
    await owe(service)
    await deliver(service, sender, rounds=4)
    assert len(sender.sent) == 3
    assert service.outbox.replies[0].state == "sent"


async def test_an_unknown_result_is_asked_about_and_found(service: SampleService) -> None:
    sender = ScriptedSender(results=[Unknown(why="timeout")], lookups=[Accepted(provider_id="SM9")])
    await owe(service)
    sent_at = service.clock.now()
    await deliver(service, sender, rounds=3)
    assert len(sender.sent) == 1, "the provider had it"
    assert service.outbox.replies[0].provider_id == "SM9"
    assert [since for _, since in sender.asked] == [sent_at]
    assert service.journal.counts["found_sent", "twilio"] == 1


async def test_what_the_provider_never_took_goes_out_again(service: SampleService) -> None:
    sender = ScriptedSender(results=[Unknown(why="timeout")], lookups=[NotSent()])
    await owe(service)
    await deliver(service, sender, rounds=3)
    assert len(sender.sent) == 2
    assert service.outbox.replies[0].state == "sent"
    assert service.journal.counts["resent_not_taken", "twilio"] == 1


async def test_a_provider_that_cannot_be_asked_gets_it_twice_and_never_thrice(service: SampleService) -> None:
    sender = ScriptedSender(results=[Unknown(why="timeout")] * 5)
    await owe(service)
    await deliver(service, sender, rounds=6)
    assert len(sender.sent) == 2
    assert service.outbox.replies[0].why == "unknown_twice"
    assert service.journal.counts["resent_unknown", "twilio"] == 1


async def test_a_crash_while_sending_leaves_a_doubt(service: SampleService) -> None:
    """Taken and never settled: the lease ends, and the provider is asked."""
    await owe(service)
    await service.outbox.take(service.clock.now())
    service.clock.advance(61)
    sender = ScriptedSender(lookups=[Accepted(provider_id="SM7")])
    await deliver(service, sender)
    assert sender.sent == []
    assert service.outbox.replies[0].provider_id == "SM7"


async def test_a_report_settles_a_doubt(service: SampleService) -> None:
    sender = ScriptedSender(results=[Unknown(why="timeout")])
    await owe(service)
    await deliver(service, sender)
    reply_id = service.outbox.replies[0].id
    known = await service.outbox.note_delivery(
        "twilio", provider_id="SM3", reply_id=reply_id, state=Delivery.DELIVERED, now=service.clock.now()
    )
    await deliver(service, sender, rounds=2)
    assert known
    assert len(sender.sent) == 1
    assert service.outbox.replies[0].delivery is Delivery.DELIVERED


async def test_a_late_verdict_is_given_recorded_once_and_pushed(service: SampleService) -> None:
    sender = ScriptedSender()
    asked = question(service, service.code())
    await service.outbox.owe(KEY, ADDRESS, question=asked, now=service.clock.now())
    await deliver(service, sender, rounds=2)
    assert [fact.verification.ordinal for fact in service.store.facts] == [1]
    assert len(sender.sent) == 1
    assert "First check" in sender.sent[0].text


async def test_the_commit_that_came_late_is_found_again(service: SampleService) -> None:
    asked = question(service, service.code())
    await service.engine.verify(asked, deadline_ms=1000)
    await service.outbox.owe(KEY, ADDRESS, question=asked, now=service.clock.now())
    sender = ScriptedSender()
    await deliver(service, sender, rounds=2)
    assert len(service.store.facts) == 1
    assert "First check" in sender.sent[0].text


async def test_with_the_record_down_the_answer_waits_and_in_the_end_says_so(service: SampleService) -> None:
    service.store.down = True
    await service.outbox.owe(
        KEY, ADDRESS, question=question(service, service.code()), now=service.clock.now()
    )
    sender = ScriptedSender()
    await deliver(service, sender)
    assert sender.sent == []
    await deliver(service, sender, rounds=3)
    assert ["cannot give an answer just now" in text.text for text in sender.sent] == [True]


async def test_a_reply_of_six_hours_ago_helps_nobody(service: SampleService) -> None:
    await owe(service)
    service.clock.advance(6 * 3600 + 1)
    sender = ScriptedSender()
    await deliver(service, sender)
    assert sender.sent == []
    assert service.outbox.replies[0].why == "too_late"


async def test_a_provider_that_is_switched_off_waits(service: SampleService) -> None:
    await owe(service)
    await deliver(service, ScriptedSender(name="kannel"), rounds=2)
    assert service.outbox.replies[0].state == "waiting"
    sender = ScriptedSender()
    await deliver(service, sender)
    assert len(sender.sent) == 1


async def test_one_broken_reply_does_not_end_the_deliveries(service: SampleService) -> None:
    class Broken(ScriptedSender):
        async def send(self, text: object) -> Accepted:
            raise RuntimeError("a bug")

    await owe(service)
    await service.outbox.owe(
        b"l" * 16, replace(ADDRESS, sender="kannel"), text="another", now=service.clock.now()
    )
    good = ScriptedSender(name="kannel")
    courier = service.courier([Broken(), good])
    task = asyncio.create_task(courier.run())
    for _ in range(50):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,))
    assert len(good.sent) == 1
    assert [event for event, _ in service.journal.failures] == ["deliver_failed"]


async def test_the_outbox_down_ends_nothing(service: SampleService) -> None:
    service.outbox.down = True
    sender = ScriptedSender()
    await deliver(service, sender)
    service.outbox.down = False
    await owe(service)
    await deliver(service, sender)
    assert len(sender.sent) == 1


async def test_a_list_that_fails_is_asked_for_again_and_never_taken_for_an_answer(
    service: SampleService,
) -> None:
    in_vain = Unknown(why="list_failed", ask_again=True)
    sender = ScriptedSender(
        results=[Unknown(why="answer_lost")], lookups=[in_vain] * 5 + [Accepted(provider_id="P1")]
    )
    await owe(service)
    await deliver(service, sender, rounds=8)
    assert len(sender.sent) == 1
    assert len(sender.asked) == 6
    assert ("found_sent", "twilio") in service.journal.counts


async def test_a_list_that_fails_for_ever_ends_after_hours(service: SampleService) -> None:
    in_vain = Unknown(why="list_failed", ask_again=True)
    sender = ScriptedSender(results=[Unknown(why="answer_lost")], lookups=[in_vain] * 100)
    await owe(service)
    await deliver(service, sender, rounds=45)
    assert len(sender.sent) == 1
    assert ("given_up_unknown_twice", "twilio") in service.journal.counts


async def test_an_outbox_that_fails_in_a_new_way_does_not_end_the_deliveries(service: SampleService) -> None:
    class Failing(MemoryOutbox):
        failures = 1

        async def take(self, *arguments: Any, **named: Any) -> Any:
            if self.failures:
                self.failures -= 1
                raise RuntimeError("nobody thought of this")
            return await super().take(*arguments, **named)

    outbox, sender = Failing(), ScriptedSender()
    await outbox.owe(KEY, ADDRESS, text="the answer", now=service.clock.now())
    courier = replace(service, outbox=outbox).courier([sender])
    courier.nudge()
    task = asyncio.create_task(courier.run())
    for _ in range(50):
        courier.nudge()
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,))
    assert [text.text for text in sender.sent] == ["the answer"]
