"""Sessions of a mini-program: a token of ours that names the account and the openid, sealed, and kept nowhere.

The platform's own session key is never asked for again: nothing here needs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

import orjson

from app.core.errors import NotAuthentic
from app.core.model.caller import Caller, CallerKind
from channels.abilities import ErrandFailed
from channels.base import ChannelContext
from channels.wechat.api.refusals import AppReason
from channels.wechat.settings import Account

LIVES_FOR: Final = timedelta(hours=2)
_ABOUT: Final = "mini-program"
_SCHEME: Final = "bearer"


class SessionOpener(Protocol):
    """The platform, as far as sign-in needs it."""

    async def open_session(self, js_code: str) -> str | ErrandFailed:
        """Return the openid of whoever ``wx.login`` gave ``js_code`` to. Never raises."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MiniProgram:
    """One mini-program and the platform that signs its people in."""

    account: Account
    platform: SessionOpener


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Who asks: a person of one mini-program."""

    account: Account
    openid: str = field(repr=False)
    caller: Caller


class SignInRequired(NotAuthentic):
    """There is no token, or it is over or not ours. Sign in again."""

    def __init__(self, *, token_sent: bool) -> None:
        super().__init__()
        self.problem = AppReason.SIGN_IN_REQUIRED.value
        # RFC 6750, section 3: no error is named to somebody who sent no token
        self.challenge = 'Bearer error="invalid_token"' if token_sent else "Bearer"


class Sessions:
    """Makes and reads tokens; the same token for the same person within a second, and equal on every machine."""

    def __init__(self, programs: Iterable[MiniProgram], context: ChannelContext) -> None:
        self._accounts = {program.account.name: program.account for program in programs}
        self._identities = context.identities

    def seal(self, account: Account, openid: str, now: datetime) -> str:
        """Return a token that holds for :data:`LIVES_FOR` from ``now``."""
        ends_at = int((now + LIVES_FOR).timestamp())
        plain = orjson.dumps({"account": account.name, "openid": openid, "ends_at": ends_at})
        return self._identities.seal_state(plain, about=_ABOUT)

    def open(self, headers: Mapping[str, str], now: datetime) -> Session:
        """Return the session of a request. Raises ``SignInRequired``."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != _SCHEME or not token.strip():
            raise SignInRequired(token_sent=False)
        session = self._read(token.strip(), now)
        if session is None:
            raise SignInRequired(token_sent=True)
        return session

    def _read(self, token: str, now: datetime) -> Session | None:
        plain = self._identities.open_state(token, about=_ABOUT)
        if plain is None:
            return None
        fields = orjson.loads(plain)  # sealed by us, so it is what :meth:`seal` wrote
        account = self._accounts.get(fields["account"])
        if account is None or fields["ends_at"] <= now.timestamp() or _ended(account, fields["ends_at"], now):
            return None
        openid = fields["openid"]
        caller = self._identities.caller(CallerKind.WECHAT, f"{account.app_id}/{openid}")
        return Session(account=account, openid=openid, caller=caller)


def _ended(account: Account, ends_at: int, now: datetime) -> bool:
    """Tell whether the operator ended the session of a token that holds until ``ends_at``; not ahead of the time."""
    since = account.sessions_from
    return since is not None and ends_at - LIVES_FOR.total_seconds() < since.timestamp() <= now.timestamp()
