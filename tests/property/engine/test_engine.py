"""The whole engine over SQLite, with real keys, against a small model: any callers, messages, slips and changes."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from app.adapters.cache.memory import MemoryCache
from app.adapters.storage.sqlite import FoldLimits, SqliteStorage, open_sqlite, upgrade_sqlite
from app.core.engine import VerificationEngine
from app.core.model.caller import Caller, CallerKind
from app.core.model.code import Code, Entry, read_codes
from app.core.model.label import BatchId, BrandId, CodeBatch, Disclosure, LabelState, ProductId, Thresholds
from app.core.model.verdict import Detail, Outcome, Verdict
from app.core.model.verification import VerificationRequest
from app.issuing.keyring import Keyring
from app.issuing.ports import BatchOrder, StateChange
from app.issuing.recogniser import CodebookRecogniser
from tests.fakes.clock import START, FakeClock
from tests.fakes.recording_journal import RecordingJournal
from tests.fakes.sample_service import fixed_keyring
from tests.property.engine.history_model import Asked, HistoryModel

_PER_BATCH = 3
_BATCHES_AT_MOST = 6
_THRESHOLDS = (Thresholds(genuine=1, warn=2), Thresholds(genuine=2, warn=4))
_CALLERS = st.sampled_from([None, b"caller-number-01", b"caller-number-02", b"caller-number-03"])
_CHANNELS = st.sampled_from(["web", "api", "sms"])
_MESSAGES = st.one_of(st.none(), st.sampled_from(["1", "2", "3"]))
_ENTRIES = st.sampled_from(Entry)
_SCOPES = st.sampled_from([None, None, None, frozenset({1}), frozenset({2})])
_CHANGES = (LabelState.ACTIVE, LabelState.ACTIVE, LabelState.VOIDED, LabelState.EXPIRED)
_FOLD = FoldLimits(labels=2, facts=4, slice=1)


@dataclass(slots=True)
class _BatchModel:
    batch: CodeBatch
    recalled: bool = False
    states: list[LabelState] = field(default_factory=lambda: [LabelState.ISSUED] * _PER_BATCH)

    def own_outcomes(self, place: int) -> list[Outcome]:
        """Return what the label's state says, strongest first: a recall, then void, not active, expired."""
        told = [Outcome.RECALLED] if self.recalled else []
        by_state = {
            LabelState.VOIDED: [Outcome.VOIDED],
            LabelState.ISSUED: [Outcome.NOT_ACTIVE],
            LabelState.EXPIRED: [Outcome.EXPIRED],
            LabelState.ACTIVE: [],
        }
        return told + by_state[self.states[place]]


