"""Pushes replies through Twilio's REST API, and asks it what became of one whose answer was lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from app.core.model.reply import Accepted
from channels.abilities import Deferred, NotSent, OutgoingText, Rejected, Unknown
from channels.sms.settings import TwilioOptions
from channels.sms.twilio.answers import (
    AnswerUnreadable,
    CallRefused,
    SentMessage,
    meaning_of_failure,
    meaning_of_refusal,
)

if TYPE_CHECKING:
    from channels.sms.twilio.rest import RestApi

NAME: Final = "twilio"
_CALL_S: Final = 10.0
_WHOLE_S: Final = 14.0  # first import and a second token included; the contract allows 15
_SKEW: Final = timedelta(seconds=60)
_MOST_LISTED: Final = 200
_PUSHED: Final = "outbound-api"  # a reply in TwiML is an outbound-reply, never one of these
_TRIAL_PREFIX: Final = "Sent from your Twilio trial account - "


class TwilioSender:
    """One account's way out. Everything is awaited in one event loop; ``timeout_s`` is the limit of a single call."""

    def __init__(self, options: TwilioOptions, public_url: str, *, timeout_s: float = _CALL_S) -> None:
        self._options = options
        self._callback = f"{public_url.rstrip('/')}/channels/sms/twilio/delivery"
        self._timeout_s = timeout_s
        self._api: RestApi | None = None

    @property
    def name(self) -> str:
        """The name that reply addresses carry."""
        return NAME

    async def send(self, text: OutgoingText) -> Accepted | Rejected | Deferred | Unknown:
        """Hand one text over, once: a second try is the courier's decision."""
        address = text.address
        if not address.recipient or not address.ours:
            return Rejected(why="no_number")
        try:
            api = await self._opened()
        except Exception:  # noqa: BLE001 - nothing was sent yet, whatever it was
            return Deferred(why="library_unusable", after_s=60.0)
        try:
            async with asyncio.timeout(_WHOLE_S):
                sid = await api.create(
                    to=address.recipient,
                    ours=address.ours,
                    body=text.text,
                    status_callback=f"{self._callback}/{text.reply_id}",
                )
        except CallRefused as refused:
            return meaning_of_refusal(refused)
        except AnswerUnreadable:
            return Unknown(why="answer_unreadable")
        except Exception as error:  # noqa: BLE001 - the library's and the network's errors are of many families
            return meaning_of_failure(error)
        return Accepted(provider_id=sid)

    async def find_sent(
        self,
        text: OutgoingText,
        *,
        since: datetime,
        known_ids: Callable[[Collection[str]], Awaitable[frozenset[str]]],
    ) -> Accepted | NotSent | Unknown:
        """Look for ``text`` among the newest messages to its recipient.

        The list is narrowed by numbers alone and by time here: the provider's date filter reads the moment of sending,
        which a message still in its queue does not have, and to miss that one means to send it twice.
        """
        try:
            async with asyncio.timeout(_WHOLE_S):
                api = await self._opened()
                listed = await api.newest(
                    to=text.address.recipient, ours=text.address.ours, limit=_MOST_LISTED
                )
                earliest = since - _SKEW
                alike = [one.sid for one in listed if _is_this(one, text.text, earliest)]
                taken = await known_ids(alike) if alike else frozenset()
        except Exception:  # noqa: BLE001 - whatever kept us from knowing, we do not know
            return Unknown(why="list_failed", ask_again=True)
        for sid in alike:
            if sid not in taken:
                return Accepted(provider_id=sid)
        whole = len(listed) < _MOST_LISTED or any(
            one.created_at is not None and one.created_at < earliest for one in listed
        )
        return NotSent() if whole else Unknown(why="list_too_long")

    async def close(self) -> None:
        """Close the connections; a later send opens new ones."""
        api, self._api = self._api, None
        if api is not None:
            await api.close()

    async def _opened(self) -> RestApi:
        if self._api is None:
            made = await asyncio.to_thread(_load)
            if self._api is None:  # two may have waited for the import
                self._api = made(
                    account_sid=self._options.account_sid,
                    auth_tokens=self._options.auth_tokens,
                    api_url=self._options.api_url,
                    timeout_s=self._timeout_s,
                )
        return self._api


def _load() -> type[RestApi]:
    """Import the library, in a thread because it would hold the event loop for a fifth of a second."""
    from channels.sms.twilio.rest import RestApi

    return RestApi


def _is_this(one: SentMessage, text: str, earliest: datetime) -> bool:
    if one.direction != _PUSHED or not one.sid:
        return False
    if one.created_at is not None and one.created_at < earliest:
        return False
    return one.body.removeprefix(_TRIAL_PREFIX).strip() == text.strip()
