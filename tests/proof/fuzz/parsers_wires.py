"""What comes over connections and inside envelopes: PDUs, lines of a switch, the platform's documents, plain POSTs."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser

from app.core.errors import NotAuthentic, Undecodable
from app.web.express import read_plain_post
from app.web.problems import refuse
from app.web.routing import Endpoint
from channels.base import InboundRequest, OutboundResponse, Route
from channels.ivr.fastagi.environment import read_environment
from channels.ivr.fastagi.link import CallerGone, Link, LinkBroken
from channels.ivr.fastagi.replies import NotAReply, read_reply
from channels.ivr.fastagi.script import read_script, write_script
from channels.turns import CodeSubmitted
from channels.wechat.crypto import MessageKeys
from channels.wechat.documents import find_envelope, read_document, read_xml
from channels.wechat.incoming import Located, Scanned, Written, read_incoming
from channels.wechat.official_account import OfficialAccountAdapter
from channels.wechat.signatures import sign
from channels.wechat.simulate import Deed, message_of, signed_webhook
from tests.contract.channel.wechat_bindings import KEY, NONCE, NOW, OFFICIAL, OPENID, PLAIN, TOKEN
from tests.fakes.clock import START
from tests.fakes.sample_service import start_sample_service
from tests.proof.fuzz.engine import Breach, Parser
from tests.proof.fuzz.parsers_smpp import smpp_parsers
from tests.proof.fuzz.parsers_text import own_codes, prove_typed

# -- the switch ---------------------------------------------------------------------------------------------------


async def _talk(data: bytes) -> None:
    """The block of a call, one question, and whatever comes in answer."""
    loop = asyncio.get_running_loop()
    link = Link(lambda _link: None)
    block, separator, rest = data.partition(b"\n\n")
    link.data_received(block + separator)
    if not separator:
        link.eof_received()
    lines = await link.read_environment(within_s=5)
    facts = read_environment(lines)
    if facts.caller and facts.caller not in data.decode("utf-8", "replace"):
        raise Breach("a caller nobody named")
    loop.call_soon(link.data_received, rest)
    loop.call_soon(link.eof_received)
    reply = await link.ask("ANSWER", within_s=5)
    if reply.number < -1 and not reply.result.startswith("-"):
        raise Breach("a number nobody sent")


def _read_line(data: bytes) -> None:
    reply = read_reply(data.decode("utf-8", "replace"))
    int(reply.number)
    if reply.code != 200 and not 500 <= reply.code <= 599:
        raise Breach("a code that is none")


def _read_script(data: bytes) -> None:
    script = read_script(data)
    if read_script(write_script(script)) != script:
        raise Breach("written, the script is another")


def _block() -> bytes:
    values = (
        ("network", "yes"),
        ("network_script", "call?dialled=95001&lang=en"),
        ("request", "agi://127.0.0.1/call"),
        ("channel", "PJSIP/1-00000001"),
        ("language", "en"),
        ("type", "PJSIP"),
        ("uniqueid", "1795241128.0"),
        ("version", "20.6.0"),
        ("callerid", "+8613912345678"),
        ("calleridname", "unknown"),
        ("callingpres", "0"),
        ("callingani2", "0"),
        ("callington", "0"),
        ("callingtns", "0"),
        ("dnid", "95001"),
        ("rdnis", "unknown"),
        ("context", "default"),
        ("extension", "95001"),
        ("priority", "1"),
        ("enhanced", "0.0"),
        ("accountcode", ""),
        ("threadid", "1402"),
    )
    return "".join(f"agi_{name}: {value}\n" for name, value in values).encode()


# -- the platform's documents -------------------------------------------------------------------------------------


def _read_document(data: bytes) -> None:
    fields = read_document(data)
    quick = find_envelope(data)
    if quick is not None and quick != read_xml(data):
        raise Breach("the short way reads something else")
    incoming = read_incoming(fields)
    content = incoming.content
    if isinstance(content, Located) and not all(
        isinstance(one, float) for one in (content.latitude, content.longitude)
    ):
        raise Breach("no degrees")
    if isinstance(content, Written | Scanned):
        content.text.encode("utf-8", "surrogatepass")
    math.isnan(float(incoming.created_at))


def _messages(*, as_json: bool = False) -> tuple[bytes, ...]:
    code = own_codes()[0]
    return tuple(
        signed_webhook(
            PLAIN,
            message_of(deed, f"查 {code}", openid=OPENID, message_id=7_000_000 + number, created_at=NOW),
            sent_at=NOW,
            nonce=NONCE,
            as_json=as_json,
        ).body
        for number, deed in enumerate(Deed)
    )


# -- plain POSTs --------------------------------------------------------------------------------------------------


async def _nobody(_: InboundRequest) -> OutboundResponse:
    return OutboundResponse(status=200)


_ENDPOINTS = {
    f"POST {path} HTTP/1.1": Endpoint(
        route=Route(method="POST", path=path, max_body_bytes=200),
        answer=_nobody,
        refuse=refuse,
        channel="toy",
    )
    for path in ("/toy", "/api/v1/verifications")
}
POST = b"POST /toy HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\nabc"


def _read_post(loop: asyncio.AbstractEventLoop, data: bytes) -> None:
    """What the express lane takes, the usual way reads as the same one request, and nothing beside it."""
    post = read_plain_post(data, _ENDPOINTS)
    if post is None:
        raise Undecodable("not a plain POST")
    parser = HttpRequestParser(BaseProtocol(loop), loop, 2**16)
    try:
        messages, upgraded, tail = parser.feed_data(data)
    except HttpProcessingError as error:
        raise Breach(f"only the express lane reads it: {type(error).__name__}") from None
    if len(messages) != 1 or upgraded or tail:
        raise Breach("the usual way reads more or less than one request")
    message, payload = messages[0]
    body = b"".join(payload._buffer) if hasattr(payload, "_buffer") else b""
    headers = {name.lower(): value for name, value in message.headers.items()}
    if (message.path, body) != (post.endpoint.route.path, post.body) or headers != dict(post.headers):
        raise Breach("the usual way reads another request")


# -- all of them --------------------------------------------------------------------------------------------------


class Envelope:
    """Documents signed and sealed as the platform does it, through the account's adapter."""

    def __init__(self, adapter: OfficialAccountAdapter) -> None:
        self._adapter = adapter
        self._keys = MessageKeys((KEY,), OFFICIAL.app_id, account="fuzz")

    def carry(self, data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        encrypted, timestamp = self._keys.seal(text), str(NOW)
        query = {
            "encrypt_type": "aes",
            "timestamp": timestamp,
            "nonce": NONCE,
            "msg_signature": sign(TOKEN, timestamp, NONCE, encrypted),
        }
        account = f"<ToUserName>{_between(text)}</ToUserName>"
        body = f"<xml>{account}<Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>".encode()
        path = OFFICIAL.path
        inbound = InboundRequest(
            method="POST", route=path, path=path, query=query, body=body, received_at=START
        )
        self._adapter.authenticate(inbound)
        turn = self._adapter.decode(inbound)
        self._adapter.say(inbound, "")
        if isinstance(turn, CodeSubmitted) and "&" not in text:
            prove_typed(turn.request.code.digits, text)


def _between(text: str) -> str:
    """Return the account named inside, so that inside and outside agree where anything can be read."""
    return text.partition("<ToUserName><![CDATA[")[2].partition("]]>")[0].replace("<", "").replace("&", "")


@contextmanager
def wire_parsers() -> Iterator[tuple[Parser, ...]]:
    """Yield the parsers of this module."""
    with asyncio.Runner() as runner:
        service = runner.run(start_sample_service())
        envelope = Envelope(OfficialAccountAdapter(OFFICIAL, service.context))
        try:
            yield _parsers(runner, envelope)
        finally:
            runner.run(service.engine.close())


def _parsers(runner: asyncio.Runner, envelope: Envelope) -> tuple[Parser, ...]:
    loop = runner.get_loop()
    script = (
        b'{"say":["en/verdict-first",300],"deaf":1,"lengths_ms":{"en/verdict-first":900},"then":{"do":"gather",'
        b'"max_digits":20,"first_digit_s":8,"between_s":4},"state":"AbC-_9"}'
    )
    xml_words = (
        b"<![CDATA[",
        b"]]>",
        b"<xml>",
        b"</xml>",
        b"<MsgType>",
        b"<Event>",
        b"<ScanCodeInfo>",
        b"<a>",
        b"</a>",
        b"<!--",
        b"-->",
        b"<!DOCTYPE x [<!ENTITY a 'b'>]>",
        b"&a;",
        b"&#x1F600;",
        b"&#0;",
        b"<?xml version='1.0' encoding='utf-16'?>",
        b"<a:b/>",
        b" xmlns='x'",
        b"event",
        b"location",
        b"scancode_push",
        b"EAN_13,",
        b"qrscene_",
        b"1e400",
        b"nan",
    )
    documents = _messages()
    return (
        *smpp_parsers(),
        Parser(
            name="lines of a switch",
            feed=lambda data: runner.run(_talk(data)),
            weight=0.5,
            allowed=(LinkBroken, CallerGone, NotAReply, Undecodable),
            secrets=("8613912345678",),
            seeds=tuple(
                _block() + rest
                for rest in (
                    b"\n200 result=0\n",
                    b"\n200 result=49 (timeout) endpos=1600\n",
                    b"\n511 Command Not Permitted on a dead channel\n",
                    b"\n520-Invalid command syntax.  Proper usage follows:\nUsage: X\n520 End of proper usage.\n",
                    b"\nHANGUP\n",
                    b"agi_arg_1: transfer_failed\n\n200 result=1\n",
                )
            ),
            words=(
                b"agi_",
                b"agi_arg_1: ",
                b"\nHANGUP\n",
                b"200 result=",
                b"520-",
                b"511 ",
                b"%0A",
                b"\n\n",
                b"?lang=en&",
                b" (",
                b")",
            ),
        ),
        Parser(
            name="replies of a switch",
            feed=_read_line,
            allowed=(NotAReply,),
            weight=0.5,
            seeds=(
                b"200 result=1234567890 (timeout) endpos=1600",
                b"200 result=-1",
                b"510 Invalid or unknown command",
                b"520-",
            ),
            words=(
                b"200 result=",
                b" endpos=",
                b"(",
                b")",
                b"5",
                b"\xd9\xa3",
                "５１０".encode(),
                "200 result=٣".encode(),
            ),
        ),
        Parser(
            name="scripts for a switch",
            feed=_read_script,
            allowed=(Undecodable,),
            weight=0.5,
            seeds=(
                script,
                b'{"say":[],"deaf":0,"then":{"do":"record","max_s":60,"name":"r-1"},"state":""}',
                b'{"say":["zh-CN/greeting"],"then":{"do":"transfer","to":"+8675588880000"},"state":"x"}',
                b'{"say":[1],"then":{"do":"hangup"},"state":"x"}',
            ),
            words=(
                b'"say":',
                b'"then":',
                b"null",
                b"[]",
                b"{}",
                b'"do":',
                b"1e3",
                b"true",
                b'"state":',
                b"[" * 2000,
                b"9" * 5000,
            ),
        ),
        Parser(
            name="documents of the platform",
            feed=_read_document,
            allowed=(Undecodable,),
            secrets=(OPENID,),
            weight=2,
            seeds=(
                *documents,
                *_messages(as_json=True),
                signed_webhook(
                    OFFICIAL,
                    message_of(Deed.TEXT, "1", openid=OPENID, message_id=7, created_at=NOW),
                    sent_at=NOW,
                    nonce=NONCE,
                ).body,
            ),
            words=(*xml_words, b'"MsgType":', b'{"a":', b'"\\ud800"', b"[[[["),
        ),
        Parser(
            name="sealed documents",
            feed=envelope.carry,
            allowed=(Undecodable, NotAuthentic),
            seeds=documents,
            words=xml_words,
            secrets=(OPENID, TOKEN, KEY),
            largest=12 * 1024,
            weight=0.7,
        ),
        Parser(
            name="plain POSTs",
            feed=lambda data: _read_post(loop, data),
            allowed=(Undecodable,),
            largest=9000,
            weight=3,
            seeds=(
                POST,
                POST.replace(b"/toy", b"/api/v1/verifications"),
                POST.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\nX-Odd:\t a b \t\r\n\r\n"),
            ),
            words=(
                b"\r\n",
                b"\r",
                b"\n",
                b"\r\n ",
                b"Content-Length: 3\r\n",
                b"content-length: 03\r\n",
                b"Transfer-Encoding: chunked\r\n",
                b"Connection: close\r\n",
                b"Connection: upgrade\r\n",
                b"Host: y\r\n",
                b"Host:\r\n",
                b":",
                b" :",
                b"\t",
                b"\x7f",
                b"\x0b",
                b"GET ",
                b"HTTP/1.0",
                b"X-A: \r\n",
                b"Upgrade: h2c\r\n",
                b"Sec-WebSocket-Key1: x\r\n",
                b"HTTP2-Settings: x\r\n",
            ),
        ),
    )
