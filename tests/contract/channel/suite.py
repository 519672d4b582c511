"""What every channel must keep, whatever its wire looks like (docs/adding-a-channel.md).

A channel binds the suite by a :class:`ChannelBinding`: its adapter and how its requests and answers look.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Protocol, cast

import pytest

from app.adapters.journal import ServiceJournal
from app.core.model.code import Code
from app.logs import LineWriter, Logs
from channels.abilities import MessageChannel
from channels.base import (
    ChannelAdapter,
    ChannelContext,
    InboundRequest,
    OutboundResponse,
    Refusal,
    RefusalKind,
)
from channels.turns import CodeSubmitted, Turn
from channels.wording.locales import LOCALES
from channels.wording.reply import Reply
from channels.wording.variants import Variant
from tests.fakes.open_throttle import ShutThrottle
from tests.fakes.sample_service import SampleService, start_sample_service
from tests.unit.wording.verdicts import verdict_of

_INFO = 20


def _as_text(answer: OutboundResponse) -> str:
    return answer.body.decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """How channels may differ without being less safe.

    ``pushes``: a late answer is acknowledged and pushed. ``in_band``: the response carries the text; otherwise every
    text is pushed. ``trusted_ids``: message ids come from the provider alone, so an id seen before is a retry
    whatever the text. ``worded_errors``: a refusal holds a sentence, where somebody could read it. ``telephone``: keys
    hold digits alone, an answer carries the state of the call, and where we failed the caller hears words instead of
    an error. ``apology`` and ``in_two_minutes`` are how an English answer says so. ``read`` returns what a person reads
    of an answer, where its bytes are not that.
    """

    pushes: bool = False
    in_band: bool = True
    trusted_ids: bool = False
    worded_errors: bool = True
    telephone: bool = False
    apology: str = "cannot give an answer just now"
    in_two_minutes: str = "2 minutes"
    read: Callable[[OutboundResponse], str] = _as_text


class ChannelBinding(Protocol):
    """One channel as the suite sees it. ``secrets`` stand in its requests beside the code and must not be logged."""

    secrets: tuple[str, ...]
    traits: Traits

    def adapter(self, context: ChannelContext) -> ChannelAdapter:
        """Return the adapter, with fixed values where it is random in service."""
        ...

    def ask(self, text: str, *, message: str = "message-1", locale: str = "zh-CN") -> InboundRequest:
        """Return a request that asks about ``text``; equal ``message`` is one message delivered again."""
        ...

    def forged(self, text: str) -> tuple[InboundRequest, ...]:
        """Return requests about ``text`` that do not prove where they come from; at least one."""
        ...

    def malformed(self, text: str) -> tuple[InboundRequest, ...]:
        """Return authentic requests that hold ``text`` but are not of the channel's form; at least one."""
        ...

    def never_counted(self, text: str) -> tuple[InboundRequest, ...]:
        """Return requests that mention ``text`` and must not ask: previews, handshakes; may be empty."""
        ...

    def shown(self, adapter: ChannelAdapter, turn: Turn, reply: Reply) -> str:
        """Return what the caller ends up reading, where ``adapter`` answers ``turn`` with ``reply``."""
        ...

    def meaning(self, reply: Reply) -> str:
        """Return the words of ``reply`` that the caller must find there."""
        ...


