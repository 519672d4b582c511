"""What the platform brings, by wechatpy's message classes, as plain values: who wrote, when, and what it holds.

What it means is decided in ``meaning``. Fields are used only in the form the platform's documents give them.
"""

from __future__ import annotations

import math
import re
from dataclasses import field
from hashlib import sha256
from typing import Final
from urllib.parse import parse_qs, unquote

from app.core.errors import Undecodable
from app.core.model.value import value
from channels.wechat.documents import Fields

_NAME: Final = re.compile("[0-9A-Za-z_.@-]{1,64}")
_NUMBER: Final = re.compile("[0-9]{1,20}")
_EVENT: Final = re.compile("[A-Za-z_]{1,48}")
_SCENE: Final = "qrscene_"
_LINEAR: Final = re.compile("([A-Z0-9_]+),")  # a bar code comes as EAN_13,6901234567892
_GOODS: Final = ("EAN", "UPC")
# the speakers of some trades say 洞, 两, 拐 and 勾 for 0, 2, 7 and 9
_SPOKEN: Final = str.maketrans("〇零洞一幺二两三四五六七拐八九勾", "0001122345677899")
_NUMERAL: Final = "0-9〇零洞一幺二两三四五六七拐八九勾"
_SPOKEN_RUN: Final = re.compile(rf"[{_NUMERAL}][{_NUMERAL}\s，。、,.-]{{4,}}")


@value
class Written:
    """Words: written, or recognised in a voice message."""

    text: str = field(repr=False)


@value
class Scanned:
    """What a scanner read, or what a card or a scene carries. ``otherwise``: the command it is where it is no code."""

    text: str = field(repr=False)
    otherwise: str = "help"


@value
class Located:
    """Where somebody is, in degrees, with the address as the platform words it. ``asked`` is false where the phone
    told it by itself.
    """

    latitude: float = field(repr=False)
    longitude: float = field(repr=False)
    address: str = field(default="", repr=False)
    asked: bool = True


@value
class Wanted:
    """A command: something tapped in the menu, or what the kind of message says by itself."""

    kind: str
    argument: str = ""


@value
class Nothing:
    """Nothing to answer; ``why`` is a constant word."""

    why: str


Content = Written | Scanned | Located | Wanted | Nothing


@value
class Incoming:
    """One message or event. ``id`` tells it from others of the same person."""

    account: str
    openid: str = field(repr=False)
    created_at: str
    id: str
    content: Content


# keys of the menu: app/cli makes a menu of these
MENU: Final = {
    "help": Wanted(kind="help"),
    "report": Wanted(kind="report"),
    "language": Wanted(kind="language"),  # the other one
    "language/en": Wanted(kind="language", argument="en"),
    "language/zh-CN": Wanted(kind="language", argument="zh-CN"),
}


def read_incoming(fields: Fields) -> Incoming:
    """Return the message. Raises ``Undecodable`` where a field that every message has is missing or malformed."""
    kind = _text(fields, "MsgType").lower()
    openid, account = _text(fields, "FromUserName"), _text(fields, "ToUserName")
    created_at = _text(fields, "CreateTime")
    if not (kind and _NAME.fullmatch(openid) and _NAME.fullmatch(account) and _NUMBER.fullmatch(created_at)):
        raise Undecodable("The message lacks its type, its time, its sender or its receiver.")
    if kind == "event":
        event = _text(fields, "Event")
        if not _EVENT.fullmatch(event):
            raise Undecodable("The event lacks its name.")
        number = f"{created_at}/{event.lower()}/{_digest_of_event(fields)}"
        content = _read_event(event.lower(), fields)
    else:
        number, content = _text(fields, "MsgId"), _read_message(kind, fields)
        if not _NUMBER.fullmatch(number):
            raise Undecodable("The message lacks its MsgId.")
    return Incoming(account=account, openid=openid, created_at=created_at, id=number, content=content)


