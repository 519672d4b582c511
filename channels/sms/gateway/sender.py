"""Sending through a described gateway: one request, and what its answer says of the text."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime
from typing import Final, assert_never

from app.core.model.reply import Accepted
from channels.abilities import Deferred, NotSent, OutgoingText, Rejected, Unknown
from channels.base import http_calls
from channels.sms.gateway.description import Scalar, SendDescription
from channels.sms.gateway.templates import make_call

_DEADLINE_S: Final = 10.0
_BUSY_S: Final = 30.0
_NOT_ADMITTED_S: Final = 60.0  # a wrong credential is mended by the operator, and not this text's fault
_LONGEST_ID: Final = 200


class GatewaySender:
    """A :class:`~channels.abilities.Sender` over a description's ``[send]`` part."""

    def __init__(
        self, name: str, send: SendDescription, credentials: Mapping[str, str], calls: http_calls.HttpCalls
    ) -> None:
        self._name = name
        self._send = send
        self._credentials = dict(credentials)
        self._calls = calls

    @property
    def name(self) -> str:
        """The description's name."""
        return self._name

    async def send(self, text: OutgoingText) -> Accepted | Rejected | Deferred | Unknown:
        """Send one text, once, and say what became of it."""
        message = {
            "to": self._number(text.address.recipient),
            "text": text.text,
            "ours": text.address.ours,
            "reply_id": str(text.reply_id),
        }
        call = make_call(self._send, self._credentials, message)
        answer = await self._calls.call(call, deadline_s=_DEADLINE_S)
        match answer:
            case http_calls.NotCalled():
                return Deferred(why="not_connected")
            case http_calls.Unanswered():
                return Unknown(why="no_answer")
            case http_calls.HttpAnswer():
                return self._meaning(answer)
        assert_never(answer)

    async def close(self) -> None:
        """Nothing is open: the calls are somebody else's."""

    async def find_sent(
        self,
        text: OutgoingText,
        *,
        since: datetime,
        known_ids: Callable[[Collection[str]], Awaitable[frozenset[str]]],
    ) -> Accepted | NotSent | Unknown:
        """Return ``Unknown``: a description knows no way to ask."""
        return Unknown(why="cannot_ask")

    def _number(self, recipient: str) -> str:
        fitting = (prefix for prefix in self._send.drop_prefixes if recipient.startswith(prefix))
        return recipient.removeprefix(next(fitting, ""))

    def _meaning(self, answer: http_calls.HttpAnswer) -> Accepted | Rejected | Deferred | Unknown:
        send = self._send
        status = answer.status
        if status in {429, 503}:
            return Deferred(why="busy", after_s=_BUSY_S)
        if status in {401, 403, 407}:
            return Deferred(why="not_admitted", after_s=_NOT_ADMITTED_S)
        if 400 <= status < 500 and status != 408:
            return Rejected(why="refused_by_status")
        if status not in send.statuses:
            return Unknown(why="unexpected_status")
        try:
            document: object = json.loads(answer.body) if send.path or send.id_path else None
        except (ValueError, RecursionError):
            document = None
        if send.path:
            found = _find(document, send.path)
            if found is None:
                return Unknown(why="unreadable_answer")
            if any(_same(found, later) for later in send.later):
                return Deferred(why="put_off_by_provider", after_s=_BUSY_S)
            if not _same(found, send.equals):
                return Rejected(why="refused_by_provider")
        given = _find(document, send.id_path) if send.id_path else None
        return Accepted(provider_id=str(given)[:_LONGEST_ID] if given is not None else "")


def _find(document: object, path: str) -> Scalar | None:
    """Return the text, whole number or truth value at a path such as ``data.0.id``; None where there is none."""
    here = document
    for step in path.split("."):
        if isinstance(here, dict):
            here = here.get(step)
        elif isinstance(here, list) and step.isascii() and step.isdigit() and int(step[:6]) < len(here):
            here = here[int(step[:6])]
        else:
            return None
    return here if isinstance(here, str | int | bool) else None


def _same(found: Scalar, described: Scalar) -> bool:
    """Return whether two values say the same; 0 and "0" do, because providers' documents and servers differ there."""
    if isinstance(found, bool) or isinstance(described, bool):
        return found is described
    return str(found) == str(described)
