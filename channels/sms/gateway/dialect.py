"""One dialect for every gateway that does not sign: what differs between providers is in their descriptions.

Nothing proves such a request but the secret in its address and where it comes from; the reply goes another way.
"""

from __future__ import annotations

import hmac
from typing import Final
from zoneinfo import ZoneInfo

from app.core.errors import NotAuthentic
from channels.abilities import Listener, Sender
from channels.base import (
    InboundRequest,
    OutboundResponse,
    Refusal,
    RefusalKind,
    Route,
    http_calls,
)
from channels.sms.dialect import IncomingText
from channels.sms.gateway.description import FixedAnswer, GatewayDescription
from channels.sms.gateway.items import read_item, split_items
from channels.sms.gateway.loading import load_descriptions
from channels.sms.gateway.sender import GatewaySender
from channels.sms.origins import is_from
from channels.sms.settings import GatewayOptions
from channels.turns import Ignored

MAX_BODY_BYTES: Final = 64 * 1024
HOME_ZONE: Final = "Asia/Shanghai"
_STATUSES: Final = {
    RefusalKind.NOT_AUTHENTIC: 403,
    RefusalKind.MALFORMED: 400,
    RefusalKind.TOO_LARGE: 413,
    RefusalKind.NOT_ALLOWED: 405,
    RefusalKind.UNKNOWN_ADDRESS: 404,
}


class GatewayDialect:
    """A :class:`~channels.sms.dialect.Dialect` by a description.

    ``timezone`` holds for local times where the description names no zone.
    """

    in_band = False

    def __init__(
        self,
        description: GatewayDescription,
        options: GatewayOptions,
        calls: http_calls.HttpCalls,
        *,
        timezone: str = HOME_ZONE,
    ) -> None:
        self.name = description.name
        self._description = description
        self._secrets = tuple(secret.encode() for secret in options.secrets)
        self._allow_from = options.allow_from
        self._zone = ZoneInfo(timezone)
        self._senders: tuple[Sender, ...] = ()
        self.reply_by = options.reply_by
        if description.send is not None:
            self._senders = (GatewaySender(self.name, description.send, dict(options.credentials), calls),)
            self.reply_by = self.name

    def routes(self) -> tuple[Route, ...]:
        """Return the one address, with the secret as its last part."""
        path = f"/channels/sms/gateway/{self.name}/{{secret}}"
        return (Route(method="POST", path=path, max_body_bytes=MAX_BODY_BYTES),)

    def authenticate(self, request: InboundRequest) -> None:
        """Raise ``NotAuthentic`` unless the secret is ours (in constant time) and the address allowed."""
        given = request.parts.get("secret", "").encode("utf-8", "surrogatepass")
        known = 0
        for secret in self._secrets:
            known |= hmac.compare_digest(given, secret)
        if not known or not is_from(request, self._allow_from):
            raise NotAuthentic

    def decode(self, request: InboundRequest) -> tuple[IncomingText | Ignored, ...]:
        """Return every item of the body in its order; raises ``Undecodable`` for a body of another form."""
        items = split_items(request.body, self._description)
        return tuple(read_item(item, self._description, self._zone, request.received_at) for item in items)

    def say(self, request: InboundRequest, text: str) -> OutboundResponse:
        """Return the response that takes the delivery; a text never goes in it."""
        return _response(self._description.success)

    def refuse(self, refusal: Refusal) -> OutboundResponse:
        """Return the failure response: by its own status where another delivery is wanted, else by the reason's."""
        failure = self._description.failure
        return _response(failure, status=_STATUSES.get(refusal.kind, failure.status))

    def senders(self) -> tuple[Sender, ...]:
        """Return the gateway's own way out, where its description has one."""
        return self._senders

    def listeners(self) -> tuple[Listener, ...]:
        """Return none: a gateway comes by itself."""
        return ()


def load_gateways(
    options: GatewayOptions, *, calls: http_calls.HttpCalls, timezone: str = HOME_ZONE
) -> tuple[GatewayDialect, ...]:
    """Return a dialect for each description. Raises ``SettingsInvalid`` naming every problem by file and field."""
    descriptions = load_descriptions(options)
    return tuple(
        GatewayDialect(description, options, calls, timezone=timezone) for description in descriptions
    )


def _response(answer: FixedAnswer, *, status: int | None = None) -> OutboundResponse:
    return OutboundResponse(
        status=answer.status if status is None else status, body=answer.body, content_type=answer.content_type
    )
