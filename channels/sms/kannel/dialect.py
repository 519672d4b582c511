"""Kannel's HTTP interface (User's Guide 1.4.5, sms-service and sendsms-user groups), seen with the real gateway.

Kannel signs nothing: a secret part of the path, compared in constant time, and an address list stand in for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from hmac import compare_digest
from types import MappingProxyType
from typing import Final

from app.core.errors import NotAuthentic, SettingsInvalid, Undecodable
from app.core.model.reply import Delivery, ReplyId
from channels.abilities import Listener, Sender
from channels.base import InboundRequest, OutboundResponse, Refusal, RefusalKind, Route, http_calls
from channels.sms.dialect import IncomingText
from channels.sms.digests import text_digest
from channels.sms.kannel.coding import coding_of
from channels.sms.kannel.sender import KannelSender
from channels.sms.origins import is_from
from channels.sms.settings import KannelOptions
from channels.turns import DeliveryReport, Ignored

NAME: Final = "kannel"
ASKED: Final = Route(method="GET", path="/channels/sms/kannel/{secret}")
REPORTED: Final = Route(method="GET", path="/channels/sms/kannel/{secret}/delivered/{reply}")

_TEXT: Final = "text/plain; charset=utf-8"
_TIME: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}(?::[0-9]{2})?")
_LARGEST_REPLY_ID: Final = (1 << 63) - 1
# %d of a dlr-url (User's Guide, "Delivery reports")
_DELIVERIES: Final[Mapping[str, Delivery]] = MappingProxyType(
    {
        "1": Delivery.DELIVERED,
        "2": Delivery.FAILED,
        "4": Delivery.ACCEPTED,  # buffered: the phone is off
        "8": Delivery.SENT,  # taken by the message centre
        "16": Delivery.FAILED,  # refused by the message centre
    }
)
# smsbox 1.4.5 takes a reply from 200 and 202 only. After any other status it asks again with the same id, as often as
# its http-request-retry says, and then sends its own reply-couldnotfetch; our body reaches its access log at most, and
# never a phone (seen). So every text that was understood gets 200. What is unavailable now may be there ten seconds
# later, and is one query all the same; what is malformed comes from a wrong get-url, which must not fall silent.
_STATUSES: Final[Mapping[RefusalKind, int]] = MappingProxyType(
    {
        RefusalKind.NOT_AUTHENTIC: 403,
        RefusalKind.MALFORMED: 400,
        RefusalKind.TOO_LARGE: 413,
        RefusalKind.NOT_ALLOWED: 405,
        RefusalKind.UNKNOWN_ADDRESS: 404,
        RefusalKind.UNAVAILABLE: 503,
        RefusalKind.INTERNAL: 500,
    }
)


class KannelDialect:
    """One Kannel. ``calls`` carries what is pushed; ``public_url`` is where smsbox brings delivery reports.

    Raises ``SettingsInvalid`` where there is no secret, because an open address would answer anybody.
    """

    name = NAME
    in_band = True

    def __init__(self, options: KannelOptions, *, calls: http_calls.HttpCalls, public_url: str) -> None:
        if (
            not options.secrets
            or not all(options.secrets)
            or any("/" in secret for secret in options.secrets)
        ):
            raise SettingsInvalid(
                "sms.kannel.secret: give one secret, or two with a comma between them, without slashes; "
                "it stands in the get-url of kannel.conf"
            )
        self._secrets = tuple(secret.encode() for secret in options.secrets)
        self._allow_from = options.allow_from
        self._senders: tuple[Sender, ...] = ()
        if options.send_url:
            self._senders = (KannelSender(options, calls=calls, public_url=public_url),)
        self.reply_by = NAME if self._senders else ""

    def routes(self) -> tuple[Route, ...]:
        """Return the address of texts and that of delivery reports."""
        return (ASKED, REPORTED)

    def authenticate(self, request: InboundRequest) -> None:
        """Raise ``NotAuthentic`` unless the path holds a secret of ours and the address is on the list."""
        given = request.parts.get("secret", "").encode("utf-8", "surrogatepass")
        known = False
        for secret in self._secrets:  # every one, so that the time tells nothing
            known |= compare_digest(given, secret)
        if not known or not is_from(request, self._allow_from):
            raise NotAuthentic

    def decode(self, request: InboundRequest) -> tuple[IncomingText | DeliveryReport | Ignored, ...]:
        """Return the one text or report. Raises ``Undecodable`` with what is missing in the get-url."""
        return (_report(request) if request.route == REPORTED.path else _text(request.query),)

    def say(self, request: InboundRequest, text: str) -> OutboundResponse:
        """Return ``text`` in the alphabet it needs; an empty body sends nothing (omit-empty)."""
        return OutboundResponse(
            status=200,
            body=text.encode(),
            content_type=_TEXT,
            headers=(("X-Kannel-Coding", coding_of(text)),),
        )

    def refuse(self, refusal: Refusal) -> OutboundResponse:
        """Return a status that smsbox does not take for a reply; the body is for its log."""
        words = refusal.message if refusal.kind is RefusalKind.MALFORMED else ""
        return OutboundResponse(
            status=_STATUSES[refusal.kind], body=(words or refusal.kind.value).encode(), content_type=_TEXT
        )

    def senders(self) -> tuple[Sender, ...]:
        """Return the way out, where sendsms is set up."""
        return self._senders

    def listeners(self) -> tuple[Listener, ...]:
        """Return none: Kannel calls."""
        return ()


def _text(query: Mapping[str, str]) -> IncomingText:
    sender = query.get("from", "").strip()
    if not sender:
        raise Undecodable("The parameter from is missing: get-url needs from=%p, see config/kannel.conf.")
    if query.get("charset", "").upper().startswith("UTF-16"):
        raise Undecodable("The text came as UTF-16: set mo-recode = true in the smsbox group of kannel.conf.")
    ours, text, time = query.get("to", "").strip(), query.get("text", ""), query.get("ts", "").strip()
    given_id = query.get("id", "").strip()
    if not given_id and not time:
        raise Undecodable("Neither id nor ts came, so a retry cannot be told: get-url needs id=%I and ts=%t.")
    # A message centre that delivers again gets a new %I, but the same time where it sends one along.
    digest = text_digest(sender, ours, time, text) if time else ""
    return IncomingText(
        sender=sender,
        ours=ours,
        text=text,
        message_id=given_id or digest,
        alias_id=digest if given_id else "",
        sent_at=_find_time(time),
    )


def _report(request: InboundRequest) -> DeliveryReport | Ignored:
    number, status = request.parts.get("reply", ""), request.query.get("status", "")
    known = number.isascii() and number.isdecimal() and len(number) < 20 and int(number) <= _LARGEST_REPLY_ID
    if not known or not status:
        raise Undecodable("A delivery report needs the reply's number in its path and status=%d.")
    state = _DELIVERIES.get(status)
    if state is None:
        return Ignored(why="delivery_status_unknown")
    return DeliveryReport(
        sender=NAME, provider_id=request.query.get("id", ""), reply_id=ReplyId(int(number)), state=state
    )


def _find_time(written: str) -> datetime | None:
    """Return Kannel's %t, which is UTC whatever the machine's zone (seen), or None where it is written otherwise."""
    if _TIME.fullmatch(written) is None:
        return None
    try:
        return datetime.fromisoformat(written).replace(tzinfo=UTC)
    except ValueError:
        return None
