"""One life of the service in this process, sockets left out: from the opening of its file until it is killed.

A kill takes the file as it stands at that moment; whatever the parts left behind still do reaches nobody.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from app.adapters.cache.memory import MemoryCache
from app.adapters.identities import KeyedIdentities
from app.adapters.places import PhoneNumberPlaces
from app.adapters.sealing import AesGcmSealing
from app.adapters.storage.sqlite import SqliteStorage, open_sqlite
from app.adapters.throttle import MemoryThrottle
from app.bootstrap.conversations import Service, conversations, open_spending
from app.bootstrap.duties import stop_all
from app.core.engine import VerificationEngine
from app.core.model.verdict import Verdict
from app.core.model.verification import VerificationRequest
from app.core.ports.journal import Journal
from app.issuing.key_file import KeyFile
from app.issuing.keyring import SecretName
from app.issuing.recogniser import CodebookRecogniser
from app.settings import Settings
from channels.abilities import Sender
from channels.asking import Asking
from channels.base import ChannelContext, InboundRequest, OutboundResponse
from channels.follow_up import FollowUp, FollowUpStores
from channels.messages import Messages
from channels.pipeline import Pipeline
from channels.sms.adapter import SmsAdapter
from channels.sms.dialect import Dialect
from channels.sms.gateway.dialect import load_gateways
from channels.sms.kannel.dialect import KannelDialect
from channels.sms.settings import GatewayOptions, KannelOptions, SmppOptions, TwilioOptions
from channels.sms.smpp.arrivals import Arrivals
from channels.sms.smpp.bringing import Bringing
from channels.sms.smpp.dialect import SmppDialect
from channels.sms.smpp.session import Pace
from channels.sms.twilio.dialect import TwilioDialect
from channels.window import DuplicateWindow
from channels.wording.reply import Wording
from tests.fakes.clock import FakeClock
from tests.fakes.fake_calls import FakeCalls

PUBLIC_URL = "https://verify.example"
PATH_SECRET = "path-secret-of-the-deliveries"
LINK_TOKEN = "token-of-the-link-to-the-message-centre"
TWILIO = TwilioOptions(
    auth_tokens=("0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"),
    account_sid="AC" + "1" * 32,
)
_KANNEL = KannelOptions(secrets=(PATH_SECRET,), send_url="http://127.0.0.1:13013/cgi-bin/sendsms")
_GATEWAY = GatewayOptions(files=("alibaba",), secrets=(PATH_SECRET,), reply_by="kannel")
_SMPP = SmppOptions(host="127.0.0.1", port=2775, system_id="yanzhen", password="secret")
_PATIENCE_S = 10.0


class _PlayedAdapter(SmsAdapter):
    """The real adapter, whose way out ends in this process."""

    def __init__(self, dialect: Dialect, context: ChannelContext, ways: Mapping[str, Sender]) -> None:
        super().__init__(dialect, context)
        self._ways = tuple(way for name, way in ways.items() if name == dialect.name)

    def senders(self) -> tuple[Sender, ...]:
        return self._ways


class _LifeJournal:
    """Passes on what happens in one life, and nothing of what its parts do after it is over."""

    def __init__(self, journal: Journal, life: ServiceLife) -> None:
        self._journal = journal
        self._life = life

    def answered(
        self, request: VerificationRequest, verdict: Verdict, *, duplicate: bool, took_ms: float
    ) -> None:
        if not self._life.is_over:
            self._journal.answered(request, verdict, duplicate=duplicate, took_ms=took_ms)

    def refused(self, channel: str, reason: str) -> None:
        if not self._life.is_over:
            self._journal.refused(channel, reason)

    def committed(self, drafts: int, took_ms: float) -> None:
        if not self._life.is_over:
            self._journal.committed(drafts, took_ms)

    def counted(self, event: str, channel: str, number: int = 1) -> None:
        if not self._life.is_over:
            self._journal.counted(event, channel, number)

    def failed(self, event: str, error: BaseException) -> None:
        if not self._life.is_over:
            self._journal.failed(event, error)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What outlives the service: settings and keys, the clock, the journal's reader."""

    settings: Settings
    clock: FakeClock
    journal: Journal
    wording: Wording
    places: PhoneNumberPlaces


