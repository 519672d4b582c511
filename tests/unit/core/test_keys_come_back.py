"""Keys that do not fit stop every answer, also for imports and slips, and the right ones are taken up again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.adapters.cache.memory import MemoryCache
from app.core.engine import VerificationEngine
from app.core.errors import KeyMissing, StoreUnavailable
from app.core.model.caller import Caller, CallerKind
from app.core.model.code import Code
from app.core.model.verdict import Detail, Outcome, Verdict
from app.core.model.verification import VerificationRequest
from app.issuing.keyring import Keyring
from app.issuing.recogniser import CodebookRecogniser
from tests.fakes.clock import START, FakeClock
from tests.fakes.memory_store import MemoryStore
from tests.fakes.recording_journal import RecordingJournal
from tests.fakes.sample_service import fixed_keyring, sample_catalogue


class KeyShelf:
    """What stands where the key file is expected."""

    def __init__(self, ring: Keyring | None) -> None:
        self.ring = ring

    def load(self) -> Keyring:
        if self.ring is None:
            raise KeyMissing
        return self.ring


@pytest.mark.parametrize("wrong", [None, Keyring.fresh(now=START)], ids=["missing", "another"])
async def test_without_its_keys_nothing_is_said_of_any_code(wrong: Keyring | None) -> None:
    right = fixed_keyring()
    shelf, clock = KeyShelf(wrong), FakeClock()
    store = MemoryStore(replace(sample_catalogue(right), imported_lengths=frozenset({12})))
    engine = VerificationEngine(
        recogniser=CodebookRecogniser(shelf.load),
        store=store,
        catalogues=store,
        cache=MemoryCache(clock),
        clock=clock,
        journal=RecordingJournal(),
    )
    await engine.start()

    async def ask(digits: str) -> Verdict:
        caller = Caller(kind=CallerKind.WEB, token=b"caller-number-01")
        code = Code(digits=digits)
        return await engine.verify(
            VerificationRequest(code=code, caller=caller, channel="api", received_at=clock.now())
        )

    real = right.codebook().make(20 * 10**15, tag_key_id=1)
    unknown = right.codebook().make(20 * 10**15 + 10**9, tag_key_id=1)
    slip = real[:6] + str((int(real[6]) + 1) % 10) + real[7:]
    for digits in (real, unknown, slip, "123456789012", "12345", ""):
        told = await ask(digits)
        assert (told.outcome, told.reasons) == (Outcome.UNAVAILABLE, (Detail.KEY_MISSING,))
    with pytest.raises(StoreUnavailable):
        await engine.check()
    assert store.facts == []
    shelf.ring = right
    await engine.check()
    assert (await ask(real)).outcome is Outcome.FIRST
    await engine.close()
