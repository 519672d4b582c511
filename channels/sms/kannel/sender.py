"""Pushing a text through smsbox's sendsms address, and what its answers mean (seen with Kannel 1.4.5)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode

from app.core.model.reply import Accepted
from channels.abilities import Deferred, NotSent, OutgoingText, Rejected, Unknown
from channels.base import http_calls
from channels.sms.kannel.coding import coding_of
from channels.sms.settings import KannelOptions

# delivered 1 + failed 2 + taken by the message centre 8 + refused by it 16; "buffered" says nothing we would act on
_REPORTS_WANTED: Final = "27"
_SETUP_PAUSE_S: Final = 60.0
_CALL_DEADLINE_S: Final = 10.0
# Answers to a wrong password, address or list of allowed addresses: nothing was taken, and the text is not to blame.
_WRONG_SETUP: Final = frozenset({301, 302, 303, 307, 308, 401, 403, 404, 405, 407})


class KannelSender:
    """The way out. Delivery reports come to ``public_url`` under the first of the secrets."""

    name = "kannel"

    def __init__(self, options: KannelOptions, *, calls: http_calls.HttpCalls, public_url: str) -> None:
        self._calls = calls
        self._send_url = options.send_url
        self._login = (("username", options.send_username), ("password", options.send_password))
        # Kannel fills in what stands behind a % in this address
        path = f"{public_url.rstrip('/')}/channels/sms/kannel/{quote(options.secrets[0], safe='')}/delivered/"
        self._reports_to = path.replace("%", "%%")

    async def send(self, text: OutgoingText) -> Accepted | Rejected | Deferred | Unknown:
        """Hand ``text`` to smsbox."""
        answer = await self._calls.call(
            http_calls.HttpCall(method="GET", url=self._address_of(text)), deadline_s=_CALL_DEADLINE_S
        )
        match answer:
            case http_calls.NotCalled():
                return Deferred(why="gateway_unreachable")
            case http_calls.Unanswered():
                return Unknown(why="gateway_did_not_answer")
            case http_calls.HttpAnswer():
                return _meaning(answer)

    async def close(self) -> None:
        """Nothing is open: the calls are somebody else's."""

    async def find_sent(
        self,
        text: OutgoingText,
        *,
        since: datetime,
        known_ids: Callable[[Collection[str]], Awaitable[frozenset[str]]],
    ) -> Accepted | NotSent | Unknown:
        """Return ``Unknown``: Kannel keeps no list that could be asked."""
        return Unknown(why="gateway_cannot_be_asked")

    def _address_of(self, text: OutgoingText) -> str:
        fields = [*self._login]
        if text.address.ours:
            fields.append(("from", text.address.ours))
        fields += [
            ("to", text.address.recipient),
            ("coding", coding_of(text.text)),
            ("charset", "UTF-8"),
            ("dlr-mask", _REPORTS_WANTED),
            ("dlr-url", f"{self._reports_to}{text.reply_id}?status=%d&id=%F"),
            ("text", text.text),
        ]
        joint = "&" if "?" in self._send_url else "?"
        return f"{self._send_url}{joint}{urlencode(fields, quote_via=quote, errors='replace')}"


def _meaning(answer: http_calls.HttpAnswer) -> Accepted | Rejected | Deferred | Unknown:
    """Return what an answer of sendsms says; its first digit is the result in 0: to 5:, where it has one."""
    status, words = answer.status, answer.body.strip()
    if 200 <= status < 300:
        if words.startswith((b"1:", b"2:")):
            return Rejected(why="gateway_refused")
        if words.startswith(b"4:"):
            return Deferred(why="gateway_busy")
        if status == 202 or words.startswith((b"0:", b"3:")):
            return Accepted()
        return Unknown(why="gateway_answered_otherwise")
    if status == 403 and words.startswith(b"Not routable"):
        return Rejected(why="not_routable")
    if status in _WRONG_SETUP:
        return Deferred(why="gateway_setup_wrong", after_s=_SETUP_PAUSE_S)
    if status in {429, 503} or (status == 500 and words.startswith(b"Sending failed")):
        return Deferred(why="gateway_busy")
    if 400 <= status < 500:
        return Rejected(why="gateway_refused")
    return Unknown(why="gateway_answered_otherwise")
