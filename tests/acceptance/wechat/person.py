"""Somebody who uses the mini-program, as its pages speak to the service."""

from __future__ import annotations

from typing import Any, Final

from tests.acceptance.wechat.chat_site import PROGRAM_ID, TEMPLATE, ChatSite

_BASE: Final = "/api/v1/wechat"


class Person:
    """One person, who consents to one message when they sign in."""

    def __init__(self, site: ChatSite, openid: str) -> None:
        self.openid = openid
        self._site = site
        self._token = ""

    async def ask(self, method: str, path: str, **body: str) -> tuple[int, Any]:
        """Return the status and the document of one answer, None where it has none."""
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        url = f"{self._site.server.url}{_BASE}{path}"
        async with self._site.client.request(method, url, json=body or None, headers=headers) as response:
            return response.status, await response.json(
                content_type=None
            ) if response.content_length else None

    async def sign_in(self) -> None:
        """Exchange what ``wx.login`` gave for a token."""
        account = self._site.platform.accounts[PROGRAM_ID]
        account.sign_in(self.openid, f"js-{self.openid}")
        account.consent(self.openid, TEMPLATE)
        status, session = await self.ask("POST", "/session", code=f"js-{self.openid}")
        assert (status, session["recall_template"]) == (200, TEMPLATE)
        self._token = session["token"]

    async def check(self, code: str) -> Any:
        """Return the verdict about a label that was scanned."""
        status, verdict = await self.ask("POST", "/verifications", code=code, entry="scanned")
        assert status == 200
        return verdict

    async def history(self) -> list[Any]:
        """Return their own checks."""
        status, document = await self.ask("GET", "/verifications")
        assert status == 200
        return list(document["records"])
