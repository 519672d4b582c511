"""A credential that the platform lends for two hours: shared through the cache, renewed by one holder at a time.

It stands in the cache as it is, so a cache outside this process must be as private as the key file. Its life there
ends five minutes before the platform's, or at half of it where that is short.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import field
from typing import Final

from app.core.model.value import value
from channels.base import Cache, Clock
from channels.wechat.platform.answers import NotTaken

FETCH_WITHIN_S: Final = 5.0
_LEASE_S: Final = FETCH_WITHIN_S + 2.0
_MARGIN_S: Final = 300.0
_LOOK_EVERY_S: Final = 0.1
_MOST_LOOKS: Final = 80  # a little longer than a lease, so that a holder that died is replaced
_RENEWED_ELSEWHERE_S: Final = 2.0


@value
class Credential:
    """A credential as the platform gave it, and for how many seconds."""

    secret: str = field(repr=False)
    expires_in_s: float


@value
class _Held:
    secret: str = field(repr=False)
    until_s: float


class SharedCredential:
    """One credential. ``fetch`` asks the platform for it within ``FETCH_WITHIN_S``; it never raises.

    A renewal goes on when whoever wanted it gives up: the next one finds it in the cache.
    """

    def __init__(
        self, key: str, *, cache: Cache, clock: Clock, fetch: Callable[[], Awaitable[Credential | NotTaken]]
    ) -> None:
        self._key = key
        self._lease = f"{key}/renewal"
        self._cache = cache
        self._clock = clock
        self._fetch = fetch
        self._held: _Held | None = None  # for as long as the cache is down
        self._renewal: asyncio.Task[str | NotTaken] | None = None

    async def get(self, *, within_s: float, refused: str = "") -> str | NotTaken:
        """Return the credential, another than ``refused``, which the platform does not take any more."""
        known = await self._known(refused)
        if known:
            return known
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew(refused))
        try:
            async with asyncio.timeout(within_s):
                return await asyncio.shield(self._renewal)
        except TimeoutError:
            return NotTaken(why="no_credential_in_time", after_s=_RENEWED_ELSEWHERE_S)

    async def close(self) -> None:
        """End a renewal that is under way."""
        renewal, self._renewal = self._renewal, None
        if renewal is not None:
            renewal.cancel()
            await asyncio.wait((renewal,))

    async def _known(self, refused: str) -> str:
        cached = await self._cache.find(self._key)
        if cached is not None:
            secret = cached.decode("utf-8", "replace")
            return "" if secret == refused else secret
        held = self._held
        if held is not None and held.until_s > self._clock.monotonic_s() and held.secret != refused:
            return held.secret
        return ""

    async def _renew(self, refused: str) -> str | NotTaken:
        """Fetch it, unless another process does: then wait until it stands in the cache."""
        for _ in range(_MOST_LOOKS):
            if await self._cache.claim(self._lease, ttl_s=_LEASE_S):
                try:
                    # whoever held the lease before may have renewed it just now
                    return await self._known(refused) or await self._fetch_new(refused)
                finally:
                    await self._cache.drop(self._lease)
            await asyncio.sleep(_LOOK_EVERY_S)
            known = await self._known(refused)
            if known:
                return known
        return NotTaken(why="renewed_elsewhere", after_s=_RENEWED_ELSEWHERE_S)

    async def _fetch_new(self, refused: str) -> str | NotTaken:
        if refused:
            await self._cache.drop(self._key)
        fetched = await self._fetch()
        if isinstance(fetched, NotTaken):
            return fetched
        life_s = max(fetched.expires_in_s - _MARGIN_S, fetched.expires_in_s / 2)
        self._held = _Held(secret=fetched.secret, until_s=self._clock.monotonic_s() + life_s)
        await self._cache.put(self._key, fetched.secret.encode(), ttl_s=life_s)
        return fetched.secret
