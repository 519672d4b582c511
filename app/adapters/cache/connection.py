"""The one way to Redis: whatever waits shares a round trip, and after a failure nobody waits until it is back.

No request ever connects or probes: a task of its own does, with growing pauses. So a Redis that is down, silent, slow
or flapping costs the queries under way one answer's time (150 ms) and all others nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha1
from time import monotonic, thread_time
from typing import Final

from app.adapters.cache.addresses import RedisAddress, RedisForm
from app.adapters.cache.clients import Command, RedisClient, client_of, is_missing_script, name_of
from app.adapters.cache.run_queue import RunQueue
from app.logs import Logger

_BATCH: Final = 128
_LOOKS: Final = 4
_GRACE_S: Final = 0.01  # what has arrived while this process stood still deserves to be read
_PROBES: Final = 2
_FLAPPING_S: Final = 2.0

_Waiting = tuple[Command, asyncio.Future[object]]


class RedisAway(Exception):
    """Redis cannot be asked now; who asked does without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisPatience:
    """How long Redis is waited for, in seconds.

    An answer may take ``answer_s``. Answers above ``slow_s`` in a row that took ``slow_for_s`` together are a failure
    as well: a message asks up to five times, and may wait for another's exchange each time. The two sums bound what
    Redis adds to any answer: 5 x 2 x ``slow_s``, or ``slow_for_s`` and ``answer_s``. Connecting may take
    ``connect_s``. Pauses between tries grow from ``pause_s`` to ``longest_pause_s``, and are short again once it held
    for ``settled_s``.
    """

    answer_s: float = 0.15
    slow_s: float = 0.025
    slow_for_s: float = 0.1
    connect_s: float = 0.5
    pause_s: float = 0.05
    longest_pause_s: float = 0.5
    settled_s: float = 5.0


@dataclass(slots=True)
class RedisTallies:
    """Numbers since the start: ``calls`` answered, ``without`` refused or failed, ``losses`` of the connection, and
    the queries that limits of this process admitted or refused meanwhile.
    """

    calls: int = 0
    without: int = 0
    losses: int = 0
    admitted_locally: int = 0
    refused_locally: int = 0


