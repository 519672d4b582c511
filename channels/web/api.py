"""The JSON API as a channel: POST /api/v1/verifications. The hot path of the whole service, so it builds little."""

from __future__ import annotations

from typing import Final

import orjson

from app.core.model.caller import Caller, CallerKind
from app.core.model.label import LabelSummary
from app.core.model.verdict import Outcome
from app.core.model.verification import Record, VerificationRequest
from channels.base import ChannelContext, ChannelManifest, InboundRequest, OutboundResponse, Refusal, Route
from channels.problems import (
    BY_KIND,
    JSON,
    NO_ANSWER,
    NO_STORE,
    RequestUndecodable,
    message_id,
    no_answer,
    problem_response,
    read_object,
    read_question,
)
from channels.turns import CodeSubmitted, ThrottleSubject, Turn
from channels.web.cookies import Cookies
from channels.web.origins import Origins
from channels.web.refusals import ForeignOrigin
from channels.web.visitors import subjects_of
from channels.web.vouchers import ChallengeWanted, Visit, make_vouchers
from channels.wording.reply import Reply

_ROUTE: Final = Route(method="POST", path="/api/v1/verifications")
_CHALLENGE: Final = Route(method="GET", path="/api/v1/challenge")
_PROOF: Final = "proof-of-work"
_ANONYMOUS: Final = Caller(kind=CallerKind.WEB)
_LABELS_KEPT: Final = 1024
_TIMES: Final = orjson.OPT_UTC_Z
_LabelParts = tuple[orjson.Fragment, orjson.Fragment, orjson.Fragment]
_NO_LABEL: Final = (orjson.Fragment(b"null"),) * 3


class ApiAdapter:
    """Translates JSON to a request and a verdict to JSON; channels/web/README.md describes both."""

    manifest = ChannelManifest(
        name="api",
        deadline_ms=2000,
        how_to_ask='POST {public_url}/api/v1/verifications {{"code": "{code}"}}',
    )

    def __init__(self, context: ChannelContext) -> None:
        self._identities = context.identities
        self._lengths = context.lengths
        self._cookies = Cookies.of(context.public_url)
        self._origins = Origins(context.public_url)
        self._vouchers = make_vouchers(context)
        self._labels: dict[int, tuple[LabelSummary, _LabelParts]] = {}

    def routes(self) -> tuple[Route, ...]:
        """Return the address of questions and, where work can be done instead of waiting, of challenges."""
        return (_ROUTE, _CHALLENGE) if self._vouchers.works else (_ROUTE,)

    def authenticate(self, request: InboundRequest) -> None:
        """Refuse a request that a page of another site sent. Raises ``NotAuthentic``."""
        headers = request.headers
        if self._origins.foreign(headers, own_cookie=self._cookies.find_secret(headers) is not None):
            raise ForeignOrigin("en")

    def decode(self, request: InboundRequest) -> Turn:
        """Read the body. Raises ``RequestUndecodable`` with the status and code of the problem."""
        headers = request.headers
        secret = self._cookies.find_secret(headers)
        caller = self._identities.caller(CallerKind.WEB, secret) if secret else _ANONYMOUS
        if request.route == _CHALLENGE.path:
            return ChallengeWanted(state="", locale="en", visit=_visit(request, caller))
        reading, locale = read_question(read_object(headers, request.body), self._lengths())
        key = headers.get("idempotency-key")
        return CodeSubmitted(
            request=VerificationRequest(
                code=reading.code,
                caller=caller,
                channel="api",
                message_id=None if key is None else message_id(key, reading.code.digits),
                locale=locale,
                received_at=request.received_at,
                other_readings=reading.others,
            ),
            subjects=subjects_of(caller, request.remote),
            vouchers=self._vouchers_of(request, caller),
            more_codes=reading.more_codes,
        )

    def encode(
        self, request: InboundRequest, turn: Turn, reply: Reply | None, record: Record | None = None
    ) -> OutboundResponse:
        """Return the verdict as JSON: 200, or a problem document where none could be given."""
        if isinstance(turn, ChallengeWanted):
            challenge = self._vouchers.challenge(turn.visit) or b"{}"
            return OutboundResponse(status=200, body=challenge, content_type=JSON, headers=NO_STORE)
        if reply is None:
            raise TypeError("Only a submitted code and a challenge have an answer on this channel.")
        if reply.verdict.outcome in NO_ANSWER:
            over = reply.verdict.outcome is Outcome.THROTTLED and self._vouchers.works
            return no_answer(reply, {"challenge": _CHALLENGE.path} if over else None)
        return OutboundResponse(
            status=200, body=self._verdict_json(reply), content_type=JSON, headers=NO_STORE
        )

    def refuse(self, refusal: Refusal) -> OutboundResponse:
        """Return the problem document (RFC 9457) of a refusal."""
        cause = refusal.cause
        if isinstance(cause, ForeignOrigin | RequestUndecodable):
            return problem_response(cause.problem)
        return problem_response(BY_KIND[refusal.kind])

    def _vouchers_of(
        self, request: InboundRequest, caller: Caller
    ) -> tuple[tuple[ThrottleSubject, ...], ...]:
        solution = request.headers.get(_PROOF)
        if not solution:
            return ()
        return self._vouchers.read(_visit(request, caller), solution=solution, headers={}).vouchers

    def _verdict_json(self, reply: Reply) -> bytes:
        verdict = reply.verdict
        first, label = verdict.first, verdict.label
        product, brand, programme = _NO_LABEL if label is None else self._label_parts(label)
        document: dict[str, object] = {
            "outcome": verdict.outcome,
            "ordinal": verdict.ordinal,
            "first": first
            and {"at": first.at, "channel": first.channel, "place": first.place or None, "own": first.own},
            "product": product,
            "brand": brand,
            "programme": programme,
            "reasons": verdict.reasons,
            "message": reply.message,
            "recorded_at": verdict.recorded_at,
            "locale": reply.locale,
        }
        if verdict.slip_positions:
            document["slip_position"] = verdict.slip_positions
        return orjson.dumps(document, option=_TIMES)

    def _label_parts(self, label: LabelSummary) -> _LabelParts:
        """Return product, brand and programme as JSON; made once a summary, because a batch's labels share one."""
        kept = self._labels.get(id(label))
        if kept is not None and kept[0] is label:
            return kept[1]
        made = _label_parts(label)
        if len(self._labels) >= _LABELS_KEPT:
            self._labels.clear()
        self._labels[id(label)] = (label, made)
        return made


def _visit(request: InboundRequest, caller: Caller) -> Visit:
    return Visit(caller=caller, remote=request.remote, at=request.received_at)


def _label_parts(label: LabelSummary) -> _LabelParts:
    product = {
        "name": label.product,
        "name_en": label.product_en or None,
        "gtin": label.gtin or None,
        "picture": label.picture_url or None,
    }
    brand = {
        "name": label.brand,
        "name_en": label.brand_en or None,
        "service_line": label.service_line or None,
    }
    programme = {"name": label.programme, "name_en": label.programme_en or None} if label.programme else None
    return (
        orjson.Fragment(orjson.dumps(product)),
        orjson.Fragment(orjson.dumps(brand)),
        orjson.Fragment(orjson.dumps(programme)),
    )


def make_adapters(context: ChannelContext) -> tuple[ApiAdapter]:
    """Return the adapter; the registry names this factory."""
    return (ApiAdapter(context),)
