"""What somebody in WeChat told is read, and they are forgotten, from the command line while the service runs."""

from __future__ import annotations

import asyncio

import pytest

from app.cli.exits import Exit
from tests.acceptance.wechat.chat_site import PROGRAM_ID, Folder, served
from tests.acceptance.wechat.person import Person
from tests.fakes.wechat_platform import WechatPlatform

WORDS = "封口像是被打开过"


async def test_what_people_told_is_read_until_they_are_forgotten(
    folder: Folder, platform: WechatPlatform
) -> None:
    async with served(folder, platform) as site:
        one, other = (Person(site, f"oForgotten-{number:017d}") for number in (1, 2))
        for person in (one, other):
            await person.sign_in()
            verdict = await person.check(folder.codes.pop())
            assert (await person.ask("POST", "/reports", result=verdict["result"], text=WORDS))[0] == 204
            assert len(await person.history()) == 1
        numbers = [number for (number,) in folder.read("SELECT id FROM verification ORDER BY id")]
        read = await asyncio.to_thread(folder.shell.json, "report", "list")
        assert [(told["words"], told["verification"]) for told in read] == [
            (WORDS, number) for number in reversed(numbers)
        ]
        assert {(told["channel"], told["account"], told["product"]["name"]) for told in read} == {
            ("wechat", "mini-program", "奶粉")
        }
        assert not any(person.openid in str(read) for person in (one, other))
        name = f"{PROGRAM_ID}/{one.openid}"
        said = await asyncio.to_thread(folder.shell.run, "caller", "erase", "--wechat", name)
        assert said.stdout.startswith("Forgotten: 2 ")
        assert [len(await person.history()) for person in (one, other)] == [0, 1]
        read = await asyncio.to_thread(folder.shell.json, "report", "list")
        assert [(told["words"], told["gone"]) for told in read] == [(WORDS, False), (None, True)]
    facts = "SELECT count(*) FROM verification WHERE channel = 'wechat'"
    assert folder.read(facts) == [(2,)]
    told = "SELECT token IS NULL, sealed IS NULL, count(*) FROM report GROUP BY 1, 2 ORDER BY 1"
    assert folder.read(told) == [(0, 0, 1), (1, 1, 1)]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), Exit.USAGE),
        (("--wechat", "oForgotten"), Exit.REFUSED),
        (("--wechat", "wx1/o 2"), Exit.REFUSED),
        (("--wechat", "wx1/oNobody"), Exit.OK),
        (("+8613800138000", "--wechat", "wx1/oNobody"), Exit.OK),
    ],
)
def test_who_is_to_be_forgotten_must_be_said(folder: Folder, words: tuple[str, ...], code: Exit) -> None:
    folder.shell.run("caller", "erase", *words, expect=code)
