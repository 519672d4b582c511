"""What the engine does when clients go away, stores fail, queues fill and slips come twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from app.core.engine import EngineLimits, VerificationEngine
from app.core.errors import KeyMissing
from app.core.model.caller import Caller, CallerKind
from app.core.model.code import Code, Entry
from app.core.model.label import BrandId
from app.core.model.verdict import Detail, Outcome, Verdict
from app.core.model.verification import VerificationRequest
from app.issuing.keyring import Keyring
from app.issuing.recogniser import CodebookRecogniser
from tests.fakes.clock import FakeClock
from tests.fakes.memory_store import MemoryStore
from tests.fakes.recording_journal import RecordingJournal
from tests.fakes.sample_service import SampleService, start_sample_service

KNOWN, OTHER = b"caller-number-01", b"caller-number-02"


@pytest.fixture
async def service() -> AsyncIterator[SampleService]:
    service = await start_sample_service()
    yield service
    service.store.release()
    await service.engine.close()


def ask(
    digits: str, *, token: bytes | None = None, message: str | None = None, entry: Entry = Entry.TYPED
) -> VerificationRequest:
    return VerificationRequest(
        code=Code.parse(digits, entry=entry),
        caller=Caller(kind=CallerKind.PHONE, token=token),
        channel="sms",
        message_id=message,
        received_at=FakeClock().now(),
    )


def engine_over(service: SampleService, *, limits: EngineLimits) -> VerificationEngine:
    from app.adapters.cache.memory import MemoryCache

    return VerificationEngine(
        recogniser=CodebookRecogniser(lambda: service.keyring),
        store=service.store,
        catalogues=service.store,
        cache=MemoryCache(service.clock),
        clock=service.clock,
        journal=service.journal,
        limits=limits,
    )


async def until(condition: object) -> None:
    """Let others run until ``condition()`` holds; bounded by the turns of the loop, not by a clock."""
    assert callable(condition)
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to that")


async def committing(engine: VerificationEngine, request: VerificationRequest) -> asyncio.Task[Verdict]:
    """Return the query whose commit is under way, and held by the store."""
    asking = asyncio.create_task(engine.verify(request))
    await until(lambda: engine._drainer is not None and not engine._pending)
    return asking


class TestGroupCommit:
    async def test_those_who_wait_share_one_commit(self, service: SampleService) -> None:
        service.store.hold()
        asking = [await committing(service.engine, ask(service.code()))]
        asking += [asyncio.create_task(service.engine.verify(ask(service.code()))) for _ in range(49)]
        await until(lambda: len(service.engine._pending) == 49)
        service.store.release()
        verdicts = await asyncio.gather(*asking)
        assert [verdict.ordinal for verdict in verdicts] == list(range(1, 51))
        assert service.journal.commits == [1, 49]

    async def test_a_batch_has_its_limit(self, service: SampleService) -> None:
        engine = engine_over(service, limits=EngineLimits(queue=100, batch=10))
        await engine.start()
        await asyncio.gather(*(engine.verify(ask(service.code())) for _ in range(25)))
        await engine.close()
        assert sum(service.journal.commits) == 25
        assert max(service.journal.commits) <= 10

    async def test_a_commit_begins_while_answers_of_the_last_are_given(self, service: SampleService) -> None:
        engine = engine_over(service, limits=EngineLimits(answers=10))
        await engine.start()
        answered: list[int] = []
        begun_after: list[int] = []

        async def client() -> None:
            await engine.verify(ask(service.code()))
            answered.append(len(service.journal.commits))
            if len(answered) == 1:
                service.store.hold()
                asking = await committing(engine, ask(service.code()))
                begun_after.append(len(answered))
                service.store.release()
                assert (await asking).ordinal == 51

        await asyncio.gather(*(client() for _ in range(50)))
        assert service.journal.commits == [50, 1]
        assert begun_after[0] < 50
        await engine.close()

    async def test_closing_waits_for_answers_that_are_given_in_turns(self, service: SampleService) -> None:
        engine = engine_over(service, limits=EngineLimits(answers=1))
        await engine.start()
        service.store.hold()
        asking = [asyncio.create_task(engine.verify(ask(service.code()))) for _ in range(30)]
        await until(lambda: engine._drainer is not None and not engine._pending)
        closing = asyncio.create_task(engine.close())
        await until(lambda: engine._closed)
        service.store.release()
        await closing
        assert not engine._answering
        assert [(await asked).ordinal for asked in asking] == list(range(1, 31))

    async def test_a_full_queue_answers_unavailable_at_once(self, service: SampleService) -> None:
        engine = engine_over(service, limits=EngineLimits(queue=5, batch=1))
        await engine.start()
        service.store.hold()
        waiting = [await committing(engine, ask(service.code()))]
        waiting += [asyncio.create_task(engine.verify(ask(service.code()))) for _ in range(5)]
        await until(lambda: len(engine._pending) == 5)
        refused = await engine.verify(ask(service.code()))
        assert (refused.outcome, refused.reasons) == (Outcome.UNAVAILABLE, (Detail.BUSY,))
        assert refused.retry_after_s > 0
        service.store.release()
        assert [verdict.ordinal for verdict in await asyncio.gather(*waiting)] == [1, 2, 3, 4, 5, 6]
        await engine.close()

    async def test_a_closed_engine_answers_those_it_accepted_and_no_others(
        self, service: SampleService
    ) -> None:
        service.store.hold()
        accepted = await committing(service.engine, ask(service.code()))
        closing = asyncio.create_task(service.engine.close())
        await until(lambda: service.engine._closed)
        late = await service.engine.verify(ask(service.code()))
        assert late.outcome is Outcome.UNAVAILABLE
        service.store.release()
        await closing
        assert (await accepted).outcome is Outcome.FIRST


class TestCancelledAndLate:
    async def test_a_cancelled_client_does_not_cancel_its_commit(self, service: SampleService) -> None:
        service.store.hold()
        gone = await committing(service.engine, ask(service.code(), message="m"))
        queued = asyncio.create_task(service.engine.verify(ask(service.code(), message="n")))
        await until(lambda: len(service.engine._pending) == 1)
        for task in (gone, queued):
            task.cancel()
        await asyncio.wait((gone, queued))
        assert gone.cancelled()
        service.store.release()
        again = [await service.engine.verify(ask(service.code(), message=key)) for key in ("m", "n")]
        assert [verdict.ordinal for verdict in again] == [1, 2]
        assert len(service.store.facts) == 2

    async def test_past_the_deadline_the_commit_goes_on_and_a_retry_gets_its_verdict(
        self, service: SampleService
    ) -> None:
        service.store.hold()
        late = await service.engine.verify(ask(service.code(), message="m"), deadline_ms=1)
        assert (late.outcome, late.reasons) == (Outcome.UNAVAILABLE, (Detail.DEADLINE,))
        service.store.release()
        again = await service.engine.verify(ask(service.code(), message="m"))
        assert (again.outcome, again.ordinal) == (Outcome.FIRST, 1)
        assert len(service.store.facts) == 1

    async def test_a_short_deadline_does_not_wait_behind_a_long_one(self, service: SampleService) -> None:
        service.store.hold()
        patient = await committing(service.engine, ask(service.code()))
        hasty = await service.engine.verify(ask(service.code()), deadline_ms=1)
        assert hasty.reasons == (Detail.DEADLINE,)
        assert not patient.done()
        service.store.release()
        assert (await patient).outcome is Outcome.FIRST

    async def test_a_service_that_nobody_asks_watches_no_deadline(self, service: SampleService) -> None:
        for deadline_ms in (1_999, 2_000, 2_001):
            await service.engine.verify(ask(service.code()), deadline_ms=deadline_ms)
        sweeper = service.engine._sweeper
        assert sweeper is not None
        await asyncio.wait_for(sweeper, 10)
        assert service.engine._sweeper is None
        assert service.engine._watched == {}, "each deadline would be looked at for ever"
        service.store.hold()
        late = await service.engine.verify(ask(service.code()), deadline_ms=1)
        assert late.reasons == (Detail.DEADLINE,), "and watches again"
        service.store.release()


class TestFailingStore:
    async def test_a_failed_commit_is_unavailable_for_all_and_the_next_is_fine(
        self, service: SampleService
    ) -> None:
        service.store.down = True
        service.store.hold()
        asking = [await committing(service.engine, ask(service.code()))]
        asking += [asyncio.create_task(service.engine.verify(ask(service.code()))) for _ in range(2)]
        await until(lambda: len(service.engine._pending) == 2)
        service.store.release()
        for verdict in await asyncio.gather(*asking):
            assert (verdict.outcome, verdict.reasons) == (Outcome.UNAVAILABLE, (Detail.NOT_RECORDED,))
            assert verdict.retry_after_s > 0
        service.store.down = False
        assert (await service.engine.verify(ask(service.code()))).outcome is Outcome.FIRST
        assert [event for event, _ in service.journal.failures] == ["commit_failed", "commit_failed"]

    async def test_an_error_nobody_foresaw_is_unavailable_too(self, service: SampleService) -> None:
        class Surprising(MemoryStore):
            async def record(self, drafts: object, catalogue: object) -> list[Verdict]:
                raise ZeroDivisionError

        service.engine._store = Surprising(service.store.catalogue)
        assert (await service.engine.verify(ask(service.code()))).outcome is Outcome.UNAVAILABLE

    async def test_a_catalogue_that_never_rests_is_unavailable(self, service: SampleService) -> None:
        class Restless(MemoryStore):
            async def load(self) -> object:  # type: ignore[override]
                before = self.catalogue
                self.catalogue = replace(before, version=before.version + 1)
                return before

        restless = Restless(service.store.catalogue)
        service.engine._store = service.engine._catalogues = restless
        restless.catalogue = replace(restless.catalogue, version=99)
        assert (await service.engine.verify(ask(service.code()))).outcome is Outcome.UNAVAILABLE
        assert (await service.engine.verify(ask("1234"))).outcome is Outcome.UNAVAILABLE
        assert restless.facts == []


class TestCatalogue:
    async def test_a_change_is_seen_by_the_next_commit(self, service: SampleService) -> None:
        catalogue = service.store.catalogue
        recalled = tuple(replace(batch, recalled=True) for batch in catalogue.batches)
        service.store.catalogue = replace(catalogue, version=catalogue.version + 1, batches=recalled)
        assert (await service.engine.verify(ask(service.code()))).outcome is Outcome.RECALLED
        assert service.engine.catalogue.version == catalogue.version + 1

    async def test_an_account_sees_the_brands_of_its_scope_alone(self, service: SampleService) -> None:
        strange = replace(ask(service.code()), scope=frozenset({BrandId(99)}))
        for _ in range(3):
            told = await service.engine.verify(strange)
            assert (told.outcome, told.label, told.ordinal) == (Outcome.NOT_FOUND, None, None)
        own = replace(strange, scope=frozenset({BrandId(1)}))
        assert (await service.engine.verify(own)).outcome is Outcome.FIRST

    async def test_a_second_reading_is_tried_where_the_first_is_not_authentic(
        self, service: SampleService
    ) -> None:
        request = ask(service.unknown_code())
        both = replace(request, other_readings=(Code.parse(service.code()),))
        assert (await service.engine.verify(both)).outcome is Outcome.FIRST


class TestSlips:
    @pytest.fixture
    def slip(self, service: SampleService) -> str:
        """A code of no label with one wrong digit, which nothing can locate."""
        digits = service.unknown_code()
        return f"{digits[:4]}{(int(digits[4]) + 1) % 10}{digits[5:]}"

    async def test_a_located_slip_is_pointed_at_every_time(self, service: SampleService) -> None:
        digits = service.code()
        wrong = f"{digits[:6]}{(int(digits[6]) + 1) % 10}{digits[7:]}"
        for _ in range(3):
            told = await service.engine.verify(ask(wrong, token=KNOWN))
            assert (told.outcome, told.slip_positions) == (Outcome.MISTYPED, (7,))
            assert not told.wrong_code
        assert service.store.facts == []

    async def test_sent_twice_by_one_caller_it_is_not_found(self, service: SampleService, slip: str) -> None:
        first = await service.engine.verify(ask(slip, token=KNOWN))
        assert (first.outcome, first.reasons) == (Outcome.MISTYPED, (Detail.SLIP_UNLOCATED,))
        assert first.wrong_code
        second = await service.engine.verify(ask(slip, token=KNOWN))
        assert second.outcome is Outcome.NOT_FOUND
        assert len(service.store.facts) == 1

    async def test_sent_by_two_callers_it_stays_a_slip(self, service: SampleService, slip: str) -> None:
        for token in (KNOWN, OTHER, None, None):
            told = await service.engine.verify(ask(slip, token=token))
            assert told.outcome is Outcome.MISTYPED

    async def test_the_same_message_delivered_again_is_not_a_second_sending(
        self, service: SampleService, slip: str
    ) -> None:
        told = [await service.engine.verify(ask(slip, token=KNOWN, message="m")) for _ in range(3)]
        assert {verdict.outcome for verdict in told} == {Outcome.MISTYPED}
        assert (await service.engine.verify(ask(slip, token=KNOWN, message="n"))).outcome is Outcome.NOT_FOUND
        assert (await service.engine.verify(ask(slip, token=KNOWN, message="m"))).outcome is Outcome.MISTYPED

    async def test_a_message_is_known_by_its_second_id_as_well(
        self, service: SampleService, slip: str
    ) -> None:
        request = replace(ask(slip, token=KNOWN, message="m"), alias_id="a")
        others = (
            replace(request, message_id="n"),
            replace(request, message_id="a", alias_id=None),
            replace(request, message_id="x", alias_id="m"),
        )
        for same in (request, *others):
            assert (await service.engine.verify(same)).outcome is Outcome.MISTYPED
        other = replace(request, message_id="y", alias_id="z")
        assert (await service.engine.verify(other)).outcome is Outcome.NOT_FOUND

    async def test_a_catalogue_that_changed_meanwhile_does_not_count_as_a_sending(
        self, service: SampleService, slip: str
    ) -> None:
        catalogue = service.store.catalogue
        service.store.catalogue = replace(catalogue, version=catalogue.version + 1)
        assert (await service.engine.verify(ask(slip, token=KNOWN))).outcome is Outcome.MISTYPED

    async def test_scanned_it_is_not_found(self, service: SampleService, slip: str) -> None:
        for digits in (slip, service.unknown_code(), "690123456789"):
            told = await service.engine.verify(ask(digits, token=KNOWN, entry=Entry.SCANNED))
            assert (told.outcome, told.ordinal) == (Outcome.NOT_FOUND, None)

    @pytest.mark.parametrize(
        ("text", "detail"),
        [("", Detail.NO_DIGITS), ("hello", Detail.NO_DIGITS), ("12345", Detail.WRONG_LENGTH)],
    )
    async def test_what_is_no_code_is_mistyped_and_not_recorded(
        self, service: SampleService, text: str, detail: Detail
    ) -> None:
        told = await service.engine.verify(ask(text, token=KNOWN))
        assert (told.outcome, told.reasons) == (Outcome.MISTYPED, (detail,))
        assert service.store.facts == []


class TestMessages:
    async def test_either_id_finds_the_verdict_and_makes_a_retry_no_query(
        self, service: SampleService
    ) -> None:
        request = replace(ask(service.code(), token=KNOWN, message="m"), alias_id="a")
        assert await service.engine.find_answer(request) is None
        told = await service.engine.verify(request)
        for message, alias in (("m", None), ("x", "a"), (None, "a"), ("a", None)):
            again = replace(request, message_id=message, alias_id=alias)
            assert await service.engine.find_answer(again) == told
            assert await service.engine.verify(again) == told
        assert await service.engine.find_answer(replace(request, message_id=None, alias_id=None)) is None
        assert len(service.store.facts) == 1

    async def test_the_key_of_a_message_is_that_of_its_stored_answer(self, service: SampleService) -> None:
        told = await service.engine.verify(ask(service.code(), message="m"))
        key = service.engine.message_key("sms", "", "m")
        assert len(key) == 16
        assert await service.store.find_answer(key) == told
        assert service.engine.message_key("sms", "other", "m") != key


class TestKeys:
    async def test_without_keys_every_answer_is_unavailable(self, service: SampleService) -> None:
        def refuse() -> Keyring:
            raise KeyMissing

        journal = RecordingJournal()
        engine = engine_over(service, limits=EngineLimits())
        engine._recogniser, engine._journal = CodebookRecogniser(refuse), journal
        await engine.start()
        digits = service.code()
        slip = f"{digits[:6]}{(int(digits[6]) + 1) % 10}{digits[7:]}"
        for text in (digits, service.unknown_code(), slip, "123", ""):
            for entry in Entry:
                told = await engine.verify(ask(text, token=KNOWN, message="m", entry=entry))
                assert (told.outcome, told.reasons) == (Outcome.UNAVAILABLE, (Detail.KEY_MISSING,))
        assert service.store.facts == []
        await engine.close()

    async def test_with_other_keys_every_answer_is_unavailable(self, service: SampleService) -> None:
        other = Keyring.fresh(now=service.clock.now())
        engine = engine_over(service, limits=EngineLimits())
        engine._recogniser = CodebookRecogniser(lambda: other)
        await engine.start()
        told = await engine.verify(ask(service.code()))
        assert (told.outcome, told.reasons) == (Outcome.UNAVAILABLE, (Detail.KEY_MISSING,))
        await engine.close()

    async def test_a_new_tag_key_is_read_when_its_batch_comes(self, service: SampleService) -> None:
        rings = [service.keyring]
        engine = engine_over(service, limits=EngineLimits())
        engine._recogniser = CodebookRecogniser(lambda: rings[-1])
        await engine.start()
        rings.append(rings[0].with_new_tag_key(now=service.clock.now()))
        old = service.store.catalogue
        batches = (*old.batches[1:], replace(old.batches[0], tag_key_id=2))
        service.store.catalogue = type(old).of(
            version=2, batches=batches, spans=old.spans, key_checks=rings[-1].checks()
        )
        code = rings[-1].codebook().make(old.batches[0].first_serial, tag_key_id=2)
        assert (await engine.verify(ask(code))).outcome is Outcome.FIRST
        assert (await engine.verify(ask(service.code("family")))).outcome is Outcome.FIRST
        await engine.close()
