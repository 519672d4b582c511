"""VerificationEngine: the one use case. Recognise, record, decide; a verdict leaves only after its commit.

Concurrent verifications share one commit: whatever is pending when the last commit ends is the next batch, so
batches size themselves and a lone query waits for nothing. One sweeper watches every deadline.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.core.errors import CatalogueChanged, StoreUnavailable, YanzhenError
from app.core.invariants import Guard
from app.core.model.catalogue import Catalogue
from app.core.model.code import PRESET_LENGTHS, Code, Entry
from app.core.model.label import Label
from app.core.model.verdict import Detail, Outcome, Verdict, VerificationId
from app.core.model.verification import Draft, Record, VerificationRequest
from app.core.ports.cache import Cache
from app.core.ports.clock import Clock
from app.core.ports.journal import Journal
from app.core.ports.labels import KeysMissing, Recognised, Recogniser, Recognition
from app.core.ports.verifications import CatalogueStore, VerificationStore
from app.core.rules import hides

_SLIP_MEMORY_S: Final = 24 * 3600.0
_SWEEP_S: Final = 0.05
_RETRY_AFTER_S: Final = 5
_CATALOGUE_TRIES: Final = 5
_KEY_BYTES: Final = 16
ANSWERS_BESIDE_A_SERVER: Final = 32  # a millisecond's work: the next commit does not wait longer than that


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLimits:
    """``queue`` bounds the verifications waiting for a commit, ``batch`` those sharing one.

    ``answers`` of a commit are given at once, then the loop turns to what came in. Fewer than a batch let the next
    commit begin meanwhile, which is of use where the store works in another process.
    """

    queue: int = 4096
    batch: int = 1024
    answers: int = 1024


@dataclass(slots=True)
class _Pending:
    request: VerificationRequest
    draft: Draft
    future: asyncio.Future[Verdict]
    catalogue: Catalogue  # what the draft was resolved under, or an older one


class VerificationEngine:
    """The core use case, made for one event loop. ``start`` before use; ``close`` waits for what is under way."""

    def __init__(
        self,
        *,
        recogniser: Recogniser,
        store: VerificationStore,
        catalogues: CatalogueStore,
        cache: Cache,
        clock: Clock,
        journal: Journal,
        limits: EngineLimits | None = None,
    ) -> None:
        self._recogniser = recogniser
        self._store = store
        self._catalogues = catalogues
        self._cache = cache
        self._clock = clock
        self._journal = journal
        self._guard = Guard(store, journal)
        self._limits = limits or EngineLimits()
        self._catalogue = Catalogue(version=-1)
        self._pending: list[_Pending] = []
        self._drainer: asyncio.Task[None] | None = None
        self._answering: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.Task[None] | None = None
        self._watched: dict[int, deque[tuple[float, asyncio.Future[Verdict]]]] = {}
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def catalogue(self) -> Catalogue:
        """The snapshot that the next query is recognised against."""
        return self._catalogue

    async def start(self) -> None:
        """Load the catalogue. Raises ``StoreUnavailable``."""
        # kept, because asking for it costs a system call on Python 3.11
        self._loop = asyncio.get_running_loop()
        self._catalogue = await self._catalogues.load()

    async def close(self) -> None:
        """Refuse new queries and wait until every accepted one is answered."""
        self._closed = True
        while self._drainer is not None or self._answering:
            await asyncio.wait((*self._answering, *((self._drainer,) if self._drainer is not None else ())))
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.wait((self._sweeper,))

    async def verify(self, request: VerificationRequest, *, deadline_ms: int = 10_000) -> Verdict:
        """Answer one query; recorded before it returns, except for outcomes that record nothing.

        Never raises for any input. Past ``deadline_ms`` the answer is ``unavailable``, while the commit goes on:
        a retry with the same message id gets its verdict. Cancelling the caller does not cancel the commit.
        """
        loop = self._loop
        if loop is None:
            raise RuntimeError("start the engine before asking it")
        catalogue = self._catalogue
        recognition, label = self._look(request, request.code, catalogue)
        if label is not None and not hides(label) and type(recognition) is Recognised:
            resolved: Draft | Verdict = self._draft(request, label)
        else:
            try:
                async with asyncio.timeout(deadline_ms / 1000):
                    resolved = await self._resolve_current(request)
            except TimeoutError:
                return _unavailable(Detail.DEADLINE)
            except YanzhenError as error:
                self._journal.failed("resolve_failed", error)
                return _unavailable(Detail.NOT_RECORDED)
        if not isinstance(resolved, Draft):
            return resolved
        if self._closed or len(self._pending) >= self._limits.queue:
            return _unavailable(Detail.BUSY)
        future: asyncio.Future[Verdict] = loop.create_future()
        self._pending.append(_Pending(request, resolved, future, catalogue))
        if self._drainer is None:
            self._drainer = loop.create_task(self._drain())
        self._watch(loop, deadline_ms, future)
        return await future

    async def find_answer(self, request: VerificationRequest) -> Verdict | None:
        """Return the verdict already given to this message, or None. Raises ``StoreUnavailable``."""
        key, alias = self._message_key(request), self._alias_key(request)
        if key is None:
            key, alias = alias, None
        verdict = await self._store.find_answer(key, alias) if key is not None else None
        return verdict if verdict is not None and self._guard.trusts(verdict) else None

    def message_key(self, channel: str, account: str, message_id: str) -> bytes:
        """Return the 16 bytes under which a message is known. Raises ``KeyMissing`` or ``KeyFileInvalid``."""
        return self._recogniser.message_key(channel, account, message_id)

    async def find_record(self, verification_id: VerificationId, reader_token: bytes | None) -> Record | None:
        """Return a recorded verification for its result page, or None. Raises ``StoreUnavailable``."""
        return await self._store.find_record(verification_id, reader_token, self._catalogue)

    async def find_own(self, reader_token: bytes, channel: str, limit: int) -> Sequence[Record]:
        """Return a caller's own verifications on ``channel``, the newest first. Raises ``StoreUnavailable``."""
        return await self._store.find_own(reader_token, channel, limit, self._catalogue)

    async def check(self) -> None:
        """Raise unless a verification could be recorded and decided now; see ``VerificationStore.check``."""
        await self._store.check()
        if await self._catalogues.version() != self._catalogue.version:
            await self._refresh()
        if not self._recogniser.keys_fit(self._catalogue):
            self._recogniser.reload()  # the right file may be back, and no change of the catalogue would tell
        if not self._recogniser.keys_fit(self._catalogue):
            raise StoreUnavailable(
                "The key file does not fit the database. Restore the key file from its backup."
            )

    # -- recognise -------------------------------------------------------------------------------------------

    async def _resolve_current(self, request: VerificationRequest) -> Draft | Verdict:
        """Resolve off the hot path. An answer that records nothing is given only under the current catalogue."""
        for _ in range(_CATALOGUE_TRIES):
            catalogue = self._catalogue
            resolved = await self._resolve(request, catalogue)
            if isinstance(resolved, Draft):
                return resolved
            if await self._catalogues.version() == catalogue.version:
                return await self._weigh_slip(request, resolved, catalogue)
            await self._refresh()
        return _unavailable(Detail.BUSY)

    async def _resolve(self, request: VerificationRequest, catalogue: Catalogue) -> Draft | Verdict:
        keys_missing = sound = False
        withheld: Label | None = (
            None  # the truth behind the first reading, which is answered like an unknown code
        )
        for code in (request.code, *request.other_readings):
            recognition, label = self._look(request, code, catalogue)
            hidden, known = hides(label), type(recognition) is Recognised
            if known and not hidden and label is not None:
                return self._draft(request, label)
            if isinstance(recognition, KeysMissing):
                keys_missing = True
            elif code is request.code:
                sound = isinstance(recognition, Recognised) or recognition.sound
            if len(code.digits) in catalogue.imported_lengths and not keys_missing:
                # asked for a label that its brand hides as well: the same path and time as a code unknown to us
                serial = await self._catalogues.find_imported(self._recogniser.code_digest(code))
                if serial is not None and not known:
                    label, known = self._label(request, catalogue, serial), True
                    if label is not None and not hides(label):
                        return self._draft(request, label)
            if known and code is request.code:
                withheld = label
        if keys_missing:
            return _unavailable(Detail.KEY_MISSING)
        return self._resolve_unrecognised(request, catalogue, sound=sound, withheld=withheld)

    def _look(
        self, request: VerificationRequest, code: Code, catalogue: Catalogue
    ) -> tuple[Recognition, Label | None]:
        """Return what a code is recognised as, and its label.

        Where it is no label's, a stand-in's: looking at it takes the time that a label takes which its brand hides.
        """
        recognition = self._recogniser.recognise(code, catalogue)
        serial = recognition.serial if isinstance(recognition, Recognised) else None
        return recognition, self._label(request, catalogue, serial)

    def _label(self, request: VerificationRequest, catalogue: Catalogue, serial: int | None) -> Label | None:
        """Return the label of ``serial`` within the scope, None for none; without a serial the stand-in."""
        stand_in = catalogue.stand_in if serial is None else None
        if serial is None:
            if stand_in is None:
                return None
            serial = stand_in.first_serial
        batch = catalogue.batch_of(serial)
        if batch is None:
            return None
        label = catalogue.label(serial, stand_in or batch)
        foreign = request.scope is not None and batch.product.brand.id not in request.scope
        return None if foreign and stand_in is None else label

    def _resolve_unrecognised(
        self, request: VerificationRequest, catalogue: Catalogue, *, sound: bool, withheld: Label | None
    ) -> Draft | Verdict:
        """Tell a slip from a code that is not in the record; ``sound`` where its check digits hold."""
        code = request.code
        if not code.digits:
            return Verdict(outcome=Outcome.MISTYPED, reasons=(Detail.NO_DIGITS,))
        if sound or code.entry is Entry.SCANNED:
            return self._draft_unknown(request, catalogue, withheld)
        if len(code.digits) not in PRESET_LENGTHS:
            if len(code.digits) in catalogue.imported_lengths:
                return self._draft_unknown(request, catalogue, withheld)
            return Verdict(outcome=Outcome.MISTYPED, reasons=(Detail.WRONG_LENGTH,))
        positions = self._recogniser.locate_slip(code, catalogue)
        if positions:
            return Verdict(outcome=Outcome.MISTYPED, reasons=(Detail.SLIP_LOCATED,), slip_positions=positions)
        return Verdict(outcome=Outcome.MISTYPED, reasons=(Detail.SLIP_UNLOCATED,))

    async def _weigh_slip(
        self, request: VerificationRequest, resolved: Draft | Verdict, catalogue: Catalogue
    ) -> Draft | Verdict:
        """Turn an unlocated slip that this caller sent before, in another message, into a code not in the record."""
        token = request.caller.token
        if token is None or isinstance(resolved, Draft) or Detail.SLIP_UNLOCATED not in resolved.reasons:
            return resolved
        key = f"slip:{self._recogniser.code_digest(request.code).hex()}:{token.hex()}"
        message = (self._message_key(request) or b"") + (self._alias_key(request) or b"")
        before = await self._cache.find(key)
        if before is None:
            await self._cache.put(key, message, ttl_s=_SLIP_MEMORY_S)
            return resolved
        if _share_a_key(before, message):  # the provider delivered the same message again
            return resolved
        return self._draft_unknown(request, catalogue, None)

    def _draft_unknown(
        self, request: VerificationRequest, catalogue: Catalogue, withheld: Label | None
    ) -> Draft:
        """Draft what is announced as not in the record, in equal steps whether or not a label is behind it."""
        digest = self._recogniser.code_digest(request.code)
        stand_in = self._label(request, catalogue, None)
        return self._draft(request, withheld, digest=digest, stand_in=stand_in)

    def _draft(
        self,
        request: VerificationRequest,
        label: Label | None,
        *,
        digest: bytes | None = None,
        stand_in: Label | None = None,
    ) -> Draft:
        if label is None and digest is None:
            digest = self._recogniser.code_digest(request.code)
        return Draft(
            label=label,
            code_digest=digest if label is None else None,
            stand_in=stand_in,
            caller=request.caller,
            channel=request.channel,
            place=request.place,
            received_at=request.received_at,
            message_key=self._message_key(request) if request.message_id is not None else None,
            alias_key=self._alias_key(request) if request.alias_id is not None else None,
        )

    def _message_key(self, request: VerificationRequest) -> bytes | None:
        if request.message_id is None:
            return None
        return self._recogniser.message_key(request.channel, request.account, request.message_id)

    def _alias_key(self, request: VerificationRequest) -> bytes | None:
        if request.alias_id is None:
            return None
        return self._recogniser.message_key(request.channel, request.account, request.alias_id)

    async def _refresh(self) -> None:
        """Load the catalogue again, and the keys with it, because a new batch may need a new key."""
        catalogue = await self._catalogues.load()
        if not self._recogniser.keys_fit(catalogue) or catalogue.version != self._catalogue.version:
            self._recogniser.reload()
        self._catalogue = catalogue

    # -- record ----------------------------------------------------------------------------------------------

    async def _drain(self) -> None:
        """Commit batch after batch until nothing is pending. No await stands between the last look and the end."""
        try:
            while self._pending:
                batch = self._pending[: self._limits.batch]
                del self._pending[: self._limits.batch]
                await self._commit(batch)
        finally:
            self._drainer = None

    async def _commit(self, batch: list[_Pending]) -> None:
        """Record one batch and answer each of its queries; on any failure answer ``unavailable``."""
        started = self._clock.monotonic_s()
        try:
            for _ in range(_CATALOGUE_TRIES):
                catalogue = self._catalogue
                if any(item.catalogue is not catalogue for item in batch):
                    # it changed while they waited: what they were resolved to may be wrong by now
                    batch = await self._resolve_again(batch, catalogue)
                    if not batch:
                        return
                drafts, begun = [item.draft for item in batch], self._guard.begin()
                try:
                    verdicts = await self._store.record(drafts, catalogue)
                except CatalogueChanged:
                    await self._refresh()
                else:
                    verdicts = await self._guard.admit(begun, drafts, verdicts, catalogue)
                    break
            else:
                raise StoreUnavailable("The catalogue changed faster than a verification could be recorded.")
        except Exception as error:  # noqa: BLE001 - whatever failed, every asker gets an honest answer
            self._journal.failed("commit_failed", error)
            verdicts = [_unavailable(Detail.NOT_RECORDED)] * len(batch)
        at_once = self._limits.answers
        _answer(batch[:at_once], verdicts[:at_once])
        if len(batch) > at_once:
            # the first who have their answers ask again, and their commit goes on beside the answers to the others
            answering = asyncio.get_running_loop().create_task(
                self._answer_in_turns(batch[at_once:], verdicts[at_once:])
            )
            self._answering.add(answering)
            answering.add_done_callback(self._answering.discard)
        self._journal.committed(len(batch), (self._clock.monotonic_s() - started) * 1000)

    async def _answer_in_turns(self, batch: Sequence[_Pending], verdicts: Sequence[Verdict]) -> None:
        """Give a part of the answers in each turn of the loop. Nothing here can fail, so none is left without."""
        at_once = self._limits.answers
        for start in range(0, len(batch), at_once):
            await asyncio.sleep(0)
            _answer(batch[start : start + at_once], verdicts[start : start + at_once])

    async def _resolve_again(self, batch: list[_Pending], catalogue: Catalogue) -> list[_Pending]:
        """Resolve pending queries under ``catalogue``; those that now record nothing are answered at once."""
        left = []
        for item in batch:
            if item.catalogue is catalogue:
                left.append(item)
                continue
            resolved = await self._weigh_slip(
                item.request, await self._resolve(item.request, catalogue), catalogue
            )
            if isinstance(resolved, Draft):
                left.append(_Pending(item.request, resolved, item.future, catalogue))
            elif not item.future.done():
                item.future.set_result(resolved)
        return left

    # -- deadlines -------------------------------------------------------------------------------------------

    def _watch(
        self, loop: asyncio.AbstractEventLoop, deadline_ms: int, future: asyncio.Future[Verdict]
    ) -> None:
        """Remember when ``future`` must be answered. Equal deadlines stand in order, so a sweep looks at heads only."""
        queue = self._watched.get(deadline_ms)
        if queue is None:
            queue = self._watched[deadline_ms] = deque()
        queue.append((loop.time() + deadline_ms / 1000, future))
        if self._sweeper is None:
            self._sweeper = loop.create_task(self._sweep(loop))

    async def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Answer what is overdue. Ends where nothing is watched, so that an idle service sleeps, and forgets deadlines
        that nobody has: those of messages differ by what looking the sender up took.
        """
        while self._watched:
            await asyncio.sleep(_SWEEP_S)
            now = loop.time()
            for deadline_ms, queue in tuple(self._watched.items()):
                while queue and (queue[0][1].done() or queue[0][0] <= now):
                    future = queue.popleft()[1]
                    if not future.done():
                        future.set_result(_unavailable(Detail.DEADLINE))
                if not queue:
                    del self._watched[deadline_ms]
        self._sweeper = None


def _answer(batch: Sequence[_Pending], verdicts: Sequence[Verdict]) -> None:
    for item, verdict in zip(batch, verdicts, strict=True):
        if not item.future.done():
            item.future.set_result(verdict)


def _share_a_key(one: bytes, other: bytes) -> bool:
    """Tell whether two runs of message keys, of one message each, have a key in common."""
    return not _keys_of(one).isdisjoint(_keys_of(other))


def _keys_of(run: bytes) -> set[bytes]:
    return {run[start : start + _KEY_BYTES] for start in range(0, len(run), _KEY_BYTES)}


def _unavailable(detail: Detail) -> Verdict:
    return Verdict(outcome=Outcome.UNAVAILABLE, reasons=(detail,), retry_after_s=_RETRY_AFTER_S)
