"""What comes over HTTP: deliveries of one message at once, and everything that is no message."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

from channels.wechat.settings import Account
from channels.wechat.simulate import Message, Webhook, text_message
from tests.acceptance.wechat.chat_site import (
    APP_ID,
    KEY,
    OFFICIAL,
    PROGRAM,
    SECRET,
    TOKEN,
    ChatSite,
    Folder,
    served,
)
from tests.fakes.wechat_platform import WechatPlatform

MESSAGES = 20
COPIES = 3
_LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))


def openid_of(number: int) -> str:
    return f"oDeliveredShopper-{number:010d}"


def message_about(code: str, number: int) -> Message:
    return text_message(
        f"你好 {code}", openid=openid_of(number), message_id=9_000 + number, created_at=int(time.time())
    )


async def test_deliveries_at_once_are_one_query_and_get_equal_answers(
    folder: Folder, platform: WechatPlatform
) -> None:
    before = folder.recorded()
    messages = [message_about(folder.codes.pop(), number) for number in range(MESSAGES)]
    async with served(folder, platform) as site:
        delivered = await asyncio.gather(
            *(
                site.bring(OFFICIAL, site.webhook(OFFICIAL, message))
                for message in messages
                for _ in range(COPIES)
            )
        )
        late = await asyncio.gather(
            *(site.bring(OFFICIAL, site.webhook(OFFICIAL, message)) for message in messages)
        )
    assert {one.status for one in (*delivered, *late)} == {200}
    texts = [one.answer.text for one in delivered if one.answer is not None]
    for number in range(MESSAGES):
        copies = texts[number * COPIES : (number + 1) * COPIES]
        assert len(set(copies)) == 1
        assert "首次" in copies[0]
    assert [one.answer.text for one in late if one.answer is not None] == texts[::COPIES]
    assert folder.recorded() == before + MESSAGES
    facts = folder.read(
        "SELECT ordinal, count(*) FROM verification WHERE id > ? GROUP BY ordinal",
        folder.read("SELECT coalesce(max(id), 0) FROM verification")[0][0] - MESSAGES,
    )
    assert facts == [(1, MESSAGES)]
    assert platform.sent == []


Spoilt = Callable[[ChatSite, Message], Webhook]


def _with_body(body: bytes) -> Spoilt:
    """The envelope's own body is something else; nothing of it is signed, so nothing of it is taken."""
    return lambda site, message: replace(site.webhook(OFFICIAL, message), body=body)


def _sealed(account: Account, body: str) -> Spoilt:
    """Sealed and signed as it should be, and inside stands no message."""

    def spoil(site: ChatSite, message: Message) -> Webhook:
        return site.sealed(account, body, openid=str(message["FromUserName"]))

    return spoil


def _signed_by(**changes: object) -> Spoilt:
    return lambda site, message: site.webhook(replace(OFFICIAL, **changes), message)  # type: ignore[arg-type]


def _sent_at(seconds_ago: int) -> Spoilt:
    return lambda site, message: site.webhook(OFFICIAL, message, sent_at=int(time.time()) - seconds_ago)


SPOILT: dict[str, tuple[int, Account, Spoilt]] = {
    "no XML": (403, OFFICIAL, _with_body(b"not a message")),
    "nothing": (403, OFFICIAL, _with_body(b"")),
    "too large": (413, OFFICIAL, _with_body(b"<xml>" + b"x" * 20_000 + b"</xml>")),
    "laughs outside": (
        403,
        OFFICIAL,
        _with_body(f'<!DOCTYPE xml [<!ENTITY a0 "ha">{_LAUGHS}]><xml><Encrypt>&a9;</Encrypt></xml>'.encode()),
    ),
    "laughs inside": (
        400,
        OFFICIAL,
        _sealed(OFFICIAL, f'<!DOCTYPE xml [<!ENTITY a0 "ha">{_LAUGHS}]><xml><Content>&a9;</Content></xml>'),
    ),
    "a file inside": (
        400,
        OFFICIAL,
        _sealed(
            OFFICIAL,
            '<!DOCTYPE xml [<!ENTITY e SYSTEM "file:///etc/passwd">]><xml><Content>&e;</Content></xml>',
        ),
    ),
    "deep inside": (400, OFFICIAL, _sealed(OFFICIAL, "<xml>" + "<a>" * 1_000 + "</a>" * 1_000 + "</xml>")),
    "deep JSON inside": (400, PROGRAM, _sealed(PROGRAM, '{"a": ' + "[" * 3_000 + "]" * 3_000 + "}")),
    "no message inside": (400, OFFICIAL, _sealed(OFFICIAL, "<xml><Content>1</Content></xml>")),
    "another AppID": (403, OFFICIAL, _signed_by(app_id="wx9999999999999999")),
    "another key": (403, OFFICIAL, _signed_by(aes_keys=("b" * 43,))),
    "another token": (403, OFFICIAL, _signed_by(tokens=("AnotherToken",))),
    "an old timestamp": (403, OFFICIAL, _sent_at(301)),
    "a timestamp to come": (403, OFFICIAL, _sent_at(-360)),
}


async def test_what_is_no_message_is_refused_and_leaves_no_trace(
    folder: Folder, platform: WechatPlatform
) -> None:
    before = folder.recorded()
    code = folder.codes.pop()
    statuses = {}
    async with served(folder, platform) as site:
        for number, (name, (_, account, spoil)) in enumerate(SPOILT.items()):
            webhook = spoil(site, message_about(code, 100 + number))
            statuses[name] = (await site.bring(account, webhook)).status
        assert folder.recorded() == before
        good = await site.bring(OFFICIAL, site.webhook(OFFICIAL, message_about(code, 99)))
        assert good.answer is not None
        assert "首次" in good.answer.text, "what was refused has burnt nothing"
        metrics = (await asyncio.to_thread(site.server.get, "/metrics"))[1]
    assert statuses == {name: status for name, (status, _, _) in SPOILT.items()}
    log = folder.log.read_bytes()
    assert code[-2:].encode() in log, "the answered one has its line, masked"
    assert "not_authentic" in metrics
    for name, octets in (("log", log), ("metrics", metrics.encode()), ("files", folder.octets())):
        for secret in ("oDeliveredShopper", TOKEN, SECRET, KEY, code, "你好", "passwd"):
            assert secret.encode() not in octets, f"{secret} in the {name}"
    assert APP_ID.encode() not in log


async def test_a_person_has_the_limit_that_is_set(folder: Folder, platform: WechatPlatform) -> None:
    before = folder.recorded()
    texts = []
    async with served(folder, platform, YANZHEN_THROTTLE__WECHAT_PER_HOUR="2") as site:
        for number in range(4):
            code = folder.codes.pop()
            delivered = await site.text(OFFICIAL, code, openid=openid_of(500), message_id=500 + number)
            assert delivered.answer is not None
            texts.append(delivered.answer.text)
        other = await site.text(OFFICIAL, folder.codes.pop(), openid=openid_of(501), message_id=600)
    assert ["首次" in text for text in texts] == [True, True, False, False]
    assert texts[2], "told politely"
    assert texts[3] == "", "once"
    assert other.answer is not None
    assert "首次" in other.answer.text
    assert folder.recorded() == before + 3
