"""What is kept of somebody who writes to us: language, opt-out, and which notices they were given."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Protocol

from app.core.model.caller import Caller
from app.core.model.value import value


@value
class Correspondent:
    """What a caller chose. ``locale`` is "" while they chose none; ``place`` is where they said they are, coarse, for
    a day.
    """

    locale: str = ""
    opted_out: bool = False
    place: str = ""


@value
class Change:
    """What a command of theirs changes; None leaves as it is."""

    locale: str | None = None
    opted_out: bool | None = None
    place: str | None = None


class NoticeKind(StrEnum):
    """Texts that are not answers and are given once in a while."""

    HELP = "help"
    WELCOME = "welcome"
    THROTTLED = "throttled"
    OPTED_OUT = "opted_out"


class Correspondence(Protocol):
    """Promise: durable when a method returns; kept under the caller's token alone, erasable, never a number.

    A caller without a token is nobody: ``find`` is a blank, ``change`` keeps nothing, ``claim_notice`` is True.
    ``change`` makes a change once a message, known by either key for at least 7 days: an old command that is delivered
    again undoes no newer one. Changes made at once all hold. It returns what holds now.
    ``claim_notice`` is True for one message until ``until``, and True again for that message (a retry gets the same
    text), also when many ask at once. Down: ``StoreUnavailable``.
    """

    async def find(self, caller: Caller, *, now: datetime) -> Correspondent: ...

    async def change(
        self,
        caller: Caller,
        change: Change,
        *,
        message_key: bytes,
        alias_key: bytes | None = None,
        now: datetime,
    ) -> Correspondent: ...

    async def claim_notice(
        self, caller: Caller, kind: NoticeKind, *, message_key: bytes, now: datetime, until: datetime
    ) -> bool: ...
