"""A text message as a provider would bring it, sent to a running server: to try the channel without an account."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import Final
from urllib.parse import quote, urlencode

from app.adapters.clock import SystemClock
from app.adapters.http import AiohttpCalls
from app.bootstrap.texting import sms_settings, with_demo_provider
from app.core.errors import NotAuthentic, RuleBroken, StoreUnavailable
from app.core.ports.http_calls import HttpAnswer, HttpCall
from app.settings import Settings
from channels.sms.settings import KannelOptions, SmsSettings, TwilioOptions

_OK: Final = 200
_FORBIDDEN: Final = 403


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """What the server answered: ``via`` the provider that was played, ``text`` the reply, "" where it said none."""

    via: str
    text: str


async def simulate_text(
    settings: Settings, *, sender: str, ours: str, text: str, message_id: str, url: str, via: str = ""
) -> Simulated:
    """Send one text to the server at ``url``, signed as the provider ``via`` (the first that is set up) signs.

    Raises ``RuleBroken`` where no such provider is set up, ``StoreUnavailable`` where nobody answers and
    ``NotAuthentic`` where the server has other secrets.
    """
    settings = with_demo_provider(settings)
    options = sms_settings(settings)
    chosen = _choose(options, via)
    if isinstance(chosen, TwilioOptions):
        from channels.sms.twilio.simulate import read_reply, signed_webhook

        address, headers, body = signed_webhook(
            chosen, settings.public_url, sender=sender, ours=ours, text=text, message_sid=message_id
        )
        target = url + address.removeprefix(settings.public_url)
        answer = await call_server(
            HttpCall(method="POST", url=target, headers=tuple(headers.items()), body=body)
        )
        return Simulated(via="twilio", text=read_reply(answer.body))
    moment = SystemClock().now().astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    query = urlencode({"from": sender, "to": ours, "text": text, "id": message_id, "ts": moment})
    target = f"{url}/channels/sms/kannel/{quote(chosen.secrets[0], safe='')}?{query}"
    answer = await call_server(HttpCall(method="GET", url=target))
    return Simulated(via="kannel", text=answer.body.decode("utf-8", "replace"))


def _choose(options: SmsSettings, via: str) -> TwilioOptions | KannelOptions:
    playable = {"twilio": options.twilio, "kannel": options.kannel}
    for name, chosen in playable.items():
        if chosen is not None and via in {"", name}:
            return chosen
    raise RuleBroken(
        f"No provider {via} is set up that can be played here. "
        if via
        else "No provider is set up. "
        "Set YANZHEN_SMS__TWILIO__AUTH_TOKENS or YANZHEN_SMS__KANNEL__SECRET to what the server has, or run the "
        "demonstration with the same --data-dir."
    )


async def call_server(call: HttpCall) -> HttpAnswer:
    """Return the server's answer of status 200. Raises ``NotAuthentic`` for 403, else ``StoreUnavailable``."""
    calls = AiohttpCalls()
    try:
        answer = await calls.call(call, deadline_s=20.0)
    finally:
        await calls.close()
    if not isinstance(answer, HttpAnswer):
        raise StoreUnavailable(
            f"The server does not answer ({answer.why}). Start it, or give its address: --url."
        )
    if answer.status == _FORBIDDEN:
        raise NotAuthentic(
            "The server refused the signature. Give this command the settings and the public URL the server has."
        )
    if answer.status != _OK:
        raise StoreUnavailable(f"The server answered with status {answer.status}; its log says why.")
    return answer
