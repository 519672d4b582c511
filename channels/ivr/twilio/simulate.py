"""Plays Twilio towards a running server: signs the webhooks of a call, so that no account is needed."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from channels.ivr.settings import TwilioVoiceOptions
from channels.ivr.twilio.signing import Signatures
from channels.signatures import FORM_TYPE, SIGNATURE_HEADER, parse_form

_NO_ACCOUNT: Final = "AC" + "0" * 32


def new_call_sid() -> str:
    """Return a call id as Twilio gives them: "CA" and 32 hexadecimal digits."""
    return "CA" + secrets.token_hex(16)


def signed_webhook(
    options: TwilioVoiceOptions,
    public_url: str,
    path: str,
    *,
    call_sid: str,
    caller: str,
    ours: str,
    fields: Mapping[str, str] | None = None,
) -> tuple[str, dict[str, str], bytes]:
    """Return address, headers and body of a request by which Twilio would tell of a call; ``fields`` are those of
    the moment, such as ``Digits``.

    It is signed for ``public_url`` by the first token, wherever it is sent. Raises ``SettingsInvalid`` without one.
    """
    form = {
        "AccountSid": _NO_ACCOUNT,
        "ApiVersion": "2010-04-01",
        "CallSid": call_sid,
        "CallStatus": "in-progress",
        "Called": ours,
        "Caller": caller,
        "Direction": "inbound",
        "From": caller,
        "To": ours,
        **(fields or {}),
    }
    body = urlencode(form).encode("ascii")
    signature = Signatures(options.auth_tokens, public_url).sign(path, parse_form(body))
    headers = {
        "content-type": FORM_TYPE + "; charset=utf-8",
        "user-agent": "TwilioProxy/1.1",
        SIGNATURE_HEADER: signature,
    }
    return public_url.rstrip("/") + path, headers, body