class ChannelContract:
    """Subclass it, and give the fixture ``binding``."""

    @pytest.fixture
    def binding(self) -> ChannelBinding:
        pytest.fail("a binding of the channel contract must override the fixture `binding`")

    @pytest.fixture
    async def service(self) -> AsyncIterator[SampleService]:
        service = await start_sample_service()
        yield service
        service.store.release()
        await service.engine.close()

    @pytest.fixture
    def adapter(self, binding: ChannelBinding, service: SampleService) -> ChannelAdapter:
        return binding.adapter(service.context)

    def test_the_manifest_says_what_the_channel_is(self, adapter: ChannelAdapter) -> None:
        manifest = adapter.manifest
        assert manifest.name.isidentifier()
        assert manifest.deadline_ms > 0
        assert set(manifest.locales) == set(LOCALES)
        line = manifest.how_to_ask.format(code="123", public_url="https://x.example", yanzhen="yanzhen")
        assert "123" in line
        assert adapter.routes() or manifest.listens
        assert len({(route.method, route.path) for route in adapter.routes()}) == len(adapter.routes())

    async def test_a_query_is_recorded_and_answered(
        self, adapter: ChannelAdapter, binding: ChannelBinding, service: SampleService
    ) -> None:
        answer = await service.pipeline.carry(adapter, binding.ask(service.code()))
        assert answer.status in {200, 303}
        assert [fact.verification.ordinal for fact in service.store.facts] == [1]
        assert service.store.facts[0].verification.channel == adapter.manifest.name

    async def test_a_forged_request_is_refused_and_never_asked(
        self, adapter: ChannelAdapter, binding: ChannelBinding, service: SampleService
    ) -> None:
        requests = binding.forged(service.code())
        assert requests
        for request in requests:
            answer = await service.pipeline.carry(adapter, request)
            assert answer.status in {401, 403}
        assert service.journal.answers == []
        assert service.store.facts == []
        assert len(service.journal.refusals) == len(requests)

    async def test_a_malformed_request_is_refused_and_nothing_recorded(
        self, adapter: ChannelAdapter, binding: ChannelBinding, service: SampleService
    ) -> None:
        requests = binding.malformed(service.code())
        assert requests
        for request in requests:
            answer = await service.pipeline.carry(adapter, request)
            assert 400 <= answer.status < 500
            assert service.code().encode() not in answer.body
        assert service.journal.answers == []
        assert service.store.facts == []

    async def test_a_preview_or_handshake_never_counts(
        self, adapter: ChannelAdapter, binding: ChannelBinding, service: SampleService
    ) -> None:
        for request in binding.never_counted(service.code()):
            answer = await service.pipeline.carry(adapter, request)
            assert answer.status < 500
        assert service.journal.answers == []
        assert service.store.facts == []

    async def test_the_same_message_again_is_one_query_and_the_same_bytes(
        self, adapter: ChannelAdapter, binding: ChannelBinding, service: SampleService
    ) -> None:
        first = await service.pipeline.carry(adapter, binding.ask(service.code()))
        service.clock.advance(3)
        again = await service.pipeline.carry(adapter, binding.ask(service.code()))
        assert again == first
        assert len(service.store.facts) == 1
        assert len(service.outbox.replies) == (0 if binding.traits.in_band else 1)

    async def test_the_same_message_at_once_is_one_query_and_the_same_bytes(
        self, adapter: ChannelAdapter, binding: ChannelBinding, service: SampleService
    ) -> None:
        request = binding.ask(service.code())
        answers = await asyncio.gather(*(service.pipeline.carry(adapter, request) for _ in range(20)))
        assert all(answer == answers[0] for answer in answers)
        assert len(service.store.facts) == 1
        assert len(service.outbox.replies) == (0 if binding.traits.in_band else 1)

    async def test_another_message_is_another_query(
        self, adapter: ChannelAdapter, binding: ChannelBinding, service: SampleService
    ) -> None:
        for message in ("message-1", "message-2"):
            await service.pipeline.carry(adapter, binding.ask(service.code(), message=message))
        assert [fact.verification.ordinal for fact in service.store.facts] == [1, 2]

    async def test_a_message_id_does_not_open_another_codes_answer(
        self, adapter: ChannelAdapter, binding: ChannelBinding, service: SampleService
    ) -> None:
        """Where a stranger may choose the id, an equal one with another code is another message."""
        answers = [
            await service.pipeline.carry(adapter, binding.ask(service.code(number=number)))
            for number in (0, 1)
        ]
        if binding.traits.trusted_ids:
            assert len(service.store.facts) == 1
            if not binding.traits.telephone:  # there the keys stand, sealed, in the answer too
                assert answers[0] == answers[1], "a retry whose text arrived changed is still the retry"
        else:
            assert len(service.store.facts) == 2

    @pytest.mark.parametrize("locale", LOCALES)
    @pytest.mark.parametrize("variant", Variant)
    async def test_every_answer_keeps_its_meaning(
        self,
        adapter: ChannelAdapter,
        binding: ChannelBinding,
        service: SampleService,
        variant: Variant,
        locale: str,
    ) -> None:
        reply = service.wording.reply(verdict_of(variant), locale)
        turn = adapter.decode(binding.ask(service.code(), locale=locale))
        assert binding.meaning(reply) in binding.shown(adapter, turn, reply)

    @pytest.mark.parametrize("variant", Variant)
    async def test_encode_is_deterministic(
        self, adapter: ChannelAdapter, binding: ChannelBinding, service: SampleService, variant: Variant
    ) -> None:
        reply = service.wording.reply(verdict_of(variant), "en")
        request = binding.ask(service.code())
        twin = binding.adapter(service.context)
        answers = {
            _bytes_of(one.encode(request, one.decode(request), reply)) for one in (adapter, adapter, twin)
        }
        assert len(answers) == 1

    async def test_the_code_is_found_in_any_layout(
        self, adapter: ChannelAdapter, binding: ChannelBinding, service: SampleService
    ) -> None:
        digits = service.code()
        fours = [digits[start : start + 4] for start in range(0, len(digits), 4)]
        wide = "".join(chr(ord(digit) + 0xFEE0) for digit in digits)
        layouts = (
            digits,
            " ".join(fours),
            "-".join(fours),
            wide,
            f"  {digits} ",
            f"请查一下 {digits}，谢谢",
            f"My number is 13800138000. Is {' '.join(fours)} real?",
            f"https://verify.example/q/{digits}",
            f"https://verify.example/01/06901234567892/21/{digits}",
        )
        for layout in layouts[:1] if binding.traits.telephone else layouts:
            turn = adapter.decode(binding.ask(layout))
            assert isinstance(turn, CodeSubmitted), layout
            assert turn.request.code == Code(digits=digits), layout

    @pytest.mark.parametrize(
        "text",
        ["", "   ", "\x00\x00", "😀😀", "' OR 1=1 --", "<script>alert(1)</script>", "O0l1", "1" * 4000],
    )
    async def test_rubbish_is_answered_and_records_nothing(
        self, adapter: ChannelAdapter, binding: ChannelBinding, service: SampleService, text: str
    ) -> None:
        answer = await service.pipeline.carry(adapter, binding.ask(text))
        assert answer.status in {200, 400, 413, 422}
        assert b"<script>alert" not in answer.body
        assert service.store.facts == []

    async def test_past_the_deadline_nobody_is_left_without_an_answer(
        self, adapter: ChannelAdapter, binding: ChannelBinding, service: SampleService
    ) -> None:
        # late is what the record is, never the machine: to keep the question may take half a minute
        adapter.manifest = replace(adapter.manifest, deadline_ms=40, owe_ms=30_000)
        service.store.hold()
        request = binding.ask(service.code(), locale="en")
        late = await service.pipeline.carry(adapter, request)
        assert late.status in {200, 503}
        if binding.traits.pushes:
            again = await service.pipeline.carry(adapter, request)
            assert again == late, "acknowledged"
            assert [reply.question is not None for reply in service.outbox.replies] == [True]
        else:
            assert binding.traits.apology in binding.traits.read(late)
        service.store.release()
        await service.engine.close()
        assert len(service.store.facts) == 1, "the commit goes on, and a retry gets its verdict"

    async def test_with_the_record_down_nothing_is_guessed(
        self, adapter: ChannelAdapter, binding: ChannelBinding, service: SampleService
    ) -> None:
        service.store.down = True
        service.outbox.down = True
        request = binding.ask(service.code(), locale="en")
        answer = await service.pipeline.carry(adapter, request)
        if binding.traits.in_band:
            assert answer.status in {200, 503}
            assert binding.traits.apology in binding.traits.read(answer)
        else:
            taken = cast(MessageChannel, adapter).say(request, "")
            assert answer not in (taken, replace(taken, status=answer.status)), "it must be delivered again"
        assert service.outbox.replies == []

    async def test_too_many_queries_are_told_when_to_come_back(
        self, adapter: ChannelAdapter, binding: ChannelBinding, service: SampleService
    ) -> None:
        pipeline = service.pipeline_with(throttle=ShutThrottle(retry_after_s=90))
        answer = await pipeline.carry(adapter, binding.ask(service.code(), locale="en"))
        assert answer.status in {200, 429}
        told = binding.traits.read(answer) + "".join(reply.text for reply in service.outbox.replies)
        assert binding.traits.in_two_minutes in told
        assert service.store.facts == []

    async def test_the_limits_know_whom_they_count(
        self, adapter: ChannelAdapter, binding: ChannelBinding, service: SampleService
    ) -> None:
        turn = adapter.decode(binding.ask(service.code()))
        assert isinstance(turn, CodeSubmitted)
        assert turn.subjects
        assert all(subject.key for subject in turn.subjects)

    async def test_no_code_caller_or_secret_is_logged(
        self, adapter: ChannelAdapter, binding: ChannelBinding, service: SampleService
    ) -> None:
        stream = io.BytesIO()
        logs = Logs(writer=LineWriter(stream), columns=False, level=_INFO)
        logs.start()
        pipeline = service.pipeline_with(journal=ServiceJournal(logs))
        codes = (service.code(), service.unknown_code(), service.code("recalled"))
        for code in codes:
            for request in (
                binding.ask(code),
                binding.ask(code),
                *binding.forged(code),
                *binding.malformed(code),
            ):
                await pipeline.carry(adapter, request)
        logs.stop()
        written = stream.getvalue().decode()
        assert "verification" in written
        for secret in (*codes, *binding.secrets):
            assert secret not in written

    async def test_a_refusal_of_the_server_is_well_formed(
        self, adapter: ChannelAdapter, binding: ChannelBinding
    ) -> None:
        ours = {RefusalKind.UNAVAILABLE, RefusalKind.INTERNAL}
        for kind in RefusalKind:
            for locale in (*LOCALES, "xx"):
                answer = adapter.refuse(Refusal(kind=kind, locale=locale))
                assert answer.status >= 400 or (binding.traits.telephone and kind in ours)
                assert answer.body or not binding.traits.worded_errors


def _bytes_of(answer: OutboundResponse) -> tuple[int, bytes, str, tuple[tuple[str, str], ...]]:
    return answer.status, answer.body, answer.content_type, answer.headers
