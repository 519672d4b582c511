"""What is kept of somebody who writes to us: language, opt-out, and which notices they were given."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Protocol

from app.core.model.caller import Caller
from app.core.model.value import value


@value
class Correspondent:
    """What a caller chose. ``locale`` is "" while they chose none."""

    locale: str = ""
    opted_out: bool = False


class NoticeKind(StrEnum):
    """Texts that are not answers and are given once in a while."""

    HELP = "help"
    THROTTLED = "throttled"
    OPTED_OUT = "opted_out"


class Correspondence(Protocol):
    """Promise: durable when a method returns; kept under the caller's token alone, erasable, never a number.

    A caller without a token is nobody: ``find`` is a blank, ``keep`` does nothing, ``claim_notice`` is True.
    ``claim_notice`` is True for one message until ``until``, and True again for that message (a retry gets the same
    text), also when many ask at once. Down: ``StoreUnavailable``.
    """

    async def find(self, caller: Caller) -> Correspondent: ...

    async def keep(self, caller: Caller, correspondent: Correspondent, *, now: datetime) -> None: ...

    async def claim_notice(
        self, caller: Caller, kind: NoticeKind, *, message_key: bytes, now: datetime, until: datetime
    ) -> bool: ...
