"""Trying WeChat without an account: against a fresh demonstration, and in every mode and kind of account."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from app.bootstrap.simulated_chat import OPENID
from app.core.model.verdict import Outcome
from tests.acceptance.cli.shell import PATIENCE_S, Server, Shell
from tests.fakes.wechat_platform import WechatPlatform

pytestmark = pytest.mark.xdist_group("simulate-wechat")

_SAMPLE: Final = re.compile(r"^((?:\d{4} ){3,5}\d{4})\s+(\w+)\s", re.MULTILINE)
_KEY: Final = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
_ACCOUNTS: Final = """
[wechat]
api_base = "{api_base}"

[wechat.official_account]
token = "token-of-the-account"
app_id = "wx5823bf96d3bd56c7"
encoding_aes_key = "{key}"
mode = "compatible"

[wechat.accounts.plain]
token = "token-of-the-plain-one"

[wechat.mini_program]
token = "token-of-the-program"
app_id = "{app_id}"
app_secret = "{app_secret}"
encoding_aes_key = "{key}"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """A demonstration that serves, and its sample codes by outcome; ``flags`` are what other commands need of it."""

    shell: Shell
    server: Server
    codes: dict[str, list[str]]
    flags: tuple[str, ...] = ()

    def chat(self, *words: str, **flags: str) -> dict[str, Any]:
        """Simulate one message and return what the command printed as JSON."""
        said = self.shell.run(*self.command(*words, **flags), "--json")
        answer: dict[str, Any] = json.loads(said.stdout)
        return answer

    def command(self, *words: str, **flags: str) -> tuple[str, ...]:
        """Return the words of the command."""
        options = (word for name, text in flags.items() for word in (f"--{name.replace('_', '-')}", text))
        port = self.server.url.rpartition(":")[2]
        return (*self.flags, "simulate", "wechat", *words, *options, "--port", port)


def codes_of(server: Server) -> dict[str, list[str]]:
    """Return the table of the demonstration."""
    codes: dict[str, list[str]] = {}
    for code, outcome in _SAMPLE.findall(server.until_printed("Serving on")):
        codes.setdefault(outcome, []).append(code.replace(" ", ""))
    return codes


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demonstration]:
    shell = Shell(tmp_path_factory.mktemp("demonstration") / "data")
    with shell.serving("demo") as server:
        yield Demonstration(shell=shell, server=server, codes=codes_of(server))


def test_the_demonstration_says_how_to_ask(demonstration: Demonstration) -> None:
    printed = demonstration.server.log.read_text()
    assert re.search(r'^ +wechat +\S*yanzhen .*simulate wechat "\d{20}"$', printed, re.MULTILINE)
    (made,) = demonstration.shell.folder.glob("demo-chat-account.json")
    assert made.stat().st_mode & 0o077 == 0
    assert all(secret not in printed for secret in json.loads(made.read_text()).values())


def test_a_code_a_scan_and_its_repeat(demonstration: Demonstration) -> None:
    code = demonstration.codes[Outcome.FIRST].pop(0)
    first = demonstration.chat("请查一下", code)
    assert (first["account"], first["mode"], first["kind"]) == ("official-account", "encrypted", "text")
    assert "首次查询" in first["reply"]
    again = demonstration.chat(openid="another", scan=f"{demonstration.server.url}/q/{code}")
    assert "2 次" in again["reply"]
    assert "微信" in again["reply"]


def test_a_message_that_comes_again_is_one_query(demonstration: Demonstration) -> None:
    code = demonstration.codes[Outcome.FIRST].pop(0)
    first = demonstration.chat(code, message_id="7001")
    assert demonstration.chat(code, message_id="7001") == first
    _, verdict = demonstration.server.verify(code)
    assert verdict["ordinal"] == 2


def test_whatever_people_do_is_answered(demonstration: Demonstration) -> None:
    code = demonstration.codes[Outcome.NOT_ACTIVE][0]
    asked = demonstration.chat(code)["reply"].splitlines()[0]
    assert demonstration.chat(code, kind="voice")["reply"].splitlines()[0] == asked
    assert demonstration.chat(f"https://x.example/q/{code}", kind="card")["reply"].startswith(asked)
    assert demonstration.chat(code, event="subscribe", openid="follower")["reply"].startswith(asked)
    welcome = demonstration.chat(event="subscribe", openid="newcomer")["reply"]
    assert welcome == demonstration.chat(event="enter", openid="newcomer-2")["reply"]
    assert demonstration.chat(kind="image")["reply"]
    assert demonstration.chat("please check", code)["reply"].isascii()


