"""A whole service in memory: real keys, rules, engine, pipeline and wording over an in-memory record.

One batch a label state, so that every outcome can be asked for by a code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache

from app.adapters.cache.memory import MemoryCache
from app.adapters.identities import KeyedIdentities
from app.core.engine import VerificationEngine
from app.core.model.catalogue import Catalogue
from app.core.model.label import (
    BatchId,
    Brand,
    BrandId,
    CodeBatch,
    Label,
    LabelState,
    Product,
    ProductId,
    Programme,
    ProgrammeId,
    Serial,
    StateSpan,
    Thresholds,
)
from app.core.model.verdict import Outcome
from app.core.ports.journal import Journal
from app.core.ports.throttle import Throttle
from app.issuing.codebook import LAYOUTS, Codebook
from app.issuing.keyring import KeptKey, Keyring, SecretName
from app.issuing.recogniser import CodebookRecogniser
from channels.abilities import Sender
from channels.asking import Asking
from channels.base import ChannelContext
from channels.courier import Courier
from channels.follow_up import FollowUp, FollowUpStores
from channels.messages import Messages, MessageStores
from channels.pipeline import Pipeline
from channels.window import DuplicateWindow
from channels.wording.forms import TextForm
from channels.wording.reply import Wording
from tests.fakes.clock import FakeClock
from tests.fakes.fake_calls import FakeCalls
from tests.fakes.fake_places import FakePlaces
from tests.fakes.fake_spending import FakeSpending
from tests.fakes.memory_call_records import MemoryCallRecords
from tests.fakes.memory_correspondence import MemoryCorrespondence
from tests.fakes.memory_outbox import MemoryOutbox
from tests.fakes.memory_recall_watches import MemoryRecallWatches
from tests.fakes.memory_reports import MemoryReports
from tests.fakes.memory_store import MemoryStore
from tests.fakes.open_throttle import OpenThrottle
from tests.fakes.recording_journal import RecordingJournal

PUBLIC_URL = "https://verify.example"
_BORN = datetime(2026, 1, 1, tzinfo=UTC)
_STATES = {
    "active": LabelState.ACTIVE,
    "not_active": None,
    "voided": LabelState.VOIDED,
    "expired": LabelState.EXPIRED,
    "recalled": LabelState.ACTIVE,
    "family": LabelState.ACTIVE,
}
_PER_BATCH = 1000


@cache  # nothing in it changes, and a process starts a thousand services
def sample_wording() -> Wording:
    """Words as read at the start of a service in Shanghai."""
    return Wording.load("Asia/Shanghai")


@cache
def fixed_codebook() -> Codebook:
    """Return the codebook under :func:`fixed_keyring`."""
    return fixed_keyring().codebook()


@cache
def fixed_keyring() -> Keyring:
    """Keys that are the same in every run."""

    def kept(number: int) -> KeptKey:
        return KeptKey(id=1, key=bytes([number]) * 32, created_at=_BORN)

    return Keyring(
        permutation_keys={layout: bytes([index]) * 32 for index, layout in enumerate(LAYOUTS, start=1)},
        tag_keys=(kept(9),),
        secrets={name: (kept(20 + index),) for index, name in enumerate(SecretName)},
    )


def sample_catalogue(keyring: Keyring) -> Catalogue:
    """One batch of 1,000 labels a state, all of layout 20."""
    brand = Brand(
        id=BrandId(1),
        name="海岸牧场",
        name_en="Coast Pastures",
        short_name="海岸牧场",
        service_line="400-800-1234",
    )
    programme = Programme(id=ProgrammeId(1), name="质量月专用标识", name_en="Quality Month label")
    batches, spans = [], {}
    for index, (name, state) in enumerate(_STATES.items()):
        product = Product(
            id=ProductId(index + 1),
            brand=brand,
            name="海岸婴儿配方奶粉 800 克",
            name_en="Coast infant formula 800 g",
            gtin="06901234567892",
            thresholds=Thresholds(genuine=3, warn=5) if name == "family" else Thresholds(genuine=1, warn=4),
        )
        first = 20 * 10**15 + index * _PER_BATCH
        batches.append(
            CodeBatch(
                id=BatchId(index + 1),
                product=product,
                programme=programme,
                layout=20,
                first_serial=Serial(first),
                last_serial=Serial(first + _PER_BATCH - 1),
                tag_key_id=1,
                url_prefix=PUBLIC_URL,
                issued_at=_BORN,
                recalled=name == "recalled",
            )
        )
        if state is not None:
            spans[BatchId(index + 1)] = (StateSpan(first_serial=first, state=state, at=_BORN),)
    return Catalogue.of(version=1, batches=batches, spans=spans, key_checks=keyring.checks())


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleService:
    """Everything a channel test needs; ``context`` makes adapters, ``pipeline`` carries their requests."""

    clock: FakeClock
    journal: RecordingJournal
    store: MemoryStore
    engine: VerificationEngine
    context: ChannelContext
    wording: Wording
    keyring: Keyring
    outbox: MemoryOutbox
    correspondence: MemoryCorrespondence
    spending: FakeSpending
    reports: MemoryReports
    calls: MemoryCallRecords
    watches: MemoryRecallWatches
    throttle: Throttle
    cache: MemoryCache  # shared by everything of this service, as by the machines of a real one

    def asking(self, *, throttle: Throttle | None = None, journal: Journal | None = None) -> Asking:
        """Return the asking of this service, with another throttle or journal where one is given."""
        return Asking(
            engine=self.engine,
            throttle=throttle or self.throttle,
            window=DuplicateWindow(self.cache),
            journal=journal or self.journal,
            clock=self.clock,
        )

    def pipeline_with(self, *, throttle: Throttle | None = None, journal: Journal | None = None) -> Pipeline:
        """Return a pipeline of this service with another throttle or journal."""
        asking, journal = self.asking(throttle=throttle, journal=journal), journal or self.journal
        messages = Messages(
            asking=asking,
            stores=MessageStores(
                outbox=self.outbox, correspondence=self.correspondence, spending=self.spending
            ),
            wording=self.wording,
            journal=journal,
            clock=self.clock,
            nudge=lambda: None,
        )
        return Pipeline(
            asking=asking,
            messages=messages,
            follow_up=FollowUp(
                asking=asking,
                stores=FollowUpStores(reports=self.reports, calls=self.calls, watches=self.watches),
                journal=journal,
            ),
            wording=self.wording,
            journal=journal,
            clock=self.clock,
        )

    @property
    def pipeline(self) -> Pipeline:
        """The one path of this service."""
        return self.pipeline_with()

    def courier(self, senders: Iterable[Sender]) -> Courier:
        """Return a courier of this service's outbox."""
        return Courier(
            outbox=self.outbox,
            correspondence=self.correspondence,
            asking=self.asking(),
            wording=self.wording,
            senders=senders,
            journal=self.journal,
            clock=self.clock,
            forms={"wechat": TextForm.CHAT},
        )

    def code(self, batch: str = "active", number: int = 0) -> str:
        """Return the code of a label of the batch called ``batch``."""
        serial = 20 * 10**15 + list(_STATES).index(batch) * _PER_BATCH + number
        return fixed_codebook().make(serial, tag_key_id=1)

    def recall(self, batch: str = "active", *, lift: bool = False) -> None:
        """Recall a batch, or lift its recall, as the command line does while the service runs."""
        catalogue, name = self.store.catalogue, list(_STATES).index(batch)
        self.store.catalogue = Catalogue.of(
            version=catalogue.version + 1,
            batches=[
                replace(one, recalled=not lift) if index == name else one
                for index, one in enumerate(catalogue.batches)
            ],
            spans=catalogue.spans,
            key_checks=catalogue.key_checks,
        )

    def unknown_code(self) -> str:
        """Return a code with sound check digits that stands in no batch."""
        return fixed_codebook().make(20 * 10**15 + 10**9, tag_key_id=1)

    def label(self, batch: str = "active", number: int = 0) -> Label:
        """Return the label of :meth:`code`."""
        serial = 20 * 10**15 + list(_STATES).index(batch) * _PER_BATCH + number
        found = self.store.catalogue.batch_of(serial)
        assert found is not None
        return self.store.catalogue.label(serial, found)