class ServiceLife:
    """Real parts on ``path``. ``ways`` makes the stand-ins of the ways out; they ask whether this life goes on."""

    def __init__(self, world: World, path: Path, storage: SqliteStorage) -> None:
        self.path = path
        self.is_over = False
        self.storage = storage
        self.bringing: Bringing
        self.arrivals: Arrivals
        self.recogniser: CodebookRecogniser
        self.dialects: dict[str, Dialect] = {}
        self._world = world
        self._adapters: dict[str, SmsAdapter] = {}
        self._pipeline: Pipeline
        self._messages: Messages
        self._parts = AsyncExitStack()

    @staticmethod
    async def begin(
        world: World, path: Path, ways: Callable[[ServiceLife], Mapping[str, Sender]]
    ) -> ServiceLife:
        life = ServiceLife(world, path, await open_sqlite(path))
        life._parts.push_async_callback(life.storage.close)
        journal = _LifeJournal(world.journal, life)
        key_file = KeyFile(world.settings.key_file)
        ring = key_file.load()
        life.recogniser = CodebookRecogniser(key_file.load)
        engine = VerificationEngine(
            recogniser=life.recogniser,
            store=life.storage.verifications,
            catalogues=life.storage.catalogues,
            cache=MemoryCache(world.clock),
            clock=world.clock,
            journal=journal,
        )
        await engine.start()
        life._parts.push_async_callback(engine.close)
        context = ChannelContext(
            wording=world.wording,
            identities=KeyedIdentities(
                caller_key=ring.secret(SecretName.CALLER).key, result_key=ring.secret(SecretName.RESULT).key
            ),
            clock=world.clock,
            public_url=PUBLIC_URL,
            timezone=world.settings.timezone,
            lengths=lambda: engine.catalogue.lengths,
            issued_lengths=lambda: engine.catalogue.issued_lengths,
            places=world.places,
            calls=FakeCalls(),
            cache=MemoryCache(world.clock),
        )
        life._make_adapters(context, ways(life))
        asking = Asking(
            engine=engine,
            throttle=MemoryThrottle(world.clock),
            window=DuplicateWindow(MemoryCache(world.clock)),
            journal=journal,
            clock=world.clock,
        )
        service = Service(
            settings=world.settings,
            storage=life.storage,
            spending=await open_spending(world.settings, life.storage, world.clock),
            sealing=AesGcmSealing({kept.id: kept.key for kept in ring.secrets[SecretName.MESSAGE]}),
            asking=asking,
            wording=world.wording,
            journal=journal,
            clock=world.clock,
        )
        talks = await life._parts.enter_async_context(conversations(service, life._adapters.values()))
        life._messages = talks.messages
        works = [asyncio.ensure_future(work()) for work in talks.works]
        life._parts.push_async_callback(stop_all, works)
        life._pipeline = Pipeline(
            asking=asking,
            messages=life._messages,
            follow_up=FollowUp(
                asking=asking,
                stores=FollowUpStores(
                    reports=service.storage.reports(service.sealing),
                    calls=service.storage.calls,
                    watches=service.storage.recall_watches(service.sealing),
                ),
                journal=journal,
            ),
            wording=world.wording,
            journal=journal,
            clock=world.clock,
        )
        life._listen()
        return life

    def _make_adapters(self, context: ChannelContext, ways: Mapping[str, Sender]) -> None:
        calls = context.calls
        dialects: tuple[Dialect, ...] = (
            TwilioDialect(TWILIO, PUBLIC_URL),
            KannelDialect(_KANNEL, calls=calls, public_url=PUBLIC_URL),
            SmppDialect(_SMPP, clock=self._world.clock, token=LINK_TOKEN),
            *load_gateways(_GATEWAY, calls=calls),
        )
        self.dialects = {dialect.name: dialect for dialect in dialects}
        self._adapters = {
            name: _PlayedAdapter(dialect, context, ways) for name, dialect in self.dialects.items()
        }

    def _listen(self) -> None:
        """Put the part of the link that takes deliveries before the pipeline, as its listener does."""
        self.arrivals = Arrivals(self._world.clock)
        self.bringing = Bringing(
            self._world.clock,
            token=LINK_TOKEN,
            pace=Pace(),
            arrivals=self.arrivals,
            settling_s=lambda _provider_id: 0.0,
        )
        self.bringing.carry = partial(self.carry, "smpp")

    async def carry(self, provider: str, request: InboundRequest) -> OutboundResponse:
        return await self._pipeline.carry(self._adapters[provider], request)

    def answer_within(self, deadline_ms: int) -> None:
        """Give every adapter another deadline than the ten seconds it is made with."""
        for adapter in self._adapters.values():
            adapter.manifest = replace(adapter.manifest, deadline_ms=deadline_ms)

    def nudge(self) -> None:
        self._messages._nudge()

    def kill(self) -> Path:
        """End this life at this very moment, without a word, and return the files it leaves under another name.

        Call it with nobody writing: the log then only grows old, and file and log can be copied one after the other.
        """
        left = self.path.with_name(f"after-{self.path.name}")
        for suffix in ("", "-wal"):
            shutil.copy(f"{self.path}{suffix}", f"{left}{suffix}")
        self.is_over = True
        return left

    async def end(self) -> None:
        """Stop the parts in good order; after a kill it only frees what they hold."""
        await self._parts.aclose()


@contextmanager
def nobody_writing(path: Path) -> Iterator[None]:
    """Hold the write lock of the file meanwhile, as a slow disk or another process does."""
    holder = sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None)
    try:
        holder.execute("BEGIN IMMEDIATE")
        yield
        holder.execute("ROLLBACK")
    finally:
        holder.close()


async def until(event: asyncio.Event, *, within_s: float) -> bool:
    """Wait for ``event``; False where it did not come in time."""
    try:
        async with asyncio.timeout(within_s):
            await event.wait()
    except TimeoutError:
        return False
    return True
