"""Our envelopes and those of another implementation (npm's wechat-crypto) open each other's, and sign alike."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from channels.base import InboundRequest
from channels.wechat.answers import Letterhead, text_reply
from channels.wechat.documents import read_xml
from channels.wechat.envelope import Envelopes
from channels.wechat.incoming import Written, read_incoming
from channels.wechat.simulate import text_message
from tests.contract.channel.wechat_bindings import NOW, OFFICIAL, OPENID, brought
from tests.fakes.clock import START

HEAD = Letterhead(account="gh_1", openid=OPENID, created_at=str(NOW))
ROOT = Path(__file__).parents[3]
_MESSAGE = (
    "<xml><ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[{openid}]]></FromUserName>"
    "<CreateTime>{now}</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[{text}]]></Content>"
    "<MsgId>{number}</MsgId></xml>"
)
# every length modulo the padding's 32 bytes, and what takes one to four bytes a character
TEXTS = [*("x" * length for length in range(34)), "请查 1234", "é", "😀 真伪", "幺" * 600]


@pytest.fixture(scope="module")
def ours() -> list[dict[str, str]]:
    """Return our answers of each text, unwrapped to what is sealed and signed."""
    envelopes = Envelopes(OFFICIAL, reads_json=False)
    opened = envelopes.open(brought(OFFICIAL, text_message("1", openid=OPENID, message_id=7, created_at=NOW)))
    answers = []
    for text in TEXTS:
        fields = read_xml(envelopes.close(opened, text_reply(HEAD, text)).body)
        answers.append({name: str(found) for name, found in fields.items()})
    return answers


@pytest.fixture(scope="module")
def theirs(ours: list[dict[str, str]]) -> dict[str, Any]:
    """Ask the other implementation once for everything."""
    node = shutil.which("node")
    assert node is not None, "Node is not installed: see CONTRIBUTING.md"
    asked = {
        "token": OFFICIAL.tokens[0],
        "key": OFFICIAL.aes_keys[0],
        "app_id": OFFICIAL.app_id,
        "sent_at": NOW,
        "texts": [
            _MESSAGE.format(openid=OPENID, now=NOW, text=text, number=number + 1)
            for number, text in enumerate(TEXTS)
        ],
        "envelopes": [
            {"encrypted": one["Encrypt"], "timestamp": one["TimeStamp"], "nonce": one["Nonce"]}
            for one in ours
        ],
    }
    answered = subprocess.run(
        [node, "--no-deprecation", str(Path(__file__).with_name("reference_crypto.js"))],
        input=json.dumps(asked),
        capture_output=True,
        check=True,
        cwd=ROOT,
        encoding="utf-8",
        timeout=60,
    )
    answers: dict[str, Any] = json.loads(answered.stdout)
    return answers


def test_we_read_what_they_seal(theirs: dict[str, Any]) -> None:
    envelopes = Envelopes(OFFICIAL, reads_json=False)
    for text, sealed in zip(TEXTS, theirs["sealed"], strict=True):
        body = (
            "<xml><ToUserName><![CDATA[gh_1]]></ToUserName>"
            f"<Encrypt><![CDATA[{sealed['encrypted']}]]></Encrypt></xml>"
        )
        request = InboundRequest(
            method="POST",
            route=OFFICIAL.path,
            path=OFFICIAL.path,
            query={
                "timestamp": sealed["timestamp"],
                "nonce": sealed["nonce"],
                "encrypt_type": "aes",
                "msg_signature": sealed["signature"],
            },
            body=body.encode(),
            received_at=START,
        )
        incoming = read_incoming(envelopes.open(request).fields)
        assert (incoming.openid, incoming.content) == (OPENID, Written(text=text))


def test_they_read_what_we_seal(ours: list[dict[str, str]], theirs: dict[str, Any]) -> None:
    for text, answer, opened in zip(TEXTS, ours, theirs["opened"], strict=True):
        assert opened["id"] == OFFICIAL.app_id
        assert opened["signature"] == answer["MsgSignature"]
        assert read_xml(opened["message"].encode())["Content"] == text
