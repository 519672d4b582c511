"""The website as a channel. GET never counts; POST /verify asks, and a recorded answer has a page of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final
from urllib.parse import parse_qsl

from app.core.model.caller import CallerKind
from app.core.model.code import Code, Entry, read_codes
from app.core.model.verdict import Outcome, Verdict
from app.core.model.verification import Record, VerificationRequest
from channels.base import (
    ChannelContext,
    ChannelManifest,
    InboundRequest,
    OutboundResponse,
    Refusal,
    RefusalKind,
    Route,
)
from channels.problems import BY_KIND, JSON, NO_STORE, Problem, RequestReason, RequestUndecodable
from channels.turns import CodeSubmitted, CommandGiven, RecordOpened, Turn
from channels.web.cookies import CALLER, LANGUAGE, PASS, Cookies
from channels.web.gtin import is_gtin
from channels.web.origins import Origins
from channels.web.refusals import ForeignOrigin, PageReason
from channels.web.settings import WebOptions
from channels.web.site import Form, Over, Site
from channels.web.visitors import (
    COOKIE_SECONDS,
    SecretSource,
    derived_secret,
    following_nonce,
    is_secret,
    random_secret,
    subjects_of,
)
from channels.web.vouchers import PASS_SECONDS, Brought, ChallengeWanted, Visit, make_vouchers
from channels.wording.locales import DEFAULT_LOCALE, find_locale, negotiate_locale
from channels.wording.reply import Reply

_HOME: Final = Route(method="GET", path="/")
_FILLED: Final = Route(method="GET", path="/q/{digits}")
_DIGITAL_LINK: Final = Route(method="GET", path="/01/{gtin}/21/{digits}")
_VERIFY: Final = Route(method="POST", path="/verify")
_RESULT: Final = Route(method="GET", path="/r/{result}")
_CHALLENGE: Final = Route(method="GET", path="/challenge")
_LONGEST_AI_21: Final = 20  # GS1 General Specifications, section 3.5.2
_LONGEST_SHOWN: Final = 200
_ANSWER_SHOWN_FOR: Final = timedelta(minutes=10)
_RECORD_SHOWN_FOR: Final = timedelta(seconds=COOKIE_SECONDS)  # 24 months (service rules, section 6)
_CLOCK_SLACK: Final = timedelta(seconds=5)
_FORM_TYPE: Final = "application/x-www-form-urlencoded"
_RETRY_AFTER_S: Final = "5"
_HTML: Final = "text/html; charset=utf-8"
_NO_STORE: Final = ("Cache-Control", "no-store")
_WECHAT: Final = "MicroMessenger"  # stands in the User-Agent of WeChat's browser on every system
# where pages differ inside WeChat; a proxy that stores them all the same must at least not mix them up
_VARY: Final = ("Vary", "Accept-Encoding, User-Agent")
_STATUSES: Final = {Outcome.THROTTLED: 429, Outcome.UNAVAILABLE: 503}


@dataclass(frozen=True, slots=True, kw_only=True)
class FormSubmitted(CodeSubmitted):
    """A code sent by the form, with what the page needs to be shown again.

    ``secret`` is the caller's, new where ``keeps_cookie`` is false; it never leaves the visitor's own response.
    """

    form: Form
    secret: str
    keeps_cookie: bool
    visit: Visit
    brought: Brought


class WebAdapter:
    """Translates the site's requests. ``nonces`` and ``secrets`` give its random values; tests give fixed ones."""

    manifest = ChannelManifest(name="web", deadline_ms=2000, how_to_ask="open {public_url}/q/{code}")

    def __init__(
        self,
        context: ChannelContext,
        *,
        nonces: SecretSource = random_secret,
        secrets: SecretSource = random_secret,
    ) -> None:
        self._wording = context.wording
        self._identities = context.identities
        self._lengths = context.lengths
        self._origins = Origins(context.public_url)
        self._cookies = Cookies.of(context.public_url)
        self._nonces = nonces
        self._secrets = secrets
        self._site = Site()
        options = context.settings.get("web")
        self._js_sdk = isinstance(options, WebOptions) and options.js_sdk
        self._vouchers = make_vouchers(context)

    def routes(self) -> tuple[Route, ...]:
        """Return the site's addresses."""
        own = (_HOME, _FILLED, _DIGITAL_LINK, _VERIFY, _RESULT)
        return (*own, _CHALLENGE) if self._vouchers.works else own

    def authenticate(self, request: InboundRequest) -> None:
        """Refuse a POST that a page of another site sent. Raises ``NotAuthentic``; reading a page is free."""
        if request.method != "POST":
            return
        if self._origins.foreign(request.headers, own_cookie=self._find_secret(request) is not None):
            raise ForeignOrigin(self._locale(request))

    def decode(self, request: InboundRequest) -> Turn:
        """Read a request. Raises ``RequestUndecodable`` for a damaged link or form."""
        locale = self._locale(request)
        match request.route:
            case _VERIFY.path:
                return self._decode_form(request, locale)
            case _RESULT.path:
                return RecordOpened(
                    verification_id=self._identities.open_result(request.parts["result"]),
                    reader=self._identities.caller(CallerKind.WEB, self._find_secret(request) or ""),
                    locale=locale,
                )
            case _CHALLENGE.path:
                nonce = request.query.get("nonce", "")
                secret = self._find_secret(request) or (derived_secret(nonce) if is_secret(nonce) else "")
                return ChallengeWanted(state="", locale=locale, visit=self._visit(request, secret))
            case _FILLED.path:
                return CommandGiven(
                    kind="open_filled", argument=self._filled(request.parts["digits"]), locale=locale
                )
            case _DIGITAL_LINK.path:
                digits = request.parts["digits"]
                if not is_gtin(request.parts["gtin"]) or len(digits) > _LONGEST_AI_21:
                    raise RequestUndecodable(PageReason.WRONG_LINK.value, locale)
                return CommandGiven(kind="open_filled", argument=self._filled(digits), locale=locale)
            case _:
                return CommandGiven(kind="open", locale=locale)

    def encode(
        self, request: InboundRequest, turn: Turn, reply: Reply | None, record: Record | None = None
    ) -> OutboundResponse:
        """Return the page, or the redirect to a recorded answer's page."""
        match turn:
            case FormSubmitted() if reply is not None:
                return self._encode_answer(request, turn, reply)
            case ChallengeWanted():
                challenge = self._vouchers.challenge(turn.visit) or b"{}"
                return OutboundResponse(status=200, body=challenge, content_type=JSON, headers=NO_STORE)
            case RecordOpened():
                return self._encode_record(request, turn, record)
            case CommandGiven():
                form = Form(
                    nonce=self._nonces(),
                    shown=_grouped(turn.argument),
                    scanned=turn.argument if len(turn.argument) in self._lengths() else "",
                )
                in_wechat = self._in_wechat(request)
                body = self._site.check(turn.locale, form, path=request.path, in_wechat=in_wechat)
                return self._page(200, body, self._open_cookies(request))
            case _:
                raise TypeError("The website has no such turn.")

    def refuse(self, refusal: Refusal) -> OutboundResponse:
        """Return the page of a refusal, in the visitor's language."""
        cause = refusal.cause
        if isinstance(cause, ForeignOrigin | RequestUndecodable):
            return self._refusal_page(cause.problem, cause.locale)
        return self._refusal_page(BY_KIND[refusal.kind], find_locale(refusal.locale) or DEFAULT_LOCALE)

    # -- asking ----------------------------------------------------------------------------------------------

    def _filled(self, text: str) -> str:
        return Code.parse(text, lengths=self._lengths()).digits

    def _decode_form(self, request: InboundRequest, locale: str) -> FormSubmitted:
        fields = _read_form(request, locale)
        raw = fields.get("code", "")
        scanned = fields.get("scanned", "")
        reading = read_codes(raw, lengths=self._lengths())
        code = reading.code
        unchanged = (
            fields.get("entry") == Entry.SCANNED.value and code.digits != "" and scanned == code.digits
        )
        if unchanged:
            reading = read_codes(code.digits, entry=Entry.SCANNED, lengths=self._lengths())
            code = reading.code
        nonce = fields.get("nonce", "")
        has_nonce = is_secret(nonce)
        cookie = self._find_secret(request)
        secret = cookie or (derived_secret(nonce) if has_nonce else self._secrets())
        visit = self._visit(request, secret)
        brought = self._vouchers.read(
            visit, solution=fields.get("proof", ""), wait=fields.get("wait", ""), headers=request.headers
        )
        return FormSubmitted(
            request=VerificationRequest(
                code=code,
                caller=visit.caller,
                channel="web",
                message_id=f"{nonce}\n{code.digits}" if has_nonce else None,
                locale=find_locale(fields.get("lang", "")) or locale,
                received_at=request.received_at,
                other_readings=reading.others,
            ),
            subjects=subjects_of(visit.caller, request.remote),
            vouchers=brought.vouchers,
            more_codes=reading.more_codes,
            # The nonce stays: after a lost or late answer the same question is the same message.
            form=Form(
                nonce=nonce if has_nonce else self._nonces(),
                shown=_grouped(code.digits) or raw[:_LONGEST_SHOWN],
                scanned=code.digits if unchanged else "",
            ),
            secret=secret,
            keeps_cookie=cookie is not None,
            visit=visit,
            brought=brought,
        )

    def _visit(self, request: InboundRequest, secret: str) -> Visit:
        caller = self._identities.caller(CallerKind.WEB, secret)
        return Visit(caller=caller, remote=request.remote, at=request.received_at)

    def _encode_answer(self, request: InboundRequest, turn: FormSubmitted, reply: Reply) -> OutboundResponse:
        verdict = reply.verdict
        cookies = () if turn.keeps_cookie else (self._caller_cookie(turn.secret),)
        if turn.brought.passing and verdict.outcome is not Outcome.THROTTLED:
            cookies = (*cookies, self._pass_cookie(turn.brought.passing))
        if verdict.verification_id is not None:
            place = f"/r/{self._identities.seal_result(verdict.verification_id)}"
            return OutboundResponse(status=303, headers=(("Location", place), _NO_STORE, *cookies))
        status = _STATUSES.get(verdict.outcome, 200)
        if status != 200:
            cookies = (("Retry-After", str(verdict.retry_after_s)), *cookies)
        form = turn.form
        if verdict.outcome is Outcome.MISTYPED:
            # Answered: sent again alike, it is a second look and no retry, which may end in "not in our record".
            form = replace(form, nonce=following_nonce(form.nonce))
        body = self._site.notice(
            reply,
            form,
            turn.request.code.digits,
            over=self._over(turn, verdict),
            in_wechat=self._in_wechat(request),
        )
        return self._page(status, body, cookies)

    def _over(self, turn: FormSubmitted, verdict: Verdict) -> Over | None:
        """Return what the form of a visitor over a limit needs; work is offered again only where none was refused."""
        if verdict.outcome is not Outcome.THROTTLED:
            return None
        works = self._vouchers.works and not turn.brought.passing
        return Over(
            wait=self._vouchers.begin_wait(turn.visit, turn.brought, verdict.retry_after_s),
            wait_s=verdict.retry_after_s,
            challenge=f"{_CHALLENGE.path}?nonce={turn.form.nonce}" if works else "",
        )

    # -- reading a record ------------------------------------------------------------------------------------

    def _encode_record(
        self, request: InboundRequest, turn: RecordOpened, record: Record | None
    ) -> OutboundResponse:
        if record is None or request.received_at - record.verification.recorded_at > _RECORD_SHOWN_FOR:
            return self._refusal_page(BY_KIND[RefusalKind.UNKNOWN_ADDRESS], turn.locale)
        recorded_at = record.verification.recorded_at
        reply = self._wording.reply(record.as_announced(), turn.locale)
        age = request.received_at - recorded_at
        path, in_wechat = request.path, self._in_wechat(request)
        if record.asked_by_reader and -_CLOCK_SLACK <= age <= _ANSWER_SHOWN_FOR:
            body = self._site.result(reply, path=path, in_wechat=in_wechat)
        else:
            recorded = self._wording.moment(recorded_at, turn.locale)
            body = self._site.record(reply, recorded, path=path, in_wechat=in_wechat)
        return self._page(200, body, self._open_cookies(request))

    # -- responses -------------------------------------------------------------------------------------------

    def _page(self, status: int, body: bytes, headers: tuple[tuple[str, str], ...] = ()) -> OutboundResponse:
        vary = (_VARY,) if self._js_sdk else ()
        return OutboundResponse(
            status=status, body=body, content_type=_HTML, headers=(_NO_STORE, *vary, *headers)
        )

    def _in_wechat(self, request: InboundRequest) -> bool:
        """Tell whether the page is opened inside WeChat and may use what WeChat offers to pages."""
        return self._js_sdk and _WECHAT in request.headers.get("user-agent", "")

    def _refusal_page(self, problem: Problem, locale: str) -> OutboundResponse:
        headers = (("Retry-After", _RETRY_AFTER_S),) if problem.status == 503 else ()
        return self._page(problem.status, self._site.refusal(problem, locale), headers)

    def _open_cookies(self, request: InboundRequest) -> tuple[tuple[str, str], ...]:
        """Return the cookies set when a page opens: the caller's, where there is none, and a chosen language."""
        cookies = () if self._find_secret(request) else (self._caller_cookie(self._secrets()),)
        chosen = find_locale(request.query.get("lang", "")) if request.query else None
        if chosen is None:
            return cookies
        return (*cookies, self._cookies.set(LANGUAGE, chosen, seconds=COOKIE_SECONDS, for_scripts=True))

    def _pass_cookie(self, passing: str) -> tuple[str, str]:
        return self._cookies.set(PASS, passing, seconds=PASS_SECONDS)

    def _caller_cookie(self, secret: str) -> tuple[str, str]:
        return self._cookies.set(CALLER, secret, seconds=COOKIE_SECONDS)

    def _find_secret(self, request: InboundRequest) -> str | None:
        return self._cookies.find_secret(request.headers)

    def _locale(self, request: InboundRequest) -> str:
        """Return the visitor's language: the switch, then the cookie it left, then ``Accept-Language``."""
        chosen = request.query.get("lang", "") or self._cookies.find(request.headers, LANGUAGE)
        accepted = negotiate_locale(request.headers.get("accept-language", ""))
        return find_locale(chosen) or accepted or DEFAULT_LOCALE


def _read_form(request: InboundRequest, locale: str) -> dict[str, str]:
    """Return the form's fields, of equal names the first. Raises ``RequestUndecodable``."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != _FORM_TYPE:
        raise RequestUndecodable(RequestReason.WRONG_TYPE.value, locale)
    try:
        pairs = parse_qsl(
            request.body.decode("utf-8"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=20,
        )
    except UnicodeDecodeError:
        raise RequestUndecodable(RequestReason.NOT_UTF8.value, locale) from None
    except ValueError:
        raise RequestUndecodable(PageReason.WRONG_FORM.value, locale) from None
    fields: dict[str, str] = {}
    for name, value in pairs:
        fields.setdefault(name, value)
    return fields


def _grouped(digits: str) -> str:
    return " ".join(digits[start : start + 4] for start in range(0, len(digits), 4))


def make_adapters(context: ChannelContext) -> tuple[WebAdapter]:
    """Return the adapter; the registry names this factory."""
    return (WebAdapter(context),)
