"""Wrong codes of all processes: counted in Redis, and told to each other, once a second beside the queries.

An attack spread over many machines is below every threshold on each of them. Codes pass through Redis sealed, serials
and labels as keyed digests (docs/decisions/0006-limits-that-machines-share.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from app.adapters.bursts import DAY_SLOTS, LEAST, RECENT_SLOTS, TIMES, Burst
from app.adapters.cache.connection import RedisAway, RedisConnection, RedisScript
from app.adapters.wrong_codes import CloseOnset, UnknownCode, WrongCodeWatch
from app.adapters.wrong_codes_script import COUNT, EXCHANGE
from app.core.ports.clock import Clock
from app.core.ports.sealing import Sealing

_COUNT: Final = RedisScript.of(COUNT)
_EXCHANGE: Final = RedisScript.of(EXCHANGE)
_EVERY_S: Final = 1.0
_ALL_EVERY: Final = 3  # turns; how channels without a wrong code of ours stand
_AT_ONCE: Final = 200
_KEPT: Final = 10_000
_DAY_MS: Final = 86_400_000
_ABOUT: Final = b"a wrong code, for the watch of every process"


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcements:
    """Whom to tell what begins anywhere; each is told once over all processes."""

    burst: Callable[[str, Burst], None]
    close: Callable[[CloseOnset], None]


class RedisWrongCodes:
    """Shares the ``watch`` of this process, made for one event loop. ``digest_key`` (16 to 64 bytes) and ``sealing``
    are of the key file. While Redis is away, the watch counts what this process sees.
    """

    def __init__(
        self,
        connection: RedisConnection,
        watch: WrongCodeWatch,
        announce: Announcements,
        *,
        clock: Clock,
        sealing: Sealing,
        digest_key: bytes,
    ) -> None:
        self._connection = connection
        self._watch = watch
        self._announce = announce
        self._clock = clock
        self._sealing = sealing
        self._digest_key = digest_key
        self._last = "0-0"
        self._losses = 0
        self._turns = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Share once a second from now on."""
        self._task = asyncio.get_running_loop().create_task(self._share())

    async def close(self) -> None:
        """Share what is left, and no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
            self._task = None
            await self.share_once()

    async def share_once(self) -> None:
        """Tell the others what is new here, learn what is new there, and announce what begins."""
        self._turns += 1
        try:
            bursts = await self._count()
            await self._exchange()
        except RedisAway:
            pass  # kept for the next turn, and meanwhile this process is as if it were alone
        else:
            self._watch.told(bursts, self._clock.monotonic_s())
        for onset in self._watch.take_onsets():
            if await self._is_ours(onset):
                self._announce.close(onset)

    async def _share(self) -> None:
        while True:
            await self.share_once()
            await asyncio.sleep(_EVERY_S)

    # -- how many --------------------------------------------------------------------------------------------

    async def _count(self) -> dict[str, Burst]:
        counts = self._watch.take_counts(self._clock.monotonic_s())
        asked: dict[str, dict[int, int]] = {}
        if self._turns % _ALL_EVERY == 1:
            asked = {channel: {} for channel in self._watch.channels()}
        found = await asyncio.gather(
            *(self._count_one(channel, new) for channel, new in (asked | counts).items()),
            return_exceptions=True,
        )
        for one in found:
            if isinstance(one, BaseException):
                raise one
        return dict(one for one in found if not isinstance(one, BaseException))

    async def _count_one(self, channel: str, new: Mapping[int, int]) -> tuple[str, Burst]:
        words = "".join(f"{ago}:{count} " for ago, count in new.items())
        numbers = (LEAST, TIMES, RECENT_SLOTS, DAY_SLOTS)
        try:
            reply = await self._connection.run(_COUNT, [self._key("b", channel)], (*numbers, words))
            match reply:
                case [int(recent), int(older), int(seen), int(on), int(begins)]:
                    burst = Burst(recent=recent, baseline=older * RECENT_SLOTS / max(seen, 1), on=bool(on))
                case _:
                    raise RedisAway
        except RedisAway:
            self._watch.put_back_counts(channel, new, self._clock.monotonic_s())
            raise
        if begins:
            self._announce.burst(channel, burst)
        return channel, burst

    # -- which -----------------------------------------------------------------------------------------------

    async def _exchange(self) -> None:
        """Put new codes where all processes read them, and read on from where this one stopped."""
        if self._losses != self._connection.tallies.losses:
            self._losses, self._last = self._connection.tallies.losses, "0-0"  # it may have begun anew
        codes = self._watch.take_codes(_AT_ONCE)
        sealed = [
            self._sealing.seal(f"{code.channel} {code.digits}".encode(), about=_ABOUT) for code in codes
        ]
        try:
            reply = await self._connection.run(
                _EXCHANGE, [self._key("w", "codes")], (self._last, _AT_ONCE * 2, _KEPT, _DAY_MS, *sealed)
            )
        except RedisAway:
            self._watch.put_back_codes(codes)
            raise
        match reply:
            case [int(now_ms), list(entries)]:
                for entry in entries:
                    self._learn(entry, now_ms)
            case _:
                raise RedisAway

    def _learn(self, entry: object, now_ms: int) -> None:
        match entry:
            case [bytes(name), list(fields)]:
                self._last = name.decode("ascii", "replace")
            case _:
                return
        plain = self._sealing.open(fields[-1], about=_ABOUT) if fields else None
        age_ms = max(now_ms - int(name.partition(b"-")[0]), 0)
        if plain is not None and age_ms < _DAY_MS:
            channel, _, digits = plain.decode().partition(" ")
            seen_s = self._clock.monotonic_s() - age_ms / 1000
            self._watch.learn(UnknownCode(channel=channel, digits=digits), seen_s)

    async def _is_ours(self, onset: CloseOnset) -> bool:
        """Tell whether this process is the one that announces; without Redis each does."""
        key = self._key("n", f"{onset.closeness} {onset.group}")
        try:
            return await self._connection.call("SET", key, b"1", "NX", "PX", _DAY_MS) is not None
        except RedisAway:
            return True

    def _key(self, kind: str, name: str) -> str:
        digest = blake2b(f"{kind} {name}".encode(), key=self._digest_key[:64], digest_size=12).hexdigest()
        return f"yanzhen:{kind}:{digest}"
