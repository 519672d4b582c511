"""The two lines with a screen, as browsers and phones use them: the web form to its result page, and the mini-program.

Each step goes to whichever machine; only what the shopper's own device keeps leads from one to the next.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from tests.acceptance.many_machines.fleet import PUBLIC_URL
from tests.acceptance.many_machines.queries import Query, Said, WrongAnswer
from tests.fakes.wechat_platform import WechatPlatform

_NONCE: Final = re.compile(r'name="nonce" value="([^"]+)"')
_COUNTED: Final = re.compile(r"<dt>查询次数</dt><dd>([0-9]+) 次，(即|含)本次</dd>")


@dataclass(slots=True, kw_only=True)
class _Browser:
    """What one browser keeps: its cookies, the form it has open, and where it was sent with its answer."""

    cookies: str
    nonce: str
    result: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebForm:
    """The website without JavaScript: open the page of a code, send its form, follow to the result page.

    A form whose answer was lost is sent again as it stands, and leads to the same result page.
    """

    anywhere: Callable[[], str]
    _browsers: dict[int, _Browser] = field(default_factory=dict)

    async def __call__(self, session: aiohttp.ClientSession, origin: str, query: Query) -> Said | None:
        """Ask, or ask again, with the browser of this query."""
        browser = self._browsers.get(query.number)
        if browser is None:
            browser = self._browsers[query.number] = await self._open(session, query)
        headers = {"Origin": PUBLIC_URL, "Sec-Fetch-Site": "same-origin", "Cookie": browser.cookies}
        form = {"code": query.code, "nonce": browser.nonce, "lang": "zh-CN", "entry": "typed", "scanned": ""}
        async with session.post(
            f"{origin}/verify", data=form, headers=headers, allow_redirects=False
        ) as response:
            said = await response.text()
        if response.status == 503:
            return None
        if response.status != 303:
            raise WrongAnswer(f"web: {response.status} {said}")
        result = response.headers["Location"]
        if browser.result not in ("", result):
            raise WrongAnswer("web: the same form again led to another result")
        browser.result = result
        return await self._read(session, browser)

    async def _open(self, session: aiohttp.ClientSession, query: Query) -> _Browser:
        async with session.get(f"{self.anywhere()}/q/{query.code}") as response:
            page = await response.text()
        nonce = _NONCE.search(page)
        if response.status != 200 or nonce is None or not response.cookies:
            raise WrongAnswer(f"web: {response.status} {page}")
        cookies = "; ".join(f"{cookie.key}={cookie.value}" for cookie in response.cookies.values())
        return _Browser(cookies=cookies, nonce=nonce[1])

    async def _read(self, session: aiohttp.ClientSession, browser: _Browser) -> Said | None:
        url = f"{self.anywhere()}{browser.result}"
        async with session.get(url, headers={"Cookie": browser.cookies}) as response:
            page = await response.text()
        if response.status == 503:
            return None
        counted = _COUNTED.search(page)
        if response.status != 200 or counted is None:
            raise WrongAnswer(f"web: {response.status} {page}")
        return Said(ordinal=int(counted[1]), first=counted[2] == "即")


@dataclass(frozen=True, slots=True, kw_only=True)
class MiniProgram:
    """The mini-program's API. A phone signs in anew with every try; its question keeps its key."""

    platform: WechatPlatform
    anywhere: Callable[[], str]
    _sign_ins: Counter[int] = field(default_factory=Counter)

    async def __call__(self, session: aiohttp.ClientSession, origin: str, query: Query) -> Said | None:
        """Sign in, then ask."""
        login = {"code": self._login(query), "app_id": self.platform.account.app_id}
        status, signed_in = await _post(session, f"{self.anywhere()}/api/v1/wechat/session", login, {})
        if status == 503:
            return None
        if status != 200:
            raise WrongAnswer(f"mini-program: {status} {signed_in}")
        headers = {
            "Authorization": f"Bearer {signed_in['token']}",
            "Idempotency-Key": f"key-of-query-{query.number}",
        }
        question = {"code": query.code, "entry": "typed", "locale": "zh-CN"}
        status, answer = await _post(session, f"{origin}/api/v1/wechat/verifications", question, headers)
        if status == 503:
            return None
        if status != 200:
            raise WrongAnswer(f"mini-program: {status} {answer}")
        return Said(ordinal=answer["ordinal"], first=answer["outcome"] == "first")

    def _login(self, query: Query) -> str:
        """Return a fresh code of ``wx.login``: the platform takes each only once."""
        self._sign_ins[query.number] += 1
        js_code = f"login-{query.number}-{self._sign_ins[query.number]}"
        self.platform.account.sign_in(f"oMiniProgram{query.number:016d}", js_code)
        return js_code


async def _post(
    session: aiohttp.ClientSession, url: str, body: dict[str, str], headers: dict[str, str]
) -> tuple[int, Any]:
    async with session.post(url, json=body, headers=headers) as response:
        return response.status, await response.json(content_type=None)
