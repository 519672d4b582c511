"""Twilio's wire: signed form posts in, TwiML back. Its words for opt-outs and deliveries end here."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final
from xml.sax.saxutils import escape

from app.core.errors import Undecodable
from app.core.model.reply import Delivery, ReplyId
from channels.abilities import Listener, Sender
from channels.base import InboundRequest, OutboundResponse, Refusal, RefusalKind, Route
from channels.signatures import SIGNATURE_HEADER, Form, is_form, parse_form
from channels.sms.dialect import IncomingText
from channels.sms.settings import TwilioOptions
from channels.sms.twilio.sender import NAME, TwilioSender
from channels.sms.twilio.signing import Signatures
from channels.turns import DeliveryReport, Ignored

MESSAGES: Final = Route(method="POST", path="/channels/sms/twilio", max_body_bytes=16 * 1024)
DELIVERIES: Final = Route(
    method="POST", path="/channels/sms/twilio/delivery/{reply}", max_body_bytes=16 * 1024
)
_TWIML: Final = "text/xml; charset=utf-8"
# byte for byte what the provider's library writes, which takes thirty times as long
_HEAD: Final = '<?xml version="1.0" encoding="UTF-8"?>'
_NOTHING: Final = f"{_HEAD}<Response />"
_MESSAGE: Final = f"{_HEAD}<Response><Message>{{}}</Message></Response>"
_IDEMPOTENCY_HEADER: Final = "i-twilio-idempotency-token"

# The signature runs names and values together without a mark between them, so whoever has a signed form can cut it
# anew. An id of exactly this shape cannot be cut shorter or longer, and a cut form is still the same message.
_SID: Final = re.compile(r"[SM]M[0-9A-Za-z]{32}")
_ALIAS: Final = re.compile(r"[\x21-\x7e]{1,128}")
_REPLY_ID: Final = re.compile(r"[0-9]{1,19}", re.ASCII)
_NOT_XML: Final = re.compile("[^\t\n\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, section 2.2

_OPTED: Final = {"STOP": "out", "START": "in"}
_DELIVERIES: Final = {
    "accepted": Delivery.ACCEPTED,
    "queued": Delivery.ACCEPTED,
    "scheduled": Delivery.ACCEPTED,
    "sending": Delivery.ACCEPTED,
    "sent": Delivery.SENT,
    "delivered": Delivery.DELIVERED,
    "read": Delivery.DELIVERED,
    "failed": Delivery.FAILED,
    "undelivered": Delivery.FAILED,
    "canceled": Delivery.FAILED,
}
_REFUSALS: Final = {
    RefusalKind.NOT_AUTHENTIC: (HTTPStatus.FORBIDDEN, "The signature is missing or does not match."),
    RefusalKind.MALFORMED: (HTTPStatus.BAD_REQUEST, "This is not the form of an incoming message."),
    RefusalKind.TOO_LARGE: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The form is too large."),
    RefusalKind.NOT_ALLOWED: (HTTPStatus.METHOD_NOT_ALLOWED, "Send a POST request."),
    RefusalKind.UNKNOWN_ADDRESS: (HTTPStatus.NOT_FOUND, "There is nothing at this address."),
    RefusalKind.UNAVAILABLE: (HTTPStatus.SERVICE_UNAVAILABLE, "The message was not kept. Send it again."),
    RefusalKind.INTERNAL: (HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong. Send it again."),
}


class TwilioDialect:
    """Reads what Twilio posts to us and says replies in TwiML; channels/sms/twilio/README.md describes both.

    Raises ``SettingsInvalid`` without an auth token.
    """

    name = NAME
    in_band = True

    def __init__(self, options: TwilioOptions, public_url: str) -> None:
        self._signatures = Signatures(options.auth_tokens, public_url)
        self._sender = TwilioSender(options, public_url) if options.account_sid else None
        self.reply_by = NAME if self._sender is not None else ""
        self._proved: tuple[InboundRequest, Form] | None = None

    def routes(self) -> tuple[Route, ...]:
        """Return the address of messages and that of delivery reports."""
        return (MESSAGES, DELIVERIES)

    def authenticate(self, request: InboundRequest) -> None:
        """Refuse what our account did not sign for this very address. Raises ``NotAuthentic``."""
        signature = request.headers.get(SIGNATURE_HEADER, "")
        self._proved = (request, self._signatures.prove(request.path, request.body, signature))

    def decode(self, request: InboundRequest) -> tuple[IncomingText | DeliveryReport | Ignored, ...]:
        """Return the one message or report of the form. Raises ``Undecodable``."""
        if not is_form(request.headers.get("content-type", "")):
            raise Undecodable("Twilio's webhooks are forms.")
        form = self._form_of(request)
        if request.route == DELIVERIES.path:
            return (_read_delivery(form, request.parts.get("reply", "")),)
        return (_read_text(form, request.headers.get(_IDEMPOTENCY_HEADER, "")),)

    def say(self, request: InboundRequest, text: str) -> OutboundResponse:
        """Return TwiML that sends ``text`` back; where that is "", an empty response, which sends nothing."""
        sayable = escape(_NOT_XML.sub("", text))
        document = _MESSAGE.format(sayable) if sayable else _NOTHING
        return OutboundResponse(status=HTTPStatus.OK, body=document.encode(), content_type=_TWIML)

    def refuse(self, refusal: Refusal) -> OutboundResponse:
        """Return a short plain text; the status makes Twilio try its fallback address and warn the operator."""
        status, sentence = _REFUSALS[refusal.kind]
        headers = (("Allow", "POST"),) if refusal.kind is RefusalKind.NOT_ALLOWED else ()
        return OutboundResponse(status=status, body=sentence.encode(), headers=headers)

    def senders(self) -> tuple[Sender, ...]:
        """Return the way out, where an account is set up."""
        return (self._sender,) if self._sender is not None else ()

    def listeners(self) -> tuple[Listener, ...]:
        """Return none: Twilio calls us."""
        return ()

    def _form_of(self, request: InboundRequest) -> Form:
        """Return the form as it was read for the signature, because decoding follows that at once; kept no longer."""
        proved, self._proved = self._proved, None
        return proved[1] if proved is not None and proved[0] is request else parse_form(request.body)


def _read_text(form: Form, idempotency_token: str) -> IncomingText | Ignored:
    sid = _read_sid(form)
    sender, ours = form.first("From"), form.first("To")
    if not sender or not ours:
        raise Undecodable("The form names no sender or no receiver.")
    if ":" in sender:
        return Ignored(
            why="not_a_text_message"
        )  # whatsapp:, messenger:, rcs: are other channels, with other rules
    opt_out_type = form.first("OptOutType").upper()
    if opt_out_type == "HELP":
        return Ignored(why="provider_gave_help")
    media = form.first("NumMedia")
    return IncomingText(
        sender=sender,
        ours=ours,
        text=form.first("Body"),
        message_id=sid,
        alias_id=idempotency_token if _ALIAS.fullmatch(idempotency_token) else "",
        media=media.isascii() and media.isdecimal() and media.strip("0") != "",
        opted=_OPTED.get(opt_out_type, ""),
    )


def _read_delivery(form: Form, reply: str) -> DeliveryReport | Ignored:
    sid = _read_sid(form)
    if not _REPLY_ID.fullmatch(reply):
        raise Undecodable("The address names no reply of ours.")
    state = _DELIVERIES.get(form.first("MessageStatus", "SmsStatus"))
    if state is None:
        return Ignored(why="delivery_state_unknown")
    return DeliveryReport(sender=NAME, provider_id=sid, reply_id=ReplyId(int(reply)), state=state)


def _read_sid(form: Form) -> str:
    sid = form.first("MessageSid", "SmsSid")
    if not _SID.fullmatch(sid):
        raise Undecodable("The form holds no message id.")
    return sid
