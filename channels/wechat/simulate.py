"""Plays the platform towards a running server: makes a signed, encrypted message and reads the answer, so that no
account is needed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Final
from urllib.parse import quote, urlencode
from xml.etree import ElementTree as ET

from app.core.errors import NotAuthentic, Undecodable
from app.core.model.value import value
from channels.wechat.answers import ACKNOWLEDGED, cdata
from channels.wechat.crypto import MessageKeys
from channels.wechat.documents import Fields, read_xml
from channels.wechat.envelope import XML_TYPE
from channels.wechat.settings import Account, Mode
from channels.wechat.signatures import Signatures, sign

ORIGINAL_ID: Final = "gh_0123456789ab"
_MEDIA_ID: Final = "simulated-media"
_JSON_TYPE: Final = "application/json"
_CALLER: Final = "Mozilla/4.0"  # as the platform calls itself

Message = Mapping[str, str | int | Mapping[str, str]]


class Deed(StrEnum):
    """What somebody may do in a chat: write, speak, send a picture or a mini-program's card; scan from the menu,
    follow the account, enter the mini-program's chat.
    """

    TEXT = "text"
    VOICE = "voice"
    IMAGE = "image"
    CARD = "card"
    SCAN = "scan"
    SUBSCRIBE = "subscribe"
    ENTER = "enter"


@value
class Webhook:
    """One request of the platform: what stands behind the ``?``, the headers and the body."""

    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def address(self, public_url: str, account: Account) -> str:
        """Return where it goes."""
        return f"{public_url.rstrip('/')}{account.path}?{urlencode(self.query)}"

    def __repr__(self) -> str:
        return f"Webhook({len(self.body)} bytes)"


@value
class Answer:
    """What came back: ``kind`` is text, news, or "" for an acknowledgement; ``text`` what a person reads."""

    kind: str
    text: str = ""


def text_message(text: str, *, openid: str, message_id: int, created_at: int) -> Message:
    """Return the fields of a text that somebody wrote at ``created_at``, in seconds since 1970."""
    return {
        "ToUserName": ORIGINAL_ID,
        "FromUserName": openid,
        "CreateTime": created_at,
        "MsgType": "text",
        "Content": text,
        "MsgId": message_id,
    }


def event(name: str, *, openid: str, created_at: int, **fields: str | Mapping[str, str]) -> Message:
    """Return the fields of an event."""
    return {
        "ToUserName": ORIGINAL_ID,
        "FromUserName": openid,
        "CreateTime": created_at,
        "MsgType": "event",
        "Event": name,
        **fields,
    }


def message_of(deed: Deed, text: str, *, openid: str, message_id: int, created_at: int) -> Message:
    """Return the fields by which the platform tells of a deed.

    ``text`` is what was written, said or read by the scanner; on a card what the page is opened with; for a new
    follower the scene of the code they scanned, "" for none.
    """
    if deed is Deed.TEXT:
        return text_message(text, openid=openid, message_id=message_id, created_at=created_at)
    if deed is Deed.SCAN:
        read = {"ScanType": "qrcode", "ScanResult": text}
        return event(
            "scancode_waitmsg", openid=openid, created_at=created_at, EventKey="scan", ScanCodeInfo=read
        )
    if deed is Deed.SUBSCRIBE:
        scene = f"qrscene_{text}" if text else ""
        return event("subscribe", openid=openid, created_at=created_at, EventKey=scene)
    if deed is Deed.ENTER:
        return event("user_enter_tempsession", openid=openid, created_at=created_at, SessionFrom="simulated")
    kind, fields = _media(deed, text)
    head = text_message("", openid=openid, message_id=message_id, created_at=created_at)
    return {**{name: found for name, found in head.items() if name != "Content"}, "MsgType": kind, **fields}


def _media(deed: Deed, text: str) -> tuple[str, Mapping[str, str]]:
    """Return the platform's name of a message's kind, and what that kind has beside the head."""
    if deed is Deed.VOICE:
        return "voice", {"MediaId": _MEDIA_ID, "Format": "amr", "Recognition": text}
    if deed is Deed.IMAGE:
        return "image", {"MediaId": _MEDIA_ID, "PicUrl": ""}
    page = f"pages/check/check?q={quote(quote(text, safe=''), safe='')}"  # scanned, it is escaped twice
    return "miniprogrampage", {"Title": "", "AppId": "", "PagePath": page, "ThumbMediaId": _MEDIA_ID}


def signed_webhook(
    account: Account, message: Message, *, sent_at: int, nonce: str, as_json: bool = False
) -> Webhook:
    """Return the request by which the platform would bring ``message`` in the account's mode, signed at ``sent_at``
    (seconds since 1970) by its first token and sealed under its first key. Raises ``SettingsInvalid`` without them.
    """
    write = _write_json if as_json else _write_xml
    headers = {"Content-Type": _JSON_TYPE if as_json else XML_TYPE, "User-Agent": _CALLER}
    Signatures(account.tokens, account=account.name)
    token, timestamp = account.tokens[0], str(sent_at)
    query = {"signature": sign(token, timestamp, nonce), "timestamp": timestamp, "nonce": nonce}
    query["openid"] = str(message.get("FromUserName", ""))
    if account.mode is Mode.PLAIN:
        return Webhook(query=query, headers=headers, body=write(message))
    keys = MessageKeys(account.aes_keys, account.app_id, account=account.name)
    encrypted = keys.seal(write(message).decode(), about=f"{timestamp}/{nonce}")
    beside = dict(message) if account.mode is Mode.COMPATIBLE else {"ToUserName": message["ToUserName"]}
    query |= {"encrypt_type": "aes", "msg_signature": sign(token, timestamp, nonce, encrypted)}
    return Webhook(query=query, headers=headers, body=write({**beside, "Encrypt": encrypted}))


def handshake(account: Account, echo: str, *, sent_at: int, nonce: str) -> Mapping[str, str]:
    """Return what stands behind the ``?`` where the platform checks the address."""
    timestamp = str(sent_at)
    return {
        "signature": sign(account.tokens[0], timestamp, nonce),
        "echostr": echo,
        "timestamp": timestamp,
        "nonce": nonce,
    }


def read_answer(account: Account, body: bytes) -> Answer:
    """Return what a response says. Raises ``NotAuthentic`` for a wrong signature or key and ``Undecodable`` for what
    the platform would not understand.
    """
    if body in {ACKNOWLEDGED, b""}:
        return Answer(kind="")
    fields = read_xml(body)
    if encrypted := _field(fields, "Encrypt"):
        Signatures(account.tokens, account=account.name).prove(
            _field(fields, "MsgSignature"),
            timestamp=_field(fields, "TimeStamp"),
            nonce=_field(fields, "Nonce"),
            encrypted=encrypted,
        )
        keys = MessageKeys(account.aes_keys, account.app_id, account=account.name)
        body = keys.unseal(encrypted).text.encode()
        fields = read_xml(body)
    elif account.mode is Mode.ENCRYPTED:
        raise NotAuthentic("The answer is not encrypted.")
    kind = _field(fields, "MsgType")
    if kind == "text":
        return Answer(kind=kind, text=_field(fields, "Content"))
    if kind == "news":
        return Answer(kind=kind, text="\n".join(_article(body)))
    raise Undecodable("The answer is neither a text nor a card.")


def _field(fields: Fields, name: str) -> str:
    found = fields.get(name, "")
    return found if isinstance(found, str) else ""


def _article(document: bytes) -> tuple[str, ...]:
    """Return title, description, picture and address of a card, in the order in which they stand."""
    root = ET.fromstring(document)  # noqa: S314 - read_xml has refused whatever could grow
    names = {"Title", "Description", "PicUrl", "Url"}
    return tuple(node.text or "" for node in root.iter() if node.tag in names)


def _write_json(message: Message) -> bytes:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def _write_xml(message: Message) -> bytes:
    return f"<xml>{''.join(_element(name, found) for name, found in message.items())}</xml>".encode()


def _element(name: str, found: str | int | Mapping[str, str]) -> str:
    if isinstance(found, int):
        return f"<{name}>{found}</{name}>"
    if isinstance(found, str):
        return f"<{name}><![CDATA[{cdata(found)}]]></{name}>"
    return f"<{name}>{''.join(_element(one, text) for one, text in found.items())}</{name}>"
