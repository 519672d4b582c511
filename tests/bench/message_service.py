"""The service without HTTP: one pipeline on a real database for the API and for every provider, replies kept."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from app.adapters.cache.memory import MemoryCache
from app.adapters.identities import KeyedIdentities
from app.adapters.journal import ServiceJournal
from app.adapters.sealing import AesGcmSealing
from app.adapters.spending import DailySpending
from app.adapters.storage.sqlite import open_sqlite
from app.adapters.throttle import DEFAULT_LIMITS, Limit, MemoryThrottle
from app.core.engine import VerificationEngine
from app.core.model.reply import Accepted, ReplyAddress
from app.core.ports.clock import Clock
from app.core.ports.outbox import Outbox
from app.issuing.key_file import KeyFile
from app.issuing.keyring import SecretName
from app.issuing.recogniser import CodebookRecogniser
from app.logs import configure_logs
from channels.abilities import NotSent, OutgoingText
from channels.asking import Asking
from channels.base import ChannelAdapter
from channels.courier import Courier
from channels.follow_up import FollowUp, FollowUpStores
from channels.messages import Messages, MessageStores
from channels.pipeline import Pipeline
from channels.sms.smpp.bringing import Bringing
from channels.web.api import ApiAdapter
from channels.window import DuplicateWindow
from tests.bench.measures import WrongAnswerError
from tests.bench.message_samples import TIMEZONE, bringing_of, context_of, provider_adapters
from tests.bench.serving import CONNECTIONS

_NEVER: Final = 10**12
_DELIVER_WITHIN_S: Final = 120.0
_PUSHED_BY: Final = ("kannel", "smpp", "wechat-mini-program")
_RIGHT: Final = {"first", "repeat", "over_limit"}
_REPLY: Final = "【验真】星河第2次查询，首次26-11-21网页。若非您本人查询，请慎用。举报4008001234"


class InstantSender:
    """A provider that takes every text at once; ``all_taken`` is set when it took ``expected``."""

    def __init__(self, name: str, expected: int) -> None:
        self.name = name
        self.all_taken = asyncio.Event()
        self._missing = expected
        if not expected:
            self.all_taken.set()

    async def send(self, text: OutgoingText) -> Accepted:
        """Take the text under an id of its own."""
        self._missing -= 1
        if not self._missing:
            self.all_taken.set()
        return Accepted(provider_id=f"{self.name}-{text.reply_id}")

    async def find_sent(
        self,
        text: OutgoingText,
        *,
        since: datetime,
        known_ids: Callable[[Collection[str]], Awaitable[frozenset[str]]],
    ) -> NotSent:
        """Know of none: nothing is ever doubtful here."""
        return NotSent()

    async def close(self) -> None:
        """Give back nothing."""


@dataclass(slots=True, kw_only=True)
class MessageService:
    """What the runs use. ``adapters`` holds the API as ``api`` and each provider by its name."""

    adapters: Mapping[str, ChannelAdapter]
    pipeline: Pipeline
    bringing: Bringing
    outbox: Outbox
    clock: Clock
    database: Path
    recorded: int
    new_courier: Callable[[tuple[InstantSender, ...]], Courier]
    _replies: int = field(default=0)

    async def reply(self, count: int) -> None:
        """Owe ``count`` replies, 64 at once, while a courier delivers them; return when all are settled."""
        sender = InstantSender("twilio", count)
        courier = self.new_courier((sender,))
        delivering = asyncio.create_task(courier.run())
        numbers = iter(range(self._replies, self._replies + count))
        self._replies += count

        async def owe() -> None:
            for number in numbers:
                address = ReplyAddress(sender="twilio", recipient=f"+861390000{number:06d}", ours="95001")
                await self.outbox.owe(
                    b"bench" + number.to_bytes(11, "big"), address, text=_REPLY, now=self.clock.now()
                )
                courier.nudge()

        await asyncio.gather(*(owe() for _ in range(CONNECTIONS)))
        await self._until_settled(delivering, (sender,))

    async def deliver(self) -> None:
        """Deliver what messages left in the outbox."""
        senders = tuple(InstantSender(name, self._owed_by(name)) for name in _PUSHED_BY)
        courier = self.new_courier(senders)
        await self._until_settled(asyncio.create_task(courier.run()), senders)

    async def _until_settled(
        self, delivering: asyncio.Task[None], senders: tuple[InstantSender, ...]
    ) -> None:
        """Wait until everything was sent; a courier that is stopped settles what it has under way."""
        async with asyncio.timeout(_DELIVER_WITHIN_S):
            for sender in senders:
                await sender.all_taken.wait()
        delivering.cancel()
        await asyncio.wait((delivering,))
        if owed := sum(self._owed_by(sender.name) for sender in senders):
            raise WrongAnswerError(f"{owed} replies were sent, but not settled.")

    def _owed_by(self, sender: str) -> int:
        sql = "SELECT count(*) FROM reply WHERE sender = ? AND state IN ('waiting', 'sending')"
        with closing(sqlite3.connect(self.database)) as connection:
            return int(connection.execute(sql, (sender,)).fetchone()[0])

    def require_recorded(self, asked: int) -> None:
        """Raise ``WrongAnswerError`` unless every text asked has its fact, after the store was closed."""
        with closing(sqlite3.connect(self.database)) as connection:
            rows = connection.execute(
                "SELECT outcome, count(*) FROM verification WHERE id > ? GROUP BY outcome", (self.recorded,)
            ).fetchall()
        outcomes = dict(rows)
        if sum(outcomes.values()) != asked or not outcomes.keys() <= _RIGHT:
            raise WrongAnswerError(f"{asked} were asked, but the record holds {outcomes}")


@asynccontextmanager
async def open_service(folder: Path) -> AsyncIterator[MessageService]:
    """Yield the service on a prefilled folder: limits and caps on, but set high, the log in a file."""
    database = folder / "yanzhen.db"
    with closing(sqlite3.connect(database)) as connection:
        recorded: int = connection.execute("SELECT coalesce(max(id), 0) FROM verification").fetchone()[0]
    ring = KeyFile(folder / "keys.json").load()
    identities = KeyedIdentities(
        caller_key=ring.secret(SecretName.CALLER).key, result_key=ring.secret(SecretName.RESULT).key
    )
    with (folder / "bench.log").open("wb") as lines:
        logs = configure_logs(log_format="json", stream=lines)
        logs.start()
        storage = await open_sqlite(database)
        recogniser = CodebookRecogniser(KeyFile(folder / "keys.json").load)
        recogniser.tabulate()  # as the service does beside its start
        context = context_of(identities, lambda: engine.catalogue.lengths)
        clock = context.clock
        journal = ServiceJournal(logs, clock)
        engine = VerificationEngine(
            recogniser=recogniser,
            store=storage.verifications,
            catalogues=storage.catalogues,
            cache=MemoryCache(clock),
            clock=clock,
            journal=journal,
        )
        await engine.start()
        high = Limit(queries=_NEVER, window_s=60.0, wrong=_NEVER, wrong_window_s=600.0)
        throttle = MemoryThrottle(clock, {**DEFAULT_LIMITS, "address": high})
        window = DuplicateWindow(MemoryCache(clock))
        asking = Asking(engine=engine, throttle=throttle, window=window, journal=journal, clock=clock)
        sealing = AesGcmSealing({kept.id: kept.key for kept in ring.secrets[SecretName.MESSAGE]})
        outbox = storage.outbox(sealing)
        spending = DailySpending(clock, TIMEZONE, caps={"sms": _NEVER}, per_caller_caps={"sms": 100})
        messages = Messages(
            asking=asking,
            stores=MessageStores(outbox=outbox, correspondence=storage.correspondence, spending=spending),
            wording=context.wording,
            journal=journal,
            clock=clock,
            nudge=lambda: None,
        )
        gc.set_threshold(50_000, 20, 50)  # as the service has it

        def new_courier(senders: tuple[InstantSender, ...]) -> Courier:
            return Courier(
                outbox=outbox,
                correspondence=storage.correspondence,
                asking=asking,
                wording=context.wording,
                senders=senders,
                journal=journal,
                clock=clock,
            )

        try:
            yield MessageService(
                adapters={"api": ApiAdapter(context), **provider_adapters(context)},
                pipeline=Pipeline(
                    asking=asking,
                    messages=messages,
                    follow_up=FollowUp(
                        asking=asking,
                        stores=FollowUpStores(
                            reports=storage.reports(sealing),
                            calls=storage.calls,
                            watches=storage.recall_watches(sealing),
                        ),
                        journal=journal,
                    ),
                    wording=context.wording,
                    journal=journal,
                    clock=clock,
                ),
                bringing=bringing_of(context),
                outbox=outbox,
                clock=clock,
                database=database,
                recorded=recorded,
                new_courier=new_courier,
            )
        finally:
            await engine.close()
            await storage.close()
            logs.stop()