@dataclass(frozen=True, slots=True)
class RedisScript:
    """A Lua script; ``sha`` is what Redis calls it (SHA-1 of its text, EVALSHA)."""

    text: str
    sha: str

    @staticmethod
    def of(text: str) -> RedisScript:
        """Name a script."""
        return RedisScript(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


class _Watch:
    """Tells how long Redis was waited for: the time that passed, less what this thread computed meanwhile or was kept
    from running. So a busy process does not take itself for a slow Redis and tighten the limits at the peak of a day.
    """

    __slots__ = ("_began_s", "_run_queue")

    def __init__(self, run_queue: RunQueue) -> None:
        self._run_queue = run_queue
        self._began_s = self._idle_s()

    def waited_s(self) -> float:
        return self._idle_s() - self._began_s

    def _idle_s(self) -> float:
        return monotonic() - thread_time() - self._run_queue.waited_s()


class RedisConnection:
    """Made for one event loop: ``start`` before use, ``aclose`` at the end. Only ``RedisAway`` leaves its methods.

    At most ``queue`` calls wait; more are refused as if Redis were away, so that it cannot hold back the service.
    ``use`` is what its log lines call it.
    """

    def __init__(
        self,
        address: RedisAddress,
        log: Logger,
        *,
        patience: RedisPatience | None = None,
        queue: int = 4096,
        use: str = "limits",
    ) -> None:
        self._address = address
        self._log = log
        self._patience = patience or RedisPatience()
        self._queue = queue
        self._use = use
        self._client: RedisClient | None = None
        self._waiting: list[_Waiting] = []
        self._drainer: asyncio.Task[None] | None = None
        self._restorer: asyncio.Task[None] | None = None
        self._closed = False
        self._slow_s = 0.0
        self._run_queue = RunQueue()
        self._pause_s = self._patience.pause_s
        self._up_since = self._lost_at = 0.0
        self._told_lost = False
        self.sharded: Final = address.form is RedisForm.CLUSTER  # the keys of one script must share a slot
        self.tallies = RedisTallies()

    @property
    def up(self) -> bool:
        """Whether calls go to Redis now."""
        return self._client is not None

    async def start(self) -> None:
        """Try to connect once; if that fails, go on trying beside the service."""
        client, failure = await self._connect()
        if client is None:
            self._tell_lost(failure)
            self._restorer = asyncio.get_running_loop().create_task(self._restore(None))
        else:
            self._take(client)

    async def aclose(self) -> None:
        """Disconnect; calls under way end as if Redis were away."""
        self._closed = True
        client, self._client = self._client, None
        if self._restorer is not None:
            self._restorer.cancel()
            await asyncio.wait((self._restorer,))
        if self._drainer is not None:
            await asyncio.wait((self._drainer,))
        self._give_up(self._waiting)
        if client is not None:
            await self._discard(client)
        self._run_queue.close()

    async def call(self, *command: str | bytes | int) -> object:
        """Return the reply (bytes, int, list or None). Raises ``RedisAway``, at once while Redis is away."""
        reply = await self._ask(command)
        if isinstance(reply, Exception):
            raise RedisAway from reply
        return reply

    async def run(
        self, script: RedisScript, keys: Sequence[str], arguments: Sequence[str | bytes | int]
    ) -> object:
        """Run a script, whose keys share a slot where ``sharded``; its text is sent only where the server lacks it."""
        reply = await self._ask(("EVALSHA", script.sha, len(keys), *keys, *arguments))
        if is_missing_script(reply):
            reply = await self._ask(("EVAL", script.text, len(keys), *keys, *arguments))
        if isinstance(reply, Exception):
            raise RedisAway from reply
        return reply

    # -- asking ----------------------------------------------------------------------------------------------

    async def _ask(self, command: Command) -> object:
        if self._client is None or len(self._waiting) >= self._queue:
            self.tallies.without += 1
            raise RedisAway
        loop = asyncio.get_running_loop()
        future: asyncio.Future[object] = loop.create_future()
        self._waiting.append((command, future))
        if self._drainer is None:
            self._drainer = loop.create_task(self._drain())
        return await future

    async def _drain(self) -> None:
        """Exchange batch after batch; what waits when the last one ends is the next. No await before the end."""
        try:
            while self._waiting and (client := self._client) is not None:
                batch = self._waiting[:_BATCH]
                del self._waiting[:_BATCH]
                await self._exchange(client, batch)
        finally:
            self._drainer = None
            self._give_up(self._waiting)

    async def _exchange(self, client: RedisClient, batch: list[_Waiting]) -> None:
        watch = _Watch(self._run_queue)
        commands = [command for command, _ in batch]
        exchange: asyncio.Task[list[object]] = asyncio.create_task(client.exchange(commands))
        try:
            for _ in range(_LOOKS):
                left_s = self._patience.answer_s - watch.waited_s()
                await asyncio.wait((exchange,), timeout=max(left_s, _GRACE_S))
                if exchange.done() or left_s <= 0:
                    break
            if not exchange.done():
                raise TimeoutError
            replies = exchange.result()
        except Exception as error:  # noqa: BLE001 - whatever the library raises, nobody above may feel it
            self._lose(client, error)
            self._give_up(batch)
            return
        finally:
            exchange.cancel()
        self._note_pace(client, watch.waited_s())
        for (_, future), reply in zip(batch, replies, strict=True):
            if isinstance(reply, Exception) and not is_missing_script(reply):
                # read only, full, loading, without a slot's owner: it is of no use until a probe says otherwise
                self._lose(client, reply)
                self.tallies.without += 1
            else:
                self.tallies.calls += 1
            if not future.done():
                future.set_result(reply)

    def _note_pace(self, client: RedisClient, took_s: float) -> None:
        self._slow_s = self._slow_s + took_s if took_s > self._patience.slow_s else 0.0
        if self._slow_s >= self._patience.slow_for_s:
            self._lose(client, TimeoutError())

    def _give_up(self, batch: list[_Waiting]) -> None:
        for _, future in batch:
            self.tallies.without += 1
            if not future.done():
                future.set_exception(RedisAway())
        batch.clear()

    # -- losing and finding it -------------------------------------------------------------------------------

    def _take(self, client: RedisClient) -> None:
        self._client = client
        self._slow_s = 0.0
        self._up_since = asyncio.get_running_loop().time()

    def _lose(self, client: RedisClient, error: Exception) -> None:
        """Send nothing more until a probe succeeds. Pauses grow on as long as it does not hold."""
        if self._client is not client:
            return
        self._client = None
        self.tallies.losses += 1
        loop = asyncio.get_running_loop()
        self._lost_at = loop.time()
        if self._lost_at - self._up_since >= self._patience.settled_s:
            self._pause_s = self._patience.pause_s
            self._tell_lost(name_of(error))
        self._give_up(self._waiting)
        self._restorer = loop.create_task(self._restore(client))

    async def _restore(self, lost: RedisClient | None) -> None:
        if lost is not None:
            await self._discard(lost)
        longest_s = self._patience.longest_pause_s
        while True:
            await asyncio.sleep(self._pause_s)
            self._pause_s = min(self._pause_s * 2, longest_s)
            client, failure = await self._connect()
            if client is not None:
                self._take(client)
                if self._told_lost:
                    self._told_lost = False
                    self._log.info("redis_back", form=self._address.form.value, use=self._use)
                return
            if asyncio.get_running_loop().time() - self._lost_at > _FLAPPING_S:
                self._tell_lost(failure)

    def _tell_lost(self, failure: str) -> None:
        """Say so once; a Redis that flaps is seen in the tallies, not in a line for each turn."""
        if not self._told_lost:
            self._told_lost = True
            self._log.warning("redis_lost", error=failure, form=self._address.form.value, use=self._use)

    async def _connect(self) -> tuple[RedisClient | None, str]:
        """Return a client that answers soon enough, or None and what went wrong."""
        patience = self._patience
        try:
            client = client_of(self._address, answer_s=patience.answer_s)
        except Exception as error:  # noqa: BLE001 - a name that does not resolve, a file that is gone
            return None, name_of(error)
        try:
            async with asyncio.timeout(patience.connect_s):
                await client.open()
                for _ in range(_PROBES):
                    watch = _Watch(self._run_queue)
                    await client.probe()
                    if watch.waited_s() <= patience.slow_s:
                        return client, ""
            failure = "slow"
        except Exception as error:  # noqa: BLE001 - see above
            failure = name_of(error)
        except asyncio.CancelledError:
            await self._discard(client)
            raise
        await self._discard(client)
        return None, failure

    async def _discard(self, client: RedisClient) -> None:
        with suppress(Exception):
            async with asyncio.timeout(self._patience.connect_s):
                await client.aclose()
