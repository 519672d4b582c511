"""Trying the channel without an account, on a fresh demonstration; and a late answer, from webhook to report."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlencode, urlsplit

import pytest

from app.core.model.verdict import Outcome
from channels.signatures import parse_form
from channels.sms.twilio.signing import Signatures
from tests.acceptance.cli.shell import PATIENCE_S, Server, Shell
from tests.fakes.twilio_rest_server import STARTED_AT, TwilioRestServer

pytestmark = pytest.mark.xdist_group("simulate-sms")

ACCOUNT: Final = "AC" + "5" * 32
TOKEN: Final = "0123456789abcdef0123456789abcdef"
_SAMPLE: Final = re.compile(r"^((?:\d{4} ){3,5}\d{4})\s+(\w+)\s", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """A demonstration that serves, and its sample codes by outcome."""

    shell: Shell
    server: Server
    codes: dict[str, list[str]]

    def text(self, *words: str, sender: str, **flags: str) -> dict[str, Any]:
        """Simulate one text and return what the command printed as JSON."""
        said = self.shell.run(
            *("simulate", "sms", *words, "--from", sender, "--port", self.port, "--json"),
            *(word for name, text in flags.items() for word in (f"--{name.replace('_', '-')}", text)),
        )
        answer: dict[str, Any] = json.loads(said.stdout)
        return answer

    @property
    def port(self) -> str:
        return self.server.url.rpartition(":")[2]


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demonstration]:
    shell = Shell(tmp_path_factory.mktemp("demonstration") / "data")
    with shell.serving("demo") as server:
        codes: dict[str, list[str]] = {}
        for code, outcome in _SAMPLE.findall(server.until_printed("Serving on")):
            codes.setdefault(outcome, []).append(code.replace(" ", ""))
        yield Demonstration(shell=shell, server=server, codes=codes)


def test_a_first_check_and_its_own_repeat(demonstration: Demonstration) -> None:
    code = demonstration.codes[Outcome.FIRST].pop(0)
    first = demonstration.text(code, sender="+8613800000001")
    assert (first["via"], first["encoding"], first["segments"]) == ("twilio", "UCS-2", 1)
    assert "首次查询" in first["reply"]
    again = demonstration.text(code, sender="+8613800000001")
    assert again["message_id"] != first["message_id"]
    assert "首次" in again["reply"], "a lost reply is not a repeat"
    assert "第3次查询" in demonstration.text(code, sender="+8613800000002")["reply"]


def test_a_message_that_comes_again_is_one_query(demonstration: Demonstration) -> None:
    code = demonstration.codes[Outcome.FIRST].pop(0)
    message = "SM" + "7" * 32
    first = demonstration.text(code, sender="+8613800000003", message_id=message)
    assert demonstration.text(code, sender="+8613800000003", message_id=message) == first
    _, verdict = demonstration.server.verify(code)
    assert verdict["ordinal"] == 2


def test_english_is_answered_in_english(demonstration: Demonstration) -> None:
    code = demonstration.codes[Outcome.NOT_ACTIVE][0]
    reply = demonstration.text("please check", code, sender="+8613800000004")
    assert reply["encoding"] == "GSM-7"
    assert reply["segments"] == 1
    assert reply["reply"].isascii()


def test_help_is_given_once_and_an_opt_out_is_honoured(demonstration: Demonstration) -> None:
    sender = "+8613800000005"
    assert demonstration.text("帮助", sender=sender)["reply"]
    assert demonstration.text("怎么查", sender=sender)["reply"] is None
    assert demonstration.text("退订", sender=sender)["reply"]
    code = demonstration.codes[Outcome.NOT_ACTIVE][0]
    silent = demonstration.text(code, sender=sender)
    assert (silent["reply"], silent["segments"]) == (None, 0)
    assert demonstration.text("恢复", sender=sender)["reply"]
    assert demonstration.text(code, sender=sender)["reply"]


def test_people_read_the_reply_and_its_size(demonstration: Demonstration) -> None:
    code = demonstration.codes[Outcome.NOT_ACTIVE][0]
    words = ("simulate", "sms", code, "--from", "+8613800000006", "--port", demonstration.port)
    reply, size = demonstration.shell.run(*words).stdout.splitlines()
    assert reply.startswith("【验真】")
    assert re.fullmatch(r"\(twilio: UCS-2, \d+ units, 1 segment\)", size)


def test_another_public_address_is_refused_with_its_remedy(demonstration: Demonstration) -> None:
    words = (
        "simulate",
        "sms",
        "帮助",
        "--port",
        demonstration.port,
        "--public-url",
        "https://elsewhere.example",
    )
    said = demonstration.shell.run(*words, expect=1)
    assert "public URL" in said.stderr


def test_without_a_provider_the_command_says_what_to_set(tmp_path: Path) -> None:
    said = Shell(tmp_path / "data").run("simulate", "sms", "帮助", expect=1)
    assert "YANZHEN_SMS__TWILIO__AUTH_TOKENS" in said.stderr


def test_without_a_server_the_command_says_so(demonstration: Demonstration) -> None:
    words = ("simulate", "sms", "帮助", "--url", "http://127.0.0.1:9")
    assert "does not answer" in demonstration.shell.run(*words, expect=4).stderr


# -- late ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TwilioShell(Shell):
    """A service with an account whose API is at ``api_url``."""

    api_url: str

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "YANZHEN_DATA_DIR": str(self.folder),
            "YANZHEN_LOG_FORMAT": "json",
            "YANZHEN_CHANNELS": "web,api,sms",
            "YANZHEN_SMS__TWILIO__AUTH_TOKENS": TOKEN,
            "YANZHEN_SMS__TWILIO__ACCOUNT_SID": ACCOUNT,
            "YANZHEN_SMS__TWILIO__API_URL": self.api_url,
        }


async def test_a_late_answer_is_acknowledged_pushed_and_its_delivery_noted(tmp_path: Path) -> None:
    async with TwilioRestServer(ACCOUNT, (TOKEN,), STARTED_AT).running() as twilio:
        shell = TwilioShell(tmp_path / "data", twilio.url)
        code = await asyncio.to_thread(_issue_one, shell)
        with await asyncio.to_thread(_Serving, shell) as serving:
            server = serving.server
            text = {"sender": "+8613800000009", "code": code, "port": server.url.rpartition(":")[2]}
            acknowledged = await asyncio.to_thread(_text_while_nothing_can_be_recorded, shell, server, **text)
            assert acknowledged["reply"] is None
            async with asyncio.timeout(PATIENCE_S):
                while not twilio.messages:
                    await asyncio.to_thread(server.get, "/livez")
            (pushed,) = twilio.messages
            assert (pushed.to, pushed.ours) == ("+8613800000009", "95001")
            assert "首次查询" in pushed.body
            assert pushed.callback.startswith(f"{server.url}/channels/sms/twilio/delivery/")
            for status in ("delivered", "sent"):  # reports overtake each other
                await asyncio.to_thread(_report, pushed.callback, pushed.sid, status, server.url)
    assert [pushed.body for pushed in twilio.messages] == [pushed.body]
    with closing(sqlite3.connect(shell.folder / "yanzhen.db")) as db:
        replies = db.execute("SELECT state, provider_id, delivery, sealed FROM reply").fetchall()
        assert replies == [("sent", pushed.sid, "delivered", None)]
        assert db.execute("SELECT ordinal, outcome FROM verification").fetchall() == [(1, Outcome.FIRST)]


class _Serving:
    """``Shell.serving`` for an event loop that must stay free: both ends may be called in a thread."""

    def __init__(self, shell: Shell) -> None:
        self._serving = shell.serving()
        self.server = self._serving.__enter__()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._serving.__exit__(None, None, None)


def _issue_one(shell: Shell) -> str:
    shell.run("init")
    brand = shell.json("brand", "add", "--name", "青禾")["id"]
    product = shell.json("product", "add", "--brand", brand, "--name", "奶粉")["id"]
    batch = shell.json("batch", "issue", "--product", product, "--quantity", 1)["id"]
    shell.run("batch", "activate", batch)
    labels = shell.folder / "labels.csv"
    shell.run("batch", "export", batch, "--out", labels)
    return labels.read_text().splitlines()[1].split(",")[1]


def _text_while_nothing_can_be_recorded(
    shell: Shell, server: Server, *, sender: str, code: str, port: str
) -> dict[str, Any]:
    """Hold the file as another process may, until a commit is given up; what is owed then has 3 s left."""
    path = shell.folder / "yanzhen.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as holder:
        holder.execute("BEGIN IMMEDIATE")

        def let_go() -> None:
            try:
                server.until_printed("commit_failed")
            finally:
                holder.execute("ROLLBACK")

        letting_go = threading.Thread(target=let_go)
        letting_go.start()
        answer: dict[str, Any] = shell.json(
            *("--set", f"sms.twilio.auth_tokens={TOKEN}"),
            *("simulate", "sms", code, "--from", sender, "--port", port),
        )
        letting_go.join()
    return answer


def _report(callback: str, sid: str, status: str, public_url: str) -> None:
    body = urlencode({"MessageSid": sid, "MessageStatus": status}).encode()
    signature = Signatures((TOKEN,), public_url).sign(urlsplit(callback).path, parse_form(body))
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": signature}
    request = urllib.request.Request(callback, body, headers, method="POST")
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
        assert response.status == 200
