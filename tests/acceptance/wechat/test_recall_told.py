"""A recall over HTTP and the command line: who asked to be told of it is told, once."""

from __future__ import annotations

import asyncio

from tests.acceptance.wechat.chat_site import TEMPLATE, ChatSite, Folder, served
from tests.acceptance.wechat.person import Person
from tests.fakes.wechat_platform import SUBSCRIBE, WechatPlatform


async def watched(person: Person, code: str) -> str:
    """Sign in, check ``code`` and ask to be told; return the outcome of the check."""
    await person.sign_in()
    verdict = await person.check(code)
    status, _ = await person.ask("POST", "/recall-watches", result=verdict["result"])
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
        assert await watched(first, folder.codes.pop()) == "first"
        assert platform.sent == []
        await recall(site)
        await site.until_sent(1)
        await recall(site, "--lift")
        await recall(site)
        # told after the second recall, so whoever else is told of it has been told by then
        second = Person(site, "oSecondOfTwo-0000000000000002")
        assert await watched(second, folder.codes.pop()) == "recalled"
        await site.until_sent(2)
    assert [(sent.path, sent.openid) for sent in platform.sent] == [
        (SUBSCRIBE, first.openid),
        (SUBSCRIBE, second.openid),
    ]
    assert all(sent.document["template_id"] == TEMPLATE for sent in platform.sent)
    assert folder.read("SELECT count(*) FROM recall_watch") == [(0,)]
