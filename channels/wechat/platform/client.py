"""One account's client of the platform's API: the access token, pauses the platform asked for, one repeat at most."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

import orjson

from channels.abilities import ErrandFailed
from channels.base import Cache, Clock, http_calls
from channels.wechat.platform.answers import Answer, Granted, NotTaken, Refused, Unclear, read_answer
from channels.wechat.platform.credentials import FETCH_WITHIN_S, Credential, SharedCredential
from channels.wechat.settings import Account

PUSH_WITHIN_S: Final = 10.0
ERRAND_WITHIN_S: Final = 2.5  # the channel answers within 2.8 s

_TOKEN: Final = "/cgi-bin/stable_token"  # noqa: S105 - an address
_TICKET: Final = "/cgi-bin/ticket/getticket"
_SESSION: Final = "/sns/jscode2session"
_JSON: Final = (("Content-Type", "application/json"),)
# 40001 not the latest or not ours, 40014 not a token, 42001 expired
_TOKEN_REFUSED: Final = frozenset({40001, 40014, 42001})
_SETUP_S: Final = 60.0
_SESSION_REST_S: Final = 5.0
_SIGN_IN_REFUSED: Final[Mapping[int, str]] = {
    40029: "code_invalid",
    40163: "code_used_before",
    41008: "code_missing",
    40226: "caller_blocked",
}
_JS_CODE: Final = re.compile(r"[!-~]{1,128}")
_OPENID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SECRET: Final = re.compile(r"[!-~]{1,1024}")  # the platform asks for room for 512 characters
_LONGEST_LIFE_S: Final = 86_400


class Platform:
    """The API for ``account``, which has an ``app_id`` and an ``app_secret``. Made for one event loop.

    No method raises. Each takes the seconds that all its calls may take together; after -1, 45009, 45011 or a 503 no
    call goes to that address until its pause is over, which each process keeps by itself.
    """

    def __init__(
        self, account: Account, *, api_base: str, calls: http_calls.HttpCalls, cache: Cache, clock: Clock
    ) -> None:
        self._app_id = account.app_id
        self._app_secret = account.app_secret
        self._api_base = api_base.rstrip("/")
        self._calls = calls
        self._clock = clock
        self._rests: dict[str, tuple[float, NotTaken]] = {}  # by address: until when, and why
        self._token = SharedCredential(
            f"wechat/{account.app_id}/access-token", cache=cache, clock=clock, fetch=self._fetch_token
        )
        self._ticket = SharedCredential(
            f"wechat/{account.app_id}/jsapi-ticket", cache=cache, clock=clock, fetch=self._fetch_ticket
        )

    async def post(self, path: str, document: Mapping[str, object], *, within_s: float) -> Answer:
        """Post ``document`` as JSON to ``path`` with the access token; texts must be encodable as UTF-8."""
        return await self._ask(path, {}, orjson.dumps(document), within_s=within_s)

    async def open_session(self, js_code: str) -> str | ErrandFailed:
        """Return the openid of whoever ``wx.login`` gave ``js_code`` to (code2Session); the session key is dropped.

        A code works once: whatever failed, the mini-program has to bring a new one.
        """
        if not _JS_CODE.fullmatch(js_code):
            return ErrandFailed(why="code_invalid", refused=True)
        query = {
            "appid": self._app_id,
            "secret": self._app_secret,
            "js_code": js_code,
            "grant_type": "authorization_code",
        }
        answer = await self._exchange(
            _SESSION,
            query,
            b"",
            until_s=self._clock.monotonic_s() + ERRAND_WITHIN_S,
            # 45011 counts one person's sign-ins, who must not keep everybody else out for a minute
            most_rest_s=_SESSION_REST_S,
        )
        match answer:
            case Granted():
                openid = answer.document.get("openid")
                if isinstance(openid, str) and _OPENID.fullmatch(openid):
                    return openid
                return ErrandFailed(why="unreadable_answer")
            case Refused():
                if answer.code in _SIGN_IN_REFUSED:
                    return ErrandFailed(why=_SIGN_IN_REFUSED[answer.code], refused=True)
                return ErrandFailed(why="setup_wrong")
            case NotTaken() | Unclear():
                return ErrandFailed(why=answer.why)

    async def jsapi_ticket(self) -> str | ErrandFailed:
        """Return the ticket that signs pages for the JS-SDK."""
        ticket = await self._ticket.get(within_s=ERRAND_WITHIN_S)
        return ErrandFailed(why=ticket.why) if isinstance(ticket, NotTaken) else ticket

    async def close(self) -> None:
        """End what is under way."""
        await self._ticket.close()
        await self._token.close()

    async def _ask(self, path: str, query: Mapping[str, str], body: bytes, *, within_s: float) -> Answer:
        """Make one call with the access token; where the token is refused, one more with a new one."""
        until_s = self._clock.monotonic_s() + within_s
        token = await self._token.get(within_s=within_s)
        if isinstance(token, NotTaken):
            return token
        answer = await self._exchange(path, {"access_token": token, **query}, body, until_s=until_s)
        if not isinstance(answer, Refused) or answer.code not in _TOKEN_REFUSED:
            return answer
        left_s = until_s - self._clock.monotonic_s()
        renewed = await self._token.get(within_s=max(left_s, 0.0), refused=token)
        if isinstance(renewed, NotTaken):
            return renewed
        answer = await self._exchange(path, {"access_token": renewed, **query}, body, until_s=until_s)
        if isinstance(answer, Refused) and answer.code in _TOKEN_REFUSED:
            return self._rest(path, NotTaken(why="token_refused_twice", after_s=_SETUP_S, rest=True))
        return answer

    async def _exchange(
        self,
        path: str,
        query: Mapping[str, str],
        body: bytes,
        *,
        until_s: float,
        most_rest_s: float = float("inf"),
    ) -> Answer:
        """Make one call, unless the platform asked for a pause at ``path`` or no time is left."""
        now_s = self._clock.monotonic_s()
        rest_until_s, resting = self._rests.get(path, (now_s, None))
        if resting is not None and rest_until_s > now_s:
            return NotTaken(why=resting.why, after_s=rest_until_s - now_s)
        if until_s <= now_s:
            return NotTaken(why="no_time_left", after_s=0.0)
        url = f"{self._api_base}{path}" + (f"?{urlencode(query)}" if query else "")
        call = (
            http_calls.HttpCall(method="POST", url=url, headers=_JSON, body=body)
            if body
            else http_calls.HttpCall(method="GET", url=url)
        )
        answer = read_answer(await self._calls.call(call, deadline_s=until_s - now_s))
        if isinstance(answer, NotTaken) and answer.rest:
            return self._rest(path, answer, most_s=most_rest_s)
        return answer

    def _rest(self, path: str, answer: NotTaken, *, most_s: float = float("inf")) -> NotTaken:
        pause_s = min(answer.after_s, most_s)
        self._rests[path] = (self._clock.monotonic_s() + pause_s, answer)
        return NotTaken(why=answer.why, after_s=pause_s)

    async def _fetch_token(self) -> Credential | NotTaken:
        """Ask for the stable token: while one is valid the platform gives the same to every process that asks."""
        body = orjson.dumps(
            {"grant_type": "client_credential", "appid": self._app_id, "secret": self._app_secret}
        )
        answer = await self._exchange(_TOKEN, {}, body, until_s=self._clock.monotonic_s() + FETCH_WITHIN_S)
        if isinstance(answer, Refused):  # a wrong secret, or an address that is not on the account's list
            return self._rest(_TOKEN, NotTaken(why="setup_wrong", after_s=_SETUP_S, rest=True))
        return _read_credential(answer, "access_token")

    async def _fetch_ticket(self) -> Credential | NotTaken:
        return _read_credential(
            await self._ask(_TICKET, {"type": "jsapi"}, b"", within_s=FETCH_WITHIN_S), "ticket"
        )


def _read_credential(answer: Answer, name: str) -> Credential | NotTaken:
    """Return the credential in ``answer``; to ask for one again is harmless, so what is unclear counts as not done."""
    match answer:
        case Granted():
            secret, life_s = answer.document.get(name), answer.document.get("expires_in")
            if (
                isinstance(secret, str)
                and _SECRET.fullmatch(secret)
                and isinstance(life_s, int)
                and 0 < life_s <= _LONGEST_LIFE_S
            ):
                return Credential(secret=secret, expires_in_s=life_s)
            return NotTaken(why="unreadable_answer", after_s=_SETUP_S)
        case Refused():
            return NotTaken(why="setup_wrong", after_s=_SETUP_S)
        case Unclear():
            return NotTaken(why=answer.why, after_s=5.0)
        case NotTaken():
            return answer
