"""One query through each channel as its provider brings it, and what a person is told: an ordinal, or to come back."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree as ET

import aiohttp

from channels.ivr.settings import TwilioVoiceOptions
from channels.ivr.twilio.simulate import signed_webhook as signed_call
from channels.ivr.twilio.webhooks import CALLS
from channels.wechat.settings import Account, AccountKind
from channels.wechat.simulate import read_answer, signed_webhook, text_message
from tests.acceptance.many_machines.fleet import (
    KANNEL_SECRET,
    PUBLIC_URL,
    TWILIO_TOKEN,
    WECHAT_APP_ID,
    WECHAT_KEY,
    WECHAT_TOKEN,
    Fleet,
)
from tests.acceptance.many_machines.queries import Line, Query, Said, WrongAnswer, read_sentence
from tests.acceptance.many_machines.screens import MiniProgram, WebForm

_VOICE: Final = TwilioVoiceOptions(auth_tokens=(TWILIO_TOKEN,))
_ACCOUNT: Final = Account(
    name="official-account",
    kind=AccountKind.OFFICIAL_ACCOUNT,
    tokens=(WECHAT_TOKEN,),
    app_id=WECHAT_APP_ID,
    aes_keys=(WECHAT_KEY,),
)
_SPOKEN_COUNT: Final = re.compile(r"已被查询([零一二两三四五六七八九十百千万]+)次")
_SPOKEN: Final = {numeral: value for value, numeral in enumerate("零一二三四五六七八九")} | {"两": 2}
_UNITS: Final = {"十": 10, "百": 100, "千": 1000}


async def ask_api(session: aiohttp.ClientSession, origin: str, query: Query) -> Said | None:
    """Ask over the JSON API, with an Idempotency-Key."""
    async with session.post(
        f"{origin}/api/v1/verifications",
        json={"code": query.code},
        headers={"Idempotency-Key": f"key-of-query-{query.number}"},
    ) as response:
        document: dict[str, Any] = await response.json(content_type=None)
    if response.status == 503 and document.get("outcome") == "unavailable":
        return None
    if response.status != 200:
        raise WrongAnswer(f"api: {response.status} {document}")
    return Said(ordinal=document["ordinal"], first=document["outcome"] == "first")


async def ask_sms(session: aiohttp.ClientSession, origin: str, query: Query) -> Said | None:
    """Bring a text as Kannel does and read the reply in the response."""
    text = {
        "from": query.mobile,
        "to": "95001",
        "text": f"请查 {query.code} 谢谢",
        "id": f"{query.number:08x}-0000-4000-8000-000000000000",
        "ts": f"{query.sent_at:%Y-%m-%d %H:%M:%S}",
        "coding": "2",
        "charset": "UTF-8",
    }
    async with session.get(f"{origin}/channels/sms/kannel/{KANNEL_SECRET}", params=text) as response:
        said = await response.text()
    if response.status == 503:  # smsbox brings it again
        return None
    return read_sentence("sms", response.status, said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hotline:
    """Calls. ``sentences`` holds what each clip says, by its name."""

    sentences: Mapping[str, str]

    async def __call__(self, session: aiohttp.ClientSession, origin: str, query: Query) -> Said | None:
        """Call, key the code in, and read what is said; the greeting is no query."""
        return await _call(session, origin, query, self.sentences)


async def _call(
    session: aiohttp.ClientSession, origin: str, query: Query, sentences: Mapping[str, str]
) -> Said | None:
    call_sid = f"CA{query.number:032x}"

    async def turn(path: str, fields: Mapping[str, str]) -> str | None:
        _, headers, body = signed_call(
            _VOICE,
            PUBLIC_URL,
            path,
            call_sid=call_sid,
            caller=query.mobile,
            ours="+861069000001",
            fields=fields,
        )
        async with session.post(f"{origin}{path}", data=body, headers=headers) as response:
            said = await response.text()
        if response.status == 503:
            return None
        if response.status != 200:
            raise WrongAnswer(f"hotline: {response.status} {said}")
        return said

    greeting = await turn(CALLS.path, {})
    if greeting is None:
        return None
    document = ET.fromstring(greeting)
    gather = document.find("Gather")
    if gather is None and document.find("Hangup") is not None:
        return None  # "no answer just now, please call again" and goodbye: no verdict, and whoever hears it calls again
    if gather is None:
        raise WrongAnswer(f"hotline: {greeting}")
    keyed = {"Digits": query.code, "FinishedOnKey": "", "msg": "Gather End"}
    answer = await turn(urlsplit(gather.attrib["action"]).path, keyed)
    if answer is None:
        return None
    spoken = _spoken(answer, sentences)
    if counted := _SPOKEN_COUNT.search(spoken):
        return Said(ordinal=read_numeral(counted[1]), first=False)
    return read_sentence("hotline", 200, spoken)


def _spoken(document: str, sentences: Mapping[str, str]) -> str:
    """Return what a caller hears of a document, numbers in Mandarin words."""
    spoken = ""
    for part in ET.fromstring(document).iter():
        text = part.text or ""
        if part.tag == "Play":
            spoken += sentences.get(urlsplit(text).path.rpartition("/")[2].removesuffix(".wav"), "")
        elif part.tag == "Say":
            raise WrongAnswer(f"hotline: a clip of this is missing: {text}")
    return spoken


async def ask_wechat(session: aiohttp.ClientSession, origin: str, query: Query) -> Said | None:
    """Bring an encrypted message as the platform does and read the reply in the response."""
    now = int(datetime.now(UTC).timestamp())
    message = text_message(
        query.code,
        openid=f"o6_bmjrPTlm6_2sgVt7h{query.number:08d}",
        message_id=23_000_000_000_000_000 + query.number,
        created_at=int(query.sent_at.timestamp()),
    )
    webhook = signed_webhook(_ACCOUNT, message, sent_at=now, nonce=f"{query.number:010d}")
    url = f"{origin}{_ACCOUNT.path}?{urlencode(webhook.query)}"
    async with session.post(url, data=webhook.body, headers=dict(webhook.headers)) as response:
        body = await response.read()
    if response.status == 503:  # the platform brings it again
        return None
    if response.status != 200:
        raise WrongAnswer(f"wechat: {response.status} {body!r}")
    return read_sentence("wechat", 200, read_answer(_ACCOUNT, body).text)


# within which a provider is answered, in seconds; those with a screen ask for several things one after another
DEADLINES_S: Final[Mapping[str, float]] = {
    "api": 2.0,
    "sms": 10.0,
    "hotline": 6.0,
    "wechat": 5.0,
    "web": 3 * 2.0,
    "mini-program": 2 * 2.8,
}


def all_lines(fleet: Fleet, anywhere: Callable[[], str]) -> dict[str, Line]:
    """Return every line by the name of its channel; ``anywhere`` gives the origin of any machine."""
    return {
        "api": ask_api,
        "sms": ask_sms,
        "hotline": Hotline(sentences=fleet.sentences),
        "wechat": ask_wechat,
        "web": WebForm(anywhere=anywhere),
        "mini-program": MiniProgram(platform=fleet.platform, anywhere=anywhere),
    }


def read_numeral(words: str) -> int:
    """Return a whole number below ten thousand as it is said in Mandarin. Raises ``KeyError`` for anything else."""
    total, digit = 0, 0
    for word in words:
        if word in _UNITS:
            total += (digit or 1) * _UNITS[word]
            digit = 0
        else:
            digit = _SPOKEN[word]
    return total + digit
