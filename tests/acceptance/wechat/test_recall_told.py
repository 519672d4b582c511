"""A recall over HTTP and the command line: who asked to be told of it is told, once."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.acceptance.wechat.chat_site import PROGRAM_ID, TEMPLATE, ChatSite, Folder, served
from tests.fakes.wechat_platform import SUBSCRIBE, WechatPlatform

BASE = "/api/v1/wechat"


class Person:
    """Somebody in the mini-program, who consented to one message."""

    def __init__(self, site: ChatSite, openid: str) -> None:
        self.openid = openid
        self._site = site
        self._token = ""

    async def ask(self, path: str, **body: str) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        url = f"{self._site.server.url}{BASE}{path}"
        async with self._site.client.post(url, json=body, headers=headers) as response:
            return response.status, await response.json(
                content_type=None
            ) if response.content_length else None

    async def watch(self, code: str) -> str:
        """Sign in, check ``code`` and ask to be told; return the outcome of the check."""
        account = self._site.platform.accounts[PROGRAM_ID]
        account.sign_in(self.openid, f"js-{self.openid}")
        account.consent(self.openid, TEMPLATE)
        status, session = await self.ask("/session", code=f"js-{self.openid}")
        assert (status, session["recall_template"]) == (200, TEMPLATE)
        self._token = session["token"]
        status, verdict = await self.ask("/verifications", code=code, entry="scanned")
        assert status == 200
        status, _ = await self.ask("/recall-watches", result=verdict["result"])
        assert status == 204
        return str(verdict["outcome"])


async def recall(site: ChatSite, *flags: str) -> None:
    """Recall the batch from another process, as somebody at the brand does."""
    shell, batch = site.folder.shell, site.folder.batch
    said = await asyncio.to_thread(shell.spawn, "batch", "recall", batch, "--reason", "lead", *flags)
    assert said.returncode == 0, said.stderr


async def test_a_recall_is_told_to_who_asked_and_once(folder: Folder, platform: WechatPlatform) -> None:
    async with served(folder, platform) as site:
        first = Person(site, "oFirstOfTwo-00000000000000001")
        assert await first.watch(folder.codes.pop()) == "first"
        assert platform.sent == []
        await recall(site)
        await site.until_sent(1)
        await recall(site, "--lift")
        await recall(site)
        # told after the second recall, so whoever else is told of it has been told by then
        second = Person(site, "oSecondOfTwo-0000000000000002")
        assert await second.watch(folder.codes.pop()) == "recalled"
        await site.until_sent(2)
    assert [(sent.path, sent.openid) for sent in platform.sent] == [
        (SUBSCRIBE, first.openid),
        (SUBSCRIBE, second.openid),
    ]
    assert all(sent.document["template_id"] == TEMPLATE for sent in platform.sent)
    assert folder.read("SELECT count(*) FROM recall_watch") == [(0,)]