def _read_message(kind: str, fields: Fields) -> Content:
    if kind == "text":  # what the library's class says, which takes ten times as long
        return Written(text=_said(fields.get("Content")))
    from channels.wechat.library import message_of, messages

    found = message_of(kind, fields)
    match found:
        case messages.VoiceMessage():
            return Written(text=_numerals(_said(found.recognition)))
        case messages.ImageMessage():
            return Wanted(kind="picture")
        case messages.LocationMessage():
            latitude, longitude = _degrees(found.location_x), _degrees(found.location_y)
            return Located(latitude=latitude, longitude=longitude, address=_said(found.label))
        case messages.LinkMessage():
            return Scanned(text=_said(found.url))
        case messages.MiniProgramPageMessage():
            return Scanned(text=_of_page(_said(found.page_path)))
        case _:
            return Wanted(kind="help")


def _read_event(event: str, fields: Fields) -> Content:
    from channels.wechat.library import event_of, events

    found = event_of(event, fields)
    match found:
        case events.SubscribeEvent():  # the scene of a code stands behind a prefix here, and alone in a scan
            return Scanned(text=_said(found.key).removeprefix(_SCENE), otherwise="welcome")
        case events.ScanEvent():
            return Scanned(text=_said(found.scene_id), otherwise="welcome")
        case events.ScanCodePushEvent() | events.ScanCodeWaitMsgEvent():
            return Scanned(text=_of_scanner(fields))
        case events.LocationEvent():
            # not by the library, whose number is an error, or the Gulf of Guinea where there is none
            latitude, longitude = _degrees(fields.get("Latitude")), _degrees(fields.get("Longitude"))
            return Located(latitude=latitude, longitude=longitude, asked=False)
        case events.ClickEvent():
            return MENU.get(_said(found.key), MENU["help"])
        case events.UserEnterTempSessionEvent():
            return Wanted(kind="welcome")
        case events.UnsubscribeEvent():
            return Nothing(why="unfollowed")
        case _:
            return Nothing(why="event_without_answer")


def _text(fields: Fields, name: str) -> str:
    found = fields.get(name, "")
    return found if isinstance(found, str) else ""


def _said(found: object) -> str:
    """Return a field of the library's; it is None where it is missing, and something else where it holds elements."""
    return found if isinstance(found, str) else ""


def _degrees(found: object) -> float:
    """Return degrees; NaN for what is no number, which lies nowhere."""
    try:
        return float(found) if isinstance(found, str) else math.nan
    except ValueError:
        return math.nan


def _digest_of_event(fields: Fields) -> str:
    """Return what tells an event from another of the same second, equal in each of its deliveries: nobody may read the
    answer about one label where they scanned two. The store keys it once more.
    """
    key, result = _text(fields, "EventKey"), _scan_result(fields)
    return sha256(f"{len(key)}:{key}{result}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _scan_result(fields: Fields) -> str:
    info = fields.get("ScanCodeInfo")
    return info.get("ScanResult", "") if not isinstance(info, str) and info is not None else ""


def _of_scanner(fields: Fields) -> str:
    """Return what the scanner read, "" where it is the bar code of goods: that is no label's."""
    result = _scan_result(fields)
    if linear := _LINEAR.match(result):
        return "" if linear[1].startswith(_GOODS) else result[linear.end() :]
    return result


def _of_page(path: str) -> str:
    """Return what a mini-program's page was opened with: the printed address in ``q``, else all that it was given."""
    query = path.partition("?")[2]
    try:
        opened_with = parse_qs(query, max_num_fields=32).get("q")
    except ValueError:
        return ""
    # scanned, the address is escaped once more
    return unquote(opened_with[0]) if opened_with else unquote(query)


def _numerals(recognised: str) -> str:
    """Return recognised speech with its numerals as digits, inside a run of them alone: elsewhere they are words."""
    return _SPOKEN_RUN.sub(lambda run: run[0].translate(_SPOKEN), recognised)
