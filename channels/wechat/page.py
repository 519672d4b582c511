"""What pages need of WeChat: the signature with which they use its JS-SDK, and the files that prove a domain ours.

The page asks with its own address, because the platform compares the signed one with what its browser shows.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import sha256
from typing import Final, Protocol
from urllib.parse import urlsplit

import orjson

from app.core.model.value import value
from app.core.model.verification import Record
from channels.abilities import ErrandFailed
from channels.base import (
    ChannelManifest,
    InboundRequest,
    OutboundResponse,
    Refusal,
    RefusalKind,
    Route,
    TextForm,
)
from channels.problems import BY_KIND, JSON, NO_STORE, Problem, RequestUndecodable, problem_response
from channels.turns import Errand, Handshake, Turn
from channels.wechat.meaning import CHANNEL
from channels.wechat.platform.js_sdk import sign_page
from channels.wording.reply import Reply

JS_SDK: Final = Route(method="GET", path="/channels/wechat/js-sdk")
_FOREIGN_PAGE: Final = Problem(
    code="foreign_page",
    status=400,
    detail='Send as "url" the address of a page of this service, without what stands behind "#".',
)
_LONGEST_URL: Final = 2_048
_NONCE_CHARS: Final = 16
_RETRY_AFTER_S: Final = "5"


class Tickets(Protocol):
    """Where the ticket that signs pages comes from."""

    async def jsapi_ticket(self) -> str | ErrandFailed:
        """Return the ticket. Never raises."""
        ...


@value
class PageSigner:
    """The official account that signs pages: its name in the service, its AppID and its tickets."""

    account: str
    app_id: str
    tickets: Tickets

    def __repr__(self) -> str:
        return f"PageSigner({self.account})"


class PageAdapter:
    """Signs the pages under ``public_url`` and shows ``domain_files``, by their names, at the root of the domain.

    Without ``signer`` there is no address to sign at.
    """

    manifest = ChannelManifest(
        name=CHANNEL, deadline_ms=2_800, owe_ms=1_200, how_to_ask="", form=TextForm.CHAT
    )

    def __init__(
        self, *, public_url: str, signer: PageSigner | None = None, domain_files: Mapping[str, str]
    ) -> None:
        self._origin = _origin_of(public_url)
        self._signer = signer
        self._files = {f"/{name}": content for name, content in domain_files.items()}

    def routes(self) -> tuple[Route, ...]:
        """Return the address of signatures, if any, and that of every file."""
        files = tuple(Route(method="GET", path=path) for path in self._files)
        return files if self._signer is None else (JS_SDK, *files)

    def authenticate(self, request: InboundRequest) -> None:
        """Prove nothing: a signature is of use on a page of ours alone, and the files are there to be read."""

    def decode(self, request: InboundRequest) -> Turn:
        """Return what to show, or the errand for the ticket. Raises ``RequestUndecodable`` for another site's page.

        Nobody's limits count the errand: it asks the platform once in two hours, whoever and however many ask for it,
        and a page that is opened is no query.
        """
        if request.route in self._files:
            return Handshake(answer=self._files[request.route])
        url = request.query.get("url", "").partition("#")[0]
        if self._signer is None or len(url) > _LONGEST_URL or _origin_of(url) != self._origin:
            raise RequestUndecodable(_FOREIGN_PAGE)
        return Errand(kind="js_sdk", argument=url, account=self._signer.account)

    def encode(
        self, request: InboundRequest, turn: Turn, reply: Reply | None, record: Record | None = None
    ) -> OutboundResponse:
        """Return a file, byte for byte as it is set up."""
        if not isinstance(turn, Handshake):
            raise TypeError("Only files are shown so.")
        return OutboundResponse(
            status=200, body=turn.answer.encode(), content_type="text/plain", headers=NO_STORE
        )

    async def run_errand(self, errand: Errand) -> str | ErrandFailed:
        """Return the ticket."""
        if self._signer is None:
            return ErrandFailed(why="no_signer")
        return await self._signer.tickets.jsapi_ticket()

    def encode_errand(
        self, request: InboundRequest, errand: Errand, result: str | ErrandFailed
    ) -> OutboundResponse:
        """Return what ``wx.config`` takes; 503 where the platform lent no ticket."""
        if self._signer is None or isinstance(result, ErrandFailed):
            return problem_response(
                BY_KIND[RefusalKind.UNAVAILABLE], headers=(("Retry-After", _RETRY_AFTER_S),)
            )
        timestamp_s = int(request.received_at.timestamp())
        # made of the ticket, so that equal requests get equal bytes and nobody foresees it
        about = f"{timestamp_s}\n{errand.argument}".encode()
        nonce = hmac.new(result.encode(), about, sha256).hexdigest()[:_NONCE_CHARS]
        signature = sign_page(ticket=result, nonce=nonce, timestamp_s=timestamp_s, url=errand.argument)
        document = {
            "appId": self._signer.app_id,
            "timestamp": timestamp_s,
            "nonceStr": nonce,
            "signature": signature,
        }
        return OutboundResponse(status=200, body=orjson.dumps(document), content_type=JSON, headers=NO_STORE)

    def refuse(self, refusal: Refusal) -> OutboundResponse:
        """Return the problem document of a refusal."""
        cause = refusal.cause
        return problem_response(
            cause.problem if isinstance(cause, RequestUndecodable) else BY_KIND[refusal.kind]
        )


def _origin_of(url: str) -> str:
    """Return scheme and host, with the port if it is named (RFC 6454, section 6); "" for what is no address."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}".lower() if parts.scheme and parts.netloc else ""
