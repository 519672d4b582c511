"""Plays Twilio towards a running server: makes a signed webhook and reads the answer, so that no account is needed."""

from __future__ import annotations

import secrets
from typing import Final
from urllib.parse import urlencode
from uuid import NAMESPACE_OID, uuid5
from xml.etree import ElementTree as ET

from app.core.errors import Undecodable
from channels.signatures import FORM_TYPE, parse_form
from channels.sms.settings import TwilioOptions
from channels.sms.twilio.dialect import MESSAGES
from channels.sms.twilio.signing import Signatures

_NO_ACCOUNT: Final = "AC" + "0" * 32


def new_message_sid() -> str:
    """Return a message id as Twilio gives them: "SM" and 32 hexadecimal digits."""
    return "SM" + secrets.token_hex(16)


def signed_webhook(
    options: TwilioOptions,
    public_url: str,
    *,
    sender: str,
    ours: str,
    text: str,
    message_sid: str,
) -> tuple[str, dict[str, str], bytes]:
    """Return address, headers and body of the request by which Twilio would bring ``text``.

    It is signed for ``public_url`` by the first token, wherever it is sent. Raises ``SettingsInvalid`` without one.
    """
    fields = {
        "AccountSid": options.account_sid or _NO_ACCOUNT,
        "ApiVersion": "2010-04-01",
        "Body": text,
        "From": sender,
        "MessageSid": message_sid,
        "NumMedia": "0",
        "NumSegments": "1",
        "SmsMessageSid": message_sid,
        "SmsSid": message_sid,
        "SmsStatus": "received",
        "To": ours,
    }
    body = urlencode(fields).encode("ascii")
    signature = Signatures(options.auth_tokens, public_url).sign(MESSAGES.path, parse_form(body))
    headers = {
        "Content-Type": FORM_TYPE + "; charset=utf-8",
        "User-Agent": "TwilioProxy/1.1",
        "X-Twilio-Signature": signature,
        "I-Twilio-Idempotency-Token": str(uuid5(NAMESPACE_OID, message_sid)),  # equal again for a retry
    }
    return public_url.rstrip("/") + MESSAGES.path, headers, body


def read_reply(body: bytes) -> str:
    """Return the text that TwiML sends back, "" for none. Raises ``Undecodable`` for anything but TwiML."""
    try:
        document = body.decode("utf-8")
        if "<!" in document:  # TwiML has no document type, and entities are how a small document grows large
            raise Undecodable("The answer is not TwiML.")
        root = ET.fromstring(document)  # noqa: S314 - without a document type there is nothing to expand
    except (ET.ParseError, ValueError):
        raise Undecodable("The answer is not TwiML.") from None
    if root.tag != "Response":
        raise Undecodable("The answer is not TwiML.")
    return "\n".join("".join(message.itertext()) for message in root.iterfind("Message"))
