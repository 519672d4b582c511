"""Requests of a mini-program as turns. Every message id begins with the caller's token, so nobody meets another's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.core.model.reply import ReplyAddress
from app.core.model.verdict import VerificationId
from app.core.model.verification import VerificationRequest
from channels.base import ChannelContext, InboundRequest
from channels.networks import address_subjects
from channels.problems import (
    RequestReason,
    RequestUndecodable,
    message_id,
    read_object,
    read_question,
)
from channels.turns import CodeSubmitted, Errand, HistoryOpened, RecallWatched, ReportMade, ThrottleSubject
from channels.wechat.api.refusals import MOST_RECORDS, MOST_WORDS, AppReason
from channels.wechat.api.sessions import Session
from channels.wechat.meaning import CHANNEL
from channels.wechat.settings import Account
from channels.wording.locales import find_locale, negotiate_locale, resolve_locale

SIGN_IN: Final = "sign_in"
_RECORDS: Final = 20


class Reading:
    """Reads bodies. Every method raises ``RequestUndecodable`` for what cannot be read."""

    def __init__(self, accounts: Mapping[str, Account], context: ChannelContext) -> None:
        self._accounts = accounts  # by AppID, the one that is meant without any first
        self._identities = context.identities
        self._lengths = context.lengths

    def sign_in(self, request: InboundRequest) -> Errand:
        """Read ``{"code", "app_id"}``: what ``wx.login`` gave, and for which mini-program."""
        document = read_object(request.headers, request.body)
        code, app_id = document.get("code"), document.get("app_id")
        if not isinstance(code, str):
            raise RequestUndecodable(RequestReason.MISSING_CODE.value)
        if app_id is None:
            account = next(iter(self._accounts.values()))
        else:
            found = self._accounts.get(app_id) if isinstance(app_id, str) else None
            if found is None:
                raise RequestUndecodable(AppReason.UNKNOWN_APP.value)
            account = found
        return Errand(
            kind=SIGN_IN,
            argument=code,
            account=account.name,
            subjects=address_subjects(request.remote),
            locale=_preferred_locale(request),
        )

    def verification(self, request: InboundRequest, session: Session) -> CodeSubmitted:
        """Read ``{"code", "entry", "locale"}`` and the header Idempotency-Key."""
        reading, locale = read_question(read_object(request.headers, request.body), self._lengths())
        key, caller = request.headers.get("idempotency-key"), session.caller
        own_id = None if key is None else f"{_name(session)}\n{message_id(key, reading.code.digits)}"
        return CodeSubmitted(
            request=VerificationRequest(
                code=reading.code,
                caller=caller,
                channel=CHANNEL,
                account=session.account.name,
                message_id=own_id,
                scope=session.account.brands,
                locale=locale,
                received_at=request.received_at,
                other_readings=reading.others,
            ),
            subjects=(ThrottleSubject(CHANNEL, caller.token or b""), *address_subjects(request.remote)),
            more_codes=reading.more_codes,
        )

    def history(self, request: InboundRequest, session: Session) -> HistoryOpened:
        """Read ``limit`` and ``locale`` of the address."""
        limit = request.query.get("limit", str(_RECORDS))
        if not (limit.isascii() and limit.isdigit() and len(limit) <= 3 and 1 <= int(limit) <= MOST_RECORDS):
            raise RequestUndecodable(AppReason.WRONG_LIMIT.value)
        return HistoryOpened(
            reader=session.caller, channel=CHANNEL, limit=int(limit), locale=_preferred_locale(request)
        )

    def recall_watch(self, request: InboundRequest, session: Session) -> RecallWatched:
        """Read ``{"result", "locale"}``."""
        document = read_object(request.headers, request.body)
        if not session.account.recall_template:
            raise RequestUndecodable(AppReason.NO_RECALL_NOTICES.value)
        return RecallWatched(
            verification_id=self._verification_id(document.get("result")),
            watcher=session.caller,
            address=ReplyAddress(sender=f"{session.account.name}/recall", recipient=session.openid),
            received_at=request.received_at,
            locale=_locale_of(document, request),
        )

    def report(self, request: InboundRequest, session: Session) -> ReportMade:
        """Read ``{"result" or null, "text", "locale"}``. One report a caller and check; without a check, one a day."""
        document = read_object(request.headers, request.body)
        text, result = document.get("text"), document.get("result")
        words = text.strip() if isinstance(text, str) and len(text) <= MOST_WORDS else ""
        if not words:
            raise RequestUndecodable(AppReason.WRONG_TEXT.value)
        about = None if result is None else self._verification_id(result)
        if result is not None and about is None:
            raise RequestUndecodable(AppReason.UNKNOWN_RESULT.value)
        occasion = request.received_at.date().isoformat() if about is None else str(about)
        return ReportMade(
            account=session.account.name,
            words=words,
            message_id=f"{_name(session)}\nreport\n{occasion}",
            verification_id=about,
            reporter=session.caller,
            received_at=request.received_at,
            locale=_locale_of(document, request),
        )

    def _verification_id(self, result: object) -> VerificationId | None:
        return self._identities.open_result(result) if isinstance(result, str) else None


def _name(session: Session) -> str:
    """Return what this caller's message ids begin with."""
    return (session.caller.token or b"").hex()


def _locale_of(document: Mapping[str, object], request: InboundRequest) -> str:
    """Return the language of the body, else that of the request. Raises ``RequestUndecodable``."""
    locale = document.get("locale")
    if locale is None:
        return _preferred_locale(request)
    if not isinstance(locale, str):
        raise RequestUndecodable(RequestReason.WRONG_MEMBER.value)
    return resolve_locale(locale)


def _preferred_locale(request: InboundRequest) -> str:
    """Return the language of the address, else of ``Accept-Language``, else zh-CN."""
    named = find_locale(request.query.get("locale", ""))
    return named or resolve_locale(negotiate_locale(request.headers.get("accept-language", "")) or "")