def test_people_read_the_reply_and_its_mode(demonstration: Demonstration) -> None:
    code = demonstration.codes[Outcome.NOT_ACTIVE][0]
    *reply, how = demonstration.shell.run(*demonstration.command(code)).stdout.splitlines()
    assert len(reply) > 1
    assert how == "(official-account: text, encrypted mode)"


@pytest.mark.parametrize(
    ("words", "code", "remedy"),
    [
        ((), 2, "--scan"),
        (("x", "--scan", "1"), 2, "not both"),
        (("x", "--mini-program"), 3, "official-account"),
        (("x", "--format", "json"), 1, "XML"),
        (("x", "--openid", "a b"), 1, "openid"),
    ],
)
def test_what_cannot_be_says_why(
    demonstration: Demonstration, words: tuple[str, ...], code: int, remedy: str
) -> None:
    said = demonstration.shell.run(*demonstration.command(*words), expect=code)
    assert remedy in said.stderr


def test_other_secrets_are_refused_and_no_server_is_told(demonstration: Demonstration) -> None:
    secrets = ("--set", "wechat.official_account.token=another")
    said = demonstration.shell.run(*secrets, *demonstration.command("帮助"), expect=1)
    assert "refused" in said.stderr
    elsewhere = ("simulate", "wechat", "帮助", "--url", "http://127.0.0.1:9")
    assert "does not answer" in demonstration.shell.run(*elsewhere, expect=4).stderr


def test_without_an_account_the_command_says_what_to_set(tmp_path: Path) -> None:
    said = Shell(tmp_path / "data").run("simulate", "wechat", "帮助", expect=1)
    assert "YANZHEN_WECHAT__OFFICIAL_ACCOUNT__TOKEN" in said.stderr


def test_a_damaged_account_of_the_demonstration_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "demo-chat-account.json").write_text('{"token": ')
    said = Shell(folder).run("simulate", "wechat", "帮助", expect=2)
    assert "demo-chat-account.json is damaged" in said.stderr


# -- every mode, and a mini-program that answers by push ------------------------------------------------------


async def test_every_mode_answers_and_a_mini_program_pushes(tmp_path: Path) -> None:
    async with WechatPlatform().running() as platform:
        platform.hear_from(OPENID)
        accounts = tmp_path / "accounts.toml"
        accounts.write_text(
            _ACCOUNTS.format(
                api_base=platform.url,
                key=_KEY,
                app_id=platform.account.app_id,
                app_secret=platform.account.app_secret,
            )
        )
        shell = Shell(tmp_path / "data")
        serving = shell.serving("demo", "--config", str(accounts))
        server = await asyncio.to_thread(serving.__enter__)
        try:
            codes = await asyncio.to_thread(codes_of, server)
            flags = ("--config", str(accounts))
            asked = Demonstration(shell=shell, server=server, codes=codes, flags=flags)
            await asyncio.to_thread(_ask_in_clear, asked)
            await _ask_the_mini_program(asked, platform)
        finally:
            await asyncio.to_thread(serving.__exit__, None, None, None)
    log = server.log.read_text()
    assert OPENID not in log
    assert platform.account.app_secret not in log
    assert not (shell.folder / "demo-chat-account.json").exists()


def _ask_in_clear(asked: Demonstration) -> None:
    code = asked.codes[Outcome.NOT_ACTIVE][0]
    compatible = asked.chat(code)
    plain = asked.chat(code, account="plain")
    assert (compatible["mode"], plain["account"], plain["mode"]) == ("compatible", "plain", "plain")
    assert compatible["reply"].splitlines()[0] == plain["reply"].splitlines()[0]


async def _ask_the_mini_program(asked: Demonstration, platform: WechatPlatform) -> None:
    code = asked.codes[Outcome.FIRST][0]
    for number, form in enumerate(("json", "xml"), start=1):
        said = await asyncio.to_thread(asked.chat, code, "--mini-program", format=form)
        assert (said["account"], said["kind"], said["reply"]) == ("mini-program", None, None)
        async with asyncio.timeout(PATIENCE_S):
            while len(platform.sent) < number:
                await asyncio.to_thread(asked.server.get, "/livez")
    assert [sent.openid for sent in platform.sent] == [OPENID] * 2
    assert "首次查询" in platform.sent[0].text
    words = asked.command(code, "--mini-program")
    shown = await asyncio.to_thread(asked.shell.run, *words)
    assert "pushes its answer later" in shown.stdout
    refused = await asyncio.to_thread(asked.shell.run, *asked.command("--mini-program", scan=code), expect=1)
    assert "--kind card" in refused.stderr
