"""Records of calls: that one began, when and how it ended. Nothing of who called and nothing of what was said."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from app.core.model.call import CallEnd


class CallRecords(Protocol):
    """Promise: durable when a method returns; told again, nothing changes, in whatever order it is told.

    ``key`` is the 16 bytes of the call (channel, account and the provider's id), ``account`` a constant name. The first
    ``close`` wins, with one exception: ``TRANSFERRED`` gives way to a later moment, since a caller who could not be put
    through comes back in the same call. A call closed without having been opened began ``seconds`` before its end; one
    opened after its end stays closed. ``seconds`` of None is counted from the beginning on record, and stays unknown
    where there is none. A call whose end nobody tells stays open. Down: ``StoreUnavailable``, and the call goes on.
    """

    async def open(self, *, key: bytes, account: str, at: datetime) -> None: ...

    async def close(
        self, *, key: bytes, account: str, how: CallEnd, at: datetime, seconds: int | None = None
    ) -> None: ...