async def start_sample_service(
    *,
    throttle: Throttle | None = None,
    public_url: str = PUBLIC_URL,
    settings: Mapping[str, object] | None = None,
) -> SampleService:
    """Start a service; close its ``engine`` at the end."""
    clock, journal, keyring = FakeClock(), RecordingJournal(), fixed_keyring()
    store, cache = MemoryStore(sample_catalogue(keyring)), MemoryCache(clock)
    engine = VerificationEngine(
        recogniser=CodebookRecogniser(lambda: keyring),
        store=store,
        catalogues=store,
        cache=cache,
        clock=clock,
        journal=journal,
    )
    await engine.start()
    wording = sample_wording()
    identities = KeyedIdentities(
        caller_key=keyring.secret(SecretName.CALLER).key, result_key=keyring.secret(SecretName.RESULT).key
    )
    context = ChannelContext(
        wording=wording,
        identities=identities,
        clock=clock,
        public_url=public_url,
        timezone="Asia/Shanghai",
        lengths=lambda: engine.catalogue.lengths,
        issued_lengths=lambda: engine.catalogue.issued_lengths,
        places=FakePlaces(),
        calls=FakeCalls(),
        cache=cache,
        settings=settings or {},
    )
    return SampleService(
        clock=clock,
        journal=journal,
        store=store,
        engine=engine,
        context=context,
        wording=wording,
        keyring=keyring,
        outbox=MemoryOutbox(),
        correspondence=MemoryCorrespondence(),
        spending=FakeSpending(),
        reports=MemoryReports(),
        calls=MemoryCallRecords(),
        watches=MemoryRecallWatches(store),
        throttle=throttle or OpenThrottle(),
        cache=cache,
    )


OUTCOME_BATCHES = {
    Outcome.FIRST: "active",
    Outcome.NOT_ACTIVE: "not_active",
    Outcome.VOIDED: "voided",
    Outcome.RECALLED: "recalled",
    Outcome.EXPIRED: "expired",
}
