"""A random evening of the service by seed: callers at once, replies, recalls, folds, checkpoints, restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from app.adapters.cache.memory import MemoryCache
from app.adapters.storage.sqlite import (
    FoldLimits,
    SqliteStorage,
    checkpoints,
    open_sqlite,
    upgrade_sqlite,
    writer,
)
from app.core.engine import EngineLimits, VerificationEngine
from app.core.errors import StoreUnavailable
from app.core.model.caller import Caller, CallerKind
from app.core.model.catalogue import Catalogue
from app.core.model.code import Code
from app.core.model.label import CodeBatch, LabelState
from app.core.model.reply import Accepted, PutOff, ReplyAddress
from app.core.model.verdict import Outcome, Verdict
from app.core.model.verification import VerificationRequest
from app.core.ports.correspondence import Change
from app.issuing.ports import BatchOrder, StateChange
from app.issuing.recogniser import CodebookRecogniser
from tests.fakes.clock import FakeClock
from tests.fakes.recording_journal import RecordingJournal
from tests.fakes.sample_service import fixed_keyring
from tests.proof.power_loss.failing_syncs import FailingSyncs
from tests.proof.power_loss.recording import FILE, Recording, Told, recording

STEPS: Final = 32
_LABELS: Final = 24
_ISSUED_NOT_ACTIVE: Final = 4
_CALLERS: Final = 9
_TRIES: Final = 20
_ADDRESS: Final = ReplyAddress(sender="twilio", recipient="+8613800000000", ours="1069")
_KEYRING: Final = fixed_keyring()
_SERVED: Final = ("web", "sms", "wechat")


class PlainSealing:
    """Seals nothing: the same bytes every time."""

    def seal(self, plain: bytes, *, about: bytes) -> bytes:
        return about + plain

    def open(self, sealed: bytes, *, about: bytes) -> bytes | None:
        return sealed.removeprefix(about)


async def record_workload(
    folder: Path,
    seed: str,
    *,
    steps: int = STEPS,
    only_asked: bool = False,
    fold: FoldLimits | None = None,
    syncs: FailingSyncs | None = None,
) -> Recording:
    """Create the database and live through ``steps`` random steps, each of several things at once.

    Once the schema is there, ``syncs`` fail; what is refused then is left, or begun again. With ``only_asked`` every
    step is of verifications and replies, which all go through the writer, and the service may notice by itself that
    something is wrong. ``fold`` is random where it is None.
    """
    chance = Random(seed)
    with ExitStack() as stack:
        now = stack.enter_context(recording(folder, seed, syncs))
        planted = stack.enter_context(pytest.MonkeyPatch.context())
        planted.setattr(writer, "WAL_CAP_BYTES", chance.choice((60_000, 200_000, 10**9)))
        planted.setattr(writer, "_WAL_LOOKS_EVERY", 4)
        planted.setattr(checkpoints, "_AT_BYTES", chance.choice((1, 60_000)))
        upgrade_sqlite(folder / FILE)
        now.upgraded = len(now.operations)
        life = _Life(now, folder / FILE, chance, fold)
        if syncs is not None:
            syncs.on = True
        await life.begin(life.open)
        try:
            await life.begin(life.issue)
            for _ in range(steps):
                await (life.ask() if only_asked else life.step())
            if syncs is not None:
                syncs.on = False
            now.catalogue = await life.catalogue()
            if not only_asked:
                await life.require_same_answers()
                life.require_failures(only=None if syncs is None else StoreUnavailable)
        finally:
            await life.close()
    return now


class _Life:
    def __init__(self, now: Recording, path: Path, chance: Random, fold: FoldLimits | None) -> None:
        self._now = now
        self._path = path
        self._chance = chance
        self._fold_limits = fold
        self._clock = FakeClock()
        self._journal = RecordingJournal()
        self._recogniser = CodebookRecogniser(lambda: _KEYRING)
        self._codebook = _KEYRING.codebook()
        self._messages = 0
        self._answers: list[tuple[VerificationRequest, Verdict]] = []
        self._batches: list[CodeBatch] = []
        self._steps: tuple[tuple[int, Callable[[], Awaitable[Any]]], ...] = (
            (24, self.ask),
            (2, self._ask_for_nothing),
            (4, self._reply),
            (3, self._change),
            (3, self._look),
            (2, self._fold),
            (1, self._erase),
            (1, self._restart),
            (1, self.issue),
        )

    async def open(self) -> None:
        chance = self._chance
        fold = self._fold_limits or FoldLimits(
            labels=chance.choice((2, 6, 50)), facts=chance.choice((3, 20, 200)), slice=chance.choice((1, 4))
        )
        self._storage: SqliteStorage = await open_sqlite(self._path, fold=fold)
        self._outbox = self._storage.outbox(PlainSealing())
        self._engine = VerificationEngine(
            recogniser=self._recogniser,
            store=self._storage.verifications,
            catalogues=self._storage.catalogues,
            cache=MemoryCache(self._clock),
            clock=self._clock,
            journal=self._journal,
            limits=EngineLimits(batch=chance.choice((1, 3, 100))),
        )
        await self._engine.start()

    async def begin(self, what: Callable[[], Awaitable[Any]]) -> None:
        """Do what the rest of the evening needs; again, as an operator would, where a sync failed."""
        for _ in range(_TRIES):
            try:
                await what()
            except StoreUnavailable:
                if not self._now.failed:
                    raise
            else:
                return
        raise AssertionError(f"{what} was refused {_TRIES} times")

    async def close(self) -> None:
        await self._engine.close()
        await self._storage.close()

    def require_failures(self, *, only: type[Exception] | None) -> None:
        others = [
            failure for failure in self._journal.failures if only is None or not isinstance(failure[1], only)
        ]
        assert not others, others

    async def catalogue(self) -> Catalogue:
        return await self._storage.catalogues.load()

    async def require_same_answers(self) -> None:
        """What is stored for every message is what its caller was told, every time it came."""
        for request, verdict in self._answers:
            refused = verdict.outcome is Outcome.UNAVAILABLE
            assert request.message_id is None or refused or await self._engine.find_answer(request) == verdict

    async def step(self) -> None:
        self._clock.advance(1)
        (todo,) = self._chance.choices(
            [step for _, step in self._steps], [weight for weight, _ in self._steps]
        )
        try:
            await todo()
        except StoreUnavailable:
            if not self._now.failed:
                raise
            await self._notice()

    # -- steps -----------------------------------------------------------------------------------------------

    async def issue(self) -> None:
        registry = self._storage.registry
        if not self._batches:
            await registry.put_key_checks(_KEYRING.checks())
        brand = await registry.add_brand(name="青禾")
        product = await registry.add_product(brand_id=brand.id, name="奶粉")
        order = BatchOrder(
            product_id=product.id,
            layout=20,
            quantity=_LABELS,
            at_most=10**9,
            tag_key_id=1,
            url_prefix="https://verify.example/q/",
            issued_at=self._clock.now(),
        )
        batch = await registry.issue_batch(order)
        self._batches.append(batch)
        await self._set(batch, 0, _LABELS - _ISSUED_NOT_ACTIVE - 1, LabelState.ACTIVE)
        await self._notice()

    async def ask(self) -> None:
        """Some callers at once, and beside them what callers' messages bring about."""
        number = self._chance.choice((1, 2, 5, 12))
        jobs: list[Awaitable[Any]] = [self._verify(self._request(self._serial())) for _ in range(number)]
        jobs += [self._owe() for _ in range(self._chance.choice((0, 0, 1, 3)))]
        if self._chance.random() < 0.3:
            jobs.append(self._obey())
        self._chance.shuffle(jobs)
        for found in await asyncio.gather(*jobs, return_exceptions=True):
            if isinstance(found, BaseException):  # once nothing else is under way
                raise found

    async def _ask_for_nothing(self) -> None:
        """A code that is in no batch; alone, because looking it up takes a turn of another thread."""
        await self._verify(self._request(20 * 10**15 + 10**9))

    async def _verify(self, request: VerificationRequest) -> None:
        verdict = await self._engine.verify(request)
        self._now.told.append(Told(position=len(self._now.operations), verdict=verdict))
        self._answers.append((request, verdict))

    async def _reply(self) -> None:
        replies = await self._outbox.take(self._clock.now(), limit=self._chance.choice((1, 8)))
        late = PutOff(until=self._clock.now())
        for reply in replies:
            settlement = self._chance.choice((Accepted(provider_id=f"SM{reply.id}"), late))
            await self._outbox.settle(reply.id, settlement, now=self._clock.now())

    async def _change(self) -> None:
        batch = self._chance.choice(self._batches)
        if self._chance.random() < 0.5:
            recalled = self._chance.random() < 0.5
            at = self._clock.now()
            await self._storage.registry.set_recalled(batch.id, recalled=recalled, reason="玻璃", at=at)
        else:
            first = self._chance.randrange(_LABELS)
            state = self._chance.choice((LabelState.ACTIVE, LabelState.VOIDED, LabelState.EXPIRED))
            await self._set(batch, first, min(first + 3, _LABELS - 1), state)
        await self._notice()

    async def _notice(self) -> None:
        """Let the engine meet the change alone: beside other commits its reading would stand in a checkpoint's way."""
        await self._verify(self._request(self._serial()))

    async def _look(self) -> None:
        await asyncio.to_thread(self._storage._checkpointer.look)

    async def _fold(self) -> None:
        """Fold as the writer does when nothing is asked for."""
        labels = self._chance.choice((1, 8))
        await self._storage._writer.submit(lambda _db, histories: histories.fold(labels))

    async def _erase(self) -> None:
        await self._storage.erase(self._token(self._chance.randrange(_CALLERS)))

    async def _restart(self) -> None:
        await self.close()
        await self.begin(self.open)

    # -- what is asked ---------------------------------------------------------------------------------------

    def _request(self, serial: int) -> VerificationRequest:
        chance = self._chance
        message = alias = None
        if chance.random() < 0.4:  # sometimes one that was sent before
            message = str(
                self._next_message() if chance.random() < 0.7 else chance.randint(0, self._messages)
            )
            alias = f"alias {message}" if chance.random() < 0.3 else None
        return VerificationRequest(
            code=Code(digits=self._codebook.make(serial, tag_key_id=1)),
            caller=self._caller(),
            channel=chance.choice(_SERVED),
            message_id=message,
            alias_id=alias,
            received_at=self._clock.now(),
            place=chance.choice(("", "浙江杭州")),
        )

    def _serial(self) -> int:
        """Return a label, mostly one of a few that everybody asks for."""
        batch = self._chance.choice(self._batches)
        return batch.first_serial + min(int(self._chance.expovariate(0.2)), _LABELS - 1)

    def _caller(self) -> Caller:
        number = self._chance.randrange(_CALLERS)
        return Caller(kind=CallerKind.PHONE, token=self._token(number) if number else None)

    @staticmethod
    def _token(number: int) -> bytes:
        return b"caller-number-%02d" % number

    def _next_message(self) -> int:
        self._messages += 1
        return self._messages

    async def _owe(self) -> None:
        key = self._next_message().to_bytes(16, "big")
        await self._outbox.owe(key, _ADDRESS, now=self._clock.now(), text="正品。")

    async def _obey(self) -> None:
        change = Change(locale=self._chance.choice(("en", "zh-CN")))
        await self._storage.correspondence.change(
            self._caller(),
            change,
            message_key=self._next_message().to_bytes(16, "big"),
            now=self._clock.now(),
        )

    async def _set(self, batch: CodeBatch, first: int, last: int, state: LabelState) -> None:
        change = StateChange(
            batch_id=batch.id,
            first_serial=batch.first_serial + first,
            last_serial=batch.first_serial + last,
            state=state,
        )
        await self._storage.registry.change_states([change], at=self._clock.now())
