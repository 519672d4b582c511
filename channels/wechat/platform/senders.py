"""The ways out to a WeChat account's callers: a customer-service message, and a mini-program's notice of a recall."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime
from typing import Final

import orjson

from app.core.model.reply import Accepted
from channels.abilities import Deferred, NotSent, OutgoingText, Rejected, Sender, Unknown
from channels.wechat.platform.answers import Answer, Granted, NotTaken, Refused, Unclear
from channels.wechat.platform.client import PUSH_WITHIN_S, Platform
from channels.wechat.settings import Account, AccountKind

_CUSTOMER_SERVICE: Final = "/cgi-bin/message/custom/send"
_SUBSCRIBE: Final = "/cgi-bin/message/subscribe/send"
_LONGEST_ID: Final = 200
_TEMPLATE_PAUSE_S: Final = 600.0

_REFUSALS: Final[Mapping[int, str]] = {
    40003: "bad_recipient",
    43004: "does_not_follow",
    43101: "not_subscribed",
    45002: "too_long",
    45015: "past_48_hours",
    45047: "too_many_unanswered",
    48001: "api_not_granted",
    48002: "takes_no_messages",
}
# Faults of the template or of the released mini-program: the operator can mend them, and the consent is not used up.
_TEMPLATE_FAULTS: Final[Mapping[int, str]] = {
    40037: "template_unknown",
    41030: "page_unknown",
    47003: "template_data_wrong",
}


def make_senders(account: Account, platform: Platform) -> tuple[Sender, ...]:
    """Return the ways out of ``account``: none without its secret, recalls for a mini-program with a template.

    They share ``platform``; to close one ends what it was doing for the others.
    """
    if not account.app_id or not account.app_secret:
        return ()
    messages = CustomerServiceSender(account.name, platform)
    if account.kind is AccountKind.MINI_PROGRAM and account.recall_template:
        return (messages, RecallSender(account.name, account.recall_template, platform))
    return (messages,)


class _PlatformSender:
    """What both ways share: the platform keeps no list of what it took, and nothing is open but its client."""

    def __init__(self, name: str, platform: Platform) -> None:
        self._name = name
        self._platform = platform

    @property
    def name(self) -> str:
        """The name that reply addresses carry."""
        return self._name

    async def find_sent(
        self,
        text: OutgoingText,
        *,
        since: datetime,
        known_ids: Callable[[Collection[str]], Awaitable[frozenset[str]]],
    ) -> Accepted | NotSent | Unknown:
        """Return ``Unknown``: there is no list that could be asked."""
        return Unknown(why="platform_cannot_be_asked")

    async def close(self) -> None:
        """End what is under way."""
        await self._platform.close()


class CustomerServiceSender(_PlatformSender):
    """Sends texts; the platform takes five within 48 hours of the caller's last message."""

    async def send(self, text: OutgoingText) -> Accepted | Rejected | Deferred | Unknown:
        """Hand one text over, once."""
        if not text.address.recipient:
            return Rejected(why="bad_recipient")
        message = {
            "touser": _encodable(text.address.recipient),
            "msgtype": "text",
            "text": {"content": _encodable(text.text)},
        }
        return _meaning(await self._platform.post(_CUSTOMER_SERVICE, message, within_s=PUSH_WITHIN_S))


class RecallSender(_PlatformSender):
    """Sends subscribe messages after ``template``; one consent of the caller's is one message.

    The text is a JSON object: ``data`` maps the template's fields to ``{"value": text}``, ``page`` is where a tap
    leads, "" or missing for nowhere.
    """

    def __init__(self, account_name: str, template: str, platform: Platform) -> None:
        super().__init__(f"{account_name}/recall", platform)
        self._template = template

    async def send(self, text: OutgoingText) -> Accepted | Rejected | Deferred | Unknown:
        """Hand one notice over, once."""
        try:
            notice: object = orjson.loads(_encodable(text.text))
        except orjson.JSONDecodeError:
            notice = None
        if not isinstance(notice, dict) or not isinstance(notice.get("data"), dict):
            return Rejected(why="not_a_notice")
        if not text.address.recipient:
            return Rejected(why="bad_recipient")
        message: dict[str, object] = {
            "touser": _encodable(text.address.recipient),
            "template_id": self._template,
            "data": notice["data"],
        }
        if isinstance(notice.get("page"), str) and notice["page"]:
            message["page"] = notice["page"]
        answer = await self._platform.post(_SUBSCRIBE, message, within_s=PUSH_WITHIN_S)
        if isinstance(answer, Refused) and answer.code in _TEMPLATE_FAULTS:
            return Deferred(why=_TEMPLATE_FAULTS[answer.code], after_s=_TEMPLATE_PAUSE_S)
        return _meaning(answer)


def _meaning(answer: Answer) -> Accepted | Rejected | Deferred | Unknown:
    match answer:
        case Granted():
            if "errcode" not in answer.document:  # somebody else's page, such as a network's sign-in
                return Unknown(why="unreadable_answer")
            given = answer.document.get("msgid")
            return Accepted(provider_id=str(given)[:_LONGEST_ID] if isinstance(given, int | str) else "")
        case Refused():
            return Rejected(why=_REFUSALS.get(answer.code, "refused_by_platform"))
        case NotTaken():
            return Deferred(why=answer.why, after_s=answer.after_s)
        case Unclear():
            return Unknown(why=answer.why)


def _encodable(text: str) -> str:
    """Return ``text`` with half a surrogate pair, which UTF-8 cannot carry, replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")
