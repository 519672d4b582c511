"""The mini-program's API as an adapter of the channel ``wechat``: bearer tokens, JSON in, JSON out.

Cookies prove nothing here, so that no page of a browser can ask in somebody's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, assert_never

import orjson

from app.core.model.verdict import Outcome, Verdict, VerificationId
from app.core.model.verification import Record
from channels.abilities import ErrandFailed
from channels.base import (
    ChannelContext,
    ChannelManifest,
    InboundRequest,
    OutboundResponse,
    Refusal,
    RefusalKind,
    Route,
    TextForm,
)
from channels.problems import (
    BY_KIND,
    JSON,
    NO_ANSWER,
    NO_STORE,
    RequestUndecodable,
    no_answer,
    problem_response,
)
from channels.turns import CodeSubmitted, Errand, HistoryOpened, RecallWatched, ReportMade, Turn
from channels.wechat.api.reading import Reading
from channels.wechat.api.refusals import AppReason
from channels.wechat.api.sessions import LIVES_FOR, MiniProgram, Session, Sessions, SignInRequired
from channels.wechat.meaning import CHANNEL
from channels.wording.reply import Reply

_SESSION: Final = Route(method="POST", path="/api/v1/wechat/session")
_VERIFY: Final = Route(method="POST", path="/api/v1/wechat/verifications")
_HISTORY: Final = Route(method="GET", path="/api/v1/wechat/verifications")
_WATCH: Final = Route(method="POST", path="/api/v1/wechat/recall-watches")
_REPORT: Final = Route(method="POST", path="/api/v1/wechat/reports")

_TIMES: Final = orjson.OPT_UTC_Z
_THROTTLED_S: Final = 60  # the limit of addresses is one a minute
_RETRY_AFTER_S: Final = 5
_DONE: Final = OutboundResponse(status=204, headers=NO_STORE)


class MiniProgramApiAdapter:
    """The addresses under /api/v1/wechat for every mini-program of ``programs``.

    Each has an AppID and an AppSecret; a sign-in that names no AppID means the first. Raises ``ValueError`` without
    any.
    """

    manifest = ChannelManifest(
        name=CHANNEL,
        deadline_ms=2_800,
        owe_ms=1_200,
        how_to_ask="In the mini-program: scan the label or type {code}",
        form=TextForm.CHAT,
    )

    def __init__(self, context: ChannelContext, programs: Sequence[MiniProgram]) -> None:
        if not programs:
            raise ValueError("the mini-program's API needs a mini-program")
        self._programs = {program.account.name: program for program in programs}
        self._identities = context.identities
        self._wording = context.wording
        self._sessions = Sessions(programs, context)
        reading = Reading({program.account.app_id: program.account for program in programs}, context)
        self._sign_in = reading.sign_in
        self._reads: Mapping[tuple[str, str], Callable[[InboundRequest, Session], Turn]] = {
            (_VERIFY.method, _VERIFY.path): reading.verification,
            (_HISTORY.method, _HISTORY.path): reading.history,
            (_WATCH.method, _WATCH.path): reading.recall_watch,
            (_REPORT.method, _REPORT.path): reading.report,
        }

    def routes(self) -> tuple[Route, ...]:
        """Return every address."""
        return (_SESSION, _VERIFY, _HISTORY, _WATCH, _REPORT)

    def authenticate(self, request: InboundRequest) -> None:
        """Refuse a request without a valid token, but for the sign-in. Raises ``SignInRequired``."""
        if request.route != _SESSION.path:
            self._sessions.open(request.headers, request.received_at)

    def decode(self, request: InboundRequest) -> Turn:
        """Read the request. Raises ``RequestUndecodable`` with the status and code of the problem."""
        if request.route == _SESSION.path:
            return self._sign_in(request)
        session = self._sessions.open(request.headers, request.received_at)
        return self._reads[request.method, request.route](request, session)

    def encode(
        self, request: InboundRequest, turn: Turn, reply: Reply | None, record: Record | None = None
    ) -> OutboundResponse:
        """Return a verdict as JSON, or that a report is kept."""
        if isinstance(turn, ReportMade):
            return _DONE
        if reply is None or not isinstance(turn, CodeSubmitted):
            raise TypeError("Only a submitted code and a report are answered so on this channel.")
        if reply.verdict.outcome in NO_ANSWER:
            return no_answer(reply)
        return _json(self._verdict(reply))

    def encode_history(
        self, request: InboundRequest, turn: HistoryOpened, records: Sequence[Record]
    ) -> OutboundResponse:
        """Return own checks as records of the past: what was answered then, and nothing of now."""
        return _json(
            {"records": [self._record(record, turn.locale) for record in records], "locale": turn.locale}
        )

    def encode_watch(
        self, request: InboundRequest, turn: RecallWatched, *, watched: bool
    ) -> OutboundResponse:
        """Return 204, or 404 where the check is not the caller's or is of no label in the record."""
        return _DONE if watched else problem_response(AppReason.UNKNOWN_RESULT.value)

    async def run_errand(self, errand: Errand) -> str | ErrandFailed:
        """Return the openid of whoever signs in."""
        return await self._programs[errand.account].platform.open_session(errand.argument)

    def encode_errand(
        self, request: InboundRequest, errand: Errand, result: str | ErrandFailed
    ) -> OutboundResponse:
        """Return the session's token; 401 for a code that the platform refuses, else 429 or 503 to come back."""
        account = self._programs[errand.account].account
        match result:
            case str():
                document = {
                    "token": self._sessions.seal(account, result, request.received_at),
                    "expires_in": int(LIVES_FOR.total_seconds()),
                    "recall_template": account.recall_template or None,
                }
                return _json(document)
            case ErrandFailed(refused=True):
                challenge = (("WWW-Authenticate", "Bearer"),)
                return problem_response(AppReason.SIGN_IN_REFUSED.value, headers=challenge)
            case ErrandFailed(why="throttled"):
                return self._come_back(Outcome.THROTTLED, _THROTTLED_S, errand.locale)
            case ErrandFailed():
                return self._come_back(Outcome.UNAVAILABLE, _RETRY_AFTER_S, errand.locale)
            case _ as unreachable:
                assert_never(unreachable)

    def refuse(self, refusal: Refusal) -> OutboundResponse:
        """Return the problem document (RFC 9457) of a refusal."""
        cause = refusal.cause
        if isinstance(cause, SignInRequired):
            return problem_response(cause.problem, headers=(("WWW-Authenticate", cause.challenge),))
        if isinstance(cause, RequestUndecodable):
            return problem_response(cause.problem)
        if refusal.kind is RefusalKind.UNAVAILABLE:
            return self._come_back(Outcome.UNAVAILABLE, _RETRY_AFTER_S, refusal.locale)
        return problem_response(BY_KIND[refusal.kind])

    def _come_back(self, outcome: Outcome, after_s: int, locale: str) -> OutboundResponse:
        return no_answer(self._wording.reply(Verdict(outcome=outcome, retry_after_s=after_s), locale))

    def _verdict(self, reply: Reply) -> dict[str, object]:
        verdict, page = reply.verdict, reply.page
        document: dict[str, object] = {
            "outcome": verdict.outcome,
            "ordinal": verdict.ordinal,
            "reasons": verdict.reasons,
            "message": reply.message,
            "headline": page.headline,
            "lead": page.lead,
            "facts": [{"name": one.name, "label": one.label, "value": one.value} for one in page.facts],
            "look_at": page.look_at,
            "next_step": page.next_step,
            "product": page.product or None,
            "brand": page.brand or None,
            "programme": page.programme or None,
            "service_line": page.service_line or None,
            "recorded_at": verdict.recorded_at,
            "result": self._result(verdict.verification_id),
            "locale": reply.locale,
        }
        if verdict.slip_positions:
            document["slip_position"] = verdict.slip_positions
        return document

    def _record(self, record: Record, locale: str) -> dict[str, object]:
        page = self._wording.reply(record.as_announced(), locale).page
        return {
            "outcome": record.announced,
            "headline": page.headline,
            "recorded_at": record.verification.recorded_at,
            "product": page.product or None,
            "result": self._result(record.verification.id),
        }

    def _result(self, verification_id: VerificationId | None) -> str | None:
        return None if verification_id is None else self._identities.seal_result(verification_id)


def _json(document: dict[str, object]) -> OutboundResponse:
    return OutboundResponse(
        status=200, body=orjson.dumps(document, option=_TIMES), content_type=JSON, headers=NO_STORE
    )