class EngineMachine(RuleBasedStateMachine):
    """One service and, beside it, the command line on the same file. The second brand discloses little."""

    empty: Path

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = FakeClock()
        self.ring: Keyring = fixed_keyring()
        self.batches: list[_BatchModel] = []
        self.history = HistoryModel()
        self.messages: dict[tuple[str, str], Verdict] = {}
        self.slips: dict[tuple[str, bytes], tuple[str, str] | None] = {}
        self.opened: list[SqliteStorage] = []

    @initialize()
    def start(self) -> None:
        shutil.copy(self.empty, self.folder / "record.db")
        self.runner.run(self._open())
        self.issue(brand=0)
        self.issue(brand=1)

    # -- what the command line does --------------------------------------------------------------------------

    @precondition(lambda self: len(self.batches) < _BATCHES_AT_MOST)
    @rule(brand=st.integers(0, 1))
    def issue(self, brand: int) -> None:
        order = BatchOrder(
            product_id=ProductId(brand + 1),
            layout=20,
            quantity=_PER_BATCH,
            at_most=10**9,
            tag_key_id=self.ring.current_tag_key_id,
            url_prefix="",
            issued_at=START,
        )
        self.batches.append(_BatchModel(self.runner.run(self.office.registry.issue_batch(order))))

    @rule()
    def rotate_keys(self) -> None:
        self.ring = self.ring.with_new_tag_key(now=START)
        self.runner.run(self.office.registry.put_key_checks(self.ring.checks()))

    @rule(data=st.data(), state=st.sampled_from(_CHANGES))
    def change(self, data: st.DataObject, state: LabelState) -> None:
        model = data.draw(st.sampled_from(self.batches))
        first = data.draw(st.integers(0, _PER_BATCH - 1))
        last = data.draw(st.integers(first, _PER_BATCH - 1))
        start = model.batch.first_serial
        change = StateChange(
            batch_id=model.batch.id, first_serial=start + first, last_serial=start + last, state=state
        )
        self.runner.run(self.office.registry.change_states([change], at=START))
        model.states[first : last + 1] = [state] * (last + 1 - first)

    @rule(data=st.data(), recalled=st.booleans())
    def recall(self, data: st.DataObject, recalled: bool) -> None:
        model = data.draw(st.sampled_from(self.batches))
        batch = BatchId(model.batch.id)
        self.runner.run(self.office.registry.set_recalled(batch, recalled=recalled, reason="x", at=START))
        model.recalled = recalled

    # -- what time and the machine do ------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([-90_000, -700, -1, 1, 590, 700, 90_000]))
    def jump(self, seconds: int) -> None:
        self.clock.jump(seconds)

    @rule(orderly=st.booleans())
    def restart(self, orderly: bool) -> None:
        self.runner.run(self._restart(orderly=orderly))
        self.slips = {}  # they are remembered in a cache

    # -- what shoppers do ------------------------------------------------------------------------------------

    @rule(data=st.data(), token=_CALLERS, channel=_CHANNELS, message=_MESSAGES, entry=_ENTRIES, scope=_SCOPES)
    def verify(
        self,
        data: st.DataObject,
        token: bytes | None,
        channel: str,
        message: str | None,
        entry: Entry,
        scope: frozenset[BrandId] | None,
    ) -> None:
        model, place, digits = self._draw_label(data)
        text = data.draw(st.sampled_from([digits, " ".join(digits), f"https://x.example/q/{digits}"]))
        request = self._request(read_codes(text, entry=entry).code, token, channel, message)
        told = self._ask(replace(request, scope=scope))
        if self._is_retry(request, told):
            return
        brand = model.batch.product.brand
        if scope is not None and brand.id not in scope:
            self._expect_not_found(request, told)
            return
        own = model.own_outcomes(place)
        if own and own[0] in {Outcome.VOIDED, Outcome.NOT_ACTIVE}:
            little = brand.disclosure is Disclosure.MINIMAL
            assert told.outcome is (Outcome.NOT_FOUND if little else own[0])
            assert (told.ordinal, told.first, told.label is None) == (None, None, little)
        else:
            serial = model.batch.first_serial + place
            self.history.count(serial, Asked(at=request.received_at, channel=channel, token=token))
            rule_of_product = model.batch.thresholds
            limits = (rule_of_product.genuine, rule_of_product.warn)
            hidden = {Outcome.VOIDED, Outcome.NOT_ACTIVE} if brand.disclosure is Disclosure.MINIMAL else set()
            stronger = [outcome for outcome in own if outcome not in hidden]
            self.history.check(serial, told, thresholds=limits, stronger=stronger)
        self._remember(request, told)

    @rule(token=_CALLERS, channel=_CHANNELS, message=_MESSAGES, entry=_ENTRIES, number=st.integers(0, 3))
    def verify_unknown(
        self, token: bytes | None, channel: str, message: str | None, entry: Entry, number: int
    ) -> None:
        request = self._request(Code.parse(self._unknown(number), entry=entry), token, channel, message)
        told = self._ask(request)
        if not self._is_retry(request, told):
            self._expect_not_found(request, told)

    @rule(data=st.data(), token=_CALLERS, message=_MESSAGES, entry=_ENTRIES, place=st.integers(0, 17))
    def mistype(
        self, data: st.DataObject, token: bytes | None, message: str | None, entry: Entry, place: int
    ) -> None:
        """One wrong digit in the code of a label, or, of a code that is no label's, a slip nobody can locate."""
        real = data.draw(st.booleans())
        digits = self._unknown(place % 2)
        if real:
            model, at, digits = self._draw_label(data)
            own, brand = model.own_outcomes(at), model.batch.product.brand
            # a slip must not betray what its brand hides
            hidden = bool(own) and own[0] in {Outcome.VOIDED, Outcome.NOT_ACTIVE}
            real = not (hidden and brand.disclosure is Disclosure.MINIMAL)
        wrong = f"{digits[:place]}{(int(digits[place]) + 1) % 10}{digits[place + 1 :]}"
        request = self._request(Code.parse(wrong, entry=entry), token, "sms", message)
        told = self._ask(request)
        if entry is Entry.SCANNED:
            if not self._is_retry(request, told):
                self._expect_not_found(request, told)
            return
        if real:
            assert (told.outcome, told.slip_positions) == (Outcome.MISTYPED, (place + 1,))
            return
        key = (wrong, token or b"")
        mine = self._message_of(request)
        again = token is not None and key in self.slips and not (mine and self.slips[key] == mine)
        if again:
            if not self._is_retry(request, told):
                self._expect_not_found(request, told)
            return
        assert (told.outcome, told.reasons) == (Outcome.MISTYPED, (Detail.SLIP_UNLOCATED,))
        assert (told.ordinal, told.verification_id, told.slip_positions) == (None, None, ())
        if token is not None:
            self.slips.setdefault(key, mine)

    # -- the model's own -------------------------------------------------------------------------------------

    def _message_of(self, request: VerificationRequest) -> tuple[str, str] | None:
        return (request.channel, request.message_id) if request.message_id else None

    def _is_retry(self, request: VerificationRequest, told: Verdict) -> bool:
        message = self._message_of(request)
        if message is None or message not in self.messages:
            return False
        assert told == self.messages[message]
        return True

    def _remember(self, request: VerificationRequest, told: Verdict) -> None:
        message = self._message_of(request)
        if message is not None:
            self.messages[message] = told

    def _expect_not_found(self, request: VerificationRequest, told: Verdict) -> None:
        assert (told.outcome, told.ordinal, told.first, told.label) == (Outcome.NOT_FOUND, None, None, None)
        assert told.verification_id is not None
        self._remember(request, told)

    def _draw_label(self, data: st.DataObject) -> tuple[_BatchModel, int, str]:
        model = data.draw(st.sampled_from(self.batches))
        place = data.draw(st.integers(0, _PER_BATCH - 1))
        assert model.batch.tag_key_id is not None
        code = self.ring.codebook().make(model.batch.first_serial + place, tag_key_id=model.batch.tag_key_id)
        return model, place, code

    def _unknown(self, number: int) -> str:
        return self.ring.codebook().make(20 * 10**15 + 10**9 + number, tag_key_id=1)

    def _request(
        self, code: Code, token: bytes | None, channel: str, message: str | None
    ) -> VerificationRequest:
        return VerificationRequest(
            code=code,
            caller=Caller(kind=CallerKind.PHONE, token=token),
            channel=channel,
            message_id=message,
            received_at=self.clock.now(),
        )

    def _ask(self, request: VerificationRequest) -> Verdict:
        told = self.runner.run(self.engine.verify(request))
        assert self.journal.failures == []
        return told

    async def _open(self) -> None:
        path = self.folder / "record.db"
        self.storage = await open_sqlite(path, fold=_FOLD)
        self.office = await open_sqlite(path, fold=_FOLD)
        self.journal = RecordingJournal()
        self.engine = VerificationEngine(
            recogniser=CodebookRecogniser(lambda: self.ring),
            store=self.storage.verifications,
            catalogues=self.storage.catalogues,
            cache=MemoryCache(self.clock),
            clock=self.clock,
            journal=self.journal,
        )
        await self.engine.start()
        self.opened = [self.storage, self.office]

    async def _restart(self, *, orderly: bool) -> None:
        if not orderly:  # what was in memory is gone, folded or not
            await self.storage.verifications._writer.submit(lambda _db, histories: histories.reset())
        await self._close()
        await self._open()

    async def _close(self) -> None:
        if self.opened:
            await self.engine.close()
        for storage in self.opened:
            await storage.close()
        self.opened = []

    def teardown(self) -> None:
        try:
            self.runner.run(self._close())
        finally:
            self.runner.close()
            shutil.rmtree(self.folder)


async def _prepare(path: Path) -> None:
    upgrade_sqlite(path)
    storage = await open_sqlite(path)
    try:
        for disclosure, thresholds in zip(Disclosure, _THRESHOLDS, strict=True):
            brand = await storage.registry.add_brand(name="青禾", disclosure=disclosure)
            await storage.registry.add_product(brand_id=brand.id, name="奶粉", thresholds=thresholds)
        await storage.registry.put_key_checks(fixed_keyring().checks())
    finally:
        await storage.close()


@pytest.fixture(scope="module", autouse=True)
def empty(tmp_path_factory: pytest.TempPathFactory) -> None:
    EngineMachine.empty = tmp_path_factory.mktemp("empty") / "record.db"
    asyncio.run(_prepare(EngineMachine.empty))


TestEngine = EngineMachine.TestCase
TestEngine.settings = settings(max_examples=settings().max_examples // 2, stateful_step_count=30)
