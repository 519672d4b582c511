"""A loopback HTTP server that plays WeChat's API: lives of tokens, windows, quotas, and the faults of a bad day.

Its time stands still until a test moves it. What it refuses, and with which code, follows the platform's documents.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from aiohttp import web

STABLE_TOKEN: Final = "/cgi-bin/stable_token"
PLAIN_TOKEN: Final = "/cgi-bin/token"
CUSTOMER_SERVICE: Final = "/cgi-bin/message/custom/send"
SUBSCRIBE: Final = "/cgi-bin/message/subscribe/send"
TICKET: Final = "/cgi-bin/ticket/getticket"
MENU: Final = "/cgi-bin/menu/create"
SESSION: Final = "/sns/jscode2session"

TOKEN_LIFE_S: Final = 7200.0
HANDOVER_S: Final = 300.0  # so long before its end a stable token is replaced; the old one lives out its life
WINDOW_S: Final = 48 * 3600.0
MOST_UNANSWERED: Final = 5
_BUTTON_BYTES: Final = 16
_SUB_BUTTON_BYTES: Final = 60


class Fault(StrEnum):
    """What goes wrong with one call."""

    CLOSE_BEFORE = "close_before"  # nothing was done
    CLOSE_AFTER = "close_after"  # it was done, the answer is lost
    CUT = "cut"  # it was done, half of the answer arrives
    HANG = "hang"  # it was done, no answer comes until ``release``
    NONSENSE = "nonsense"  # a page that is not the platform's, with status 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One call is answered with this instead, and nothing is done."""

    errcode: int = 0
    status: int = 200


@dataclass(slots=True, kw_only=True)
class PlatformAccount:
    """One account as the platform keeps it."""

    app_id: str
    app_secret: str
    stable_token: str = ""
    plain_token: str = ""
    heard_at: dict[str, float] = field(default_factory=dict)  # by openid
    unanswered: Counter[str] = field(default_factory=Counter)
    templates: set[str] = field(default_factory=set)
    consents: Counter[tuple[str, str]] = field(default_factory=Counter)  # by openid and template
    js_codes: dict[str, str] = field(default_factory=dict)  # code -> openid
    used_js_codes: set[str] = field(default_factory=set)
    menu: dict[str, object] | None = None

    def follow(self, openid: str) -> None:
        """``openid`` exists here, but has not written."""
        self.heard_at.setdefault(openid, -WINDOW_S)

    def sign_in(self, openid: str, js_code: str) -> None:
        """``wx.login`` gave ``js_code`` to ``openid``."""
        self.follow(openid)
        self.js_codes[js_code] = openid

    def consent(self, openid: str, template: str) -> None:
        """``openid`` allows one more message after ``template``."""
        self.follow(openid)
        self.templates.add(template)
        self.consents[openid, template] += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A message the platform took."""

    app_id: str
    path: str
    openid: str
    document: dict[str, object]

    @property
    def text(self) -> str:
        """The words of a customer-service message."""
        text = self.document["text"]
        assert isinstance(text, dict)
        return str(text["content"])


class _Refusal(Exception):
    def __init__(self, errcode: int) -> None:
        super().__init__(errcode)
        self.errcode = errcode


_Step = Callable[["PlatformAccount", web.Request, dict[str, object]], dict[str, object]]


class WechatPlatform:
    """Plays the API for its accounts. ``calls`` are the paths called, ``sent`` what was taken, both in order."""

    def __init__(self, app_id: str = "wx0123456789abcdef", app_secret: str = "secret-of-the-console") -> None:
        self.accounts: dict[str, PlatformAccount] = {}
        self.account = self.add_account(app_id, app_secret)
        self.url = ""
        self.calls: list[str] = []
        self.bodies: list[bytes] = []
        self.sent: list[Sent] = []
        self.quotas: dict[str, int] = {}  # by path: calls left today
        self._faults: defaultdict[str, deque[Fault | Answered]] = defaultdict(deque)
        self._tokens: dict[str, tuple[str, float]] = {}  # token -> account, end of life
        self._now_s = 0.0
        self._made = 0
        self._released = asyncio.Event()
        self._news = asyncio.Condition()

    def add_account(self, app_id: str, app_secret: str) -> PlatformAccount:
        account = PlatformAccount(app_id=app_id, app_secret=app_secret)
        self.accounts[app_id] = account
        return account

    def advance(self, seconds: float) -> None:
        self._now_s += seconds

    def hear_from(self, openid: str, app_id: str = "") -> None:
        """``openid`` writes a message, which opens 48 hours for five answers."""
        account = self.accounts[app_id] if app_id else self.account
        account.heard_at[openid] = self._now_s
        account.unanswered[openid] = 0

    def inject(self, fault: Fault | Answered, *, path: str, times: int = 1) -> None:
        """The next ``times`` calls of ``path`` go wrong so."""
        self._faults[path].extend([fault] * times)

    def forget_tokens(self) -> None:
        """Nothing that was lent is taken any more, and the next tokens are new ones."""
        self._tokens.clear()
        for account in self.accounts.values():
            account.stable_token = account.plain_token = ""

    def release(self) -> None:
        """Let calls that hang be answered."""
        self._released.set()

    async def until_called(self, path: str) -> None:
        """Wait until ``path`` is called; what becomes of the call is another question."""
        async with self._news:
            await self._news.wait_for(lambda: path in self.calls)

    async def until_sent(self, count: int) -> None:
        """Wait until ``count`` messages are taken in all."""
        async with self._news:
            await self._news.wait_for(lambda: len(self.sent) >= count)

    @asynccontextmanager
    async def running(self, port: int = 0) -> AsyncIterator[WechatPlatform]:
        app = web.Application()
        posts: dict[str, _Step] = {
            CUSTOMER_SERVICE: self._message,
            SUBSCRIBE: self._subscribe,
            MENU: self._menu,
        }
        for path, step in posts.items():
            app.router.add_post(path, self._answering(path, self._with_token(step)))
        app.router.add_get(TICKET, self._answering(TICKET, self._with_token(self._lend_ticket)))
        app.router.add_post(STABLE_TOKEN, self._answering(STABLE_TOKEN, self._lend_stable))
        app.router.add_get(PLAIN_TOKEN, self._answering(PLAIN_TOKEN, self._lend_plain))
        app.router.add_get(SESSION, self._answering(SESSION, self._open_session))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            self._released.set()
            await runner.cleanup()

    def _answering(
        self, path: str, step: Callable[[web.Request, dict[str, object]], dict[str, object]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            self.calls.append(path)
            body = await request.read()
            self.bodies.append(body)
            fault = self._faults[path].popleft() if self._faults[path] else None
            if isinstance(fault, Answered):
                return _respond(request, {"errcode": fault.errcode, "errmsg": _gossip(body)}, fault.status)
            if fault is Fault.CLOSE_BEFORE:
                return _hang_up(request)
            try:
                self._count(path)
                document = step(request, _read(body))
            except _Refusal as refusal:
                document = {"errcode": refusal.errcode, "errmsg": _gossip(body)}
            async with self._news:
                self._news.notify_all()
            return await self._deliver(request, document, fault)

        return answer

    async def _deliver(
        self, request: web.Request, document: dict[str, object], fault: Fault | None
    ) -> web.StreamResponse:
        if fault is Fault.HANG:
            await self._released.wait()
        if fault is Fault.CLOSE_AFTER:
            return _hang_up(request)
        if fault is Fault.NONSENSE:
            return web.Response(text="<html>Sign in to the network</html>", content_type="text/html")
        if fault is Fault.CUT:
            cut = web.StreamResponse(headers={"Content-Length": "4096"})
            await cut.prepare(request)
            await cut.write(b'{"errcode": 0, "er')
            return _hang_up(request, cut)
        return _respond(request, document)

    def _count(self, path: str) -> None:
        left = self.quotas.get(path)
        if left is None:
            return
        if left <= 0:
            raise _Refusal(45009)
        self.quotas[path] = left - 1

    def _with_token(self, step: _Step) -> Callable[[web.Request, dict[str, object]], dict[str, object]]:
        def checked(request: web.Request, document: dict[str, object]) -> dict[str, object]:
            token = request.query.get("access_token", "")
            if not token:
                raise _Refusal(41001)
            if token not in self._tokens:
                raise _Refusal(40001)
            app_id, ends_at = self._tokens[token]
            if ends_at <= self._now_s:
                raise _Refusal(42001)
            return step(self.accounts[app_id], request, document)

        return checked

    # -- credentials ------------------------------------------------------------------------------------------

    def _lend_stable(self, request: web.Request, document: dict[str, object]) -> dict[str, object]:
        account = self._admit(document.get("appid"), document.get("secret"), document.get("grant_type"))
        _, ends_at = self._tokens.get(account.stable_token, ("", 0.0))
        forced = document.get("force_refresh") is True
        if forced:
            self._tokens.pop(account.stable_token, None)
        if forced or ends_at - self._now_s <= HANDOVER_S:
            account.stable_token = self._new_token(account, "stable")
            ends_at = self._now_s + TOKEN_LIFE_S
        return {"access_token": account.stable_token, "expires_in": int(ends_at - self._now_s)}

    def _lend_plain(self, request: web.Request, document: dict[str, object]) -> dict[str, object]:
        """The older way, apart from stable tokens: each call ends the life of the token before."""
        query = request.query
        account = self._admit(query.get("appid"), query.get("secret"), query.get("grant_type"))
        self._tokens.pop(account.plain_token, None)
        account.plain_token = self._new_token(account, "plain")
        return {"access_token": account.plain_token, "expires_in": int(TOKEN_LIFE_S)}

    def _lend_ticket(
        self, account: PlatformAccount, request: web.Request, document: dict[str, object]
    ) -> dict[str, object]:
        if request.query.get("type") != "jsapi":
            raise _Refusal(40097)
        self._made += 1
        return {
            "errcode": 0,
            "errmsg": "ok",
            "ticket": f"ticket-{self._made}",
            "expires_in": int(TOKEN_LIFE_S),
        }

    def _open_session(self, request: web.Request, document: dict[str, object]) -> dict[str, object]:
        query = request.query
        if query.get("grant_type") != "authorization_code":
            raise _Refusal(40002)
        account = self._admit(query.get("appid"), query.get("secret"), "client_credential")
        js_code = query.get("js_code", "")
        if not js_code:
            raise _Refusal(41008)
        if js_code in account.used_js_codes:
            raise _Refusal(40163)
        if js_code not in account.js_codes:
            raise _Refusal(40029)
        account.used_js_codes.add(js_code)
        return {"openid": account.js_codes[js_code], "session_key": "c2Vzc2lvbi1rZXktb2YtdGVzdA=="}

    def _admit(self, app_id: object, secret: object, grant: object) -> PlatformAccount:
        if grant != "client_credential":
            raise _Refusal(40002)
        account = self.accounts.get(str(app_id))
        if account is None:
            raise _Refusal(40013)
        if secret != account.app_secret:
            raise _Refusal(40125)
        return account

    def _new_token(self, account: PlatformAccount, sort: str) -> str:
        self._made += 1
        token = f"{sort}-token-{self._made}"
        self._tokens[token] = (account.app_id, self._now_s + TOKEN_LIFE_S)
        return token

    # -- what is done with them -------------------------------------------------------------------------------

    def _message(
        self, account: PlatformAccount, request: web.Request, document: dict[str, object]
    ) -> dict[str, object]:
        openid = str(document.get("touser", ""))
        if openid not in account.heard_at:
            raise _Refusal(40003)
        text = document.get("text")
        if document.get("msgtype") != "text" or not isinstance(text, dict) or not text.get("content"):
            raise _Refusal(40008)
        if self._now_s - account.heard_at[openid] >= WINDOW_S:
            raise _Refusal(45015)
        if account.unanswered[openid] >= MOST_UNANSWERED:
            raise _Refusal(45047)
        account.unanswered[openid] += 1
        self.sent.append(Sent(app_id=account.app_id, path=CUSTOMER_SERVICE, openid=openid, document=document))
        return {"errcode": 0, "errmsg": "ok"}

    def _subscribe(
        self, account: PlatformAccount, request: web.Request, document: dict[str, object]
    ) -> dict[str, object]:
        openid, template = str(document.get("touser", "")), str(document.get("template_id", ""))
        if openid not in account.heard_at:
            raise _Refusal(40003)
        if template not in account.templates:
            raise _Refusal(40037)
        data = document.get("data")
        if not isinstance(data, dict) or not data or not all(_fits(name, one) for name, one in data.items()):
            raise _Refusal(47003)
        if account.consents[openid, template] < 1:
            raise _Refusal(43101)
        account.consents[openid, template] -= 1
        self.sent.append(Sent(app_id=account.app_id, path=SUBSCRIBE, openid=openid, document=document))
        return {"errcode": 0, "errmsg": "ok", "msgid": len(self.sent)}

    def _menu(
        self, account: PlatformAccount, request: web.Request, document: dict[str, object]
    ) -> dict[str, object]:
        buttons = document.get("button")
        if not isinstance(buttons, list) or not 1 <= len(buttons) <= 3:
            raise _Refusal(40016)
        for button in buttons:
            _check_button(button, most_bytes=_BUTTON_BYTES)
        account.menu = document
        return {"errcode": 0, "errmsg": "ok"}


def _check_button(button: dict[str, object], *, most_bytes: int) -> None:
    name, below = button.get("name"), button.get("sub_button")
    if not isinstance(name, str) or not 0 < len(name.encode()) <= most_bytes:
        raise _Refusal(40018)
    if below is not None:
        if most_bytes == _SUB_BUTTON_BYTES or not isinstance(below, list) or not 1 <= len(below) <= 5:
            raise _Refusal(40023)
        for one in below:
            _check_button(one, most_bytes=_SUB_BUTTON_BYTES)
    elif button.get("type") not in {"click", "scancode_waitmsg", "scancode_push"}:
        raise _Refusal(40017)
    elif not 0 < len(str(button.get("key", "")).encode()) <= 128:
        raise _Refusal(40019)


def _fits(name: str, entry: object) -> bool:
    """The template's fields: ``thing1`` takes 20 characters at most."""
    text = entry.get("value") if isinstance(entry, dict) else None
    return isinstance(text, str) and bool(text) and (not name.startswith("thing") or len(text) <= 20)


def _read(body: bytes) -> dict[str, object]:
    if not body:
        return {}
    try:
        document = json.loads(body)
    except ValueError:
        raise _Refusal(47001) from None
    if not isinstance(document, dict):
        raise _Refusal(47001)
    return document


def _gossip(body: bytes) -> str:
    """The platform's words, which may repeat what was sent: they must not reach a log."""
    return f"refused hint: [{body.decode('utf-8', 'replace')}] rid: 66f3bd4d-25a283a9"


def _respond(request: web.Request, document: dict[str, object], status: int = 200) -> web.Response:
    # the platform sends sign-in answers as text/plain, so nobody may go by the content type
    content_type = "text/plain" if request.path == SESSION else "application/json"
    return web.Response(
        text=json.dumps(document, ensure_ascii=False), status=status, content_type=content_type
    )


def _hang_up(request: web.Request, response: web.StreamResponse | None = None) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return response or web.Response()
